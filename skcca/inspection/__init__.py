"""Tests and intervals of canonical correlations, and the number of components to keep.

`permutation_test_correlations` tests which correlations exceed those of unrelated views, and
`wilks_test` does so under normality from the correlations alone. `bootstrap_loadings` gives
confidence intervals of loadings and correlations, and `select_n_components` chooses the number of
components by cross-validation.
"""

from skcca.inspection._bootstrap import BootstrapResult, Interval, bootstrap_loadings
from skcca.inspection._n_components import NComponentsResult, select_n_components
from skcca.inspection._permutation import PermutationTestResult, permutation_test_correlations
from skcca.inspection._wilks import WilksTestResult, wilks_test

__all__ = [
    "BootstrapResult",
    "Interval",
    "NComponentsResult",
    "PermutationTestResult",
    "WilksTestResult",
    "bootstrap_loadings",
    "permutation_test_correlations",
    "select_n_components",
    "wilks_test",
]
