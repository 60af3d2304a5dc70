"""Private names of other libraries that skcca relies on, in one place.

scikit-learn keeps parameter validation, set_output and the metadata request mixin behind
underscores although third-party estimators need them. When a release moves one, this file is the
one to mend.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.pipeline import _name_estimators
from sklearn.utils._array_api import _convert_to_numpy, get_namespace
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils._param_validation import (
    HasMethods,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils._set_output import _get_container_adapter, _safe_set_output
from sklearn.utils.metadata_routing import _MetadataRequester, _raise_for_params, _routing_enabled
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_sample_weight as _sklearn_check_sample_weight
from sklearn.utils.validation import _get_feature_names, _num_samples
from sklearn.utils.validation import check_array as _check_array
from sklearn.utils.validation import validate_data as _validate_data

from skcca._core.types import ArrayLike, Estimator, RandomStateLike, ViewLike

__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "_BaseComposition",
    "_MetadataRequester",
    "_VisualBlock",
    "_check_sample_weight",
    "_fit_context",
    "_get_container_adapter",
    "_get_feature_names",
    "_name_estimators",
    "_num_samples",
    "_raise_for_params",
    "_routing_enabled",
    "_safe_set_output",
    "array_namespace",
    "bind_draft",
    "check_array",
    "check_kind",
    "documented",
    "draft_of",
    "get_chunk_n_rows",
    "in_turn",
    "is_finite_array",
    "require_torch",
    "rng_from",
    "snapshot_of",
    "to_numpy",
    "validate_data",
    "validate_parameter_constraints",
]

# The checks of scikit-learn change the filters of warnings for a moment, and these are those of all
# threads: of two checks at a time, one may leave its filters behind.
_TURNS = threading.RLock()


def _renew_turns() -> None:
    # The thread that held it lives on in the parent alone.
    global _TURNS
    _TURNS = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turns)


def in_turn() -> AbstractContextManager:
    """Return a context that one thread at a time is in, around checks of scikit-learn."""
    return _TURNS


_Fitted = TypeVar("_Fitted")

_DOC_LINK_TEMPLATE = "https://skcca.readthedocs.io/en/stable/generated/{page}.html"

if TYPE_CHECKING:
    _Method = TypeVar("_Method", bound=Callable[..., Any])

    def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_Method], _Method]:
        """Validate parameters around `fit`; scikit-learn has no types of its own."""
else:
    from sklearn.base import _fit_context

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ModuleNotFoundError:
    # scikit-learn 1.6 has it elsewhere.
    from sklearn.utils._estimator_html_repr import _VisualBlock

try:
    from sklearn.callback import CallbackSupportMixin
except ModuleNotFoundError:
    # Callbacks came with scikit-learn 1.9.

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand in for the class of later versions."""


def documented(estimator: type[_Fitted]) -> type[_Fitted]:
    """Link the HTML picture of an estimator, though not of subclasses of users, to its page."""

    def page(self: Any) -> dict[str, str]:
        kind = type(self)
        exported = kind.__name__ in import_module("skcca").__all__
        return {"page": f"{'skcca' if exported else kind.__module__}.{kind.__name__}"}

    estimator._doc_link_module = "skcca"  # type: ignore[attr-defined]
    estimator._doc_link_template = _DOC_LINK_TEMPLATE  # type: ignore[attr-defined]
    estimator._doc_link_url_param_generator = page  # type: ignore[attr-defined]
    return estimator


def require_torch(name: str) -> None:
    """Say how to install torch where the estimator of this name needs it and it is missing."""
    try:
        import_module("torch")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise ImportError(
            f"{name} trains neural networks with torch, which is not installed: pip install torch. "
            "CCA, KCCA, ClusterCCA and ClusterKCCA work without it."
        ) from error


class Interval(_Interval):
    """An interval of numbers, whose ends the narrow floats of NumPy need not hold."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value lies in the interval."""
        return super().is_satisfied_by(float(val) if isinstance(val, np.floating) else val)


