"""Two views of three classes, and a picture of each kind."""

import numpy as np
from songs import SONGS, trained

from skcca import CCA, ClusterCCA
from skcca.plotting import (
    AttentionDisplay,
    CorrelationDisplay,
    EmbeddingDisplay,
    LoadingsDisplay,
    PrecisionRecallDisplay,
    RankingDisplay,
)

NAMES = np.array(["angry", "calm", "warm"])


def two_views(n=60, seed=0):
    """Rows whose classes show in both views, and whose pairs have something in common besides."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 3
    own = rng.normal(size=(n, 2))
    X, Y = (
        3 * np.eye(3)[codes] @ rng.normal(size=(3, d))
        + own @ rng.normal(size=(2, d))
        + rng.normal(size=(n, d))
        for d in (5, 6)
    )
    return X, Y, NAMES[codes]


X, Y, LABELS = two_views()
MODEL = CCA(3).fit(X, Y)
CLASSES = ClusterCCA().fit(X, Y, LABELS)

MODELS = {
    "precision_recall": lambda **kw: PrecisionRecallDisplay.from_estimator(
        CLASSES, X, Y, labels=LABELS, **kw
    ),
    "correlation": lambda **kw: CorrelationDisplay.from_estimator(
        CCA(3), X, Y, n_permutations=20, random_state=0, **kw
    ),
    "embedding": lambda **kw: EmbeddingDisplay.from_estimator(CLASSES, X, Y, labels=LABELS, **kw),
    "loadings": lambda **kw: LoadingsDisplay.from_estimator(MODEL, **kw),
    "ranking": lambda **kw: RankingDisplay.from_estimator(CLASSES, X, Y, labels=LABELS, **kw),
}
DRAW = MODELS | {
    "attention": lambda **kw: AttentionDisplay.from_estimator(trained(), SONGS[0], **kw)
}


def in_legend(display):
    return [text.get_text() for text in display.legend_.get_texts()]
