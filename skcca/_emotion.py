"""The emotion model behind chunk selection: from labels and songs to attention.

`EmotionModel` is the part of an estimator that trains the network of `nn.attention` and asks it;
what is done with the attention is another matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcca._chunks import max_pooled_steps
from skcca.views._container import Views
from skcca.views._labels import encode_labels
from skcca.views._sequences import check_sequences, sequence_blocks

# In standard deviations. The network saturates long before, but sums in float32 would overflow.
_EXTREME = 1e6

_SONGS_AT_ONCE = 2048  # held with their steps, outside training


class EmotionTargets(NamedTuple):
    """Labels of n songs as the loss takes them."""

    values: np.ndarray  # (n,) int64 class codes, or (n, n_classes) float32
    classes: np.ndarray
    multilabel: bool  # values are indicators of tags that may occur together


def emotion_targets(y: Any, labels: Any, n_songs: int, caller: str) -> EmotionTargets:
    """Return the targets that ``labels``, or else ``y``, stand for.

    Parameters
    ----------
    y : array-like of shape (n_songs,) or (n_songs, n_tags) or None
        Classes or a binary indicator matrix; not looked at if ``labels`` is given.
    labels : array-like of shape (n_songs,) or (n_songs, n_tags) or None
        The same, or tag distributions.
    n_songs : int
        Number of songs.
    caller : str
        Name of the estimator, for the messages.

    Raises
    ------
    ValueError
        If there are no labels, or they are missing, continuous, not as many as songs, or equal for
        all songs.
    """
    given = y if labels is None else labels
    names = getattr(given, "columns", None)  # of a DataFrame
    if given is None:
        raise ValueError(
            f"{caller} requires y to be passed, but the target y is None: attention is trained on "
            "emotion labels. Call fit(X, y), or choose strategy='middle', 'random' or 'energy', "
            "which need none."
        )
    given = given.toarray() if hasattr(given, "toarray") else _as_array(given)
    if _is_continuous(given):
        targets = _distributions(given, n_songs, caller, named=labels is not None)
    else:
        encoded = encode_labels(given, n_songs, n_songs, caller)
        values = encoded.x.toarray().astype(np.float32)
        if not encoded.multilabel:
            values = values.argmax(axis=1)
        targets = EmotionTargets(values, encoded.classes, encoded.multilabel)
    if names is not None and targets.values.ndim == 2:
        targets = targets._replace(classes=np.asarray(names))
    if (targets.values == targets.values[0]).all():
        raise ValueError(
            f"{caller}: all songs have the same label, 1 class; attention is learned from what "
            "tells 2 classes or more apart."
        )
    return targets


def _as_array(given: Any) -> np.ndarray:
    """Return labels as an array; of a list NumPy would make strings of missing ones."""
    array = np.asarray(given)
    if isinstance(given, list) and array.dtype.kind in "US" and array.ndim == 1:
        return np.array(given, dtype=object)
    return array


def class_weights(given: Any, targets: EmotionTargets, caller: str) -> np.ndarray | None:
    """Return a weight for each class or tag, float32, or None where all weigh the same.

    Raises
    ------
    ValueError
        If a dict names an unknown class, or holds a weight that is negative or not finite.
    """
    if given is None:
        return None
    classes, values = targets.classes, targets.values
    if isinstance(given, str):
        counts = np.bincount(values, minlength=len(classes)) if values.ndim == 1 else values.sum(0)
        present = np.maximum(counts, 1e-9 * counts.sum())  # a tag that no song has learns nothing
        return (counts.sum() / (len(classes) * present) * (counts > 0)).astype(np.float32)
    places = {name: i for i, name in enumerate(classes.tolist())}
    weights = np.ones(len(classes), dtype=np.float32)
    for name, weight in given.items():
        if name not in places:
            raise ValueError(
                f"{caller}: `class_weight` names {name!r}, which is none of the classes "
                f"{classes.tolist()}."
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(
                f"{caller}: `class_weight` of {name!r} is {weight!r}; weights are finite and not "
                "negative."
            )
        weights[places[name]] = weight
    return weights


def _is_continuous(labels: np.ndarray) -> bool:
    finite = labels.dtype.kind == "f" and bool(np.isfinite(labels).all())
    return finite and not np.array_equal(labels, np.rint(labels))


def _distributions(rows: np.ndarray, n_songs: int, caller: str, *, named: bool) -> EmotionTargets:
    """Return rows over tags, scaled to sum exactly to 1."""
    if not named or rows.ndim != 2:
        raise ValueError(
            f"{caller}: `{'labels' if named else 'y'}` is continuous with shape {rows.shape}; "
            "emotions are classes (n,) or a binary indicator matrix (n, n_tags). Tag distributions "
            "(n, n_tags) are passed as labels=. Where `y` is the second view, as in a Pipeline on "
            f"plain arrays, pass the labels as {caller.lower()}__labels=."
        )
    if len(rows) != n_songs:
        raise ValueError(f"{caller}: `labels` has {len(rows)} rows but `X` has {n_songs} songs.")
    sums = rows.sum(axis=1, dtype=np.float64)
    wrong = (rows < 0).any(axis=1) | (np.abs(sums - 1) > 1e-3)  # rounded figures pass
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{caller}: `labels` is continuous, but row {i} is no distribution over tags (minimum "
            f"{rows[i].min():.4g}, sum {sums[i]:.4g}); rows must be non-negative and sum to 1."
        )
    values = (rows / sums[:, None]).astype(np.float32)
    return EmotionTargets(values, np.arange(rows.shape[1]), multilabel=False)


def _is_attentive(estimator: Any) -> bool:
    if estimator.strategy == "attention":
        return True
    raise AttributeError(
        f"strategy={estimator.strategy!r} has no attention; fit with strategy='attention'."
    )


class EmotionModel:
    """Mixin: train the emotion network and report what it says of songs."""

    # Parameters and attributes that the estimator brings.
    frames_per_step: int
    cell: str
    peepholes: str
    head: str
    position: bool
    hidden_size: int
    class_weight: Any
    dropout: float
    optimizer: str
    learning_rate: float
    batch_size: int
    max_epochs: int
    device: Any
    verbose: int
    frame_mean_: np.ndarray
    frame_scale_: np.ndarray
    _seed: int
    _frames_per_step: int

    _emotion_attributes: ClassVar = ("classes_", "network_", "loss_curve_", "n_epochs_", "device_")

    def _fit_emotions(
        self, songs: list[np.ndarray], targets: EmotionTargets, rng: np.random.Generator
    ) -> None:
        from skcca.nn.attention import SongBatches, emotion_loss
        from skcca.nn.training import by_backward, resolve_device, seeded, train

        device = resolve_device(self.device)
        self._multilabel = targets.multilabel
        weights = class_weights(self.class_weight, targets, type(self).__name__)
        steps = self._steps(songs)
        batches = SongBatches(steps, targets.values, self.batch_size, rng, device)
        with seeded(self._seed, device):
            network = self._new_network(len(targets.classes)).to(device)

            def loss(batch: Any) -> Any:
                padded, lengths, values = batch
                logits = network(padded, lengths).logits
                return emotion_loss(
                    logits, values, multilabel=targets.multilabel, class_weight=weights
                )

            result = train(
                network,
                batches,
                by_backward(loss),
                optimizer=self.optimizer,
                learning_rate=self.learning_rate,
                max_epochs=self.max_epochs,
                verbose=self.verbose,
                name=type(self).__name__,
            )
        self.classes_, self.device_ = targets.classes, str(device)
        self._frames_per_step = self.frames_per_step
        self.network_ = network.cpu().eval()  # so that a pickle opens where there is no GPU
        self.loss_curve_, self.n_epochs_ = result.loss_curve, result.n_epochs

    def _new_network(self, n_outputs: int) -> Any:
        from skcca.nn.attention import AttentionBiLSTM

        return AttentionBiLSTM(
            n_features=self.n_features_in_,
            n_outputs=n_outputs,
            hidden_size=self.hidden_size,
            cell=self.cell,
            peepholes=self.peepholes,
            head=self.head,
            multilabel=self._multilabel,
            position=self.position,
            dropout=self.dropout,
        )

    def _steps(self, songs: list[np.ndarray]) -> list[np.ndarray]:
        """Return the standardised steps of each song, float32."""
        steps = []
        for song in songs:
            pooled = max_pooled_steps(song, self.frames_per_step)
            standard = (pooled - self.frame_mean_) / self.frame_scale_
            steps.append(np.clip(standard, -_EXTREME, _EXTREME).astype(np.float32))
        return steps

    def _emotions(self, songs: list[np.ndarray]) -> Any:
        from skcca.nn.attention import infer
        from skcca.nn.training import resolve_device

        check_is_fitted(self, "network_")
        if self.frames_per_step != self._frames_per_step:
            raise ValueError(
                f"{type(self).__name__}: `frames_per_step`={self.frames_per_step} was "
                f"{self._frames_per_step} in fit, and the network knows no other steps; fit again."
            )
        return infer(self.network_, self._steps(songs), resolve_device(self.device))

    @available_if(_is_attentive)
    def tower(self, *, frozen: bool = False) -> Callable[[int, int], Any]:
        """Return a factory of towers that start from the trained network, for ``x_network=``.

        Parameters
        ----------
        frozen : bool, default=False
            Whether the output layer of a tower alone is trained.

        Returns
        -------
        build : callable
            ``build(n_features, n_outputs)`` returns a `skcca.nn.AttentionTower`, which takes songs
            whose frames are standardised, as `DCCA` and `SupervisedDCCA` give them.
        """
        from skcca.nn.attention import AttentionTower

        check_is_fitted(self, "network_")
        return AttentionTower.pretrained(
            self.network_, frames_per_step=self._frames_per_step, frozen=frozen
        )

    @available_if(_is_attentive)
    def attention(self, X: Any) -> list[np.ndarray]:
        """Return the attention of each song over its steps.

        Parameters
        ----------
        X : array-like or Views
            Songs, as in `fit`.

        Returns
        -------
        theta : list of n ndarrays of shape (n_steps_i,)
            float32, non-negative, with sum 1; step t begins at frame ``t * frames_per_step``.
        """
        return [theta for songs in self._blocks(X) for theta in self._emotions(songs).attention]

    @available_if(_is_attentive)
    def emotion_features(self, X: Any) -> np.ndarray:
        """Return the LSTM's states averaged by attention, of which emotion clusters are made.

        Parameters
        ----------
        X : array-like or Views
            Songs, as in `fit`.

        Returns
        -------
        features : ndarray of shape (n, 2 * hidden_size)
            float32.
        """
        return np.concatenate([self._emotions(songs).pooled for songs in self._blocks(X)])

    @available_if(_is_attentive)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each emotion.

        Parameters
        ----------
        X : array-like or Views
            Songs, as in `fit`.

        Returns
        -------
        p : ndarray of shape (n, n_classes)
            float64. Rows sum to 1, unless labels were an indicator matrix: then tags are
            independent.
        """
        parts = [self._emotions(songs).logits for songs in self._blocks(X)]
        logits = np.concatenate(parts, dtype=np.float64)
        if self._multilabel:
            return 0.5 * (1 + np.tanh(logits / 2))  # the sigmoid, without overflow
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def _check_training_songs(self, X: Any) -> list[np.ndarray]:
        """Return the songs of X, or of its first view, and remember what they are like."""
        views = X if isinstance(X, Views) else None
        vars(self).pop("view_names_in_", None)
        self._n_views = None if views is None else len(views.names)
        if views is not None and views.named:
            self.view_names_in_ = views.names
        songs = check_sequences(self._songs_of(X), caller=type(self).__name__)
        self.n_features_in_: int = songs[0].shape[1]
        return songs

    def _blocks(self, X: Any) -> Iterator[list[np.ndarray]]:
        """Yield the songs of X, or of its first view, some at a time."""
        check_is_fitted(self)
        self._check_fitted_views(X if isinstance(X, Views) else None)
        songs, name = self._songs_of(X), type(self).__name__
        return sequence_blocks(songs, _SONGS_AT_ONCE, n_features=self.n_features_in_, caller=name)

    def _songs_of(self, X: Any) -> Any:
        songs = next(iter(X)) if isinstance(X, Views) else X
        if songs is None:
            name = type(self).__name__
            raise ValueError(f"{name}: the first view is None, where songs are expected.")
        return songs

    def _check_fitted_views(self, views: Views | None) -> None:
        if self._n_views is None:
            return
        name, fitted = type(self).__name__, getattr(self, "view_names_in_", None)
        if views is None or len(views.names) != self._n_views:
            got = "no Views" if views is None else repr(views)
            raise ValueError(
                f"{name} was fitted on a Views of {self._n_views} views; got {got}. A view that is "
                "not at hand is None: Views(A, None)."
            )
        if fitted is not None and views.named and views.names != fitted:
            raise ValueError(
                f"{name} was fitted on the views {list(fitted)}; got {list(views.names)}. Give the "
                f"same names in the same order: Views({', '.join(f'{v}=...' for v in fitted)})."
            )
