"""Indicator matrices of tags as labels: pairs weigh as the tags that they share."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from tags import (
    DEEP,
    N_TAGS,
    RULES,
    TAGS,
    WEIGHTS,
    N,
    X,
    Y,
    assert_same_model,
    every,
    pair_weights,
    rules,
    tagged_views,
)

from skcca import (
    CCA,
    KCCA,
    ClusterCCA,
    ClusterKCCA,
    SupervisedDCCA,
    Views,
    retrieval_map,
)
from skcca._core.pairs import Pairing, Weights
from skcca.nn import as_torch_pairs, cca_loss
from skcca.views._labels import encode_labels


def assert_equals_pairs(model, peer, W, A, B, *, atol=1e-10):
    """`model` is what the instance-paired `peer` is when fitted on every pair of rows."""
    i, j = np.nonzero(W)
    peer.set_params(n_components=model.n_components_, component_scaling=model.component_scaling)
    peer.fit(A[i], B[j], sample_weight=W[i, j])
    np.testing.assert_allclose(model.correlations_, peer.correlations_, atol=atol)
    np.testing.assert_allclose(model.x_loadings_, peer.x_loadings_, atol=atol)
    np.testing.assert_allclose(model.y_loadings_, peer.y_loadings_, atol=atol)
    np.testing.assert_allclose(model.transform(A), peer.transform(A), atol=10 * atol)
    np.testing.assert_allclose(model.transform_y(B), peer.transform_y(B), atol=10 * atol)


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
@pytest.mark.parametrize("norm", ["trace", "frobenius"])
def test_deep_loss_and_gradient_equal_materialised_pairs(rule, norm):
    g = torch.Generator().manual_seed(0)
    zx, zy = (torch.randn(N, 3, generator=g, dtype=torch.float64).requires_grad_() for _ in "xy")
    W = pair_weights(TAGS, TAGS, WEIGHTS, WEIGHTS, **rule)
    i, j = np.nonzero(W)
    rng = np.random.default_rng(0)
    pairs = Pairing(**rule)(encode_labels(TAGS, N, N, "t"), Weights(WEIGHTS, WEIGHTS), rng)
    every_pair = Pairing(instance_weight=1.0)(None, Weights(W[i, j], W[i, j]), rng)
    loss = cca_loss(zx, zy, as_torch_pairs(pairs), norm=norm, reg=0.01)
    slow = cca_loss(zx[i], zy[j], as_torch_pairs(every_pair), norm=norm, reg=0.01)
    assert loss.item() == pytest.approx(slow.item(), abs=1e-12)
    for a, b in zip(
        torch.autograd.grad(loss, (zx, zy)), torch.autograd.grad(slow, (zx, zy)), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@rules
def test_deep_training_and_directions_equal_materialised_pairs(rule):
    W = pair_weights(TAGS, TAGS, WEIGHTS, WEIGHTS, **rule)
    settings = DEEP | {"batch_size": None, "dropout": 0.0, "max_epochs": 1, "reg": 0.01}
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


@every
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


@every
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


@every
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
    model = SupervisedDCCA(2, **DEEP | {"max_epochs": 3}, early_stopping=True)
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
    model = SupervisedDCCA(2, **DEEP | {"max_epochs": 3}, early_stopping=True).fit(X, Y, TAGS)
    assert np.isfinite(model.validation_scores_).all()
    assert len(model.validation_scores_) == model.n_epochs_


# Rows without tags, tags without rows


@every
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


def test_tags_shared_by_no_row_of_the_other_view_are_an_error():
    L = np.zeros((N, 4), int)
    L[:20, 0] = L[20:, 1] = 1
    with pytest.raises(ValueError, match="at least 2 classes in both views"):
        ClusterCCA().fit(X, Y, labels=(L, L[:, ::-1]))


# Batches


@pytest.mark.parametrize("rule", [RULES["pairs"], RULES["rows"], RULES["blended"]])
@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("columns", [[0, 1, 2, 3], [0, 1, 2, 0]], ids=["", "a tag twice"])
def test_batches_of_tagged_rows_equal_one_fit(columns, declared, rule):
    tagged = TAGS[:, columns].any(axis=1)
    A, B, L, w = X[tagged], Y[tagged], TAGS[tagged][:, columns], WEIGHTS[tagged]
    whole = ClusterCCA(**rule).fit(A, B, L, sample_weight=w)
    model = ClusterCCA(**rule)
    order = np.random.default_rng(3).permutation(len(L))
    for rows in np.split(order, [12, 20, 31]):
        model.partial_fit(
            A[rows],
            B[rows],
            sparse.csr_array(L[rows]),
            class_counts=w @ L if declared else None,
            sample_weight=w[rows],
        )
    np.testing.assert_allclose(model.correlations_, whole.correlations_, atol=1e-10)
    np.testing.assert_allclose(model.x_weights_, whole.x_weights_, atol=1e-9)
    np.testing.assert_allclose(model.y_weights_, whole.y_weights_, atol=1e-9)


def test_batches_must_hold_the_same_tags():
    model = ClusterCCA().partial_fit(X, Y, TAGS)
    for other in (np.insert(TAGS, 2, 1, axis=1), TAGS[:, :3]):
        with pytest.raises(ValueError, match="tags"):
            model.partial_fit(X, Y, other)
