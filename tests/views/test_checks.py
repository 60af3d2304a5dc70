"""Checks of one view: what the cheap test lets through is what scikit-learn returns as it is."""

import numpy as np
import pytest
from sklearn.utils.validation import validate_data

from skcca import CCA
from skcca._core.compat import is_finite_array
from skcca.views._checks import check_first_view

ROWS = np.arange(12.0).reshape(4, 3)

ARRAYS = {
    "float64": ROWS,
    "float32": ROWS.astype("float32"),
    "columns first": np.asfortranarray(ROWS),
    "every other row": ROWS[::2],
    "half": ROWS.astype("float16"),
    "other byte order": ROWS.astype(ROWS.dtype.newbyteorder()),
    "integers": ROWS.astype(int),
    "objects": ROWS.astype(object),
    "matrix": np.matrix(ROWS),
    "list": ROWS.tolist(),
    "NaN": np.where(ROWS == 5, np.nan, ROWS),
    "both infinities": np.where(ROWS == 5, np.inf, np.where(ROWS == 6, -np.inf, ROWS)),
    "sum out of range": np.full((4, 3), 1e308),
    "one row": ROWS[:1],
    "no column": ROWS[:, :0],
    "one dimension": ROWS[0],
    "three dimensions": ROWS[None],
}


@pytest.mark.parametrize("V", ARRAYS.values(), ids=ARRAYS)
def test_arrays_are_checked_as_scikit_learn_does(V):
    def outcome(check):
        model = CCA()
        try:
            # Of two infinities scikit-learn's sum is invalid.
            with np.errstate(invalid="ignore"):
                checked = check(model)
        except (TypeError, ValueError) as error:
            return str(error)
        return checked.dtype, checked.tolist(), checked is V, model.n_features_in_

    checks = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "ensure_min_samples": 2}
    ours = outcome(lambda model: check_first_view(model, V, native=True, reset=True, min_samples=2))
    assert ours == outcome(lambda model: validate_data(model, V, **checks))


def test_finite_arrays_of_floats_need_no_other_check():
    assert [name for name, V in ARRAYS.items() if is_finite_array(V, 2)] == [
        "float64", "float32", "columns first", "every other row",
    ]  # fmt: skip
