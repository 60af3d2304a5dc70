"""Single-view transformers side by side, one for each view.

A transformer is matched to a view by name where both carry the same names, else by position; a
match that may not be meant is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin, clone
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcca._core.arrays import check_aligned
from skcca._core.compat import (
    HasMethods,
    _BaseComposition,
    _fit_context,
    _name_estimators,
    _raise_for_params,
    _safe_set_output,
    _VisualBlock,
    bind_draft,
    documented,
    draft_of,
    snapshot_of,
)
from skcca._core.types import ArrayLike, LabelsLike, ViewLike
from skcca.views._container import Views, check_view_names

__all__ = ["ViewTransformer", "make_view_transformer"]

PASSTHROUGH = "passthrough"

Steps = list[tuple[str, Any]]


def _every_view_inverts(self: ViewTransformer) -> bool:
    steps = getattr(self, "transformers_", self._steps)
    return all(step == PASSTHROUGH or hasattr(step, "inverse_transform") for _, step in steps)


@documented
class ViewTransformer(  # type: ignore[call-arg]  # scikit-learn ships no types
    TransformerMixin, _BaseComposition, auto_wrap_output_keys=None
):
    """Apply one single-view transformer to each view of a `Views`.

    It is to views as `ColumnTransformer` is to the columns of a table: scale the one, select chunks
    of the other, and hand both on to a two-view estimator.

    Parameters
    ----------
    transformers : list of (str, transformer) tuples, or transformer
        One name and one transformer, or ``"passthrough"``, for each view. Where the names are those
        of the `Views` they are matched by name, else by position. As parameters, ``<name>`` is a
        transformer to replace, and ``<name>__<parameter>`` a parameter of its own. A transformer
        alone is cloned for every view; its parameters are ``transformers__<parameter>``.

    Attributes
    ----------
    transformers_ : list of (str, transformer) tuples
        The fitted transformers, in the order of the views. ``"passthrough"`` has become a
        `FunctionTransformer`, or is kept where the view is no table.
    view_names_in_ : tuple of str
        Names of the views seen in `fit`; defined only where the caller named them.

    See Also
    --------
    make_view_transformer : Let the classes name the transformers.
    Views : Keep the rows of two views together.

    Notes
    -----
    Each transformer's `fit` is given its view and ``y``. With metadata routing enabled, further
    arguments reach the transformers that request them. ``set_output`` reaches every transformer;
    the members of the returned `Views` are frames then.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcca import Views, ViewTransformer
    >>> rng = np.random.default_rng(0)
    >>> X = Views(audio=rng.normal(size=(8, 5)), visual=rng.normal(size=(8, 3)))
    >>> each = ViewTransformer([("audio", PCA(n_components=2)), ("visual", StandardScaler())])
    >>> each.fit_transform(X)
    <Views of 8 rows; audio: (8, 2) float64; visual: (8, 3) float64>
    >>> each.get_feature_names_out().tolist()
    ['audio__pca0', 'audio__pca1', 'visual__x0', 'visual__x1', 'visual__x2']

    One transformer serves every view, each with a clone of it:

    >>> ViewTransformer(StandardScaler()).fit_transform(X)
    <Views of 8 rows; audio: (8, 5) float64; visual: (8, 3) float64>

    A view that is not at hand is None:

    >>> each.transform(Views(audio=X["audio"], visual=None))
    <Views of 8 rows; audio: (8, 2) float64; visual: None>
    """

    _parameter_constraints: dict = {"transformers": [list, HasMethods(["fit", "transform"])]}

    def __init__(self, transformers: list[tuple[str, Any]] | Any):
        self.transformers = transformers

    @property
    def _steps(self) -> Steps:
        """The transformers with their names; one for every view has that of the parameter."""
        given = self.transformers
        return given if isinstance(given, list) else [("transformers", given)]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep scikit-learn's output wrapper off subclasses, since it cannot wrap `Views`."""
        super().__init_subclass__(**{"auto_wrap_output_keys": None, **kwargs})

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return self._get_params("transformers", deep=deep)

    def set_params(self, **params: Any) -> Self:
        self._set_params("transformers", **params)
        return self

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of the transformed members.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            ``"default"`` leaves each transformer its own; None changes nothing.

        Returns
        -------
        self : ViewTransformer
            This instance.
        """
        for _, transformer in [*self._steps, *getattr(self, "transformers_", [])]:
            if transformer != PASSTHROUGH:
                _safe_set_output(transformer, transform=transform)
        if transform is not None:
            # `clone` keeps the setting of an attribute of this name.
            self._sklearn_output_config = {"transform": transform}
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Views, y: LabelsLike = None, **params: Any) -> Self:
        """Fit each transformer on its view.

        Parameters
        ----------
        X : Views
            One member per transformer.
        y : array-like of shape (n_samples,), default=None
            Labels, given to every transformer.
        **params : dict
            Metadata for the transformers that request it; needs metadata routing.

        Returns
        -------
        self : ViewTransformer
            This instance.

        Raises
        ------
        TypeError, ValueError
            If a transformer lacks ``fit`` or ``transform``, or if `X` is no `Views` whose members
            and names match the transformers.
        """
        self._fit_each(X, y, "fit", params)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X: Views, y: LabelsLike = None, **params: Any) -> Views:
        """Fit each transformer on its view and transform the view.

        Parameters
        ----------
        X : Views
        y : array-like of shape (n_samples,), default=None
        **params : dict
            As for `fit`.

        Returns
        -------
        Z : Views
            The transformed members under the same names.
        """
        members = self._fit_each(X, y, "fit_transform", params)
        return X._replace(members)

    def transform(self, X: Views, **params: Any) -> Views:
        """Transform each view.

        Parameters
        ----------
        X : Views
            The views seen in `fit`, in the same order; None for one that is not at hand.
        **params : dict
            As for `fit`.

        Returns
        -------
        Z : Views
            The transformed members under the same names; None stays None.
        """
        return self._apply(X, "transform", params)

    @available_if(_every_view_inverts)
    def inverse_transform(self, X: Views, **params: Any) -> Views:
        """Undo `transform`, where every transformer can.

        Parameters
        ----------
        X : Views
            Transformed views; None for one that is not at hand.
        **params : dict
            As for `fit`.

        Returns
        -------
        Z : Views
            The members in their original features; None stays None.
        """
        return self._apply(X, "inverse_transform", params)

    def get_feature_names_out(self, input_features: ArrayLike = None) -> np.ndarray:
        """Return the feature names of all views, prefixed by their views as in ``audio__x0``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the form ``<view>__<feature>``, as an earlier `ViewTransformer` returns them.
            None, or no name of this form: each transformer uses those that it saw in `fit`.

        Returns
        -------
        names : ndarray of str objects
            Names of the views, or of the transformers where the views had none, before ``__``.
        """
        check_is_fitted(self)
        inputs = [] if input_features is None else [str(name) for name in input_features]
        views = getattr(self, "view_names_in_", [name for name, _ in self.transformers_])
        names = []
        for view, (name, transformer) in zip(views, self.transformers_, strict=True):
            if not hasattr(transformer, "get_feature_names_out"):
                raise AttributeError(
                    f"Transformer {name!r} ({type(transformer).__name__}) does not provide "
                    "get_feature_names_out."
                )
            prefix = f"{view}__"
            features = [n.removeprefix(prefix) for n in inputs if n.startswith(prefix)]
            own = np.array(features, dtype=object) if features else None
            names += [prefix + feature for feature in transformer.get_feature_names_out(own)]
        return np.array(names, dtype=object)

    @property
    def named_transformers_(self) -> Bunch:
        """The fitted transformers by name."""
        return Bunch(**dict(self.transformers_))

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata to transformers.

        Returns
        -------
        routing : MetadataRouter
            One entry per transformer.
        """
        router = MetadataRouter(owner=self)
        for name, transformer in self._steps:
            mapping = MethodMapping()
            for method in ("fit", "transform", "inverse_transform"):
                mapping.add(caller=method, callee=method)
            for callee in _fit_transform_calls(transformer):
                mapping.add(caller="fit_transform", callee=callee)
            router.add(method_mapping=mapping, **{name: transformer})
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def _sk_visual_block_(self) -> Any:
        names, transformers = zip(*self._steps, strict=True)
        return _VisualBlock("parallel", transformers, names=names)

    def _fit_each(self, X: Views, y: LabelsLike, method: str, params: dict[str, Any]) -> list:
        """Fit a clone of each transformer; return the transformed members, if `method` does so."""
        _raise_for_params(params, self, method)
        _check_transformers(self._steps)
        if isinstance(self.transformers, list):
            self._validate_names([name for name, _ in self.transformers])
            steps = _match(self.transformers, X)
        else:
            _check_views(X)
            steps = [(view, self.transformers) for view in X.names]
        check_aligned("ViewTransformer", X=X, y=y, **params)
        fitted, members = [], []
        routed = process_routing(self, method, **params)
        for (name, unfitted), view, member in zip(steps, X.names, X, strict=True):
            if member is None:
                raise ValueError(
                    f"view {view!r} is None; fit needs every view. Only transform takes Views with "
                    "a None."
                )
            transformer = self._clone(unfitted, member)
            fitted.append((name, transformer))
            if transformer == PASSTHROUGH:
                members.append(member)
                continue
            calls = ("fit",) if method == "fit" else _fit_transform_calls(unfitted)
            with _errors_name_view(name, view):
                for call in calls:
                    target = () if call == "transform" else (y,)
                    metadata = self._routed_to(name, routed)[call]
                    out = getattr(transformer, call)(member, *target, **metadata)
            members.append(out)
        draft = draft_of(self, learned=False)
        draft.transformers_ = fitted
        if X.named:
            draft.view_names_in_ = X.names
        bind_draft(self, draft)
        return members

    def _apply(self, X: Views, method: str, params: dict[str, Any]) -> Views:
        self = snapshot_of(self)
        check_is_fitted(self)
        _raise_for_params(params, self, method)
        _check_views(X)
        steps, view_names = self.transformers_, getattr(self, "view_names_in_", None)
        if len(steps) != len(X.names):
            raise ValueError(
                f"ViewTransformer was fitted on {len(steps)} views; got {X!r}. A view that is not "
                "at hand is None: Views(A, None)."
            )
        check_view_names("ViewTransformer", X, view_names)
        if view_names is None:
            _check_positions([name for name, _ in steps], X)
        routed = process_routing(self, method, **params)
        members = []
        for (name, transformer), view, member in zip(steps, X.names, X, strict=True):
            if member is not None and transformer != PASSTHROUGH:
                with _errors_name_view(name, view):
                    metadata = self._routed_to(name, routed)[method]
                    member = getattr(transformer, method)(member, **metadata)
            members.append(member)
        return X._replace(members)

    def _routed_to(self, name: str, routed: Any) -> Any:
        return routed[name if isinstance(self.transformers, list) else self._steps[0][0]]

    def _clone(self, transformer: Any, member: ViewLike) -> Any:
        """Return a transformer to fit in place of the parameter."""
        if transformer != PASSTHROUGH:
            return clone(transformer)
        if len(getattr(member, "shape", ())) != 2:
            # Sequences have no columns, which an identity would name or frame.
            return PASSTHROUGH
        identity = FunctionTransformer(feature_names_out="one-to-one")
        output = getattr(self, "_sklearn_output_config", None)
        return identity if output is None else identity.set_output(**output)


