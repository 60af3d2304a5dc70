"""Parametric tests of canonical correlations by Wilks' lambda."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy import stats

from skcca._core.compat import Interval, StrOptions, check_array, validate_parameter_constraints
from skcca._core.types import ArrayLike

__all__ = ["WilksTestResult", "wilks_test"]

_POSITIVE = Interval(Integral, 1, None, closed="left")
_COUNTS: dict = {
    "n_samples": [_POSITIVE],
    "n_features": [_POSITIVE],
    "n_features_y": [_POSITIVE],
}
_CONSTRAINTS: dict = {"approximation": [StrOptions({"rao", "bartlett"})]}


class WilksTestResult(NamedTuple):
    """Entry k belongs to the hypothesis that the correlations k, k + 1, ... are zero."""

    wilks_lambda: np.ndarray  # (K,)
    statistic: np.ndarray  # (K,) F, or chi-squared
    df: np.ndarray  # (K,) of the numerator, or of chi-squared
    df_denominator: np.ndarray  # (K,) infinite for chi-squared
    pvalues: np.ndarray  # (K,)


def wilks_test(
    correlations: ArrayLike,
    n_samples: int,
    n_features: int,
    n_features_y: int,
    *,
    approximation: str = "rao",
) -> WilksTestResult:
    r"""Test under normality whether the canonical correlations from the k-th on are zero.

    With p and q features, the statistic of k = 0, 1, ... is Wilks' lambda of the correlations that
    are left,

    .. math:: \Lambda_k = \prod_{i \ge k} (1 - r_i^2),

    and with w = n - (p + q + 3) / 2, p_k = p - k, q_k = q - k either Bartlett's

    .. math:: -w \ln \Lambda_k \sim \chi^2_{p_k q_k}

    or Rao's F, which is exact where min(p_k, q_k) is 1 or 2,

    .. math::

        \frac{1 - \Lambda_k^{1/t}}{\Lambda_k^{1/t}} \frac{w t - p_k q_k / 2 + 1}{p_k q_k}
        \sim F(p_k q_k,\; w t - p_k q_k / 2 + 1), \quad
        t = \sqrt{\frac{p_k^2 q_k^2 - 4}{p_k^2 + q_k^2 - 5}} .

    Parameters
    ----------
    correlations : array-like of shape (n_correlations,)
        All min(p, q) canonical correlations of the sample, descending, fitted without a ridge:
        `correlations_` of ``CCA()``.
    n_samples : int
        Number of rows they were computed from.
    n_features : int
        Number of features p of the first view; where some are collinear, its rank `x_rank_`.
    n_features_y : int
        Number of features q of the second view, or `y_rank_`.
    approximation : {"rao", "bartlett"}, default="rao"
        Rao's F or Bartlett's chi-squared. Rao's holds its level on fewer rows.

    Returns
    -------
    result : WilksTestResult
        Arrays with one entry per hypothesis: ``wilks_lambda``, ``statistic``, ``df``,
        ``df_denominator`` and ``pvalues``.

    Raises
    ------
    ValueError
        If correlations are missing, leave [0, 1] or ascend, or if there are not more rows than
        features of both views together.

    See Also
    --------
    multivariate_tests : The same with three other statistics beside it.
    permutation_test_correlations : Without the assumption of normality, and with a ridge.

    Notes
    -----
    The tests are sequential: that of k is read only where those before it have rejected. Then the
    number of correlations found is too high with probability alpha at most.

    References
    ----------
    .. [1] M. S. Bartlett (1941). The statistical significance of canonical correlations. Biometrika
       32, 29-37. :doi:`10.1093/biomet/32.1.29`
    .. [2] C. R. Rao (1951). An asymptotic expansion of the distribution of Wilks' criterion.
       Bulletin of the International Statistical Institute 33, 177-180.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skcca import CCA
    >>> from skcca.inspection import wilks_test
    >>> data = load_linnerud()
    >>> model = CCA().fit(data.data, data.target)
    >>> result = wilks_test(model.correlations_, n_samples=20, n_features=3, n_features_y=3)
    >>> result.wilks_lambda.round(4), result.pvalues.round(4)
    (array([0.3504, 0.9547, 0.9947]), array([0.0635, 0.9491, 0.7748]))
    """
    validate_parameter_constraints(
        _CONSTRAINTS, {"approximation": approximation}, caller_name="wilks_test"
    )
    r, (n, d_x, d_y) = check_correlations(
        correlations, n_samples, n_features, n_features_y, "wilks_test"
    )
    # A correlation of 1 has lambda 0, whose logarithm is -inf.
    with np.errstate(divide="ignore"):
        log_lambda = np.cumsum(np.log1p(-(r[::-1] ** 2)))[::-1]
    k = np.arange(len(r))
    w = n - (d_x + d_y + 3) / 2
    p, q = d_x - k, d_y - k
    df = (p * q).astype(float)
    if approximation == "bartlett":
        statistic, df2 = -w * log_lambda, np.full(len(r), np.inf)
        pvalues = stats.chi2.sf(statistic, df)
    else:
        # The formula is 0 / 0 for p q = 2, where t = 1 is exact, as it is for p q = 1.
        t = np.sqrt(np.divide(df**2 - 4, p**2 + q**2 - 5, out=np.ones(len(r)), where=df > 2))
        df2 = w * t - df / 2 + 1
        with np.errstate(over="ignore"):
            statistic = np.expm1(-log_lambda / t) * df2 / df
        pvalues = stats.f.sf(statistic, df, df2)
    return WilksTestResult(np.exp(log_lambda), statistic, df, df2, pvalues)


def check_correlations(
    correlations: ArrayLike, n_samples: int, n_features: int, n_features_y: int, caller: str
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return the correlations, and the counts as integers of Python, after checking them."""
    counts = {"n_samples": n_samples, "n_features": n_features, "n_features_y": n_features_y}
    validate_parameter_constraints(_COUNTS, counts, caller_name=caller)
    # Sums of narrow integers of NumPy would overflow.
    n, p, q = int(n_samples), int(n_features), int(n_features_y)
    expected = min(p, q)
    # NaN is not in [0, 1], and is refused below.
    r = check_array(
        correlations, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_min_samples=0,
        ensure_min_features=0, ensure_all_finite=False, input_name="correlations",
    )  # fmt: skip
    if r.ndim != 1 or len(r) != expected:
        raise ValueError(
            f"{caller}: `correlations` has shape {r.shape}; its statistics take all "
            f"min(n_features, n_features_y)={expected} canonical correlations. Fit with "
            "n_components=None, and where features are collinear pass x_rank_ and y_rank_."
        )
    if not ((r >= 0) & (r <= 1)).all() or (np.diff(r) > 1e-12).any():
        raise ValueError(
            f"{caller}: `correlations` must lie in [0, 1] and descend; got {r}. Take "
            "`correlations_` of a CCA without ridge."
        )
    if n <= p + q:
        raise ValueError(
            f"{caller}: `n_samples`={n} must exceed `n_features` + `n_features_y` = "
            f"{p + q}; with fewer rows the first correlation is 1 for any "
            "data. Use fewer features, or a ridge and permutation_test_correlations."
        )
    return r, (n, p, q)