class EpochCallbacks:
    """Callbacks of scikit-learn, told of every epoch of a fit with its arguments `X` and `y`."""

    def __init__(self, estimator: Estimator, X: ViewLike, y: ViewLike, max_epochs: int):
        self.estimator, self.X, self.y = estimator, X, y
        self._fit: Any = None
        self._epoch: Any = None
        # The context stays on the estimator, and on a draft that is made of it afterwards:
        # scikit-learn looks for it there when the fit has ended.
        if getattr(estimator, "_skl_callbacks", None):
            self._fit = estimator._init_callback_context(max_subtasks=max_epochs)
            self._fit.call_on_fit_task_begin(estimator=estimator)

    def begin_epoch(self) -> None:
        """Tell that an epoch begins."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self.estimator)

    def end_epoch(self, attributes: Callable[[], dict[str, Any]], *, last: bool) -> bool:
        """Tell that an epoch has ended, and return whether a callback asks to stop.

        `attributes` returns the attributes of an estimator whose fit had ended here.
        """
        if self._fit is None:
            return False
        stop = self._epoch.call_on_fit_task_end(
            estimator=self.estimator, X=self.X, y=self.y, reconstruction_attributes=attributes
        )
        if stop or last:
            self._fit.call_on_fit_task_end(estimator=self.estimator)
        return bool(stop)


def draft_of(estimator: _Fitted, *, learned: bool = True) -> _Fitted:
    """Return a copy that shares all attributes, or all but learned ones, for a fit to write on.

    `bind_draft` makes the estimator what the fit has written.
    """
    draft = object.__new__(type(estimator))
    before = dict(vars(estimator))
    draft.__dict__ = {key: v for key, v in before.items() if learned or not key.endswith("_")}
    draft.__dict__["_before_fit"] = before
    return draft


def bind_draft(estimator: _Fitted, draft: _Fitted) -> None:
    """Bind the attributes of a draft to the estimator, by one assignment.

    Parameters, and other public attributes that are not learned, may have been set by a callback
    since the draft was made, and stay. Learned ones are those of this fit alone.
    """
    before = draft.__dict__.pop("_before_fit")
    missing = object()
    changed = {
        key: value
        for key, value in vars(estimator).items()
        if not (key.startswith("_") or key.endswith("_")) and before.get(key, missing) is not value
    }
    estimator.__dict__ = draft.__dict__ | changed


def snapshot_of(estimator: _Fitted) -> _Fitted:
    """Return the estimator as it is now, for a use during which another thread may fit it."""
    snapshot = object.__new__(type(estimator))
    # A fit binds another dict and leaves this one as it is.
    snapshot.__dict__ = vars(estimator)
    return snapshot


def rng_from(random_state: RandomStateLike) -> np.random.Generator:
    """Return a Generator; ``None`` draws fresh entropy and leaves the global state untouched."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31 - 1, size=4))
    return np.random.default_rng(random_state)


# What has none of these gives its rows one after another.
_HOLDS_ROWS = ("__getitem__", "__array__", "shape")
# Kinds of dates, times and spans in the names of the dtypes of NumPy, pandas, polars and Arrow.
_DATES = re.compile(r"date|time|duration|period", re.IGNORECASE)


def check_kind(V: ViewLike, name: str) -> ViewLike:
    """Return what is to be read as numbers, a tensor without its graph of gradients.

    What has no rows yet is refused, and masked entries and dates, which scikit-learn would read as
    numbers.
    """
    if type(V) is np.ndarray and V.dtype.kind in "biuf":
        return V
    kind = type(V).__name__
    if hasattr(V, "collect") and not hasattr(V, "shape"):
        raise TypeError(f"`{name}` is a {kind}, which is not computed yet; give {name}.collect().")
    if hasattr(V, "dask") and hasattr(V, "columns"):
        raise TypeError(
            f"`{name}` is a Dask {kind}, whose number of rows is not known; give "
            f"{name}.to_dask_array(lengths=True), or {name}.compute()."
        )
    if hasattr(V, "__iter__") and not any(hasattr(V, name) for name in _HOLDS_ROWS):
        raise TypeError(
            f"`{name}` is of type {kind}, which gives its rows one after another; give an array "
            "of all, np.vstack(list(rows)), or each batch to partial_fit, where there is one."
        )
    if getattr(getattr(V, "device", None), "type", None) == "meta":
        raise ValueError(f"`{name}` is a tensor on the device 'meta', which has no values.")
    if np.ma.is_masked(V):
        raise ValueError(
            f"`{name}` has masked entries; drop those rows from both views or fill them in: "
            f"{name}.filled(value)."
        )
    for dtype in _dtypes_of(V):
        if _DATES.search(str(dtype)):
            raise ValueError(
                f"`{name}` has dtype {dtype}; expected numbers: take differences of "
                "dates in a unit, such as (dates - dates.min()) / pandas.Timedelta(days=1)."
            )
    if hasattr(V, "detach"):
        V = V.detach()
        # NumPy has no floats as short as these.
        V = V.float() if re.search("bfloat16|float8", str(V.dtype)) else V
    return V


