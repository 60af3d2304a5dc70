"""Embeddings of rows that were held out, by the model that did not see them."""

import numpy as np
import pytest
from _data import two_views
from sklearn.cross_decomposition import PLSSVD
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import (
    CCA,
    KCCA,
    ClusterCCA,
    Views,
    cross_val_embed,
    make_view_transformer,
    retrieval_map,
)
from skcca.datasets import load_digit_halves
from skcca.metrics import mean_average_precision_score

LABELS = np.arange(90) % 3
A, V = two_views(90, 6, 4, balanced=True)[:2]


@pytest.mark.parametrize("align", [True, False])
def test_rows_are_embedded_by_the_model_that_did_not_see_them(align):
    X, cv = Views(A, V), StratifiedKFold(3, shuffle=True, random_state=0)
    Z = cross_val_embed(ClusterCCA(2), X, LABELS, cv=cv, align=align)
    maps = cross_val_score(ClusterCCA(2), X, LABELS, cv=cv, scoring=retrieval_map)
    for (train, test), expected in zip(cv.split(LABELS, LABELS), maps, strict=True):
        within = mean_average_precision_score(*Z[test], LABELS[test])
        assert within == pytest.approx(expected, rel=1e-9)
        if not align:
            model = ClusterCCA(2).fit(X[train], LABELS[train])
            for found, side in zip(Z[test], model.transform(X[test]), strict=True):
                np.testing.assert_allclose(found, side, rtol=1e-12)


def test_aligned_folds_lie_in_one_space():
    # Correlations of classes are nearly equal: each fold turns its directions as it likes.
    digits = load_digit_halves()
    X, model = Views(digits.x, digits.y), ClusterCCA(9, reg=0.1)
    within = cross_val_score(model, X, digits.labels, scoring=retrieval_map).mean()
    apart, together = (
        mean_average_precision_score(
            *cross_val_embed(model, X, digits.labels, align=align), digits.labels
        )
        for align in (False, True)
    )
    assert together == pytest.approx(within, abs=0.03)
    assert apart < together - 0.05


def test_embedding_has_the_form_of_the_input():
    assert isinstance(cross_val_embed(CCA(2), A, V), tuple)
    named = cross_val_embed(CCA(2), Views(audio=A, visual=V), LABELS)
    assert named.names == ("audio", "visual")
    single = cross_val_embed(CCA(2), A.astype("float32"), V.astype("float32"))
    assert single[0].dtype == np.float32


def test_pipelines_other_libraries_and_kernels_are_embedded():
    pipe = make_pipeline(make_view_transformer(StandardScaler(), StandardScaler()), CCA(2))
    with_scaler = cross_val_embed(pipe, Views(A, V), cv=3)
    without = cross_val_embed(CCA(2), Views(A, V), cv=3)
    for found, expected in zip(with_scaler, without, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert cross_val_embed(PLSSVD(2), A, V)[0].shape == (90, 2)
    kernels = Views(A @ A.T, V @ V.T)
    found, _ = cross_val_embed(KCCA(2, kernel="precomputed", reg=0.1), kernels, cv=3)
    expected, _ = cross_val_embed(KCCA(2, kernel="linear", reg=0.1, scale=False), A, V, cv=3)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-6, atol=1e-8)


def test_components_that_a_fold_lacks_are_zero():
    rare = np.arange(90) % np.where(np.arange(90) < 45, 2, 3)  # the first half lacks a class
    with pytest.warns(UserWarning, match="1 to 2 components"):
        Z = cross_val_embed(ClusterCCA(2), Views(A, V), rare, cv=KFold(2), align=False)
    for side in Z:
        assert (side[:45] != 0).all()
        assert (side[45:, 1] == 0).all()
