"""Objectives on the similarities of single pairs, which the field compares with.

    c_ij = cos(x_i, y_j),    relevant pairs: w_ij > 0

    contrastive   - sum_ij w_ij (log softmax_j (c_ij / t) + log softmax_i (c_ij / t)) / 2 N
    ranking       sum_ij w_ij mean_l (max(0, m - c_ij + c_il) + max(0, m - c_ij + c_lj)) / 2 N

over the l irrelevant to i, or to j. Unlike moments they hold every pair of a batch: n_x n_y
numbers.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from skcca._pairing import Pairs
from skcca.nn.losses import check_number, check_outputs

__all__ = ["contrastive_loss", "ranking_loss"]

Tensor = torch.Tensor

_COLDEST = 1e-30  # temperature: cosines divided by it are float32
_SHORTEST = 1e-6  # norm below which a row counts as zero: its gradient would be anything


def contrastive_loss(
    zx: Tensor, zy: Tensor, pairs: Pairs | None = None, *, temperature: float = 0.1
) -> Tensor:
    """Return the contrastive loss of two batches, in both directions.

    With the rows' own pairs it is InfoNCE, as in CLIP [1]_; with class pairs the supervised
    contrastive loss [2]_ between the views.

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width)
        Outputs of the two networks.
    pairs : Pairs, default=None
        Weights of the pairs, holding tensors; None pairs row i with row i.
    temperature : float, default=0.1
        What cosines are divided by.

    Returns
    -------
    loss : tensor of shape ()
        Mean over the pairs, by weight, and over both directions.

    References
    ----------
    .. [1] A. Radford et al. (2021). Learning transferable visual models from natural language
       supervision. ICML.
    .. [2] P. Khosla et al. (2020). Supervised contrastive learning. NeurIPS.
    """
    cosines, weights = _cosines(zx, zy, pairs)
    logits = cosines / check_number(temperature, "temperature", low=_COLDEST)
    both = logits.log_softmax(dim=1) + logits.log_softmax(dim=0)
    return -(weights * both).sum() / (2 * weights.sum())


def ranking_loss(
    zx: Tensor, zy: Tensor, pairs: Pairs | None = None, *, margin: float = 0.2
) -> Tensor:
    """Return the pairwise-ranking loss of two batches, in both directions, [1]_.

    Every relevant pair should be more similar, by a margin, than pairs of either of its rows with
    irrelevant ones.

    Parameters
    ----------
    zx, zy : tensor of shape (n_x, width), (n_y, width)
        Outputs of the two networks.
    pairs : Pairs, default=None
        Weights of the pairs, holding tensors; None pairs row i with row i.
    margin : float, default=0.2
        Difference of cosines that is enough.

    Returns
    -------
    loss : tensor of shape ()
        0 where every pair keeps its distance.

    References
    ----------
    .. [1] R. Kiros, R. Salakhutdinov and R. S. Zemel (2014). Unifying visual-semantic embeddings
       with multimodal neural language models. arXiv:1411.2539.
    """
    margin = check_number(margin, "margin")
    cosines, weights = _cosines(zx, zy, pairs)
    one_way = _hinges(cosines, weights, margin) + _hinges(cosines.T, weights.T, margin)
    return one_way / (2 * weights.sum())


def _hinges(cosines: Tensor, weights: Tensor, margin: float) -> Tensor:
    """Return sum_ij w_ij mean_l max(0, m - c_ij + c_il).

    With the rivals c_il of row i in descending order, the sum over l is that of the first k, where
    k of them exceed c_ij - m: there is no number for every triple i, j, l.
    """
    relevant = weights > 0
    rivals = cosines.masked_fill(relevant, -torch.inf).sort(dim=1, descending=True).values
    sums = functional.pad(rivals.cumsum(dim=1), (1, 0))
    gaps = (margin - cosines).contiguous()
    k = torch.searchsorted(-rivals.detach(), gaps.detach())
    hinges = k * gaps + sums.gather(1, k)
    n_rivals = (~relevant).sum(dim=1, keepdim=True).clamp_min(1)
    return (weights * hinges / n_rivals).sum()


def _cosines(zx: Tensor, zy: Tensor, pairs: Pairs | None) -> tuple[Tensor, Tensor]:
    """Return c and W; a row of zeros has cosine 0."""
    if zx.ndim != 2 or zy.ndim != 2 or zx.shape[1] != zy.shape[1]:
        raise ValueError(
            "Cosines need batches of equal width; got shapes "
            f"{tuple(zx.shape)} and {tuple(zy.shape)}."
        )
    if pairs is None and len(zx) != len(zy):
        raise ValueError(
            f"Batches of {len(zx)} and {len(zy)} rows need `pairs`, which tell what belongs "
            "together."
        )
    check_outputs(zx, zy)
    dtype = torch.promote_types(zx.dtype, zy.dtype)
    dtype = dtype if dtype.is_floating_point else torch.float64
    cosines = _unit(zx.to(dtype)) @ _unit(zy.to(dtype)).T
    eye = torch.eye(len(zy), dtype=dtype, device=zx.device)
    return cosines, eye if pairs is None else pairs.dot(eye.to(pairs.row_sums.dtype)).to(dtype)


def _unit(z: Tensor) -> Tensor:
    return functional.normalize(z, dim=1, eps=_SHORTEST)
