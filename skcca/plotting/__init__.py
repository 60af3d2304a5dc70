"""Displays of fitted models, drawn with matplotlib.

matplotlib is imported where something is drawn, and nowhere else; without it every display raises
an ImportError.
"""

from __future__ import annotations

from skcca.plotting._attention import AttentionDisplay
from skcca.plotting._correlation import CorrelationDisplay
from skcca.plotting._embedding import EmbeddingDisplay
from skcca.plotting._loadings import LoadingsDisplay
from skcca.plotting._precision_recall import PrecisionRecallDisplay
from skcca.plotting._ranking import RankingDisplay
from skcca.plotting._stability import StabilityDisplay

__all__ = [
    "AttentionDisplay",
    "CorrelationDisplay",
    "EmbeddingDisplay",
    "LoadingsDisplay",
    "PrecisionRecallDisplay",
    "RankingDisplay",
    "StabilityDisplay",
]
