"""Extremes of scale, kind and concurrency: a right answer or a clear error, on every estimator."""

import numpy as np
import pandas as pd
import pytest
from _data import two_views
from _models import CLASS, MODELS, SMALL
from sklearn.base import clone
from torch import nn

from skcca import CCA, DCCA, KCCA, ClusterCCA, SupervisedDCCA

X, Y, y = two_views()

every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
class_paired = pytest.mark.parametrize("model", CLASS.values(), ids=CLASS)


@every
@pytest.mark.parametrize("unit", [1e-165, 1e-152, 1e152, 1e200])
def test_feature_whose_square_leaves_float64_is_named(model, unit):
    wide = X * np.array([1, 1, unit, 1, 1])
    with pytest.raises(ValueError, match="Feature 2 of `X` spreads over"):
        clone(model).fit(wide, Y, y)
    with pytest.raises(ValueError, match="Feature 0 of `y` spreads over"):
        clone(model).fit(X, Y * unit, y)


@every
def test_every_scale_within_that_range_gives_the_same_variates(model):
    scale = np.array([1e-140, 1e-30, 1, 1e30, 1e140])
    a, b = clone(model).fit(X, Y, y), clone(model).fit(X * scale, Y, y)
    np.testing.assert_allclose(a.transform(X), b.transform(X * scale), atol=1e-6)


@every
@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e160, 1e300])
def test_scale_of_weights_does_not_matter(model, scale):
    w = np.linspace(1, 2, len(X))
    a = clone(model).fit(X, Y, y, sample_weight=w)
    b = clone(model).fit(X, Y, y, sample_weight=w * scale)
    np.testing.assert_allclose(a.correlations_, b.correlations_)
    assert a.score(X, Y, sample_weight=w * scale) == pytest.approx(a.score(X, Y, sample_weight=w))


def test_score_does_not_depend_on_the_scale_of_the_variates():
    model = CCA(2).fit(X, Y)
    small = CCA(2).fit(X, Y)
    small.x_weights_ = small.x_weights_ * 1e-200
    assert small.score(X, Y) == pytest.approx(model.score(X, Y))


@every
def test_a_failed_refit_leaves_the_fitted_model_as_it_was(model):
    fitted = clone(model).fit(X, Y, y)
    before = fitted.transform(X)
    with pytest.raises(ValueError, match="constant"):
        fitted.fit(7 * X[:, :3], 0 * Y, y)
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_scores_out_of_range_are_an_error():
    model = CCA(2).fit(X * 1e-100, Y)
    with (
        pytest.raises(ValueError, match="far outside of what was seen in fit"),
        np.errstate(all="ignore"),
    ):
        model.transform(X * 1e250)


@pytest.mark.parametrize(
    "parameters",
    [
        {"reg": (-1e-3, 0.1)},
        {"reg": (np.nan, 0)},
        {"reg": ("auto", 0)},
        {"reg": np.inf},
        {"gamma": (-1, 1)},
        {"gamma": (1, 2, 3)},
        {"kernel": ("rbf", "bogus")},
        {"coef0": ("a", 1)},
        {"coef0": np.nan},
    ],
)
def test_each_value_of_a_pair_is_checked(parameters):
    with pytest.raises(ValueError, match=f"{next(iter(parameters))}|tuple sets a parameter"):
        KCCA(**parameters).fit(X, Y)


def test_float32_kernels_do_not_return_their_rounding():
    K, L = X @ X.T, Y @ Y.T
    double = KCCA(kernel="precomputed").fit(K, L)
    single = KCCA(kernel="precomputed").fit(K.astype("f4"), L.astype("f4"))
    assert single.n_components_ == double.n_components_ == 4
    np.testing.assert_allclose(single.correlations_, double.correlations_, atol=1e-4)


def test_asymmetric_kernels_are_refused():
    K = np.exp(-((X[:, None] - X) ** 2).sum(axis=-1))
    with pytest.raises(ValueError, match="is not symmetric"):
        KCCA(kernel="precomputed").fit(K + np.triu(np.ones_like(K), 1), K)


def test_kernel_that_is_not_finite_is_named():
    with pytest.raises(ValueError, match="not finite"):
        KCCA(kernel="poly", degree=300, coef0=1e9).fit(X, Y)
    with pytest.raises(ValueError, match="not finite"):
        KCCA(kernel=lambda a, b: np.nan).fit(X, Y)