def make_view_transformer(*transformers: Any) -> ViewTransformer:
    """Build a `ViewTransformer` whose transformers are named by their classes.

    Parameters
    ----------
    *transformers : transformer or "passthrough"
        One for each view, in the order of the views.

    Returns
    -------
    transformer : ViewTransformer
        Names are lower-case class names; equal ones are numbered, ``"pca-1"``, ``"pca-2"``.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcca import make_view_transformer
    >>> make_view_transformer(PCA(), StandardScaler())
    ViewTransformer(transformers=[('pca', PCA()),
                                  ('standardscaler', StandardScaler())])
    """
    return ViewTransformer(_name_estimators(transformers))


def _fit_transform_calls(transformer: Any) -> tuple[str, ...]:
    # A frozen estimator has no `fit_transform`.
    return ("fit_transform",) if hasattr(transformer, "fit_transform") else ("fit", "transform")


@contextmanager
def _errors_name_view(name: str, view: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"This was transformer {name!r} on view {view!r}.")
        raise


def _check_transformers(steps: list[Any]) -> None:
    for step in steps:
        if not (isinstance(step, tuple) and len(step) == 2 and isinstance(step[0], str)):
            raise TypeError(f"`transformers` must hold (name, transformer) tuples; got {step!r}.")
        name, transformer = step
        works = hasattr(transformer, "fit") and hasattr(transformer, "transform")
        if transformer != PASSTHROUGH and (isinstance(transformer, type) or not works):
            raise TypeError(
                f"transformer {name!r} must be an instance with `fit` and `transform`, or "
                f"'passthrough'; got {transformer!r}."
            )


def _match(steps: Steps, X: Views) -> Steps:
    """Return the transformer of each view, in the order of the views."""
    _check_views(X)
    names = [name for name, _ in steps]
    if len(names) != len(X.names):
        raise ValueError(
            f"ViewTransformer has {len(names)} transformers {names} for {len(X.names)} views "
            f"{list(X.names)}; give one per view, 'passthrough' for a view to leave alone."
        )
    if X.named and set(names) == set(X.names):
        return [(view, dict(steps)[view]) for view in X.names]
    _check_positions(names, X)
    return steps


def _check_views(X: Any) -> None:
    if not isinstance(X, Views):
        raise ValueError(
            f"ViewTransformer takes a Views; got {type(X).__name__}. Write Views(A, V), or "
            "Views(A, None) for the first view alone."
        )


def _check_positions(names: list[str], X: Views) -> None:
    """Refuse a match by position in contradiction to the names."""
    for name, view in zip(names, X.names, strict=True):
        if X.named and name != view and name in X.names:
            raise ValueError(
                f"by position, transformer {name!r} would be given view {view!r}, although there "
                f"is a view {name!r}. The transformers are {names}, the views {list(X.names)}: "
                "order them alike, or give both the same names."
            )
