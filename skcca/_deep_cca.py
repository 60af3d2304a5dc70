"""Learned feature maps of two views: what DCCA and SupervisedDCCA share.

`skcca.nn`, and torch with it, is imported inside the methods that compute, so that building,
cloning and printing these estimators, and the rest of skcca, need none.
"""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np

from skcca._base import TwoViewTransformer
from skcca._core.arrays import project
from skcca._core.compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    _fit_context,
    require_torch,
)
from skcca._core.directions import with_input_loadings
from skcca._core.files import check_writable
from skcca._core.lazy import LazyRows, RaggedRows, is_ragged, shape_of, stays_on_disk
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.standardize import Standardisation
from skcca._deep_saved import SavedNetworks
from skcca._deep_training import DeepTraining, solve
from skcca._held_out import given_rows, split_off
from skcca.views._sequences import check_sequences

_ACTIVATIONS = {"tanh", "relu", "gelu", "silu", "sigmoid", "identity"}

# The setting of Zeng, Yu and Oyama (2018); they state no ridge, and this one is small.
_PAPER: dict[str, Any] = {
    "n_components": 30,
    "x_hidden_layer_sizes": (128, 128, 64, 64),
    "y_hidden_layer_sizes": (512, 512, 256, 256),
    "activation": "tanh",
    "output_activation": "sigmoid",
    "dropout": 0.2,
    "input_noise": 0.0,
    "loss": "trace",
    "reg": 1e-3,
    "optimizer": "rmsprop",
    "learning_rate": 1e-3,
    "batch_size": 512,
    "max_epochs": 50,
    "average_epochs": 1,
}


