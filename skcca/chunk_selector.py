"""Selection of the chunks of a song that carry its emotion.

Frames are pooled into *steps* by maxima, attention scores the steps, and the steps are cut into
*chunks*, of which the best are kept::

    frames (T, d) -> steps (S, d) -> scores (S,) -> chunk scores -> k best chunks -> one row

The arithmetic of steps and chunks stands in `skcca.views._sequences`, the attention in
`skcca.nn.attention` and its training in `skcca.nn.songs`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcca._core.arrays import check_aligned
from skcca._core.compat import (
    ContainerOutputMixin,
    Interval,
    StrOptions,
    _fit_context,
    bind_draft,
    documented,
    draft_of,
    in_container,
    require_torch,
    rng_from,
)
from skcca._core.files import check_writable
from skcca._core.types import ArrayLike, LabelsLike, RandomStateLike, ViewLike
from skcca.views._container import Views, check_view_names
from skcca.views._labels import check_labels, is_missing, to_entries
from skcca.views._sequences import (
    Selection,
    aggregate_chunks,
    best_chunks,
    check_sequences,
    chunk_borders,
    chunk_scores,
    column_names,
    frame_moments,
    n_chunks_of,
    sequence_blocks,
    standardised_steps,
    untrained_scores,
)

if TYPE_CHECKING:
    import torch

    from skcca.nn.songs import SongOutputs

SongBlocks = Iterator[list[np.ndarray]]

# Songs that are held in memory with their steps, outside of training.
_SONGS_PER_BLOCK = 2048
# The largest number of float32.
_MAX_WEIGHT = float(np.finfo(np.float32).max)


class EmotionTargets(NamedTuple):
    """Labels of n songs as the loss takes them."""

    values: np.ndarray  # (n,) int64 class codes, or (n, n_classes) float32
    classes: np.ndarray  # (n_classes,)
    multilabel: bool


def emotion_targets(y: LabelsLike, labels: LabelsLike, n_songs: int, caller: str) -> EmotionTargets:
    """Return the targets of ``labels``, or of ``y`` where ``labels`` is None.

    Both are classes or a binary indicator matrix; ``labels`` may also be tag distributions.
    """
    emotions = y if labels is None else labels
    if emotions is None:
        raise ValueError(
            f"{caller} requires y to be passed, but the target y is None: attention is trained on "
            "emotion labels. Call fit(X, y), or choose strategy='middle', 'random' or 'energy', "
            "which need none."
        )
    tag_names = getattr(emotions, "columns", None)
    array = to_entries(emotions)
    complete = not is_missing(array).any()
    if complete and array.dtype == object and array.ndim == 2:
        array = np.array(array.tolist())
    if complete and array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        targets = _distributions(array, n_songs, caller, by_name=labels is not None)
    else:
        # A tuple of labels is a list of them here, not one for each of two views.
        emotions = list(emotions) if isinstance(emotions, tuple) else emotions
        checked = check_labels(emotions, n_songs, "labels", "X", caller)
        if checked.ndim == 2:
            tags = np.arange(checked.shape[1])
            targets = EmotionTargets(checked.astype(np.float32), tags, multilabel=True)
        else:
            classes, codes = np.unique(checked, return_inverse=True)
            targets = EmotionTargets(codes, classes, multilabel=False)
    if tag_names is not None and targets.values.ndim == 2:
        targets = targets._replace(classes=np.asarray(tag_names))
    if (targets.values == targets.values[0]).all():
        raise ValueError(
            f"{caller}: all songs have the same label, 1 class; attention is learned from what "
            "tells 2 classes or more apart."
        )
    return targets


def _distributions(rows: np.ndarray, n_songs: int, caller: str, *, by_name: bool) -> EmotionTargets:
    """Return distributions over tags, scaled to sum exactly to 1."""
    if not by_name or rows.ndim != 2:
        raise ValueError(
            f"{caller}: `{'labels' if by_name else 'y'}` is continuous with shape {rows.shape}; "
            "emotions are classes (n,) or a binary indicator matrix (n, n_tags). Tag distributions "
            "(n, n_tags) are passed as labels=. Where `y` is the second view, as in a Pipeline on "
            f"plain arrays, pass the labels as {caller.lower()}__labels=."
        )
    if len(rows) != n_songs:
        raise ValueError(f"{caller}: `labels` has {len(rows)} rows but `X` has {n_songs} songs.")
    sums = rows.sum(axis=1, dtype=np.float64)
    # The tolerance lets rounded figures pass.
    wrong = (rows < 0).any(axis=1) | (np.abs(sums - 1) > 1e-3)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{caller}: `labels` is continuous, but row {i} is no distribution over tags (minimum "
            f"{rows[i].min():.4g}, sum {sums[i]:.4g}); rows must be non-negative and sum to 1."
        )
    values = (rows / sums[:, None]).astype(np.float32)
    return EmotionTargets(values, np.arange(rows.shape[1]), multilabel=False)


def class_weights(
    class_weight: dict[Any, Any] | str | None, targets: EmotionTargets, caller: str
) -> np.ndarray | None:
    """Return a weight for each class or tag, float32, or None for equal weights."""
    if class_weight is None:
        return None
    classes, values = targets.classes, targets.values
    if isinstance(class_weight, str):
        counts = np.bincount(values, minlength=len(classes)) if values.ndim == 1 else values.sum(0)
        # A tag of no song has weight 0; the bound only avoids the division by zero.
        bounded = np.maximum(counts, 1e-9 * counts.sum())
        return (counts.sum() / (len(classes) * bounded) * (counts > 0)).astype(np.float32)
    index = {name: i for i, name in enumerate(classes.tolist())}
    weights = np.ones(len(classes), dtype=np.float32)
    for name, weight in class_weight.items():
        if name not in index:
            raise ValueError(
                f"{caller}: `class_weight` names {name!r}, which is none of the classes "
                f"{classes.tolist()}."
            )
        if not (isinstance(weight, Real) and 0 <= float(weight) <= _MAX_WEIGHT):
            raise ValueError(
                f"{caller}: `class_weight` of {name!r} is {weight!r}; weights are finite and not "
                "negative."
            )
        weights[index[name]] = weight
    if not weights.any():
        raise ValueError(
            f"{caller}: `class_weight` is 0 for every class, so that nothing would be learned."
        )
    return weights


def chunks_of_song(
    selector: ChunkSelector, song: ArrayLike, caller: str
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:
    """Return what a fitted selector sees in the frames (T, d) of one song, whatever views it had.

    These are the borders of steps (S + 1,), their attention (S,) or None, the borders of chunks and
    the numbers of the chosen chunks. Borders are in frames.
    """
    fitted = selector._snapshot()
    fitted._check_settings()
    ((frames,),) = fitted._check_songs([song], None, caller=caller, name="song")
    n_steps = -(-len(frames) // fitted.frames_per_step)
    steps, borders = (
        np.minimum(numbers * fitted.frames_per_step, len(frames))
        for numbers in (np.arange(n_steps + 1), fitted._borders(frames))
    )
    has_attention = fitted.strategy == "attention"
    attention = fitted._infer([frames]).attention[0] if has_attention else None
    return steps, attention, borders, fitted._select([frames])[0].chunks


def _uses_attention(estimator: ChunkSelector) -> bool:
    if estimator.strategy == "attention":
        return True
    raise AttributeError(
        f"strategy={estimator.strategy!r} has no attention; fit with strategy='attention'."
    )


@documented
class ChunkSelector(ClassNamePrefixFeaturesOutMixin, ContainerOutputMixin, BaseEstimator):
    """Represent each song by the chunks that carry its emotion.

    A bidirectional LSTM with attention learns to classify the emotion of annotated songs. Its
    attention over the steps of a song, each the maximum over a few frames, is ::

        u_t = w^T tanh(W_f h^f_t + W_b h^b_t + beta),    theta = softmax(u)

    with h^f and h^b the states of the two directions (Eqs. 6 and 7 of [1]_). A song is cut into
    equal chunks, the score of a chunk is the maximum of u over its steps, and the best chunks, in
    time order, stand for the song.

    Parameters
    ----------
    n_chunks : int or None, default=3
        Chunks of a song. Borders lie between steps, and chunks differ by one step at most. A song
        with fewer steps has one chunk a step. None: as many as `chunk_duration` asks for.
    k : int, default=1
        Chunks that are kept, at most `n_chunks`; all, if a song has fewer.
    chunk_duration : float, default=None
        With ``n_chunks=None``, approximate length of a chunk in seconds: a song is cut into as many
        chunks as its length divided by this, rounded, and at least into 1.
    frame_duration : float, default=1.0
        Seconds of a frame; used for `chunk_duration` and for the seconds of `select`.
    frames_per_step : int, default=3
        Frames pooled into a step: 3 s, if a frame is a second. The last step may have fewer.
    cell : {"lstm", "peephole"}, default="lstm"
        Recurrent cell: the usual LSTM, or that of Eqs. 1 to 5 in [1]_, whose gates also see the
        memory. It takes two to three times as long.
    peepholes : {"diagonal", "full"}, default="diagonal"
        With ``cell="peephole"``, whether a gate sees the memory of its own unit or of all units.
    head : {"pooled", "per_step"}, default="pooled"
        Whether the states averaged by attention are classified, or each step is classified and the
        probabilities are averaged [2]_.
    position : bool, default=False
        Whether the position of a step in the song is an input of the network.
    hidden_size : int, default=128
        Units of each direction of the LSTM, and of the hidden layer of the attention.
    chunk_score : {"max", "mean"}, default="max"
        Score of a chunk: the maximum or the mean of the scores of its steps.
    aggregate : {"mean", "concat", "frames", "mask"}, default="mean"
        Representation of a song: the mean of all frames of the chosen chunks; the means of the
        single chunks one after another, the last repeated if a song has fewer than `k`; the frames;
        or a mask that is true for them.
    strategy : {"attention", "middle", "random", "energy"}, default="attention"
        How chunks are chosen. The last three are untrained baselines that need no labels: chunks
        nearest to the middle of the song; random ones, always the same for the same song; or those
        with the largest mean square of the frames, each feature in units of its mean square in
        `fit`.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes or tags in the loss; "balanced" makes them inversely proportional to
        their frequency, and classes that a dict does not name have weight 1.
    dropout : float, default=0.0
        Share of the attention-pooled features that is dropped before the classifier in training.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
    learning_rate : float, default=1e-3
    batch_size : int, default=64
    max_epochs : int, default=20
    device : str or torch.device, default="auto"
    random_state : int, RandomState, Generator or None, default=None
    verbose : int, default=0
        See `DCCA`. `random_state` also seeds the random strategy.

    Attributes
    ----------
    n_features_in_ : int
        Width of a frame.
    feature_names_in_ : ndarray of str
        Columns of the frames, if the songs are DataFrames whose column names are strings.
    view_names_in_ : tuple of str
        See `DCCA`.
    frame_mean_, frame_scale_ : ndarray of shape (n_features_in_,)
        Mean and standard deviation of the training frames, which standardise the network's input.
    classes_ : ndarray of shape (n_classes,)
        Classes, or the columns of indicators or distributions: their names in a DataFrame, else
        their numbers. This and all below is defined for ``strategy="attention"`` alone.
    network_ : torch.nn.Module
        The trained network, on the CPU.
    loss_curve_ : list of float
    n_epochs_ : int
    device_ : str
        See `DCCA`.

    See Also
    --------
    make_view_transformer : Select chunks of one view and scale the other.

    Notes
    -----
    `n_chunks`, `k`, `chunk_duration`, `chunk_score`, `aggregate` and `device` may be changed after
    `fit` by `set_params`, and a selector fitted with attention may be switched to another
    `strategy`. Songs are read in blocks, so that a memory map may be larger than the memory. With
    ``k = n_chunks`` and ``aggregate="mean"`` a song becomes the mean of all its frames. Where a
    batch of training has songs of more than 1,024 steps (51 minutes), a few of similar length are
    computed at a time, and once more for their gradient: with one song of ten hours among 63 short
    ones `fit` takes 1 GB, not 10.

    Attention need not rest on the emotion once the network is certain of every label: a class can
    be recognised by the absence of the others, and a distant passage by the memory of the LSTM. To
    limit that, training starts with a short memory and cuts it at random steps in every other
    batch. On easy data stop early: with emotions that show in 9 frames of 30 to 60, attention
    peaks there in 100 % of the songs when the loss has fallen to half of its first value, and in
    56 % when it has vanished.

    References
    ----------
    .. [1] D. Zeng, Y. Yu, K. Oyama, "Audio-Visual Embedding for Cross-Modal Music Video Retrieval
       through Supervised Deep CCA", IEEE ISM 2018. :doi:`10.1109/ISM.2018.00-21`
    .. [2] Y.-S. Huang, S.-Y. Chou, Y.-H. Yang, "Music thumbnailing via neural attention modeling of
       music emotion", APSIPA ASC 2017. :doi:`10.1109/APSIPA.2017.8282049`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import ChunkSelector
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(90) % 3
    >>> songs = [rng.normal(size=(rng.integers(30, 60), 4)) for _ in y]
    >>> for song, emotion in zip(songs, y):  # the emotion shows at the start alone
    ...     song[:9, emotion] += 4.0
    >>> selector = ChunkSelector(batch_size=16, max_epochs=6, random_state=0).fit(songs, y)
    >>> selector.transform(songs).shape
    (90, 4)
    >>> float(np.mean([chosen.chunks[0] == 0 for chosen in selector.select(songs)]))
    1.0
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_chunks": [Interval(Integral, 1, None, closed="left"), None],
        "k": [Interval(Integral, 1, None, closed="left")],
        "chunk_duration": [Interval(Real, 0, None, closed="neither"), None],
        "frame_duration": [Interval(Real, 0, 1e100, closed="neither")],
        "frames_per_step": [Interval(Integral, 1, 2**31, closed="both")],
        "cell": [StrOptions({"lstm", "peephole"})],
        "peepholes": [StrOptions({"diagonal", "full"})],
        "head": [StrOptions({"pooled", "per_step"})],
        "position": ["boolean"],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "chunk_score": [StrOptions({"max", "mean"})],
        "aggregate": [StrOptions({"mean", "concat", "frames", "mask"})],
        "strategy": [StrOptions({"attention", "middle", "random", "energy"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions({"adam", "adamw", "rmsprop", "sgd"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        # torch knows its devices; `fit` asks it.
        "device": "no_validation",
        "random_state": ["random_state", np.random.Generator],
        "verbose": ["verbose"],
    }

    # Requested by default, so that routing needs no set_fit_request.
    __metadata_request__fit: ClassVar[dict] = {"labels": True}

    def __init__(
        self,
        n_chunks: int | None = 3,
        k: int = 1,
        *,
        chunk_duration: float | None = None,
        frame_duration: float = 1.0,
        frames_per_step: int = 3,
        cell: str = "lstm",
        peepholes: str = "diagonal",
        head: str = "pooled",
        position: bool = False,
        hidden_size: int = 128,
        chunk_score: str = "max",
        aggregate: str = "mean",
        strategy: str = "attention",
        class_weight: dict[Any, float] | str | None = None,
        dropout: float = 0.0,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        batch_size: int = 64,
        max_epochs: int = 20,
        device: str | torch.device = "auto",
        random_state: RandomStateLike = None,
        verbose: int = 0,
    ):
        self.n_chunks = n_chunks
        self.k = k
        self.chunk_duration = chunk_duration
        self.frame_duration = frame_duration
        self.frames_per_step = frames_per_step
        self.cell = cell
        self.peepholes = peepholes
        self.head = head
        self.position = position
        self.hidden_size = hidden_size
        self.chunk_score = chunk_score
        self.aggregate = aggregate
        self.strategy = strategy
        self.class_weight = class_weight
        self.dropout = dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ViewLike, y: LabelsLike = None, labels: LabelsLike = None) -> Self:
        """Learn from annotated songs which steps carry their emotion.

        Parameters
        ----------
        X : list of n array-likes (T_i, n_features), array-like (n, T, n_features), or Views
            Songs. Trailing frames of NaN are padding. Of a `Views` the first view.
        y : array-like of shape (n,) or (n, n_tags), default=None
            Emotions: one class per song (ints, strings, bools), or a binary indicator matrix of
            tags. Ignored if `labels` is given, because it may be the second view then.
        labels : array-like of shape (n,) or (n, n_tags), default=None
            Emotions, as `y`, or the distribution of each song over tags (rows non-negative, with
            sum 1).

        Returns
        -------
        self : ChunkSelector
            The fitted selector.

        Raises
        ------
        TypeError
            If `X` is no container of sequences.
        ValueError
            If a song is empty, has another width or other columns, or holds NaN or infinity; if
            labels are needed and absent, given twice, missing, continuous, all equal or in another
            order than the songs, by their pandas index; if parameters contradict each other; if
            training diverges in its first epoch.

        Warns
        -----
        ConvergenceWarning
            If training diverges later; the best weights are kept.
        """
        self._check_settings()
        name = type(self).__name__
        views = X if isinstance(X, Views) else None
        attention = self.strategy == "attention"
        if attention and views is not None and y is not None and labels is not None:
            raise ValueError(
                f"{name}: labels were given twice, as `y` and as `labels`. Beside a Views `y` "
                "holds the labels: fit(Views(X, Y), labels)."
            )
        device = self._resolve_device() if attention else None
        check_aligned(name, X=X, y=y, labels=labels)
        songs = check_sequences(self._songs_of(X), caller=name)
        rng = rng_from(self.random_state)
        seed = int(rng.integers(2**32))
        # The fit is written on a copy, without the results of an earlier one, and bound at the end:
        # a refit that is refused or interrupted leaves the selector as it was.
        fitted = draft_of(self, learned=False)
        fitted._fit_frames(songs, column_names(self._songs_of(X)), views, seed)
        if device is not None:
            targets = emotion_targets(y, labels, len(songs), name)
            fitted._fit_emotions(songs, targets, rng, device)
        bind_draft(self, fitted)
        return self

    def _fit_frames(
        self, songs: list[np.ndarray], columns: list[str] | None, views: Views | None, seed: int
    ) -> None:
        """Set the attributes that every strategy needs."""
        if columns is not None:
            self.feature_names_in_ = np.array(columns, dtype=object)
        if views is not None and views.named:
            self.view_names_in_ = views.names
        self._n_views = None if views is None else len(views.names)
        self._seed = seed
        self.n_features_in_: int = songs[0].shape[1]
        self.frame_mean_, self.frame_scale_ = frame_moments(songs)

    def _fit_emotions(
        self,
        songs: list[np.ndarray],
        targets: EmotionTargets,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        """Set the attributes of the emotion network."""
        from skcca.nn.songs import EmotionSettings, fit_emotion_network

        self.classes_, self.device_ = targets.classes, str(device)
        self._multilabel, self._frames_per_step = targets.multilabel, self.frames_per_step
        name, keys = type(self).__name__, ("optimizer", "learning_rate", "max_epochs", "verbose")
        training = {"name": name} | {key: getattr(self, key) for key in keys}
        weights = class_weights(self.class_weight, targets, name)
        settings = EmotionSettings(self._network_arguments(), training, self.batch_size, weights)
        steps = self._steps(songs)
        solution = fit_emotion_network(steps, targets.values, settings, rng, self._seed, device)
        self.network_, self.loss_curve_, self.n_epochs_ = solution

    def _network_arguments(self) -> dict[str, Any]:
        """Return the arguments of `AttentionBiLSTM`."""
        keys = ("hidden_size", "cell", "peepholes", "head", "position", "dropout")
        sizes = {"n_features": self.n_features_in_, "n_outputs": len(self.classes_)}
        return {key: getattr(self, key) for key in keys} | sizes | {"multilabel": self._multilabel}

    def fit_transform(self, X: ViewLike, y: LabelsLike = None, labels: LabelsLike = None) -> Any:
        """Fit, then return ``transform(X)``.

        Parameters
        ----------
        X : array-like or Views
        y, labels : array-like, default=None
            See `fit`.

        Returns
        -------
        Z : ndarray, list of ndarrays or Views
            See `transform`.
        """
        return self.fit(X, y, labels=labels).transform(X)

    def transform(self, X: ViewLike) -> Any:
        """Represent each song by its best chunks.

        Parameters
        ----------
        X : array-like or Views
            Songs, as in `fit`. A first view that is None stays None.

        Returns
        -------
        Z : ndarray of shape (n, n_features) or (n, k * n_features), list of n ndarrays, or Views
            Means, concatenated means, frames or masks, by `aggregate`; float32 for float32 songs,
            else float64. For a `Views` a `Views` with this as its first view and the others
            unchanged.

        Raises
        ------
        ValueError
            If the songs do not match those of `fit`, or ``k > n_chunks``.
        """
        fitted = self._snapshot()
        if not isinstance(X, Views):
            return fitted._aggregate(X, X)
        first, *others = X
        if first is None:
            fitted._check_fitted_views(X)
        else:
            first = fitted._aggregate(X, first)
        return X._replace([first, *others])

    def select(self, X: ViewLike) -> list[Selection]:
        """Return the chosen chunks of each song.

        Parameters
        ----------
        X : array-like or Views
            See `fit`.

        Returns
        -------
        selections : list of n Selection
            Named tuples of arrays with one entry per chosen chunk, in time order: `chunks`, its
            number; `starts` and `stops`, its frames ``song[start:stop]``; `scores`, by which it was
            chosen, comparable within a song; `seconds` (n_chosen, 2), its start and end.
        """
        fitted = self._snapshot()
        fitted._check_settings()
        return [selection for songs in fitted._blocks(X) for selection in fitted._select(songs)]

    @available_if(_uses_attention)
    def attention(self, X: ViewLike) -> list[np.ndarray]:
        """Return the attention of each song over its steps.

        Parameters
        ----------
        X : array-like or Views
            See `fit`.

        Returns
        -------
        theta : list of n ndarrays of shape (n_steps_i,)
            float32, non-negative, with sum 1; step t begins at frame ``t * frames_per_step``.
        """
        return [theta for output in self._outputs(X) for theta in output.attention]

    @available_if(_uses_attention)
    def emotion_features(self, X: ViewLike) -> np.ndarray:
        """Return the states of the LSTM averaged by attention, as features for emotion clusters.

        Parameters
        ----------
        X : array-like or Views
            See `fit`.

        Returns
        -------
        features : ndarray of shape (n, 2 * hidden_size), float32
            One row a song.
        """
        return np.concatenate([output.pooled for output in self._outputs(X)])

    @available_if(_uses_attention)
    def predict_proba(self, X: ViewLike) -> np.ndarray:
        """Return the probability of each emotion.

        Parameters
        ----------
        X : array-like or Views
            See `fit`.

        Returns
        -------
        p : ndarray of shape (n, n_classes)
            float64. Rows sum to 1, unless labels were an indicator matrix, whose tags are
            independent.
        """
        fitted = self._snapshot()
        parts = [fitted._infer(songs).logits for songs in fitted._blocks(X)]
        logits = np.concatenate(parts, dtype=np.float64)
        if fitted._multilabel:
            # The sigmoid in a form that does not overflow.
            return 0.5 * (1 + np.tanh(logits / 2))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    @available_if(_uses_attention)
    def tower(self, *, frozen: bool = False) -> Callable[[int, int], torch.nn.Module]:
        """Return a factory of towers that start from the trained network, for ``x_network=``.

        Parameters
        ----------
        frozen : bool, default=False
            Whether only the output layer of a tower is trained.

        Returns
        -------
        build : callable
            ``build(n_features, n_outputs)`` returns a `skcca.nn.AttentionTower`.
        """
        from skcca.nn.attention import AttentionTower

        fitted = self._snapshot()
        check_is_fitted(fitted, "network_")
        return AttentionTower.pretrained(
            fitted.network_, frames_per_step=fitted._frames_per_step, frozen=frozen
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted selector to one file; reading it executes no code.

        Parameters
        ----------
        path : str or path-like
            Name of the file, in the safetensors format. Its limits are those of `DCCA.save`.
        """
        fitted = self._snapshot()
        check_writable(path, f"{type(self).__name__}.save: `path`")
        from skcca.nn.files import attributes_of, write_estimator

        attributes = attributes_of(fitted)
        if "network_" in attributes:
            attributes["network_"] = attributes["network_"].state_dict()
        write_estimator(fitted, path, attributes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the selector that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            See `DCCA.load`.

        Returns
        -------
        selector : ChunkSelector
            The fitted selector.
        """
        require_torch(cls.__name__)
        from skcca.nn.attention import AttentionBiLSTM
        from skcca.nn.files import read_estimator, rebuilding, set_attributes
        from skcca.nn.networks import network_of

        tree = read_estimator(cls, path)
        with rebuilding(cls, path):
            selector, attributes = cls(**tree["params"]), tree["attributes"]
            weights = attributes.pop("network_", None)
            set_attributes(selector, attributes)
            if weights is not None:
                build = partial(AttentionBiLSTM, **selector._network_arguments())
                selector.network_ = network_of(build, weights)
        return selector

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_ * (self.k if self.aggregate == "concat" else 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        # NaN is the padding of shorter songs.
        tags.input_tags.allow_nan = True
        tags.target_tags.required = self.strategy == "attention"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _snapshot(self) -> Self:
        """Return this selector as it is now, which a fit in another thread may change meanwhile."""
        snapshot = copy.copy(self)
        check_is_fitted(snapshot)
        return snapshot

    def _check_settings(self) -> None:
        """Refuse invalid parameters, which `set_params` may have set after `fit`."""
        self._validate_params()
        if (self.n_chunks is None) == (self.chunk_duration is None):
            raise ValueError(
                f"{type(self).__name__}: `n_chunks`={self.n_chunks} and "
                f"`chunk_duration`={self.chunk_duration}; set one of them, and the other to None."
            )
        if self.n_chunks is not None and self.k > self.n_chunks:
            raise ValueError(
                f"{type(self).__name__}: `k`={self.k} chunks cannot be chosen of "
                f"`n_chunks`={self.n_chunks}; lower `k` or raise `n_chunks`."
            )

    def _songs_of(self, X: ViewLike) -> Any:
        """Return the songs of X, or of its first view."""
        songs = next(iter(X)) if isinstance(X, Views) else X
        if songs is None:
            raise ValueError(f"{type(self).__name__}: the first view is None; give songs.")
        return songs

    def _check_fitted_views(self, views: Views | None) -> None:
        """Refuse other views than those of `fit`."""
        if self._n_views is None:
            return
        name = type(self).__name__
        if views is None or len(views.names) != self._n_views:
            got = "no Views" if views is None else repr(views)
            raise ValueError(
                f"{name} was fitted on a Views of {self._n_views} views; got {got}. A view that is "
                "not at hand is None: Views(A, None)."
            )
        check_view_names(name, views, getattr(self, "view_names_in_", None))

    def _blocks(self, X: ViewLike) -> SongBlocks:
        """Yield the songs of X, or of its first view, in blocks."""
        self._check_fitted_views(X if isinstance(X, Views) else None)
        songs = self._songs_of(X)
        return self._check_songs(songs, _SONGS_PER_BLOCK, caller=type(self).__name__)

    def _check_songs(self, songs: ArrayLike, size: int | None, **words: str) -> SongBlocks:
        """Yield songs that are like those of `fit`, in blocks; ``words`` are those of errors."""
        columns = getattr(self, "feature_names_in_", None)
        width = self.n_features_in_
        return sequence_blocks(songs, size, n_features=width, columns=columns, **words)

    def _outputs(self, X: ViewLike) -> Iterator[SongOutputs]:
        """Yield the outputs of the network for the songs of X, by blocks."""
        fitted = self._snapshot()
        return (fitted._infer(songs) for songs in fitted._blocks(X))

    def _resolve_device(self) -> torch.device:
        from skcca.nn.training import resolve_device

        return resolve_device(self.device)

    def _steps(self, songs: list[np.ndarray]) -> list[np.ndarray]:
        return standardised_steps(songs, self.frames_per_step, self.frame_mean_, self.frame_scale_)

    def _infer(self, songs: list[np.ndarray]) -> SongOutputs:
        """Return the outputs of the network for a block of songs."""
        from skcca.nn.songs import infer

        check_is_fitted(self, "network_")
        if self.frames_per_step != self._frames_per_step:
            raise ValueError(
                f"{type(self).__name__}: `frames_per_step`={self.frames_per_step} was "
                f"{self._frames_per_step} in fit, and the network knows no other steps; fit again."
            )
        return infer(self.network_, self._steps(songs), self._resolve_device())

    def _select(self, songs: list[np.ndarray]) -> list[Selection]:
        """Return the chosen chunks of each song of a block."""
        step_scores = self._infer(songs).scores if self.strategy == "attention" else None
        root_mean_square = np.hypot(self.frame_mean_, self.frame_scale_)
        selections = []
        for i, song in enumerate(songs):
            borders = self._borders(song)
            frame_borders = np.minimum(borders * self.frames_per_step, len(song))
            if step_scores is not None:
                scores = chunk_scores(step_scores[i], borders, self.chunk_score)
            else:
                args = song, frame_borders, self._seed, root_mean_square
                scores = untrained_scores(self.strategy, *args)
            selections.append(best_chunks(scores, frame_borders, self.k, self.frame_duration))
        return selections

    def _borders(self, song: np.ndarray) -> np.ndarray:
        """Return the borders of a song's chunks, in steps."""
        n_chunks = self.n_chunks
        if n_chunks is None:
            assert self.chunk_duration is not None
            n_chunks = n_chunks_of(len(song), self.frame_duration, self.chunk_duration)
        return chunk_borders(-(-len(song) // self.frames_per_step), n_chunks)

    def _aggregate(self, X: ViewLike, original: ViewLike) -> Any:
        """Return the representations of songs in the container that `set_output` asks for."""
        self._check_settings()
        rows = []
        for songs in self._blocks(X):
            pairs = zip(songs, self._select(songs), strict=True)
            # A mean that overflows is refused below.
            with np.errstate(over="ignore", invalid="ignore"):
                rows += [aggregate_chunks(*pair, self.aggregate, self.k) for pair in pairs]
        if self.aggregate in ("frames", "mask"):
            return rows
        Z = np.array(rows, dtype=songs[0].dtype)
        if not np.isfinite(Z).all():
            raise ValueError(
                f"{type(self).__name__}: the mean of the chosen frames of song "
                f"{int(np.argmin(np.isfinite(Z).all(axis=1)))} leaves the range of {Z.dtype}; "
                "measure its features in another unit."
            )
        return in_container(self, Z, original, self.get_feature_names_out())
