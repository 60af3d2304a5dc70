"""Deep canonical correlation analysis, over the rows' own pairs or over all pairs of a class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from skcca._base import ClassPairedMixin
from skcca._deep_cca import DeepCCA

__all__ = ["DCCA", "SupervisedDCCA"]


class DCCA(DeepCCA):
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
        continues there, to the bit on a CPU; the same data and parameters are asked for.
    checkpoint_every : int, default=1
        Epochs from one checkpoint to the next.
    callback : callable, default=None
        ``callback(epoch)`` is called after every epoch with a named tuple ``(number, n_epochs,
        loss, score)`` and may return True to stop. scikit-learn's callbacks are set by
        `set_callbacks`, from its version 1.9 on.
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

    def __init__(
        self,
        n_components: int = 30,
        *,
        x_hidden_layer_sizes: Sequence[int] = (128, 128, 64, 64),
        y_hidden_layer_sizes: Sequence[int] = (512, 512, 256, 256),
        activation: str = "tanh",
        output_activation: str = "sigmoid",
        dropout: float = 0.2,
        x_network: Any = None,
        y_network: Any = None,
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
        callback: Callable[[Any], bool | None] | None = None,
        scale: bool = True,
        component_scaling: str = "unit",
        device: Any = "auto",
        random_state: Any = None,
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


class SupervisedDCCA(ClassPairedMixin, DeepCCA):
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
        Share of the rows' own pairs, in [0, 1]; 1 is `DCCA`.
    pair_fraction : float, default=1.0
        Fraction of its class (within the batch) that each row meets, in (0, 1].
    pairs_per_sample : int, default=None
        Number of partners of each row (within the batch), instead of a fraction.
    pair_weight : {"pair", "row"}, default="pair"
        Whether each pair weighs the same, or each class as its rows.
    x_hidden_layer_sizes : sequence of int, default=(128, 128, 64, 64)
        Hidden layers of the first view's network.
    y_hidden_layer_sizes : sequence of int, default=(512, 512, 256, 256)
        Hidden layers of the second view's network.
    activation : {"relu", "tanh", "gelu", "silu", "sigmoid", "identity"}, default="relu"
        Activation of the hidden layers.
    output_activation : {"sigmoid", "tanh", "relu", "gelu", "silu", "identity"}, default="identity"
        Activation of the output layer.
    dropout : float, default=0.2
        Probability of dropping a hidden unit in training.
    x_network, y_network : torch.nn.Module or callable, default=None
        A network of your own for a view; see `DCCA`.
    input_noise : float, default=0.25
        Standard deviation of the Gaussian noise that is added to the rows in training, in units of
        the standardised features.
    loss : {"trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"}, default="trace"
        What the networks maximize over a batch: the sum of the singular values or of their squares;
        the soft Hirschfeld-Gebelein-Renyi or the Eckart-Young objective, which need no inverse and
        suit small batches; or, to compare with, the contrastive or the pairwise-ranking loss of
        cosines. See `skcca.nn`.
    reg : float, default=0.1
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
        Passes over the data; over the longer view where they are unpaired.
    average_epochs : int, default=10
        The weights are the mean of those after so many last epochs, or of all if there are fewer.
        Training keeps a copy of each.
    early_stopping : bool, default=False
        Whether to stop by the held-out total correlation; see `DCCA`.
    validation_fraction : float, default=0.1
        Fraction of the rows to hold out for early stopping, class by class.
    n_iter_no_change : int, default=10
        Epochs without a better held-out correlation before stopping.
    warm_start : bool, default=False
        Whether a second `fit` continues from the networks of the first.
    checkpoint : str or path-like, default=None
        File that is rewritten after every `checkpoint_every` epochs. A `fit` that finds it
        continues there, to the bit on a CPU; the same data and parameters are asked for.
    checkpoint_every : int, default=1
        Epochs from one checkpoint to the next.
    callback : callable, default=None
        ``callback(epoch)`` is called after every epoch with a named tuple ``(number, n_epochs,
        loss, score)`` and may return True to stop. scikit-learn's callbacks are set by
        `set_callbacks`, from its version 1.9 on.
    scale : bool, default=True
        Whether to standardize each feature inside the estimator.
    component_scaling : {"unit", "correlation"}, default="correlation"
        Variance of the training variates: 1, or the squared correlation of each component, which
        suits cosine retrieval.
    device : str or torch.device, default="auto"
        "auto" takes CUDA where there is one, else the CPU; also "cpu", "cuda", "mps".
    random_state : int, RandomState, Generator or None, default=None
        Seeds initial weights, batches, sampled pairs and dropout.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    x_network_, y_network_ : torch.nn.Module
        The trained networks.
    x_weights_, y_weights_ : ndarray of shape (n_outputs, n_components_)
        Directions in the networks' outputs.
    x_loadings_, y_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation, over the pairs, of each input feature with its view's variates.
    correlations_ : ndarray of shape (n_components_,)
        Correlations of the training variates over the training pairs, descending.
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
    classes_ : ndarray of shape (n_classes,)
        The classes (or tag numbers); only where labels were given.
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
    DCCA : Each row with its own partner only.
    ClusterCCA : The linear case.

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
        **DeepCCA._parameter_constraints,
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
        x_network: Any = None,
        y_network: Any = None,
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
        callback: Callable[[Any], bool | None] | None = None,
        scale: bool = True,
        component_scaling: str = "correlation",
        device: Any = "auto",
        random_state: Any = None,
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
