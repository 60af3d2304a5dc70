"""Selection of the chunks of a song that carry its emotion.

Sequences in, rows out: frames -> steps (max pooling) -> attention -> chunks -> the best ones. What
a song is stands in `_sequences`, how it is cut in `_chunks`, the attention in `_emotion` and
`nn.attention`.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from skcca._chunks import (
    Selection,
    aggregate_chunks,
    best_chunks,
    chunk_borders,
    chunk_scores,
    energy_scores,
    middle_scores,
    n_chunks_of,
    random_scores,
)
from skcca._core.compat import ContainerOutputMixin, Interval, StrOptions, _fit_context, rng_from
from skcca._emotion import emotion_targets
from skcca._selector_saved import SavedSelector
from skcca.views._container import Views
from skcca.views._sequences import frame_moments


class ChunkSelector(
    ClassNamePrefixFeaturesOutMixin, SavedSelector, ContainerOutputMixin, BaseEstimator
):
    """Represent each song by the chunks that its emotion rests on.

    A bidirectional LSTM with attention learns to tell the emotion of annotated songs. Its attention
    over the steps of a song, each the maximum over a few frames, is ::

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
        Chunks that are kept, at most `n_chunks`; all, where a song has fewer.
    chunk_duration : float, default=None
        With ``n_chunks=None`` a song is cut into chunks of about so many seconds: their number is
        its length over this, rounded, 1 at least.
    frame_duration : float, default=1.0
        Seconds of a frame; of consequence for `chunk_duration` and for the seconds of `select`.
    frames_per_step : int, default=3
        Frames pooled into a step: 3 s, where a frame is a second. The last step may have fewer.
    cell : {"lstm", "peephole"}, default="lstm"
        Recurrent cell: the usual LSTM, or that of Eqs. 1 to 5 in [1]_, whose gates also see the
        memory. It takes two to three times as long.
    peepholes : {"diagonal", "full"}, default="diagonal"
        With ``cell="peephole"``, whether a gate sees the memory of its own unit or of all.
    head : {"pooled", "per_step"}, default="pooled"
        Whether the emotion is told from the states averaged by attention, or told at each step and
        then averaged [2]_.
    position : bool, default=False
        Whether the network is told where in the song a step stands.
    hidden_size : int, default=128
        Units of each direction of the LSTM, and of the hidden layer of the attention.
    chunk_score : {"max", "mean"}, default="max"
        What of the scores of its steps is the score of a chunk.
    aggregate : {"mean", "concat", "frames", "mask"}, default="mean"
        What stands for a song: the mean of all frames of the chosen chunks; the means of the single
        chunks one after another, the last repeated where a song has fewer than `k`; the frames; or
        a mask that is true for them.
    strategy : {"attention", "middle", "random", "energy"}, default="attention"
        How chunks are chosen. The last three are untrained baselines that need no labels: chunks
        nearest to the middle of the song; random ones, always the same for the same song; or those
        with the largest mean square of the frames, each feature in units of its mean square in
        `fit`.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes or tags in the loss; "balanced" makes them inversely proportional to
        their frequency, and a dict leaves those that it does not name at 1.
    dropout : float, default=0.0
        Share of the attention-pooled features that is dropped before the classifier in training.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        Optimizer.
    learning_rate : float, default=1e-3
        Its step size.
    batch_size : int, default=64
        Songs in a training batch.
    max_epochs : int, default=20
        Passes over the songs.
    device : str or torch.device, default="auto"
        Where the network computes; "auto" is CUDA where there is one, else the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Seeds initial weights, batches, dropout and the random strategy. None is fresh entropy.
    verbose : int, default=0
        1 shows a progress bar while training.

    Attributes
    ----------
    n_features_in_ : int
        Width of a frame.
    view_names_in_ : tuple of str
        Names of the views, if `fit` was given a named `Views`.
    frame_mean_, frame_scale_ : ndarray of shape (n_features_in_,)
        Mean and standard deviation of the training frames, which standardise the network's input.
    classes_ : ndarray of shape (n_classes,)
        Classes, or the columns of indicators or distributions: their names in a DataFrame, else
        their numbers. This and what follows is defined for ``strategy="attention"`` alone.
    network_ : torch.nn.Module
        The trained network, on the CPU.
    loss_curve_ : list of float
        Mean loss of each epoch.
    n_epochs_ : int
        Epochs run.
    device_ : str
        Where it was trained.

    See Also
    --------
    make_view_transformer : Select chunks of one view and scale the other.

    Notes
    -----
    `n_chunks`, `k`, `chunk_duration`, `chunk_score`, `aggregate` and `device` may be changed after
    `fit` by `set_params`, and a selector fitted with attention may be switched to another
    `strategy`. Songs are taken in blocks, so that a memory map of any length passes. With
    ``k = n_chunks`` and ``aggregate="mean"`` a song becomes the mean of all its frames.

    Attention is where the network looks, and once it is sure of every label it need not look at the
    emotion: a class can be told by the absence of the others, a passage from memory. To keep memory
    from spreading what one passage told, training starts with a short one and cuts it at random
    steps in every other batch. On easy data stop early: with emotions that show in 9 frames of
    30 to 60, attention peaks there in 100 % of the songs when the loss has fallen to half of its
    first value, and in 56 % when it has vanished.

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
        "frame_duration": [Interval(Real, 0, None, closed="neither")],
        "frames_per_step": [Interval(Integral, 1, None, closed="left")],
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
        "device": "no_validation",  # torch knows which there are
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
        class_weight: Any = None,
        dropout: float = 0.0,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        batch_size: int = 64,
        max_epochs: int = 20,
        device: Any = "auto",
        random_state: Any = None,
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
    def fit(self, X: Any, y: Any = None, labels: Any = None) -> Self:
        """Learn from annotated songs where emotion is to be found.

        Parameters
        ----------
        X : list of n array-likes (T_i, n_features), array-like (n, T, n_features), or Views
            Songs. Trailing frames of NaN are padding. Of a `Views` the first view.
        y : array-like of shape (n,) or (n, n_tags), default=None
            Emotions: one class per song (ints, strings, bools), or a binary indicator matrix of
            tags. Ignored where `labels` is given: it may be the second view then.
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
            If a song is empty, has another width or holds NaN or infinity; if labels are needed and
            absent, given twice, missing, continuous or all equal; if ``k > n_chunks``, or
            `n_chunks` and `chunk_duration` are both set or both None; if training diverges in its
            first epoch.

        Warns
        -----
        ConvergenceWarning
            If training diverges later; the best weights are kept.
        """
        self._check_choice()
        name = type(self).__name__
        for attribute in self._emotion_attributes:
            self.__dict__.pop(attribute, None)
        songs = self._check_training_songs(X)
        rng = rng_from(self.random_state)
        self._seed = int(rng.integers(2**32))
        self.frame_mean_, self.frame_scale_ = frame_moments(songs)
        if self.strategy != "attention":
            return self
        if isinstance(X, Views) and y is not None and labels is not None:
            raise ValueError(
                f"{name}: labels were given twice, as `y` and as `labels`. Beside a Views `y` "
                "holds the labels: fit(Views(X, Y), labels)."
            )
        self._fit_emotions(songs, emotion_targets(y, labels, len(songs), name), rng)
        return self

    def fit_transform(self, X: Any, y: Any = None, labels: Any = None) -> Any:
        """Fit, then return what ``transform(X)`` returns.

        Parameters
        ----------
        X : array-like or Views
            Songs.
        y, labels : array-like, default=None
            Emotions, as in `fit`.

        Returns
        -------
        Z : ndarray, list of ndarrays or Views
            As `transform`.
        """
        return self.fit(X, y, labels=labels).transform(X)

    def transform(self, X: Any) -> Any:
        """Represent each song by its best chunks.

        Parameters
        ----------
        X : array-like or Views
            Songs, as in `fit`. A first view that is None stays None.

        Returns
        -------
        Z : ndarray of shape (n, n_features) or (n, k * n_features), list of n ndarrays, or Views
            Means, means one after another, frames or masks, as `aggregate` says; float32 for
            float32 songs, else float64. For a `Views` a `Views`, with this as its first view and
            the others as they were.

        Raises
        ------
        ValueError
            If the songs do not fit what was seen in `fit`, or ``k > n_chunks``.
        """
        check_is_fitted(self)
        if not isinstance(X, Views):
            return self._aggregate(X, X)
        first, *others = X
        if first is None:
            self._check_fitted_views(X)
        else:
            first = self._aggregate(X, first)
        return X._replace([first, *others])

    def select(self, X: Any) -> list[Selection]:
        """Return the chosen chunks of each song.

        Parameters
        ----------
        X : array-like or Views
            Songs, as in `fit`.

        Returns
        -------
        selections : list of n Selection
            Named tuples of arrays with one entry per chosen chunk, in time order: `chunks`, its
            number; `starts` and `stops`, its frames ``song[start:stop]``; `scores`, by which it was
            chosen, comparable within a song; `seconds` (n_chosen, 2), where it begins and ends.
        """
        check_is_fitted(self)
        self._check_choice()
        return [one for songs in self._blocks(X) for one in self._select(songs)]

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_ * (self.k if self.aggregate == "concat" else 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True  # as padding
        tags.target_tags.required = self.strategy == "attention"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_choice(self) -> None:
        self._validate_params()  # `set_params` may have come after `fit`
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

    def _select(self, songs: list[np.ndarray]) -> list[Selection]:
        attentive = self.strategy == "attention"
        step_scores = self._emotions(songs).scores if attentive else None
        selections = []
        for i, song in enumerate(songs):
            borders = self._borders(song)
            in_frames = np.minimum(borders * self.frames_per_step, len(song))
            if step_scores is not None:
                scores = chunk_scores(step_scores[i], borders, self.chunk_score)
            else:
                scores = self._untrained_scores(song, in_frames)
            selections.append(best_chunks(scores, in_frames, self.k, self.frame_duration))
        return selections

    def _borders(self, song: np.ndarray) -> np.ndarray:
        """Return the borders of a song's chunks, in steps."""
        n_chunks = self.n_chunks
        if n_chunks is None:
            assert self.chunk_duration is not None
            n_chunks = n_chunks_of(len(song), self.frame_duration, self.chunk_duration)
        return chunk_borders(-(-len(song) // self.frames_per_step), n_chunks)

    def _untrained_scores(self, song: np.ndarray, borders: np.ndarray) -> np.ndarray:
        if self.strategy == "middle":
            return middle_scores(len(borders) - 1)
        if self.strategy == "random":
            return random_scores(song, len(borders) - 1, self._seed)
        return energy_scores(song, borders, self.frame_mean_**2 + self.frame_scale_**2)

    def _aggregate(self, X: Any, original: Any) -> Any:
        self._check_choice()
        rows = []
        for songs in self._blocks(X):
            rows += [
                aggregate_chunks(song, selection, self.aggregate, self.k)
                for song, selection in zip(songs, self._select(songs), strict=True)
            ]
        if self.aggregate in ("frames", "mask"):
            return rows
        Z = np.array(rows, dtype=songs[0].dtype)
        return self._in_container(Z, original, self.get_feature_names_out())