def test_weight_of_zero_beside_one_precomputed_kernel():
    w = np.ones(len(X))
    w[0] = 0
    K = X @ X.T
    model = KCCA(2, kernel=("precomputed", "rbf")).fit(K, Y, sample_weight=w)
    without = KCCA(2, kernel=("precomputed", "rbf")).fit(K[1:, 1:], Y[1:])
    np.testing.assert_allclose(model.correlations_, without.correlations_, atol=1e-10)
    np.testing.assert_allclose(model.transform(K), without.transform(K[:, 1:]), atol=1e-8)


@class_paired
def test_score_refuses_the_labels_that_fit_refuses(model):
    blended = clone(model).set_params(instance_weight=0.5).fit(X, Y, y)
    with pytest.raises(ValueError, match="set instance_weight=0"):
        blended.score(X, Y[:20], labels=(y, y[:20]))
    sampled = clone(model).set_params(pairs_per_sample=5).fit(X, Y, y)
    with pytest.raises(ValueError, match="sample within one class per row"):
        sampled.score(X, Y, labels=np.eye(3, dtype=int)[y])


@class_paired
def test_sampled_pairs_of_views_that_each_lack_a_class(model):
    other = np.where(y == 2, 1, y)
    sampled = clone(model).set_params(n_components=1, pairs_per_sample=3)
    for labels in ((y, other), (other, y)):
        with pytest.warns(UserWarning, match="share no class"):
            fitted = clone(sampled).fit(X, Y, labels=labels)
        assert np.isfinite(fitted.transform(X)).all()


def test_batches_without_a_tag_fall_back_to_their_own_pairs():
    tags = np.zeros((90, 2), int)
    tags[:8, 0] = tags[8:12, 1] = 1
    model = SupervisedDCCA(2, **SMALL | {"batch_size": 8}, instance_weight=0.3).fit(X, Y, tags)
    assert np.isfinite(model.transform(X)).all()


BAD_LABELS = {
    "masked": np.ma.masked_array(y, mask=y == 0),
    "beyond exact floats": y * 1e300,
    "of two kinds": (y.astype(np.uint64), y.astype(np.int64)),
    "misaligned": pd.Series(y, index=range(90)[::-1]),
}


@class_paired
@pytest.mark.parametrize("labels", BAD_LABELS.values(), ids=BAD_LABELS)
def test_labels_that_would_change_silently_are_refused(model, labels):
    with pytest.raises(ValueError, match=r"masked|2\*\*53|no integer type|indices"):
        clone(model).fit(pd.DataFrame(X), pd.DataFrame(Y), labels=labels)


@every
def test_masks_and_dates_are_no_numbers(model):
    masked = np.ma.masked_array(X, mask=X > 3)
    with pytest.raises(ValueError, match="`X` has masked entries"):
        clone(model).fit(masked, Y, y)
    with pytest.raises(ValueError, match="`y` has dtype datetime64"):
        clone(model).fit(X, Y.astype("datetime64[s]"), y)


def test_networks_that_do_not_fit_the_view_are_named():
    with pytest.raises(ValueError, match="`y_network` failed on a batch of shape"):
        DCCA(2, y_network=nn.Linear(7, 2), **SMALL).fit(X, Y)
    with pytest.raises(TypeError, match="a network must be"):
        DCCA(2, y_network="mlp", **SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="no parameter to train"):
        DCCA(2, x_network=nn.Identity(), y_network=nn.Identity(), **SMALL).fit(X, Y)
    mixed = DCCA(2, x_network=nn.Identity(), **SMALL).fit(X, Y)
    assert np.isfinite(mixed.transform(X)).all()


def test_number_of_partners_beyond_any_class_means_all():
    a = ClusterCCA(pairs_per_sample=10**30).fit(X, Y, y)
    np.testing.assert_allclose(a.correlations_[:2], ClusterCCA().fit(X, Y, y).correlations_)


@pytest.mark.parametrize("solver", ["covariance", "svd"])
def test_a_feature_that_varies_only_in_rows_without_a_pair_is_constant(solver):
    rng = np.random.default_rng(0)
    A, V = rng.normal(size=(30, 3)), np.hstack([rng.normal(size=(60, 3)), np.eye(60)])
    labels = np.arange(30) % 3, np.arange(60) % 3
    model = ClusterCCA(1, pairs_per_sample=1, reg=0.1, solver=solver, random_state=0)
    model.fit(A, V, labels)  # of V, a feature for each row, but half of the rows have no partner
    alone = ~model.y_weights_[3:].any(axis=1)
    assert 0 < alone.sum() < 60
    without = clone(model).fit(A, np.delete(V, 3 + np.flatnonzero(alone), axis=1), labels)
    np.testing.assert_allclose(model.correlations_, without.correlations_, atol=1e-10)