class DeepCCA(CallbackSupportMixin, SavedNetworks):
    """Learned feature maps; the pairs are chosen by the subclass."""

    classes_: np.ndarray
    loss_curve_: list[float]
    _x_shape: tuple[int, ...]  # of a row, as the network takes it
    _y_shape: tuple[int, ...]
    _x_ragged: bool  # whether a view is sequences
    _y_ragged: bool

    _parameter_constraints: ClassVar[dict] = {
        **TwoViewTransformer._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "x_hidden_layer_sizes": ["array-like"],
        "y_hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(_ACTIVATIONS)],
        "output_activation": [StrOptions(_ACTIVATIONS)],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "x_network": "no_validation",
        "y_network": "no_validation",
        "input_noise": [Interval(Real, 0, None, closed="left")],
        "loss": [StrOptions({"trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"})],
        "reg": [Interval(Real, 0, None, closed="left")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "optimizer": [StrOptions({"rmsprop", "adam", "adamw", "sgd", "lbfgs"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "learning_rate_schedule": [StrOptions({"constant", "linear", "cosine"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left"), None],
        "micro_batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "average_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "callback": [callable, None],
        "scale": ["boolean"],
        "device": "no_validation",
        "random_state": ["random_state", np.random.Generator],
        "verbose": ["verbose"],
    }

    __metadata_request__fit: ClassVar[dict] = {
        "labels": True, "sample_weight": True, "X_val": True, "y_val": True,
    }  # fmt: skip

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """Return the estimator in the setting of Zeng, Yu and Oyama (2018).

        Parameters
        ----------
        **changes
            Parameters that are to have other values.

        Returns
        -------
        model : object
            Not fitted.
        """
        return cls(**_PAPER | changes)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        labels: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train the networks and learn the projections of both views.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views. Beside a network of your own also (n_samples, ...), or a list
            of sequences (T_i, n_features). Memory maps, HDF5 and Zarr arrays stay on their disk.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view, likewise; labels beside a `Views`.
        labels : array-like of shape (n_samples,) or (n_samples, n_tags), default=None
            One class per row, or a binary indicator matrix of tags. Class-paired estimators also
            take a tuple ``(labels_x, labels_y)`` for unpaired views.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows; their scale does not matter.
        X_val : Views, default=None
            Rows for early stopping, which they switch on; without them `early_stopping` holds out
            a `validation_fraction` of the training rows. ``Pipeline(transform_input=["X_val"])``
            takes them through its steps.
        y_val : array-like, default=None
            Labels of those rows. Class-paired estimators without them watch the correlation over
            the rows' own pairs.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If rows do not match, a value is not finite, labels are given twice, missing or
            continuous, or training diverges in its first epoch.

        Warns
        -----
        UserWarning
            If fewer components are found than were asked for, if a class-paired estimator gets no
            labels, or if `y` looks like labels.
        ConvergenceWarning
            If training diverges later, or Ctrl-C ends it: the best weights so far are kept.
        """
        shape_of(y, "y", type(self).__name__)
        self._given = (X, y)
        try:
            return self._fit(X, y, labels, sample_weight, {"validation": (X_val, y_val)})
        finally:
            self.__dict__.pop("_given", None)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any = None, labels: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one pass over some rows, beginning with the networks as they are.

        The first call standardises and builds the networks; later ones continue both. The
        directions are those of the rows of the last call, so give no fewer than twice
        `n_components` at a time. Early stopping and scikit-learn's callbacks take no part;
        `checkpoint` is refused: `save` the estimator between calls.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view; labels beside a `Views`.
        labels : array-like, default=None
            Class or tag labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        shape_of(y, "y", type(self).__name__)
        classes = vars(self).get("classes_")
        reset = not hasattr(self, "x_network_")
        self._fit(X, y, labels, sample_weight, {"one_pass": True}, reset=reset)
        if classes is not None and "classes_" in vars(self):
            self.classes_ = np.union1d(classes, self.classes_)
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        labels: Any,
        sample_weight: Any,
        options: dict[str, Any],
        *,
        reset: bool = True,
    ) -> Self:
        TwoViewTransformer._check_settings(self)
        fitted = self._draft()
        data = fitted._check_training(X, y, labels, sample_weight, reset=reset)
        rng = self._rng()
        fitted._check_classes(data.labels)
        pairs = fitted._make_pairs(data.labels, data.weights, rng)
        fitted._train(data, pairs, rng, **options)
        self.__dict__ = fitted.__dict__
        return self

    def _check_view(self, V: Any, side: str, *, reset: bool, min_samples: int = 1) -> Any:
        """Validate one view; rows of more than one dimension are flattened for all but networks.

        Memory maps, HDF5 and Zarr arrays stay where they are, sequences as long as they are.
        """
        name = "X" if side == "x" else "y"
        shape = shape_of(V, name, type(self).__name__)[1:]
        ragged = is_ragged(V)
        if not reset and ragged != getattr(self, f"_{side}_ragged"):
            wanted = "rows" if ragged else "a list of sequences (T_i, n_features)"
            raise ValueError(
                f"{type(self).__name__}: `{name}` holds {'sequences' if ragged else 'rows'}, but "
                f"the network was fitted on {wanted}; give those."
            )
        if reset:
            setattr(self, f"_{side}_ragged", ragged)
        if ragged:
            V = RaggedRows(check_sequences(V, caller=type(self).__name__, name=name), name)
        elif stays_on_disk(V) and shape:
            V = LazyRows(V, name)
        elif len(shape) > 1 and hasattr(V, "reshape"):
            V = V.reshape(len(V), -1)
        attribute = f"_{side}_shape"
        if not reset and len(shape) > 1 and shape != getattr(self, attribute):
            raise ValueError(
                f"{type(self).__name__}: a row of `{name}` has shape {shape}, but had "
                f"{getattr(self, attribute)} in fit."
            )
        V = super()._check_view(V, side, reset=reset, min_samples=min_samples)
        if reset:
            setattr(self, attribute, shape if len(shape) > 1 else V.shape[1:])
        return V

    def _train(
        self,
        data: TrainingData,
        pairs: Pairs,
        rng: np.random.Generator,
        *,
        validation: tuple[Any, Any] = (None, None),
        one_pass: bool = False,
    ) -> None:
        require_torch(type(self).__name__)
        from skcca.nn.training import resolve_device

        self._check_settings()
        if self.checkpoint is not None and (one_pass or self.warm_start):
            where = "partial_fit" if one_pass else "`warm_start`=True"
            raise ValueError(
                f"{type(self).__name__}: `checkpoint`={str(self.checkpoint)!r} belongs to one fit, "
                f"and {where} continues another; set checkpoint=None, and save() the estimator "
                "between calls."
            )
        seed = int(rng.integers(2**31))
        continued = one_pass and hasattr(self, "x_network_")
        held_out = given_rows(self, *validation, rng)
        if held_out is None and self.early_stopping and not one_pass:
            data, held_out = split_off(self, data, rng)
            pairs = self._make_pairs(data.labels, data.weights, rng)
        if not continued:
            self._set_scaling(data, pairs)
        device = resolve_device(self.device)
        training = DeepTraining(self, data, pairs, held_out, rng, device)
        result = training.run(
            1 if one_pass else self.max_epochs, seed=seed, keep=continued or self.warm_start
        )
        before = self.loss_curve_ if continued else []
        self.loss_curve_ = [*before, *result.loss_curve]
        self.validation_scores_ = result.validation_scores
        self.n_epochs_ = len(self.loss_curve_)
        self.device_ = str(device)
        keep = self.warm_start or one_pass
        self._optimizer_state = result.optimizer_state if keep else None
        self._set_solution(training)

    def _set_solution(self, training: DeepTraining) -> None:
        """Solve for the directions of the present networks' outputs."""
        found = solve(self, training.rows, training.pairs)
        self._x_output_mean, self._y_output_mean = found.x_mean, found.y_mean
        self._assign_directions(found)
        X, Y = training.data.X, training.data.Y
        scores = self._project(X, "x"), self._project(Y, "y")
        found = with_input_loadings(
            found._replace(x_weights=self.x_weights_, y_weights=self.y_weights_),
            X, Y, *scores, training.pairs,
        )  # fmt: skip
        self.x_weights_, self.y_weights_ = found.x_weights, found.y_weights
        self.x_loadings_, self.y_loadings_ = found.x_loadings, found.y_loadings

    def _project(self, V: np.ndarray, side: str) -> np.ndarray:
        from skcca.nn.networks import outputs, place_of

        x = side == "x"
        network = self.x_network_ if x else self.y_network_
        mean = self._x_output_mean if x else self._y_output_mean
        weights = self.x_weights_ if x else self.y_weights_
        dtype = self._built_for["dtypes"][0 if x else 1]
        Z = outputs(network, self._streamed(V, side, place_of(network), dtype))
        return project(Z, mean, weights).astype(V.dtype, copy=False)

    def _streamed(self, V: Any, side: str, device: Any, dtype: Any) -> Any:
        """Return rows that are standardised and put on the device when a network takes them."""
        from skcca.nn.batches import RaggedSource, StreamedRows

        if isinstance(V, RaggedRows):
            return RaggedSource(V.songs, self._scaling(side), device, dtype)
        shape = self._x_shape if side == "x" else self._y_shape
        return StreamedRows(V, self._scaling(side), device, dtype, shape)

    def _check_settings(self) -> None:
        """Refuse what each parameter allows, but not beside another."""
        name = type(self).__name__
        for parameter in ("x_hidden_layer_sizes", "y_hidden_layer_sizes"):
            sizes = np.asarray(getattr(self, parameter), dtype=object)
            if sizes.ndim != 1 or not all(is_width(size) for size in sizes):
                raise ValueError(
                    f"{name}: `{parameter}`={getattr(self, parameter)!r} must hold integers of 1 "
                    "or more; () is a network without hidden layers."
                )
        if self.optimizer == "lbfgs" and self.batch_size is not None:
            raise ValueError(
                f"{name}: optimizer='lbfgs' needs the gradient of all rows, but "
                f"`batch_size`={self.batch_size}; set batch_size=None, and micro_batch_size to "
                "bound the memory."
            )
        if self.optimizer == "lbfgs" and self.max_grad_norm is not None:
            raise ValueError(
                f"{name}: optimizer='lbfgs' searches along the gradient, which "
                f"`max_grad_norm`={self.max_grad_norm} would cut; set it to None."
            )
        if self.optimizer == "lbfgs" and self.weight_decay > 0:
            raise ValueError(
                f"{name}: optimizer='lbfgs' knows no `weight_decay`={self.weight_decay}; set it to "
                "0, or choose optimizer='adamw'."
            )
        pairing = self._pairing()
        sampled = pairing.pair_fraction < 1 or pairing.pairs_per_sample is not None
        if self.loss in ("contrastive", "ranking") and sampled:
            raise ValueError(
                f"{name}: `loss`={self.loss!r} takes rows without a pair for irrelevant, and "
                "sampled pairs leave out rows of the same class; use all pairs "
                "(pair_fraction=1.0, pairs_per_sample=None)."
            )
        if self.checkpoint is not None:
            check_writable(self.checkpoint, f"{name}: `checkpoint`")

    def _set_scaling(self, data: TrainingData, pairs: Pairs) -> None:
        for side, V, sums in (("x", data.X, pairs.row_sums), ("y", data.Y, pairs.column_sums)):
            weights = sums / pairs.total
            if isinstance(V, RaggedRows):
                V, weights = V.frames(weights)
            mean, scale = (
                Standardisation.of(V, weights, "Xy"[side == "y"])
                if self.scale
                else Standardisation.identity(V.shape[1])
            )
            setattr(self, f"{side}_mean_", mean)
            setattr(self, f"{side}_scale_", scale)

    def _scaling(self, side: str) -> Standardisation:
        if side == "x":
            return Standardisation(self.x_mean_, self.x_scale_)
        return Standardisation(self.y_mean_, self.y_scale_)


def is_width(size: Any) -> bool:
    """Whether a layer can have so many units."""
    return isinstance(size, (int, np.integer)) and type(size) is not bool and int(size) >= 1
