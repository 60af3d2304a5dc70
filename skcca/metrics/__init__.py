"""Measures of cross-modal retrieval, and their scorers for the searches of scikit-learn.

Every measure ranks the whole gallery for each query, by default by cosine similarity. Equal
similarities are ties, and a score is the expectation over random orders of the tied items.
"""

from __future__ import annotations

from skcca.metrics._curves import RetrievalCurve, interpolated_precision, retrieval_precision_recall
from skcca.metrics._report import retrieval_report
from skcca.metrics._scorer import make_retrieval_scorer, retrieval_map
from skcca.metrics._scores import (
    average_precision_scores,
    chance_map,
    chance_score,
    mean_average_precision_score,
    retrieval_score,
    retrieval_scores,
)

__all__ = [
    "RetrievalCurve",
    "average_precision_scores",
    "chance_map",
    "chance_score",
    "interpolated_precision",
    "make_retrieval_scorer",
    "mean_average_precision_score",
    "retrieval_map",
    "retrieval_precision_recall",
    "retrieval_report",
    "retrieval_score",
    "retrieval_scores",
]
