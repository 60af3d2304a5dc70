"""Protocol of one fold: methods, selections and scores."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.cross_decomposition import PLSSVD
from sklearn.model_selection import KFold

from benchmarks.paper.data import Videos
from skcca import CCA, DCCA, KCCA, ChunkSelector, ClusterCCA, SupervisedDCCA
from skcca.cluster import SeededKMeans
from skcca.metrics import chance_map, mean_average_precision_score, retrieval_precision_recall

N_COMPONENTS = 30
N_POINTS = 60  # of a curve
N_SEEDS = 3  # annotated songs from which a cluster starts

# Columns of Table II; then the further ones of Figures 5 to 7. c chunks, of which k are kept.
SELECTIONS = {"1/3": (3, 1), "2/6": (6, 2), "3/9": (9, 3), "mean": (1, 1)}
FURTHER = {"2/3": (3, 2), "1/6": (6, 1), "3/6": (6, 3), "1/9": (9, 1), "2/9": (9, 2)}
OF_CURVES = ("DCCA", "S-DCCA-extend2")

# The basic C-CCA and S-DCCA of the paper have as many pairs as rows, extend1 half of the pairs of
# a cluster, extend2 all of them.
ONE, HALF = {"pairs_per_sample": 1}, {"pair_fraction": 0.5}
OURS = "SupervisedDCCA() of skcca"


def methods(seed: int, n: int = N_COMPONENTS) -> dict[str, Any]:
    """Return the estimators by the names of the paper; ours comes last."""
    random = {"random_state": seed}
    return {
        "Multi-views": PLSSVD(n),
        "CCA": CCA(n, reg="auto"),
        "KCCA": KCCA(n),
        "DCCA": DCCA.paper(**random),
        "C-CCA": ClusterCCA(n, reg="auto", **ONE, **random),
        "C-CCA-extend1": ClusterCCA(n, reg="auto", **HALF, **random),
        "C-CCA-extend2": ClusterCCA(n, reg="auto", **random),
        "S-DCCA": SupervisedDCCA.paper(**ONE, **random),
        "S-DCCA-extend1": SupervisedDCCA.paper(**HALF, **random),
        "S-DCCA-extend2": SupervisedDCCA.paper(**random),
        OURS: SupervisedDCCA(**random),
    }


def folds(n_videos: int, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows to fit on and rows to rank."""
    return list(KFold(n_folds, shuffle=True, random_state=seed).split(np.arange(n_videos)))


def labels_of(selector: ChunkSelector, videos: Videos, train: np.ndarray, seed: int) -> np.ndarray:
    """Cluster the training songs by emotion, and return the cluster of every song."""
    features = selector.emotion_features(videos.audio)
    rng = np.random.default_rng(seed)
    starts = np.full(len(features), None, dtype=object)
    annotated = train[[videos.seeds[i] is not None for i in train]]
    for emotion in sorted({videos.seeds[i] for i in annotated}):
        songs = annotated[[videos.seeds[i] == emotion for i in annotated]]
        starts[rng.choice(songs, min(N_SEEDS, len(songs)), replace=False)] = emotion
    clusters = SeededKMeans(random_state=seed).fit(features[train], starts[train])
    return clusters.predict(features)


def run_fold(
    videos: Videos,
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
    changes: dict[str, dict] | None = None,
) -> dict[str, Any]:
    """Return chance and, by selection and method, MAP and the curve of one fold.

    ``changes`` are parameters of the selector and of deep models, for short runs.
    """
    changes = changes or {}
    annotated = train[[videos.seeds[i] is not None for i in train]]
    selector = ChunkSelector(random_state=seed).set_params(**changes.get("selector", {}))
    selector.fit([videos.audio[i] for i in annotated], videos.seeds[annotated].astype(str))
    labels = labels_of(selector, videos, train, seed)
    found: dict[str, Any] = {"chance": chance_map(labels[test]), "results": {}}
    if videos.emotion is not None:
        found["chance_emotion"] = chance_map(videos.emotion[test])
    for selection, (n_chunks, k) in (SELECTIONS | FURTHER).items():
        selector.set_params(n_chunks=n_chunks, k=k)
        audio = selector.transform(videos.audio)
        of_selection = found["results"][selection] = {}
        for name, model in methods(seed).items():
            if selection in FURTHER and name not in OF_CURVES:
                continue
            if isinstance(model, (DCCA, SupervisedDCCA)):
                model.set_params(**changes.get("deep", {}))
            queries, gallery = embedded(model, audio, videos.visual, labels, train, test)
            of_selection[name] = measured(queries, gallery, labels[test])
            if videos.emotion is not None:
                emotion = videos.emotion[test]
                score = mean_average_precision_score(queries, gallery, emotion)
                of_selection[name]["map_emotion"] = score
    return found


def embedded(
    model: Any,
    audio: np.ndarray,
    visual: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit to the training rows and embed the others."""
    with warnings.catch_warnings():
        # Thirty components were asked for, ten clusters support nine.
        warnings.filterwarnings("ignore", message=".*the data support", category=UserWarning)
        if isinstance(model, (ClusterCCA, SupervisedDCCA)):
            model.fit(audio[train], visual[train], labels=labels[train])
        else:
            model.fit(audio[train], visual[train])
    return model.transform(audio[test], visual[test])


def measured(queries: np.ndarray, gallery: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return MAP and the precision-recall curve."""
    curve = retrieval_precision_recall(queries, gallery, labels, n_points=N_POINTS)
    return {
        "map": mean_average_precision_score(queries, gallery, labels),
        "precision": curve.precision.tolist(),
        "recall": curve.recall.tolist(),
    }
