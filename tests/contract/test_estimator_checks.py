"""scikit-learn's own checks, all of them, on every two-view estimator and on soft memberships."""

from unittest import SkipTest

import pytest
import torch
from sklearn.utils.estimator_checks import estimator_checks_generator

from skcca import (
    CCA,
    CCACV,
    DCCA,
    KCCA,
    KCCACV,
    ClusterCCA,
    ClusterCCACV,
    ClusterKCCA,
    ClusterKCCACV,
    SparseCCA,
    SparseClusterCCA,
    SupervisedDCCA,
)
from skcca.cluster import SoftMembership

# Two epochs exercise the loop as fifty do.
QUICK = {"max_epochs": 2, "device": "cpu"}


class LinearCCA(CCA):
    """CCA under a name that scikit-learn does not take for its own cross_decomposition.CCA."""


def named(estimator):
    """Return each check with its name, for pytest's ids."""
    return [
        pytest.param(e, check, id=f"{type(e).__name__}-{check.func.__name__}")
        for e, check in estimator_checks_generator(estimator)
    ]


def run(estimator, check):
    """Run a check; scikit-learn asks for the GPU that torch was built for, also where none is."""
    try:
        check(estimator)
    except RuntimeError as error:
        missing = "NVIDIA driver" in str(error) or "CUDA driver" in str(error)
        if missing and not torch.cuda.is_available():
            raise SkipTest(str(error)) from error
        raise


# Dropout draws a mask for each row, so that a row of weight two differs from two rows; scikit-learn
# expects the same failure of its own stochastic estimators. Without dropout nothing is excepted.
STOCHASTIC = {
    "check_sample_weight_equivalence_on_dense_data": "dropout and noise are drawn per row"
}


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        *named(LinearCCA()),
        *named(KCCA()),
        *named(ClusterCCA()),
        *named(CCACV(cv=3)),
        *named(ClusterCCACV(cv=3)),
        *named(ClusterKCCA()),
        *named(KCCACV(cv=3)),
        *named(ClusterKCCACV(cv=3)),
        *named(SparseCCA()),
        *named(SparseClusterCCA()),
        *named(DCCA(2, dropout=0.0, input_noise=0.0, **QUICK)),
        *named(SupervisedDCCA(2, dropout=0.0, input_noise=0.0, **QUICK)),
        *named(SoftMembership()),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::scipy.linalg.LinAlgWarning")
def test_estimator_checks(estimator, check):
    run(estimator, check)


@pytest.mark.parametrize(
    ("estimator", "check"), [*named(DCCA(**QUICK)), *named(SupervisedDCCA(**QUICK))]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_estimator_checks_with_dropout(estimator, check):
    if check.func.__name__ in STOCHASTIC:
        with pytest.raises(AssertionError, match="is not equivalent"):
            check(estimator)
    else:
        run(estimator, check)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::scipy.linalg.LinAlgWarning")
def test_name_cca_fails_only_where_sklearn_expects_its_own():
    """scikit-learn takes any class called CCA for its own, whose fit_transform is a tuple."""
    failed = set()
    for estimator, check in estimator_checks_generator(CCA()):
        try:
            run(estimator, check)
        except SkipTest:
            continue
        except Exception:
            failed.add(check.func.__name__)
    assert failed == {"check_transformer_data_not_an_array", "check_transformer_general"}
