"""Laws of every argument with one entry a row: its order, its missing entries, its kind."""

import numpy as np
import pandas as pd
import pytest
from _data import two_views
from _models import CLASS, MODELS
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skcca import CCA, ClusterCCA, Views, cross_val_embed, retrieval_map
from skcca import make_view_transformer as side_by_side
from skcca.cluster import SeededKMeans
from skcca.inspection import bootstrap_loadings, permutation_test_correlations, select_n_components
from skcca.plotting import (
    CorrelationDisplay,
    EmbeddingDisplay,
    PrecisionRecallDisplay,
    RankingDisplay,
)

A, B, y = two_views()
NAMES = [f"song{i}" for i in range(90)]
X, Y = pd.DataFrame(A, index=NAMES), pd.DataFrame(B, index=NAMES)
LABELS = pd.Series(y, index=NAMES)
WEIGHTS = pd.Series(np.arange(90) % 5 + 1.0, index=NAMES)
ORDER = np.random.default_rng(0).permutation(90)
model = ClusterCCA(2).fit(A, B, y)
pipeline = make_pipeline(side_by_side("passthrough", "passthrough"), ClusterCCA(2))
FEW = {"n_permutations": 2, "random_state": 0}

# The argument, what it holds in the order of X, and the call.
DOORS = {
    "Views": ("view1", Y, lambda v: Views(X, v)),
    "Views of sequences": ("view1", pd.Series([*A[:, None]], NAMES), lambda v: Views(X, v)),
    "retrieval_map": ("labels", LABELS, lambda v: retrieval_map(model, X, Y, v)),
    "retrieval_map of y": ("y", Y, lambda v: retrieval_map(model, X, v, y)),
    "retrieval_map of y alone": ("labels", LABELS, lambda v: retrieval_map(model, A, Y, v)),
    "retrieval_map of Views": ("labels", LABELS, lambda v: retrieval_map(model, Views(A, Y), v)),
    "retrieval_map of both": (r"labels\[1\]", LABELS,
        lambda v: retrieval_map(model, X, Y, labels=(LABELS, v))),
    "permutation, groups": ("groups", LABELS,
        lambda v: permutation_test_correlations(CCA(), X, Y, groups=v, **FEW)),
    "permutation, confounds": ("confounds", WEIGHTS,
        lambda v: permutation_test_correlations(CCA(), Views(A, Y), confounds=v, **FEW)),
    "bootstrap, groups": ("groups", LABELS,
        lambda v: bootstrap_loadings(CCA(2), A, Y, groups=v, n_bootstraps=2)),
    "bootstrap, labels": ("labels", LABELS,
        lambda v: bootstrap_loadings(ClusterCCA(1), X, Y, v, n_bootstraps=2)),
    "select_n_components": ("labels", LABELS,
        lambda v: select_n_components(ClusterCCA(), X, Y, n_components=1, labels=v)),
    "cross_val_embed": ("labels", LABELS, lambda v: cross_val_embed(pipeline, Views(X, Y), v)),
    "cross_val_embed, groups": ("groups", LABELS,
        lambda v: cross_val_embed(ClusterCCA(1), X, Y, labels=y, groups=v)),
    "SeededKMeans": ("y", LABELS, lambda v: SeededKMeans().fit(X, v)),
    "SeededKMeans, weights": ("sample_weight", WEIGHTS,
        lambda v: SeededKMeans().fit(X, y, sample_weight=v)),
    "SeededKMeans.score": ("sample_weight", WEIGHTS,
        lambda v: SeededKMeans().fit(A, y).score(X, sample_weight=v)),
    "EmbeddingDisplay": ("labels", LABELS,
        lambda v: EmbeddingDisplay.from_estimator(model, X, Y, labels=v)),
    "RankingDisplay": ("labels", LABELS,
        lambda v: RankingDisplay.from_estimator(model, X, Y, labels=v, k=2)),
    "PrecisionRecallDisplay": ("labels", LABELS,
        lambda v: PrecisionRecallDisplay.from_estimator(model, X, Y, labels=v)),
    "CorrelationDisplay": ("labels", LABELS,
        lambda v: CorrelationDisplay.from_estimator(pipeline, Views(X, Y), v, n_permutations=0)),
}  # fmt: skip
for name, estimator in MODELS.items():
    fit, fitted = clone(estimator).fit, clone(estimator).fit(A, B, y)
    DOORS |= {
        f"{name}.fit, y": ("y", Y, lambda v, fit=fit: fit(X, v, y)),
        f"{name}.fit": ("labels", LABELS, lambda v, fit=fit: fit(X, B, v)),
        f"{name}.fit, weights": ("sample_weight", WEIGHTS,
            lambda v, fit=fit: fit(Views(A, Y), sample_weight=v)),
        f"{name}.transform": ("y", Y, lambda v, m=fitted: m.transform(X, v)),
        f"{name}.score": ("labels", LABELS, lambda v, m=fitted: m.score(A, Y, v)),
        f"{name}.score, weights": ("sample_weight", WEIGHTS,
            lambda v, m=fitted: m.score(X, Y, y, sample_weight=v)),
    }  # fmt: skip
    if name in CLASS:
        both = (WEIGHTS, WEIGHTS)
        DOORS |= {
            f"{name}.fit, unpaired": (r"labels\[1\]", LABELS,
                lambda v, fit=fit: fit(X, Y, labels=(LABELS, v))),
            f"{name}.fit, unpaired weights": (r"sample_weight\[0\]", WEIGHTS,
                lambda v, fit=fit: fit(X, Y, (y, y), sample_weight=(v, WEIGHTS))),
        }  # fmt: skip
    if hasattr(estimator, "partial_fit"):
        DOORS[f"{name}.partial_fit"] = ("labels", LABELS,
            lambda v, m=estimator: clone(m).partial_fit(X, Y, v))  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("door", DOORS)
def test_rows_of_another_order_are_refused_by_name(door):
    argument, entries, call = DOORS[door]
    call(entries)
    call(entries.to_numpy()[ORDER])  # without an index no order is known
    with pytest.raises(ValueError, match=f"indices of `.*` and `{argument}` differ"):
        call(entries.iloc[ORDER])
