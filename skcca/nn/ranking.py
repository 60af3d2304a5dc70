"""Ranking of a gallery on a GPU, equal to the bit to `skcca.metrics._ranking`.

Scores s become 32-bit integers that sort like -s, so that one sort orders them best first::

    -s rounded to a grid of 2^-42 and then to float32 -> its bits -> shifted left by one
    -> the lowest bit set where the item is relevant
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

# Bits of a float32 without its sign.
MAGNITUDE = 0x7FFFFFFF


def ranked_blocks(
    queries: np.ndarray,
    gallery: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    blocks: Sequence[np.ndarray],
    device: str,
    *,
    exclude_self: bool,
    rounding_shift: float,
    excluded: float,
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
    excluded : float
        Negative score of an item that comes last.

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
        negative = (rounding_shift - scores).float()
        if exclude_self:
            negative[torch.arange(len(rows), device=device), rows] = excluded
        ranked = negative.view(torch.int32)
        # The bits of negative floats order backwards; after the subtraction no zero is negative.
        ranked ^= (ranked >> 31) & MAGNITUDE
        ranked <<= 1
        if query_labels.ndim == 2:
            relevant = query_labels[rows] @ gallery_labels.T > 0
        else:
            relevant = query_labels[rows, None] == gallery_labels
        ranked |= relevant.int()
        yield ranked.sort(dim=1).values.cpu().numpy()
