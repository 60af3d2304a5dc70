"""Similarity of embedded rows: every metric as an inner product of vectors made of the rows.

The vectors of queries and of a gallery do not depend on one another, so that those of a gallery are
computed once and new items are appended. A row is more similar the larger the product is.

    cosine                u.v / |u||v|                                     0 for a zero row
    correlation           the cosine of rows less their means
    inner_product         u.v
    euclidean             -|u - v|^2 / 2 = (u, -|u|^2 / 2, 1) . (v, 1, -|v|^2 / 2)
    log_likelihood_ratio  sum_k [rho_k u_k v_k - rho_k^2 (u_k^2 + v_k^2) / 2] / (1 - rho_k^2)

The last is log p(u, v) / p(u) p(v), up to a constant, of Gaussian variates of unit variance and
correlations rho.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca._core.types import ArrayLike

METRICS = ("cosine", "correlation", "inner_product", "euclidean", "log_likelihood_ratio")

# With a correlation of one, the ratio is infinite wherever u and v differ.
MAX_CORRELATION = 1 - 1e-6
# An item longer than this times the median would leave the others too few digits: on its scale they
# would all be ties.
MAX_LENGTH_RATIO = 1e3


def check_metric(
    metric: Any, correlations: ArrayLike | None, n_components: int, caller: str
) -> np.ndarray | None:
    """Check the name of a metric, and return the correlations for it as an array."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise ValueError(f"{caller}: `metric` is {metric!r}; expected one of {METRICS}.")
    if metric == "correlation" and n_components < 2:
        raise ValueError(
            f"{caller}: `metric='correlation'` compares the profiles of rows, and those of one "
            "component are all alike; use 'cosine'."
        )
    if metric != "log_likelihood_ratio":
        if correlations is not None:
            raise ValueError(
                f"{caller}: `correlations` belong to metric='log_likelihood_ratio'; `metric` is "
                f"{metric!r}."
            )
        return None
    if correlations is None:
        raise ValueError(
            f"{caller}: metric='log_likelihood_ratio' needs the canonical correlations of the "
            "components: correlations=model.correlations_, with variates of unit variance "
            "(component_scaling='unit')."
        )
    rho = np.asarray(correlations)
    rho = rho.astype(float) if rho.dtype.kind in "iuf" else np.array([np.nan])
    if rho.shape != (n_components,) or not ((rho >= 0) & (rho <= 1 + 1e-9)).all():
        raise ValueError(
            f"{caller}: `correlations` must be {n_components} numbers from 0 to 1, one for each "
            f"component; got {correlations!r:.80}."
        )
    return rho


def query_vectors(U: np.ndarray, metric: str, correlations: np.ndarray | None = None) -> np.ndarray:
    """Return vectors of embedded queries, for products with `gallery_vectors`."""
    if metric not in ("euclidean", "log_likelihood_ratio"):
        return _symmetric_vectors(U, metric)
    cross, square = _coefficients(metric, correlations)
    return np.column_stack([U * cross, _minus_half_square(U * square), np.ones(len(U))])


def gallery_vectors(
    V: np.ndarray, metric: str, correlations: np.ndarray | None = None
) -> np.ndarray:
    """Return vectors of embedded items, for products with `query_vectors`."""
    if metric not in ("euclidean", "log_likelihood_ratio"):
        return _symmetric_vectors(V, metric)
    square = _coefficients(metric, correlations)[1]
    return np.column_stack([V, np.ones(len(V)), _minus_half_square(V * square)])


def bounded_vectors(
    queries: np.ndarray, gallery: np.ndarray, metric: str, correlations: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return vectors of both, scaled for products in [-1, 1], and the bound of all products.

    Products are the similarities, but for a shift and a scale of each query that change no order.
    The bound is more than 1 where few items are far longer than the others.
    """
    if metric in ("cosine", "correlation"):
        return query_vectors(queries, metric), gallery_vectors(gallery, metric), 1.0
    # The square of the largest entry may be infinite.
    largest = max(np.abs(queries).max(), np.abs(gallery).max())
    largest = largest if largest > 0 else 1.0
    queries, gallery = queries / largest, gallery / largest
    if metric != "log_likelihood_ratio":
        # What all items share moves every score alike; unlike the mean, no single one moves it.
        shared = np.median(gallery, axis=0)
        gallery = gallery - shared
        size = _median_length(np.linalg.norm(gallery, axis=1))
        gallery = gallery / size
        queries = (queries - shared) / size if metric == "euclidean" else queries
    Q = unit_rows(query_vectors(queries, metric, correlations))
    G = gallery_vectors(gallery, metric, correlations)
    lengths = np.linalg.norm(G, axis=1)
    longest, median = lengths.max(), _median_length(lengths)
    if longest > MAX_LENGTH_RATIO * median:
        return Q, G / median, float(longest / median)
    return Q, G / (longest if longest > 0 else 1.0), 1.0


def _median_length(lengths: np.ndarray) -> float:
    """Return the median of positive lengths, raised if squares of the quotients would overflow."""
    positive = lengths[lengths > 0]
    return max(float(np.median(positive)), 1e-70 * float(positive.max())) if len(positive) else 1.0


def _symmetric_vectors(X: np.ndarray, metric: str) -> np.ndarray:
    """Return the vectors of a symmetric metric, of queries or of items."""
    if metric == "correlation":
        # Of large numbers the mean would be infinite.
        X = unit_rows(X)
        X = X - X.mean(axis=1, keepdims=True)
        # Rounding leaves a constant row with entries that are not exactly 0.
        X[np.abs(X).max(axis=1) < 1e-14] = 0.0
    return X if metric == "inner_product" else unit_rows(X)


def _minus_half_square(X: np.ndarray) -> np.ndarray:
    return -0.5 * np.einsum("nk,nk->n", X, X)


def _coefficients(metric: str, correlations: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
    """Return the factors of u_k v_k, and those of u_k and v_k before they are squared."""
    if metric == "euclidean":
        return 1.0, 1.0
    rho = np.clip(correlations, 0.0, MAX_CORRELATION)
    return rho / (1 - rho**2), rho / np.sqrt(1 - rho**2)


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Scale every row to length one; zero rows stay zero, and so do their cosines."""
    # Dividing by the largest entry first keeps the squares of 1e200 and 1e-200 in range.
    work = np.abs(X)
    largest = work.max(axis=1, keepdims=True)
    X = X / np.where(largest > 0, largest, 1.0)
    norm = np.sqrt(np.multiply(X, X, out=work).sum(axis=1, keepdims=True))
    X /= np.where(norm > 0, norm, 1.0)
    return X


def similarities(products: np.ndarray, metric: str) -> np.ndarray:
    """Return products as similarities for users, minus the distance for "euclidean"."""
    if metric == "euclidean":
        return -np.sqrt(np.maximum(-2 * products, 0.0))
    return products
