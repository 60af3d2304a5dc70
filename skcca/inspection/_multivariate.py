"""Parametric tests of canonical correlations by four statistics, and their F.

With p and q features and n rows, the hypothesis that the correlations from the k-th on are zero is
the first one of n - k rows with p - k and q - k features. Of these, with s = min(p, q),
m = max(p, q), e = n - 1 - p - q + s and 2 N = n - 2 - p - q:

    Wilks               Lambda = prod (1 - r^2)       Rao's F, see `wilks_test`
    Pillai              V = sum r^2                   V / (s - V) s e / (p q) ~ F(p q, s e)
    Hotelling-Lawley    U = sum r^2 / (1 - r^2)       U 2 N / (p q) d / (d - 2) ~ F(p q, d)
    Roy                 theta = max r^2 / (1 - r^2)   theta (n - 1 - m) / m, above F(m, n - 1 - m)

    d = 4 + (p q + 2) (2 N + 1) (2 N - 2) / (p q + 2 + 2 N (p + q + 1))

The mean of U is p q / (2 N), and that of F(., d) is d / (d - 2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from skcca._core.types import ArrayLike
from skcca.inspection._wilks import check_correlations, wilks_test

__all__ = ["MultivariateTest", "MultivariateTestsResult", "multivariate_tests"]
Array = np.ndarray


class MultivariateTest(NamedTuple):
    """Entry k belongs to the hypothesis that the correlations k, k + 1, ... are zero."""

    value: Array  # (K,) lambda, trace or root
    statistic: Array  # (K,) F
    df: Array  # (K,) of the numerator
    df_denominator: Array  # (K,)
    pvalues: Array  # (K,)


class MultivariateTestsResult(NamedTuple):
    """The same hypotheses by four statistics."""

    wilks: MultivariateTest
    pillai: MultivariateTest
    hotelling_lawley: MultivariateTest | None  # None with two rows more than features, or fewer
    roy: MultivariateTest


def multivariate_tests(
    correlations: ArrayLike, n_samples: int, n_features: int, n_features_y: int
) -> MultivariateTestsResult:
    r"""Test by four statistics whether the canonical correlations from the k-th on are zero.

    Wilks' lambda, the traces of Pillai and of Hotelling and Lawley, and Roy's largest root, each
    with its F, as tables of multivariate analysis print them:

    .. math:: \prod_{i \ge k} (1 - r_i^2), \quad \sum_{i \ge k} r_i^2, \quad
              \sum_{i \ge k} \frac{r_i^2}{1 - r_i^2}, \quad \frac{r_k^2}{1 - r_k^2} .

    Parameters
    ----------
    correlations : array-like of shape (n_correlations,)
    n_samples : int
    n_features : int
    n_features_y : int
        See `wilks_test`.

    Returns
    -------
    result : MultivariateTestsResult
        ``wilks``, ``pillai``, ``hotelling_lawley`` and ``roy``, each with arrays ``value``,
        ``statistic`` (F), ``df``, ``df_denominator`` and ``pvalues`` of one entry per hypothesis. A
        correlation of 1 has infinite traces and F. Hotelling-Lawley is None where
        ``n_samples <= n_features + n_features_y + 2``: its trace has no mean there.

    Raises
    ------
    ValueError
        If correlations are missing, leave [0, 1] or ascend, or if there are not more rows than
        features of both views together.

    See Also
    --------
    wilks_test : Wilks' lambda alone, also with Bartlett's chi-squared.
    report : These tests beside all else that is told of a model.

    Notes
    -----
    The tests assume independent rows and normal errors of a regression of one view on the other.
    They are sequential, as those of `wilks_test`. The F of Wilks is Rao's, that of Hotelling and
    Lawley McKeon's [1]_, both as in SAS; Stata, SPSS and the R package CCP have an older F of the
    latter, which rejects a little more often. Roy's F is an upper bound, so that its p-value is a
    lower one: it cannot reject by itself. Where one correlation is left the four tests are one and
    exact.

    Of k > 0 SAS prints Wilks' lambda alone. CCP goes on to divide the traces by min(p, q), of which
    k correlations are gone, and then rejects too often where rows are few. Here the F of k is that
    of n - k rows and of k features fewer in each view, as Rao's is.

    References
    ----------
    .. [1] J. J. McKeon (1974). F approximations to the distribution of Hotelling's T0^2. Biometrika
       61, 381-383. :doi:`10.1093/biomet/61.2.381`
    .. [2] K. C. S. Pillai (1960). Statistical tables for tests of multivariate hypotheses.
       Statistical Center, University of the Philippines.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_linnerud
    >>> from skcca import CCA
    >>> from skcca.inspection import multivariate_tests
    >>> data = load_linnerud()
    >>> model = CCA().fit(data.data, data.target)
    >>> result = multivariate_tests(model.correlations_, 20, 3, 3)
    >>> np.round([test.pvalues[0] for test in result], 4)
    array([0.0635, 0.1551, 0.0357, 0.0009])
    """
    r, counts = check_correlations(
        correlations, n_samples, n_features, n_features_y, "multivariate_tests"
    )
    wilks, squares = wilks_test(r, *counts), r**2
    n, p, q = np.array(counts)[:, np.newaxis] - np.arange(len(squares))
    s, largest = np.minimum(p, q), np.maximum(p, q)
    # A correlation of 1 has an infinite root.
    with np.errstate(divide="ignore"):
        roots = squares / (1 - squares)
    V, U = _sums_from(squares), _sums_from(roots)

    df = (p * q).astype(float)
    df2 = s * (n - 1 - p - q + s).astype(float)
    with np.errstate(divide="ignore"):
        pillai = _f_test(V, V / (s - V) * df2 / df, df, df2)
    hotelling_lawley = None
    twice_n = n - 2 - p - q
    if (twice_n > 0).all():
        df2 = 4 + (df + 2) * (twice_n + 1) * (twice_n - 2) / (df + 2 + twice_n * (p + q + 1))
        hotelling_lawley = _f_test(U, U * twice_n / df * df2 / (df2 - 2), df, df2)
    df, df2 = largest.astype(float), (n - 1 - largest).astype(float)
    roy = _f_test(roots, roots * df2 / df, df, df2)
    return MultivariateTestsResult(MultivariateTest(*wilks), pillai, hotelling_lawley, roy)


def _sums_from(values: Array) -> Array:
    """Return the sum of the values from each one on."""
    return np.cumsum(values[::-1])[::-1]


def _f_test(value: Array, statistic: Array, df: Array, df2: Array) -> MultivariateTest:
    return MultivariateTest(value, statistic, df, df2, stats.f.sf(statistic, df, df2))
