"""The objectives by name, for the estimators."""

from __future__ import annotations

from functools import partial

from skcca.nn.losses import cca_loss, ey_loss, soft_hgr_loss
from skcca.nn.pairwise import contrastive_loss, ranking_loss
from skcca.nn.step import Objective

__all__ = ["make_objective"]


def make_objective(name: str, *, n_components: int, reg: float) -> Objective:
    """Return ``objective(zx, zy, pairs)`` of a name."""
    objectives: dict[str, Objective] = {
        "trace": partial(cca_loss, n_components=n_components, reg=reg),
        "frobenius": partial(cca_loss, n_components=n_components, reg=reg, norm="frobenius"),
        "soft_hgr": soft_hgr_loss,
        "ey": partial(ey_loss, reg=reg),
        "contrastive": contrastive_loss,
        "ranking": ranking_loss,
    }
    return objectives[name]
