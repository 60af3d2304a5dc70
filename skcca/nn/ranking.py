"""Ranking of a gallery on a GPU, with the order and the ties of `skcca.metrics._ranking`.

Scores s become 32-bit integers that sort like -s, so that one sort orders them best first::

    -s, rounded, in float32 -> the magnitude of its bits, shifted left by one, with the sign of -s
    -> the lowest bit set where the item is relevant
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch


def ranked_blocks(
    queries: np.ndarray,
    gallery: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    blocks: Sequence[np.ndarray],
    device: str,
    *,
    exclude_self: bool,
    rounding_shift: float,
    excluded: int,
) -> Iterator[np.ndarray]:
    """Yield the ranked lists of blocks of queries.

    Parameters
    ----------
    queries, gallery : ndarray of shape (n, n_columns)
        Rows whose products lie in [-1, 1], float64.
    labels : tuple of two ndarrays
        Class numbers (n,) of both, or tags (n, n_tags) as 0 and 1 in float32.
    blocks : sequence of ndarray
        Numbers of the queries of each block.
    device : str
        Where torch computes.
    exclude_self : bool
        Whether item i comes last in the list of query i.
    rounding_shift : float
        Constant that is added to a score and subtracted again, to round it.
    excluded : int
        Of an item that comes last, what stands for its score.

    Yields
    ------
    ranked : ndarray of shape (n_rows, n_gallery), int32
        Best first; the lowest bit tells whether the item is relevant.
    """
    Q, G, query_labels, gallery_labels = (
        torch.as_tensor(array, device=device) for array in (queries, gallery, *labels)
    )
    for block in blocks:
        rows = torch.as_tensor(block, device=device)
        scores = Q[rows] @ G.T
        scores += rounding_shift
        # As an integer, the bits of a negative float of magnitude m are m - 2**31.
        ranked = (rounding_shift - scores).float().view(torch.int32).abs_()
        ranked <<= 1
        if exclude_self:
            ranked[torch.arange(len(rows), device=device), rows] = excluded
        if query_labels.ndim == 2:
            relevant = query_labels[rows] @ gallery_labels.T > 0
        else:
            relevant = query_labels[rows, None] == gallery_labels
        ranked |= relevant.int()
        yield ranked.sort(dim=1).values.cpu().numpy()
