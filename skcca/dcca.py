"""Deep canonical correlation analysis, over the rows' own pairs or over all pairs of a class.

    Z_x = (f(X) - mu_x) A,    Z_y = (g(Y) - mu_y) B

with two networks f and g that `skcca.nn` trains, and the canonical directions A and B of their
outputs. `skcca.nn`, and torch with it, is imported inside the methods that compute, so that
building, cloning and printing these estimators, and the rest of skcca, need none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcca._base import ClassPairedMixin, TwoViewTransformer
from skcca._core.arrays import project
from skcca._core.compat import (
    CallbackSupportMixin,
    EpochCallbacks,
    Interval,
    StrOptions,
    _fit_context,
    bind_draft,
    draft_of,
    require_torch,
)
from skcca._core.files import check_writable
from skcca._core.lazy import LazyRows, shape_of
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.standardize import Standardisation, standardisation
from skcca._core.streaming import union_of_classes
from skcca._core.types import LabelsLike, RandomStateLike, ViewLike, WeightsLike
from skcca.views._arguments import check_validation_arguments, to_rows
from skcca.views._container import Views

if TYPE_CHECKING:
    import torch
    from torch.nn import Module

    from skcca.nn.files import Checkpoint
    from skcca.nn.networks import ViewFormat
    from skcca.nn.two_view import Epoch, FittedNetworks, Settings, Snapshot, Solution

__all__ = ["DCCA", "SupervisedDCCA"]

_ACTIVATIONS = {"tanh", "relu", "gelu", "silu", "sigmoid", "identity"}

# Zeng, Yu and Oyama (2018), where they differ from the defaults of a class below. They state no
# ridge, and this one is small.
_PAPER: dict[str, Any] = {
    "activation": "tanh",
    "output_activation": "sigmoid",
    "input_noise": 0.0,
    "reg": 1e-3,
    "average_epochs": 1,
}


class DCCA(CallbackSupportMixin, TwoViewTransformer):
    """Deep canonical correlation analysis.

    Maximize the total correlation of f(x) and g(y) over the weights of two networks [1]_: minus the
    sum of the singular values of S_xx^(-1/2) S_xy S_yy^(-1/2) of their outputs is the loss of a
    batch. After training, one linear solve on the outputs of all training rows gives the
    directions. The networks and their training are those of [2]_, with noise on the inputs, which
    held-out rows are in favour of; `paper` returns the setting of [2]_ itself.

    Parameters
    ----------
    n_components : int, default=30
        Number of components, and width of the networks' outputs.
    x_hidden_layer_sizes : sequence of int, default=(128, 128, 64, 64)
        Hidden layers of the first view's network.
    y_hidden_layer_sizes : sequence of int, default=(512, 512, 256, 256)
        Hidden layers of the second view's network.
    activation : {"tanh", "relu", "gelu", "silu", "sigmoid", "identity"}, default="tanh"
        Activation of the hidden layers.
    output_activation : {"sigmoid", "tanh", "relu", "gelu", "silu", "identity"}, default="sigmoid"
        Activation of the output layer.
    dropout : float, default=0.2
        Probability of dropping a hidden unit in training.
    x_network, y_network : torch.nn.Module or callable, default=None
        A network of your own for a view, or a callable ``(n_features, n_outputs)`` that builds one;
        a module is copied, never changed. It may take rows of any shape, or sequences as a padded
        batch and lengths. None builds a fully connected network of the parameters above.
    input_noise : float, default=0.25
        Standard deviation of the Gaussian noise that is added to the rows in training, in units of
        the standardised features.
    loss : {"trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"}, default="trace"
        What the networks maximize over a batch: the sum of the singular values or of their squares;
        the soft Hirschfeld-Gebelein-Renyi or the Eckart-Young objective, which need no inverse and
        suit small batches, with ``output_activation="identity"``; or, to compare with, the
        contrastive or the pairwise-ranking loss of cosines. See `skcca.nn`.
    reg : float, default=1e-3
        Ridge on the outputs' covariance, relative to their mean variance.
    reconstruction_weight : float, default=0.0
        Weight of an autoencoder's term: the mean squared error of decoders, the hidden layers in
        reverse order, that make the standardised rows from the outputs (DCCAE).
    optimizer : {"rmsprop", "adam", "adamw", "sgd", "lbfgs"}, default="rmsprop"
        Optimizer. L-BFGS needs ``batch_size=None``; give it ``learning_rate=1``.
    learning_rate : float, default=1e-3
        Step size.
    learning_rate_schedule : {"constant", "linear", "cosine"}, default="constant"
        How the step size falls to 0 over `max_epochs`, if it does.
    weight_decay : float, default=0.0
        Weight decay of the optimizer.
    max_grad_norm : float, default=None
        Longer gradients are cut to this norm.
    batch_size : int, default=512
        Rows of a batch; None for all rows.
    micro_batch_size : int, default=None
        Rows that pass a network at once; None for the whole batch. The gradient is that of the
        whole batch in either case: less memory costs a second forward pass. BatchNorm, in a network
        of your own, takes its statistics from each micro-batch, and needs a size of 3 or more.
    max_epochs : int, default=50
        Passes over the data.
    average_epochs : int, default=1
        The weights are the mean of those after so many last epochs, or of all if there are fewer.
        Training keeps a copy of each.
    early_stopping : bool, default=False
        Whether to hold out rows, watch their total correlation, stop when it no longer rises and
        return to the best weights. The held-out rows take no other part in the fit.
    validation_fraction : float, default=0.1
        Fraction of the rows to hold out for early stopping.
    n_iter_no_change : int, default=10
        Epochs without a better held-out correlation before stopping.
    warm_start : bool, default=False
        Whether a second `fit` continues from the networks of the first.
    checkpoint : str or path-like, default=None
        File that is rewritten after every `checkpoint_every` epochs. A `fit` that finds it
        continues there, to the bit on a CPU, and warns so; the same data and parameters are asked
        for, but `max_epochs` may be larger where the learning rate is constant.
    checkpoint_every : int, default=1
        Epochs from one checkpoint to the next.
    callback : callable, default=None
        ``callback(epoch)`` is called after every epoch with a named tuple ``(number, n_epochs,
        loss, score)`` and may return True to stop. It has the caller's settings and random state
        of torch; until the fit ends, the estimator is as it was before. scikit-learn's callbacks
        are set by `set_callbacks`, from its version 1.9 on.
    scale : bool, default=True
        Whether to standardize each feature inside the estimator.
    component_scaling : {"unit", "correlation"}, default="unit"
        Variance of the training variates: 1, or the squared correlation of each component.
    device : str or torch.device, default="auto"
        "auto" takes CUDA where there is one, else the CPU; also "cpu", "cuda", "mps".
    random_state : int, RandomState, Generator or None, default=None
        Seeds initial weights, batches and dropout. The same seed gives the same result; the global
        random state is not touched.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    x_network_, y_network_ : torch.nn.Module
        The trained networks.
    x_weights_, y_weights_ : ndarray of shape (n_outputs, n_components_)
        Directions in the networks' outputs.
    x_loadings_, y_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation of each input feature with its view's variates.
    correlations_ : ndarray of shape (n_components_,)
        Correlations of the training variates, descending; networks fit noise, so judge by `score`
        on held-out rows.
    singular_values_ : ndarray of shape (n_components_,)
        The same with the ridge in the denominator.
    loss_curve_ : list of float
        Mean batch loss of each epoch.
    validation_scores_ : list of float
        Held-out total correlation after each epoch; empty without early stopping.
    n_epochs_ : int
        Epochs run.
    device_ : str
        Device that was used.
    x_mean_, y_mean_, x_scale_, y_scale_ : ndarray of shape (n_features,)
        Standardisation of the inputs; a constant feature has scale infinity.
    n_components_ : int
        Number of components found.
    x_rank_, y_rank_ : int
        Numerical rank of the networks' outputs.
    solver_ : {"covariance", "svd"}
        The solver of the final directions.
    n_features_in_, n_features_y_in_ : int
        Widths of the two views.
    feature_names_in_, feature_names_y_in_ : ndarray of str
        Column names, where the views had any.
    view_names_in_ : tuple of str
        Names of the views, where they came as named `Views`.

    See Also
    --------
    SupervisedDCCA : Pairs all rows of a class.
    CCA : The linear case.

    Notes
    -----
    Networks compute in the precision of their view, float32 or float64; moments and directions in
    float64. On a CPU float32 views train about twice as fast.

    References
    ----------
    .. [1] G. Andrew, R. Arora, J. Bilmes and K. Livescu (2013). Deep canonical correlation
       analysis. ICML, PMLR 28(3), 1247-1255.
    .. [2] D. Zeng, Y. Yu and K. Oyama (2018). Audio-visual embedding for cross-modal music video
       retrieval through supervised deep CCA. IEEE ISM. :doi:`10.1109/ISM.2018.00-21`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import DCCA
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 600)
    >>> X = np.column_stack([angle, rng.normal(size=600)])
    >>> Y = np.column_stack([np.sin(angle), rng.normal(size=600)])
    >>> model = DCCA(n_components=1, dropout=0, random_state=0).fit(X[:400], Y[:400])
    >>> model.score(X[400:], Y[400:]) > 0.9
    True
    """

    n_components: int

    # Of each view of the fit, whether it holds sequences, and the shape of a row.
    _row_formats: dict[str, tuple[bool, tuple[int, ...]]]

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

    def __init__(
        self,
        n_components: int = 30,
        *,
        x_hidden_layer_sizes: Sequence[int] = (128, 128, 64, 64),
        y_hidden_layer_sizes: Sequence[int] = (512, 512, 256, 256),
        activation: str = "tanh",
        output_activation: str = "sigmoid",
        dropout: float = 0.2,
        x_network: Module | Callable[[int, int], Module] | None = None,
        y_network: Module | Callable[[int, int], Module] | None = None,
        input_noise: float = 0.25,
        loss: str = "trace",
        reg: float = 1e-3,
        reconstruction_weight: float = 0.0,
        optimizer: str = "rmsprop",
        learning_rate: float = 1e-3,
        learning_rate_schedule: str = "constant",
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        batch_size: int | None = 512,
        micro_batch_size: int | None = None,
        max_epochs: int = 50,
        average_epochs: int = 1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        callback: Callable[[Epoch], bool | None] | None = None,
        scale: bool = True,
        component_scaling: str = "unit",
        device: str | torch.device = "auto",
        random_state: RandomStateLike = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.x_hidden_layer_sizes = x_hidden_layer_sizes
        self.y_hidden_layer_sizes = y_hidden_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.dropout = dropout
        self.x_network = x_network
        self.y_network = y_network
        self.input_noise = input_noise
        self.loss = loss
        self.reg = reg
        self.reconstruction_weight = reconstruction_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size
        self.max_epochs = max_epochs
        self.average_epochs = average_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.callback = callback
        self.scale = scale
        self.component_scaling = component_scaling
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

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

    # Fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        sample_weight: WeightsLike = None,
        X_val: Views | None = None,
        y_val: LabelsLike = None,
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
        sample_weight : array-like of shape (n_samples,), default=None
            See `CCA.fit`.
        X_val : Views, default=None
            Rows for early stopping, which they switch on; without them `early_stopping` holds out
            a `validation_fraction` of the training rows. ``Pipeline(transform_input=["X_val"])``
            takes them through its steps.
        y_val : array-like, default=None
            Labels of those rows, of any kind that `labels` may have. Class-paired estimators
            without them watch the correlation over the rows' own pairs.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As `CCA.fit`, and if training diverges in its first epoch.

        Warns
        -----
        UserWarning
            As `CCA.fit`, and if a checkpoint is continued or cannot be written.
        ConvergenceWarning
            If training diverges later, or Ctrl-C ends it: the best weights so far are kept.
        """
        self._check_settings()
        shape_of(y, "y", type(self).__name__)
        callbacks = EpochCallbacks(self, X, y, self.max_epochs)
        fitted = draft_of(self)
        data = fitted._check_training(X, y, labels, sample_weight)
        rng = self._rng()
        fitted._check_classes(data.labels)
        data, pairs, validation, seed = fitted._pair(data, X_val, y_val, rng)
        fitted._assign_scaling(data, pairs)

        solution = fitted._solve(
            fitted._network_settings(),
            data,
            pairs,
            validation=validation,
            previous=fitted._fitted_networks() if self.warm_start else None,
            rng=rng,
            seed=seed,
            checkpoint=fitted._checkpoint(),
            before_epoch=callbacks.begin_epoch,
            after_epoch=partial(fitted._end_epoch, callbacks),
        )
        fitted._assign(solution)
        bind_draft(self, fitted)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        sample_weight: WeightsLike = None,
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
            Classes, tags or memberships; see `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_settings()
        if self.checkpoint is not None:
            raise self._continued_checkpoint("partial_fit")
        shape_of(y, "y", type(self).__name__)
        first = not hasattr(self, "x_network_")
        fitted = draft_of(self)
        data = fitted._check_training(X, y, labels, sample_weight, reset=first)
        rng = self._rng()
        fitted._check_classes(data.labels, batch=True)
        pairs = fitted._make_pairs(data.labels, data.weights, rng)
        seed = int(rng.integers(2**31))
        if first:
            fitted._assign_scaling(data, pairs)

        settings = fitted._network_settings()._replace(max_epochs=1)
        previous = fitted._fitted_networks()
        solution = fitted._solve(settings, data, pairs, previous=previous, rng=rng, seed=seed)
        fitted._assign(solution)
        fitted._optimizer_state = solution.optimizer_state
        if not first:
            fitted.loss_curve_ = [*self.loss_curve_, *solution.loss_curve]
            fitted.n_epochs_ = len(fitted.loss_curve_)
        if hasattr(self, "classes_") and hasattr(fitted, "classes_"):
            caller = type(self).__name__
            fitted.classes_ = union_of_classes(caller, self.classes_, fitted.classes_)
        bind_draft(self, fitted)
        return self

    def _check_settings(self) -> None:
        super()._check_settings()
        require_torch(type(self).__name__)
        from skcca.nn.two_view import check_settings

        check_settings(self._network_settings())
        if self.checkpoint is not None:
            if self.warm_start:
                raise self._continued_checkpoint("`warm_start`=True")
            check_writable(self.checkpoint, f"{type(self).__name__}: `checkpoint`")

    def _continued_checkpoint(self, method: str) -> ValueError:
        return ValueError(
            f"{type(self).__name__}: `checkpoint`={str(self.checkpoint)!r} belongs to one fit, and "
            f"{method} continues another; set checkpoint=None, and save() the estimator between "
            "calls."
        )

    def _check_view(self, V: ViewLike, side: str, *, reset: bool, min_samples: int = 1) -> ViewLike:
        """Validate one view; rows of more than one dimension are flattened for all but networks.

        Memory maps, HDF5 and Zarr arrays stay where they are, sequences as long as they are.
        """
        caller, name = type(self).__name__, "X" if side == "x" else "y"
        V, ragged, shape = to_rows(V, name, caller, None if reset else self._row_formats[side])
        V = super()._check_view(V, side, reset=reset, min_samples=min_samples)
        if reset:
            # A new dict, because a draft shares that of the last fit.
            formats = getattr(self, "_row_formats", {})
            self._row_formats = formats | {side: (ragged, shape or V.shape[1:])}
        return V

    def _pair(
        self, data: TrainingData, X_val: Views | None, y_val: LabelsLike, rng: np.random.Generator
    ) -> tuple[TrainingData, Pairs, tuple[TrainingData, Pairs] | None, int]:
        """Return training data, their pairs, validation data with theirs, and torch's seed."""
        held_out = self._check_validation_data(X_val, y_val)
        # A seed reproduces the draws in their order: pairs are sampled before the seed of torch is
        # drawn, unless rows are split off first.
        if held_out is None and self.early_stopping:
            from skcca.nn.training import train_validation_split

            seed = int(rng.integers(2**31))
            name, fraction = type(self).__name__, self.validation_fraction
            data, held_out = train_validation_split(data, fraction, rng, name)
            validation = held_out, self._make_pairs(held_out.labels, held_out.weights, rng)
            return data, self._make_pairs(data.labels, data.weights, rng), validation, seed
        pairs, seed = self._make_pairs(data.labels, data.weights, rng), int(rng.integers(2**31))
        if held_out is None:
            return data, pairs, None, seed
        validation = held_out, self._make_pairs(held_out.labels, held_out.weights, rng)
        return data, pairs, validation, seed

    def _check_validation_data(self, X_val: Views | None, y_val: LabelsLike) -> TrainingData | None:
        """Validate the user's validation data against the training data; None if there are none."""
        name = type(self).__name__
        check_validation_arguments(name, X_val, y_val, class_paired=self._class_paired)
        if X_val is None:
            return None
        try:
            data = self._check_training(X_val, y_val, None, None, reset=False)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name}: `X_val` cannot be used: {error}") from error
        for V in data[:2]:
            # The values of rows on a disk are checked later, as they are read.
            if isinstance(V, LazyRows):
                V.name = "X_val"
        return data

    def _assign_scaling(self, data: TrainingData, pairs: Pairs) -> None:
        x_weights, y_weights = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
        self.x_mean_, self.x_scale_ = standardisation(data.X, x_weights, "X", scale=self.scale)
        self.y_mean_, self.y_scale_ = standardisation(data.Y, y_weights, "y", scale=self.scale)

    def _network_settings(self) -> Settings:
        from skcca.nn.two_view import Settings

        own = {"name": type(self).__name__, "pairing": self._pairing()}
        # Subclasses of users need not have all parameters in their constructor.
        params = {name: getattr(self, name) for name in Settings._fields if name not in own}
        return Settings(**own | params)

    def _solve(self, settings: Settings, data: TrainingData, pairs: Pairs, **how: Any) -> Solution:
        from skcca.nn.two_view import fit_networks

        x_format, y_format = self._format("x", data.X.dtype), self._format("y", data.Y.dtype)
        return fit_networks(settings, data, pairs, x_format, y_format, **how)

    def _format(self, side: str, dtype: np.dtype | str) -> ViewFormat:
        from skcca.nn.networks import ViewFormat

        mean = self.x_mean_ if side == "x" else self.y_mean_
        scale = self.x_scale_ if side == "x" else self.y_scale_
        return ViewFormat(Standardisation(mean, scale), self._row_formats[side][1], dtype)

    def _fitted_networks(self) -> FittedNetworks | None:
        from skcca.nn.two_view import FittedNetworks

        if not hasattr(self, "x_network_"):
            return None
        networks = self.x_network_, self.y_network_
        return FittedNetworks(*networks, self._decoders, self._optimizer_state, self._built_for)

    def _checkpoint(self) -> Checkpoint | None:
        from skcca.nn.files import Checkpoint, describe_settings

        if self.checkpoint is None:
            return None
        identity = describe_settings(type(self).__name__, self.get_params())
        return Checkpoint(self.checkpoint, self.checkpoint_every, identity)

    def _assign(self, solution: Solution) -> None:
        """Set the fitted attributes."""
        self.x_network_, self.y_network_ = solution.x_network, solution.y_network
        self._decoders, self._built_for = solution.decoders, solution.built_for
        self._optimizer_state = solution.optimizer_state if self.warm_start else None
        self._assign_directions(solution.directions)
        self._x_output_mean = solution.directions.x_mean
        self._y_output_mean = solution.directions.y_mean
        self.loss_curve_ = solution.loss_curve
        self.validation_scores_ = solution.validation_scores
        self.n_epochs_ = len(self.loss_curve_)
        self.device_ = solution.device

    def _end_epoch(self, callbacks: EpochCallbacks, snapshot: Snapshot, last: bool) -> bool:
        """Tell scikit-learn's callbacks, and return whether one asks to stop."""
        from skcca.nn.files import attributes_of

        def attributes() -> dict[str, Any]:
            fitted = draft_of(self)
            fitted._assign(snapshot())
            return {k: v for k, v in attributes_of(fitted).items() if k != "_before_fit"}

        return callbacks.end_epoch(attributes, last=last)

    def _project(self, V: ViewLike, side: str) -> np.ndarray:
        from skcca.nn.networks import device_of, outputs

        if side == "x":
            network, mean, weights = self.x_network_, self._x_output_mean, self.x_weights_
        else:
            network, mean, weights = self.y_network_, self._y_output_mean, self.y_weights_
        view_format = self._format(side, self._built_for["dtypes"]["xy".index(side)])
        (Z,) = outputs((network, view_format.stream(V, device_of(network))))
        return project(Z, mean, weights).astype(V.dtype, copy=False)

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, which executes nothing when it is read.

        Of a `Pipeline` that ends in it, ``pipe[-1].save(path)`` keeps the last step.

        Parameters
        ----------
        path : str or path-like
            Name of the file, in the safetensors format.

        Raises
        ------
        TypeError
            If a parameter or an attribute is neither a number, a string, an array nor made of
            these; pickle keeps everything.

        Examples
        --------
        >>> import numpy as np, tempfile, pathlib
        >>> from skcca import DCCA
        >>> rng = np.random.default_rng(0)
        >>> X, Y = rng.normal(size=(50, 4)), rng.normal(size=(50, 3))
        >>> model = DCCA(2, max_epochs=1, random_state=0).fit(X, Y)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> model.save(path)
        >>> np.array_equal(DCCA.load(path).transform(X), model.transform(X))
        True
        """
        check_is_fitted(self)
        check_writable(path, f"{type(self).__name__}.save: `path`")
        from skcca.nn.files import attributes_of, write_estimator
        from skcca.nn.networks import to_state

        own = [name for name in ("x_network", "y_network") if getattr(self, name) is not None]
        state = to_state(attributes_of(self))
        write_estimator(self, path, state, without=[*own, "callback"], own=own)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        x_network: Module | Callable[[int, int], Module] | None = None,
        y_network: Module | Callable[[int, int], Module] | None = None,
    ) -> Self:
        """Return the estimator that `save` wrote; the networks are on the CPU.

        Parameters
        ----------
        path : str or path-like
            Name of the file.
        x_network, y_network : torch.nn.Module or callable, default=None
            Networks of your own, as the estimator was given them: a file without code holds their
            weights alone.

        Returns
        -------
        model : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the file is damaged, holds another estimator, or a network of your own is missing or
            another one.
        """
        require_torch(cls.__name__)
        from skcca.nn.files import read_estimator, rebuilding, set_attributes
        from skcca.nn.networks import from_state

        tree = read_estimator(cls, path)
        networks = {"x_network": x_network, "y_network": y_network}
        missing = [name for name in networks if networks[name] is None and name in tree["own"]]
        if missing:
            raise ValueError(
                f"{cls.__name__}.load: {str(path)!r} holds the weights of networks of your own; "
                f"give what the estimator was given: {', '.join(f'{m}=...' for m in missing)}."
            )
        with rebuilding(cls, path):
            model = cls(**tree["params"] | {name: networks[name] for name in tree["own"]})
            attributes = from_state(tree["attributes"], model.x_network, model.y_network)
            set_attributes(model, attributes)
            return model


class SupervisedDCCA(ClassPairedMixin, DCCA):
    """Supervised deep canonical correlation analysis: `DCCA` over all pairs of a class.

    Maximize the total correlation of f(x) and g(y) over the pairs of rows that share a class
    (S-DCCA [1]_, Eq. 10): within each batch every row meets every row of its class, through class
    sums, so that all pairs cost what the rows cost. The layers are those of [1]_; relu, outputs
    without an activation, noise on the inputs, a larger ridge and averaged weights, which [1]_ has
    not, find more among held-out rows of most data sets we measured. `paper` returns the setting
    of [1]_ itself.

    Parameters
    ----------
    n_components : int, default=30
        Width of the networks' outputs, and number of components asked for; full class pairs support
        ``n_classes - 1`` at most, see `n_components_`.
    instance_weight : float, default=0.0
        Share of the rows' own pairs, in [0, 1], also in each batch; 1 is `DCCA`. Above 0 some
        labels may be missing: a row without one has its own pair alone, and the others are dealt
        out evenly to the batches.
    pair_fraction : float, default=1.0
        Fraction of its class (within the batch) that each row meets, in (0, 1].
    pairs_per_sample : int, default=None
        Number of partners of each row (within the batch), instead of a fraction.
    pair_weight : {"pair", "row"}, default="pair"
        Whether each pair weighs the same, or each class as its rows.
    x_hidden_layer_sizes : sequence of int, default=(128, 128, 64, 64)
    y_hidden_layer_sizes : sequence of int, default=(512, 512, 256, 256)
    activation : {"relu", "tanh", "gelu", "silu", "sigmoid", "identity"}, default="relu"
    output_activation : {"sigmoid", "tanh", "relu", "gelu", "silu", "identity"}, default="identity"
    dropout : float, default=0.2
    x_network, y_network : torch.nn.Module or callable, default=None
    input_noise : float, default=0.25
    loss : {"trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"}, default="trace"
    reg : float, default=0.1
    reconstruction_weight : float, default=0.0
    optimizer : {"rmsprop", "adam", "adamw", "sgd", "lbfgs"}, default="rmsprop"
    learning_rate : float, default=1e-3
    learning_rate_schedule : {"constant", "linear", "cosine"}, default="constant"
    weight_decay : float, default=0.0
    max_grad_norm : float, default=None
    batch_size : int, default=512
    micro_batch_size : int, default=None
        See `DCCA`.
    max_epochs : int, default=50
        Passes over the data; over the longer view where they are unpaired.
    average_epochs : int, default=10
    early_stopping : bool, default=False
        See `DCCA`.
    validation_fraction : float, default=0.1
        Fraction of the rows to hold out for early stopping, class by class.
    n_iter_no_change : int, default=10
    warm_start : bool, default=False
    checkpoint : str or path-like, default=None
    checkpoint_every : int, default=1
    callback : callable, default=None
    scale : bool, default=True
        See `DCCA`.
    component_scaling : {"unit", "correlation"}, default="correlation"
        Variance of the training variates: 1, or the squared correlation of each component, which
        suits cosine retrieval.
    device : str or torch.device, default="auto"
        See `DCCA`.
    random_state : int, RandomState, Generator or None, default=None
        Seeds initial weights, batches, sampled pairs and dropout.
    verbose : int, default=0
        See `DCCA`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes (or tag numbers); only where labels were given.
    x_network_, y_network_, x_weights_, y_weights_, x_loadings_, correlations_, ...
        Those of `DCCA`; means, standard deviations, loadings and correlations are over the training
        pairs, and differ from those of the rows where classes are unbalanced.

    See Also
    --------
    DCCA : Each row with its own partner only.
    ClusterCCA : The linear case.

    Notes
    -----
    To ``loss="contrastive"`` and ``loss="ranking"`` rows that share no class are irrelevant. So is
    any row, but its own, to one without a label.

    References
    ----------
    .. [1] D. Zeng, Y. Yu and K. Oyama (2018). Audio-visual embedding for cross-modal music video
       retrieval through supervised deep CCA. IEEE ISM. :doi:`10.1109/ISM.2018.00-21`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skcca import SupervisedDCCA, Views, retrieval_map
    >>> X, y = load_digits(return_X_y=True)
    >>> halves = Views(top=X[:, :32].astype(np.float32), bottom=X[:, 32:].astype(np.float32))
    >>> model = SupervisedDCCA(n_components=9, random_state=0).fit(halves[:1000], y[:1000])
    >>> retrieval_map(model, halves[1000:], y[1000:]) > 0.7
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **DCCA._parameter_constraints,
        **ClassPairedMixin._pairing_constraints,
    }

    def __init__(
        self,
        n_components: int = 30,
        *,
        instance_weight: float = 0.0,
        pair_fraction: float = 1.0,
        pairs_per_sample: int | None = None,
        pair_weight: str = "pair",
        x_hidden_layer_sizes: Sequence[int] = (128, 128, 64, 64),
        y_hidden_layer_sizes: Sequence[int] = (512, 512, 256, 256),
        activation: str = "relu",
        output_activation: str = "identity",
        dropout: float = 0.2,
        x_network: Module | Callable[[int, int], Module] | None = None,
        y_network: Module | Callable[[int, int], Module] | None = None,
        input_noise: float = 0.25,
        loss: str = "trace",
        reg: float = 0.1,
        reconstruction_weight: float = 0.0,
        optimizer: str = "rmsprop",
        learning_rate: float = 1e-3,
        learning_rate_schedule: str = "constant",
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        batch_size: int | None = 512,
        micro_batch_size: int | None = None,
        max_epochs: int = 50,
        average_epochs: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        callback: Callable[[Epoch], bool | None] | None = None,
        scale: bool = True,
        component_scaling: str = "correlation",
        device: str | torch.device = "auto",
        random_state: RandomStateLike = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.instance_weight = instance_weight
        self.pair_fraction = pair_fraction
        self.pairs_per_sample = pairs_per_sample
        self.pair_weight = pair_weight
        self.x_hidden_layer_sizes = x_hidden_layer_sizes
        self.y_hidden_layer_sizes = y_hidden_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.dropout = dropout
        self.x_network = x_network
        self.y_network = y_network
        self.input_noise = input_noise
        self.loss = loss
        self.reg = reg
        self.reconstruction_weight = reconstruction_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size
        self.max_epochs = max_epochs
        self.average_epochs = average_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.callback = callback
        self.scale = scale
        self.component_scaling = component_scaling
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
