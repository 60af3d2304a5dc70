"""Tests and intervals of canonical correlations, and the number of components to keep.

`permutation_test_correlations` tests which correlations exceed those of unrelated views;
`wilks_test` and `multivariate_tests` do so under normality from the correlations alone.
`bootstrap_loadings` gives confidence intervals of loadings and correlations, and
`select_n_components` chooses the number of components by cross-validation. `report` tabulates what
is published of a model.
"""

from skcca.inspection._bootstrap import BootstrapResult, Interval, bootstrap_loadings
from skcca.inspection._multivariate import (
    MultivariateTest,
    MultivariateTestsResult,
    multivariate_tests,
)
from skcca.inspection._n_components import NComponentsResult, select_n_components
from skcca.inspection._permutation import PermutationTestResult, permutation_test_correlations
from skcca.inspection._report import CanonicalReport, report
from skcca.inspection._stability import FeatureStability, StabilityResult, stability_selection
from skcca.inspection._wilks import WilksTestResult, wilks_test

__all__ = [
    "BootstrapResult",
    "CanonicalReport",
    "FeatureStability",
    "Interval",
    "MultivariateTest",
    "MultivariateTestsResult",
    "NComponentsResult",
    "PermutationTestResult",
    "StabilityResult",
    "WilksTestResult",
    "bootstrap_loadings",
    "multivariate_tests",
    "permutation_test_correlations",
    "report",
    "select_n_components",
    "stability_selection",
    "wilks_test",
]