def _dtypes_of(V: ViewLike) -> set:
    """Return the dtypes of a frame's columns, that of an array, or of the first of a list."""
    if hasattr(V, "columns"):
        # Tables of Arrow have a schema of types.
        return set(getattr(getattr(V, "schema", None), "types", getattr(V, "dtypes", ())))
    while isinstance(V, (list, tuple)) and V:
        V = V[0]
    return {getattr(V, "dtype", None)}


@contextmanager
def _checked_in_turn(array: ArrayLike, name: str = "X") -> Iterator[None]:
    """Check one array at a time; name what is no number, or beyond float64."""
    # Rows that others compute, as Dask does, may wait for threads that check arrays themselves.
    plain = isinstance(array, np.ndarray) or type(array).__module__.startswith("pandas.")
    try:
        # scikit-learn sums the values to find infinities, which it then refuses.
        with in_turn() if plain else nullcontext(), np.errstate(invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(
            f"Values of `{name}` must lie within the range of float64: {error}."
        ) from error
    except (TypeError, ValueError) as error:
        if not str(error).startswith(("float() argument", "could not convert string")):
            raise
        raise type(error)(f"`{name}` must hold numbers: {error}") from error


def check_array(array: ArrayLike, *, input_name: str = "X", **kwargs: Any) -> ArrayLike:
    """Validate an array as scikit-learn does, after `check_kind`."""
    array = check_kind(array, input_name)
    with _checked_in_turn(array, input_name):
        return _check_array(array, input_name=input_name, **kwargs)


def is_finite_array(V: ViewLike, min_samples: int) -> bool:
    """Whether V is a NumPy array that scikit-learn's checks return as it is.

    They would cost more than a small fit. What fails this test is theirs to judge and to word.
    """
    if type(V) is not np.ndarray or V.ndim != 2 or V.dtype not in (np.float64, np.float32):
        return False
    # A sum that overflows is not finite either.
    with np.errstate(over="ignore", invalid="ignore"):
        return V.shape[0] >= min_samples and V.shape[1] > 0 and bool(np.isfinite(V.sum()))


def validate_data(estimator: Estimator, X: ViewLike, **kwargs: Any) -> ViewLike:
    """Validate an array and its names as scikit-learn does, in the way of `check_array`."""
    X = check_kind(X, "X")
    with _checked_in_turn(X):
        return _validate_data(estimator, X, **kwargs)


def _check_sample_weight(sample_weight: ArrayLike, X: ArrayLike, **kwargs: Any) -> np.ndarray:
    """Validate weights of rows as scikit-learn does, in the way of `check_array`."""
    sample_weight = check_kind(sample_weight, "sample_weight")
    with _checked_in_turn(sample_weight, "sample_weight"):
        return _sklearn_check_sample_weight(sample_weight, X, **kwargs)


def array_namespace(array: ArrayLike) -> Any:
    """Return the array API namespace of an array; NumPy's unless `array_api_dispatch` is on."""
    return get_namespace(array)[0]


def to_numpy(array: ArrayLike) -> np.ndarray:
    """Return an array of any namespace and device as NumPy's."""
    if isinstance(array, np.ndarray):
        return array
    # A tensor may outlive the array API dispatch under which it was fitted.
    if hasattr(array, "detach"):
        return check_kind(array, "tensor").cpu().numpy()
    return _convert_to_numpy(array, array_namespace(array))


def in_container(
    transformer: Estimator, Z: ArrayLike, original: ViewLike, names: np.ndarray
) -> Any:
    """Return rows in the container that `set_output` asks for, with the index of the original."""
    adapter = _get_container_adapter("transform", transformer)
    if adapter is None:
        return Z
    if getattr(original, "ndim", 2) == 1 and hasattr(original, "to_frame"):
        # scikit-learn 1.6 does not take the index of a Series.
        original = original.to_frame()
    return adapter.create_container(Z, original, columns=names)


class ContainerOutputMixin(TransformerMixin):
    """Offer `set_output` in transformers, and in subclasses of users, that call `in_container`.

    scikit-learn's automatic wrapping knows neither `Views` nor lists nor the second of a pair.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs | {"auto_wrap_output_keys": None})
        cls._sklearn_auto_wrap_output_keys = {"transform"}
