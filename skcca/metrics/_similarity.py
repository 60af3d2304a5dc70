"""How alike two embedded rows are: every metric as an inner product of prepared rows.

What it must guarantee: the prepared sides do not know of one another, so that a gallery is prepared
once and grows, and a row is more similar the larger the product is.

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

METRICS = ("cosine", "correlation", "inner_product", "euclidean", "log_likelihood_ratio")

LARGEST_CORRELATION = 1 - 1e-6  # of one, the ratio is infinite wherever u and v differ


def query_side(U: np.ndarray, metric: str, correlations: np.ndarray | None = None) -> np.ndarray:
    """Return rows whose product with those of `gallery_side` is the similarity.

    Parameters
    ----------
    U : ndarray of shape (n_queries, n_components)
        Embedded queries, float64.
    metric : str
        One of `METRICS`.
    correlations : ndarray of shape (n_components,), default=None
        Canonical correlations; for "log_likelihood_ratio".

    Returns
    -------
    Q : ndarray of shape (n_queries, n_columns)
        As many columns as the gallery has.
    """
    if metric == "euclidean":
        return np.column_stack([U, _minus_half_square(U), np.ones(len(U))])
    if metric == "log_likelihood_ratio":
        cross, square = _coefficients(correlations)
        return np.column_stack([U * cross, _minus_half_square(U * square), np.ones(len(U))])
    return _one_sided(U, metric)


def gallery_side(V: np.ndarray, metric: str, correlations: np.ndarray | None = None) -> np.ndarray:
    """Return rows whose product with those of `query_side` is the similarity.

    Parameters
    ----------
    V : ndarray of shape (n_gallery, n_components)
        Embedded items, float64.
    metric, correlations
        As for `query_side`.

    Returns
    -------
    G : ndarray of shape (n_gallery, n_columns)
        As many columns as the queries have.
    """
    if metric == "euclidean":
        return np.column_stack([V, np.ones(len(V)), _minus_half_square(V)])
    if metric == "log_likelihood_ratio":
        square = _coefficients(correlations)[1]
        return np.column_stack([V, np.ones(len(V)), _minus_half_square(V * square)])
    return _one_sided(V, metric)


def _one_sided(X: np.ndarray, metric: str) -> np.ndarray:
    if metric == "correlation":
        X = unit_rows(X)  # of large numbers the mean would be infinite
        X = X - X.mean(axis=1, keepdims=True)
        X[np.abs(X).max(axis=1) < 1e-14] = 0.0  # a constant row, but for rounding
    return X if metric == "inner_product" else unit_rows(X)


def _minus_half_square(X: np.ndarray) -> np.ndarray:
    return -0.5 * np.einsum("nk,nk->n", X, X)


def _coefficients(correlations: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors of u_k v_k, and those of u_k and v_k before they are squared."""
    rho = np.clip(correlations, 0.0, LARGEST_CORRELATION)
    return rho / (1 - rho**2), rho / np.sqrt(1 - rho**2)


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Scale every row to length one; zero rows stay zero, and so do their cosines."""
    # Dividing by the largest entry first keeps the squares of 1e200 and 1e-200 in range.
    for size in (lambda Z: np.abs(Z).max(axis=1), lambda Z: np.linalg.norm(Z, axis=1)):
        norm = size(X)
        X = X / np.where(norm > 0, norm, 1.0)[:, np.newaxis]
    return X


def reported(products: np.ndarray, metric: str) -> np.ndarray:
    """Return similarities as users know them: of "euclidean" minus the distance."""
    if metric == "euclidean":
        return -np.sqrt(np.maximum(-2 * products, 0.0))
    return products
