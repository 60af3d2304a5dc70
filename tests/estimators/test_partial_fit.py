"""Learning in batches: any split, in any order, gives what `fit` gives on all rows."""

import numpy as np
import pandas as pd
import pytest
from batches import (
    COUNTS,
    NAMES,
    TAGS,
    TOTALS,
    N,
    W,
    X,
    Y,
    assert_same_model,
    batches,
    in_batches,
    y,
)
from dispatch import array_api_dispatch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skcca import CCA, ClusterCCA, Views

# name: model, labels, what the first call declares beside
CASES = {
    "CCA": (CCA(), None, {}),
    "CCA with a ridge": (CCA(2, reg=(0.1, 0.0), scale=False), None, {}),
    "CCA scaled by correlation": (CCA(component_scaling="correlation"), None, {}),
    "CCA that ignores labels": (CCA(), y, {}),
    "classes": (ClusterCCA(), y, {}),
    "classes by name": (ClusterCCA(reg=0.1), NAMES[y], {"classes": NAMES}),
    "declared classes": (ClusterCCA(), y, {"classes": [3, 1, 0, 2]}),
    "counts in an order of their own": (
        ClusterCCA(),
        y,
        {"classes": [3, 1, 0, 2], "class_counts": COUNTS[[3, 1, 0, 2]]},
    ),
    "counts by name": (
        ClusterCCA(2),
        NAMES[y],
        {"class_counts": dict(zip(NAMES[::-1], COUNTS[::-1], strict=True))},
    ),
    "classes weigh as rows": (ClusterCCA(pair_weight="row"), y, {}),
    "classes weigh as rows, with counts": (
        ClusterCCA(pair_weight="row"),
        y,
        {"class_counts": dict(enumerate(COUNTS))},
    ),
    "blend": (ClusterCCA(instance_weight=0.3), y, {}),
    "blend with counts": (
        ClusterCCA(instance_weight=0.7, reg=0.05),
        y,
        {"class_counts": dict(enumerate(COUNTS))},
    ),
    "blend by rows": (ClusterCCA(instance_weight=0.3, pair_weight="row"), y, {}),
    "own pairs alone": (ClusterCCA(instance_weight=1.0), y, {}),
    "tags": (ClusterCCA(), TAGS, {}),
    "tags with counts": (ClusterCCA(), TAGS, {"class_counts": TOTALS}),
    "tags weigh as rows": (ClusterCCA(pair_weight="row"), TAGS, {}),
    "blend of tags": (ClusterCCA(instance_weight=0.2), TAGS, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_batches_equal_one_fit(case):
    model, labels, first = CASES[case]
    whole = clone(model).fit(X, Y, labels)
    found = in_batches(model, batches(), labels, first=first)
    assert_same_model(found, whole)
    assert found.n_samples_seen_ == N
    np.testing.assert_allclose(found.transform(X), whole.transform(X), atol=1e-8)


@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name", "blend", "tags"])
@settings(max_examples=6)  # each fits up to nine models
@given(seed=st.integers(0, 2**16), cuts=st.sets(st.integers(1, N - 1), max_size=8))
def test_any_split_in_any_order_equals_one_fit(case, seed, cuts):
    model, labels, first = CASES[case]
    order = np.random.default_rng(seed).permutation(N)
    parts = np.split(order, sorted(cuts))
    assert_same_model(in_batches(model, parts, labels, first=first), model.fit(X, Y, labels))


@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name", "blend by rows", "tags"])
def test_rows_one_by_one_equal_one_fit(case):
    model, labels, first = CASES[case]
    order = np.random.default_rng(0).permutation(N)
    found = in_batches(model, batches([1] * N, order), labels, first=first)
    assert_same_model(found, clone(model).fit(X, Y, labels))


@pytest.mark.parametrize("case", [c for c in CASES if "counts" not in c])
def test_weights_keep_their_scale_between_batches(case):
    model, labels, first = CASES[case]
    weights = W * np.where(np.arange(N) < 50, 1e-3, 7.0)
    weights[60] = 0.0
    found = in_batches(model, batches(), labels, weights, first)
    assert_same_model(found, clone(model).fit(X, Y, labels, sample_weight=weights))


def test_counts_are_sums_of_weights():
    counts = {c: W[y == c].sum() for c in range(4)}
    found = in_batches(ClusterCCA(), batches(), y, W, {"class_counts": counts})
    assert_same_model(found, ClusterCCA().fit(X, Y, y, sample_weight=W))


def test_before_the_end_a_class_has_its_declared_weight():
    first = {"class_counts": dict(enumerate(COUNTS))}
    model = in_batches(ClusterCCA(reg=0.1), [np.arange(20), np.arange(20, 40)], y, first=first)
    i, j = np.nonzero(y[:40, None] == y[:40])
    weight = (COUNTS / np.bincount(y[:40]))[y[i]]
    pairs = CCA(3, reg=0.1).fit(X[i], Y[j], sample_weight=weight)
    np.testing.assert_allclose(model.correlations_, pairs.correlations_, atol=1e-10)
    np.testing.assert_allclose(model.x_mean_, pairs.x_mean_, rtol=1e-10)


@pytest.mark.parametrize("case", ["classes", "classes weigh as rows", "blend", "tags"])
def test_sorted_by_class_the_model_waits_and_then_is_exact(case):
    model, labels, _ = CASES[case]
    order = np.argsort(y, kind="stable")
    parts = [order[y[order] == c] for c in (2, 0, 3, 1)]  # a new class may come between old ones
    if case == "classes":
        first = clone(model)
        with pytest.warns(UserWarning, match="no direction yet.*waits for more"):
            first.partial_fit(X[parts[0]], Y[parts[0]], labels[parts[0]])
        with pytest.raises(NotFittedError):
            first.transform(X)
        assert first.n_samples_seen_ == len(parts[0])
        first.partial_fit(X[parts[1]], Y[parts[1]], labels[parts[1]])
        assert first.classes_.tolist() == [0, 2]
        assert first.n_components_ == 1
    assert_same_model(in_batches(model, parts, labels), clone(model).fit(X, Y, labels))


@pytest.mark.parametrize("kind", ["F", "float32", "csr", "coo", "frame", "mapped", "list", "Views"])
@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name"])
def test_batches_of_any_kind(case, kind, tmp_path):
    model, labels, first = CASES[case]
    A, B = (V.astype(np.float32) if kind == "float32" else V for V in (X, Y))
    if kind == "mapped":
        for name, V in (("A", A), ("B", B)):
            np.save(tmp_path / f"{name}.npy", V)
        A, B = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "AB")
    convert = {
        "F": np.asfortranarray,
        "csr": sparse.csr_array,
        "coo": sparse.coo_matrix,
        "frame": lambda V: pd.DataFrame(V, columns=[f"f{i}" for i in range(V.shape[1])]),
        "list": lambda V: V.tolist(),
    }.get(kind, lambda V: V)
    whole = clone(model).fit(A.astype(float), B.astype(float), labels)
    found = clone(model)
    for i, rows in enumerate((slice(0, 50), slice(50, N))):
        own = None if labels is None else labels[rows]
        views = (convert(A[rows]), convert(B[rows]), own)
        if kind == "Views":
            views = (Views(audio=A[rows], visual=B[rows]), own)
        found.partial_fit(*views, **first if i == 0 else {})
    assert_same_model(found, whole)
    if kind == "frame":
        assert found.feature_names_in_.tolist() == [f"f{i}" for i in range(5)]
    if kind == "Views":
        assert found.view_names_in_ == ("audio", "visual")


@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name", "blend"])
def test_tensors_in_batches(case):
    torch = pytest.importorskip("torch")
    model, labels, first = CASES[case]
    whole = clone(model).fit(X, Y, labels)
    with array_api_dispatch():
        found = in_batches(model, batches(), labels, first=first, convert=torch.tensor)
        assert isinstance(found.x_weights_, torch.Tensor)
        scores = found.transform(torch.tensor(X))
        assert isinstance(scores, torch.Tensor)
        np.testing.assert_allclose(scores, whole.transform(X), atol=1e-8)
        np.testing.assert_allclose(found.correlations_, whole.correlations_, atol=1e-10)
