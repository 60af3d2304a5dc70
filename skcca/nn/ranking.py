"""Ranking a gallery on a GPU: the product and the sort of `skcca.metrics._ranking`, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

MAGNITUDE = 0x7FFFFFFF


def ranked_blocks(
    queries: np.ndarray,
    gallery: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    blocks: Sequence[np.ndarray],
    device: str,
    *,
    exclude_self: bool,
    snap: float,
    last: float,
) -> Iterator[np.ndarray]:
    """Yield the ranked lists of blocks of queries, as `skcca.metrics._ranking` makes them.

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
    snap, last : float
        The grid of scores, and what stands for the score of an item that comes last.

    Yields
    ------
    ranked : ndarray of shape (n_rows, n_gallery), int32
        Best first; the lowest bit tells whether the item is relevant.
    """
    Q, G, of_queries, of_gallery = (
        torch.as_tensor(array, device=device) for array in (queries, gallery, *labels)
    )
    for block in blocks:
        rows = torch.as_tensor(block, device=device)
        scores = Q[rows] @ G.T
        scores += snap
        negative = (snap - scores).float()
        if exclude_self:
            negative[torch.arange(len(rows), device=device), rows] = last
        ranked = negative.view(torch.int32)
        ranked ^= (ranked >> 31) & MAGNITUDE
        ranked <<= 1
        if of_queries.ndim == 2:
            relevant = of_queries[rows] @ of_gallery.T > 0
        else:
            relevant = of_queries[rows, None] == of_gallery
        ranked |= relevant.int()
        yield ranked.sort(dim=1).values.cpu().numpy()
