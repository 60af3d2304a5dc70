"""Indicator matrices of tags as labels: pairs weigh as the tags that they share."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from _data import tagged_views
from _models import SMALL, class_paired
from _oracles import assert_equals_pairs, assert_same_bits, pair_weights
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skcca import CCA, KCCA, ClusterCCA, ClusterKCCA, SupervisedDCCA, Views, retrieval_map

X, Y, TAGS = tagged_views()
N, N_TAGS = TAGS.shape
WEIGHTS = np.random.default_rng(1).uniform(0.2, 2, N)
RULES = {
    "pairs": {},
    "rows": {"pair_weight": "row"},
    "blended": {"instance_weight": 0.3},
    "blended rows": {"instance_weight": 0.3, "pair_weight": "row"},
}
KINDS = {
    "bool": lambda L: L.astype(bool),
    "float": lambda L: L.astype(float),
    "uint8": lambda L: L.astype(np.uint8),
    "list": lambda L: L.tolist(),
    "list of arrays": list,
    "read-only": lambda L: np.frombuffer(L.tobytes(), L.dtype).reshape(L.shape),
    "frame": pd.DataFrame,
    "frame of bools": lambda L: pd.DataFrame(L.astype(bool), columns=list("abcd")),
    "csr_array": sparse.csr_array,
    "csc_matrix of bools": lambda L: sparse.csc_matrix(L.astype(bool)),
    "coo_array": sparse.coo_array,
    "tensor": torch.as_tensor,
    "polars": pl.DataFrame,
}
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def assert_same_model(a, b):
    assert_same_bits(
        (a.correlations_, a.x_weights_, a.y_weights_, a.transform(X)),
        (b.correlations_, b.x_weights_, b.y_weights_, b.transform(X)),
    )


# Equal to materialised pairs


@rules
@pytest.mark.parametrize("reg", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
def test_linear_models_equal_materialised_pairs(rule, reg, weights):
    w = np.ones(N) if weights is None else weights
    W = pair_weights(TAGS, TAGS, w, w, **rule)
    model = ClusterCCA(reg=reg, **rule).fit(X, Y, TAGS, sample_weight=weights)
    assert model.n_components_ == (4 if "instance_weight" in rule else N_TAGS - 1)
    assert_equals_pairs(model, CCA(reg=reg), W, X, Y)


@rules
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
def test_kernel_models_equal_materialised_pairs(rule, weights):
    w = np.ones(N) if weights is None else weights
    W = pair_weights(TAGS, TAGS, w, w, **rule)
    options = {"reg": 1e-2, "gamma": (0.05, 0.1)}
    model = ClusterKCCA(3, **options, **rule).fit(X, Y, TAGS, sample_weight=weights)
    # The dual problem of 40 rows and that of 800 pairs round differently; iterations stop at 1e-6.
    atol = 1e-5 if "instance_weight" in rule else 1e-9
    assert_equals_pairs(model, KCCA(**options), W, X, Y, atol=atol)


@pytest.mark.parametrize("pair_weight", ["pair", "row"])
@pytest.mark.parametrize("weighted", [False, True])
def test_unpaired_tags_equal_materialised_pairs(pair_weight, weighted):
    rows = np.random.default_rng(2).permutation(N)[:29]
    B, other = Y[rows], TAGS[rows]
    w, v = (WEIGHTS, WEIGHTS[:29]) if weighted else (np.ones(N), np.ones(29))
    W = pair_weights(TAGS, other, w, v, pair_weight=pair_weight)
    weights = (w, v) if weighted else None
    model = ClusterCCA(pair_weight=pair_weight)
    model.fit(X, B, labels=(TAGS, other), sample_weight=weights)
    assert_equals_pairs(model, CCA(), W, X, B)
    kernels = {"reg": 1e-2, "gamma": (0.05, 0.1)}
    model = ClusterKCCA(pair_weight=pair_weight, **kernels)
    model.fit(X, B, labels=(sparse.csr_array(TAGS), other.tolist()), sample_weight=weights)
    assert_equals_pairs(model, KCCA(**kernels), W, X, B, atol=1e-9)


@rules
def test_deep_training_and_directions_equal_materialised_pairs(rule):
    W = pair_weights(TAGS, TAGS, WEIGHTS, WEIGHTS, **rule)
    settings = SMALL | {"batch_size": None, "dropout": 0.0, "max_epochs": 1, "reg": 0.01}
    model = SupervisedDCCA(2, **settings, component_scaling="unit", **rule)
    model.fit(X, Y, TAGS, sample_weight=WEIGHTS)
    a, b = W.sum(axis=1) / W.sum(), W.sum(axis=0) / W.sum()
    np.testing.assert_allclose(model.x_mean_, a @ X, atol=1e-12)
    np.testing.assert_allclose(model.y_scale_**2, b @ (Y - b @ Y) ** 2, atol=1e-12)
    with torch.no_grad():
        S, T = (
            torch.as_tensor((V - mean) / scale)
            for V, mean, scale in (
                (X, model.x_mean_, model.x_scale_),
                (Y, model.y_mean_, model.y_scale_),
            )
        )
        zx, zy = model.x_network_(S).numpy(), model.y_network_(T).numpy()
    i, j = np.nonzero(W)
    linear = CCA(2, reg=0.01, scale=False).fit(zx[i], zy[j], sample_weight=W[i, j])
    np.testing.assert_allclose(model.correlations_, linear.correlations_, atol=1e-10)
    U, V = model.transform(X, Y)
    # Loadings of outputs and of features may choose another sign.
    signs = np.sign((U * linear.transform(zx)).sum(axis=0))
    np.testing.assert_allclose(U * signs, linear.transform(zx), atol=1e-8)
    np.testing.assert_allclose(V * signs, linear.transform_y(zy), atol=1e-8)


@class_paired
@rules
def test_score_correlates_over_the_pairs_that_share_tags(model, rule):
    fitted = clone(model).set_params(**rule).fit(X, Y, TAGS)
    A, B, L = tagged_views(25, seed=5)
    w = WEIGHTS[:25]
    W = pair_weights(L, L, w, w, **rule)
    W = W / W.sum()
    a, b = W.sum(axis=1), W.sum(axis=0)
    U, V = fitted.transform(A, B)
    U, V = U - a @ U, V - b @ V
    expected = np.diag(U.T @ W @ V) / np.sqrt((a @ U**2) * (b @ V**2))
    found = fitted.score(A, B, labels=L, sample_weight=w)
    assert found == pytest.approx(expected.sum(), abs=1e-10)
    assert fitted.score(Views(A, B), sparse.csr_array(L), sample_weight=w) == pytest.approx(found)


@class_paired
def test_score_of_unpaired_tags_correlates_over_their_pairs(model):
    fitted = clone(model).fit(X, Y, TAGS)
    A, B, L = tagged_views(25, seed=5)
    W = pair_weights(L, L[:14], np.ones(25), np.ones(14))
    i, j = np.nonzero(W)
    U, V = fitted.transform(A)[i], fitted.transform_y(B[:14])[j]
    expected = 0.0
    for u, v in zip(U.T, V.T, strict=True):
        joint = np.cov(u, v, aweights=W[i, j])
        expected += joint[0, 1] / np.sqrt(joint[0, 0] * joint[1, 1])
    found = fitted.score(A, B[:14], labels=(L, pd.DataFrame(L[:14])))
    assert found == pytest.approx(expected, abs=1e-10)


# Equal to classes where each row has one tag


@class_paired
@rules
def test_one_hot_tags_are_classes(model, rule):
    y = np.minimum(np.random.default_rng(0).geometric(0.4, N), N_TAGS) - 1
    y[:4] = np.arange(4)
    for weights in (None, WEIGHTS):
        a = clone(model).set_params(**rule).fit(X, Y, y, sample_weight=weights)
        b = (
            clone(model)
            .set_params(**rule)
            .fit(X, Y, np.eye(4, dtype=int)[y], sample_weight=weights)
        )
        assert_same_model(a, b)
        assert a.score(X, Y, labels=y) == b.score(X, Y, labels=np.eye(4)[y])
        assert retrieval_map(a, X, Y, labels=y) == retrieval_map(b, X, Y, labels=np.eye(4)[y])


def test_one_hot_tags_are_classes_in_early_stopping():
    y = np.arange(N) % 4
    model = SupervisedDCCA(2, **SMALL | {"max_epochs": 3}, early_stopping=True)
    a, b = clone(model).fit(X, Y, y), clone(model).fit(X, Y, np.eye(4)[y])
    assert_same_model(a, b)
    np.testing.assert_array_equal(a.validation_scores_, b.validation_scores_)


def test_rows_with_all_tags_alike_weigh_as_classes():
    """Two tags that always come together count twice, and twice is the same as once."""
    y = np.arange(N) % 3
    a = ClusterCCA().fit(X, Y, y)
    b = ClusterCCA().fit(X, Y, np.hstack([np.eye(3, dtype=int)[y]] * 2))
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-12)
    np.testing.assert_allclose(a.x_weights_, b.x_weights_, atol=1e-10)


def test_early_stopping_holds_out_tagged_rows():
    model = SupervisedDCCA(2, **SMALL | {"max_epochs": 3}, early_stopping=True).fit(X, Y, TAGS)
    assert np.isfinite(model.validation_scores_).all()
    assert len(model.validation_scores_) == model.n_epochs_


# Rows without tags, tags without rows


@class_paired
def test_tags_of_no_row_change_nothing(model):
    more = np.insert(TAGS, 2, 0, axis=1)
    a, b = clone(model).fit(X, Y, TAGS), clone(model).fit(X, Y, more)
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-12)
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-10)
    np.testing.assert_array_equal(b.classes_, np.arange(N_TAGS + 1))
    assert b.score(X, Y, labels=more) == pytest.approx(a.score(X, Y, labels=TAGS))
    assert retrieval_map(a, X, Y, labels=TAGS) == retrieval_map(a, X, Y, labels=more)


@pytest.mark.parametrize("model", [ClusterCCA(2), ClusterKCCA(2, reg=1e-2)])
def test_rows_without_tags_take_no_part(model):
    bare = TAGS.copy()
    bare[::5] = 0
    tagged = bare.any(axis=1)
    with pytest.warns(UserWarning, match="8 of 40 rows of `.` share no class") as caught:
        a = clone(model).fit(X, Y, bare)
    assert len(caught) == 2  # X and y
    b = clone(model).fit(X[tagged], Y[tagged], bare[tagged])
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-10)
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-8)
    found = a.score(X, Y, labels=bare)
    assert found == pytest.approx(a.score(X[tagged], Y[tagged], labels=bare[tagged]))


@pytest.mark.parametrize("rule", [RULES["blended"], RULES["blended rows"]])
def test_rows_without_tags_keep_their_own_pair_in_a_blend(rule):
    bare = TAGS.copy()
    bare[::5] = 0
    model = ClusterCCA(**rule).fit(X, Y, bare)  # no warning: every row has a partner, itself
    assert_equals_pairs(model, CCA(), pair_weights(bare, bare, *[np.ones(N)] * 2, **rule), X, Y)


def test_tags_of_one_view_alone_pair_nothing():
    other = TAGS[:30].copy()
    other[:, 3] = 0
    alone = (TAGS[:, :3] == 0).all(axis=1).sum()
    bare = (other == 0).all(axis=1)
    assert alone > 0
    with pytest.warns(UserWarning, match="share no class") as caught:
        model = ClusterCCA().fit(X, Y[:30], labels=(TAGS, other))
    assert [f"{alone} of 40 rows of `X`" in str(w.message) for w in caught] == [True, False]
    assert f"{bare.sum()} of 30 rows of `y`" in str(caught[1].message)
    assert model.n_components_ == 2
    assert_equals_pairs(model, CCA(), pair_weights(TAGS, other, np.ones(N), np.ones(30)), X, Y[:30])


# Kinds of indicators


@class_paired
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_kind_of_indicator_does_not_matter(model, kind):
    expected = clone(model).fit(X, Y, TAGS)
    found = clone(model).fit(X, Y, kind(TAGS))
    assert_same_model(expected, found)
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    in_views = clone(model).fit(Views(X, Y), kind(TAGS))
    assert_same_model(expected, in_views)
    assert found.score(X, Y, labels=kind(TAGS)) == expected.score(X, Y, labels=TAGS)
    assert retrieval_map(found, Views(X, Y), kind(TAGS)) == retrieval_map(found, X, Y, labels=TAGS)


@class_paired
def test_order_of_tags_does_not_matter(model):
    a = clone(model).fit(X, Y, TAGS)
    b = clone(model).fit(X, Y, TAGS[:, ::-1])
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-6)
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-4)  # networks are float32


# Retrieval and scikit-learn


@pytest.mark.parametrize("kind", ["csr_array", "frame", "list", "bool"])
def test_tags_are_routed_as_metadata(kind):
    cv = KFold(3, shuffle=True, random_state=0)
    options = {"scoring": retrieval_map, "cv": cv, "error_score": "raise"}
    grid = {"n_components": [1, 3]}
    expected = GridSearchCV(ClusterCCA(), grid, **options).fit(Views(X, Y), TAGS)
    with config_context(enable_metadata_routing=True):
        found = GridSearchCV(ClusterCCA(), grid, **options).fit(X, Y, labels=KINDS[kind](TAGS))
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
