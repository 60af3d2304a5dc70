"""What fitted correlations are worth: tests, intervals, and how many components to keep.

`permutation_test_correlations` asks which correlations exceed what unrelated views would show,
`wilks_test` the same under normality from the correlations alone. `bootstrap_loadings` says how far
loadings and correlations vary from sample to sample, `select_n_components` how many components hold
on rows that were left out.
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
