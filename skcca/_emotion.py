"""The emotion model behind chunk selection: from labels and songs to attention.

`EmotionModel` is the part of an estimator that trains the network of `nn.attention` and asks it;
what is done with the attention is another matter.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcca._labels import encode_labels
from skcca._sequences import check_sequences, max_pooled_steps
from skcca._views import Views

# In standard deviations. The network saturates long before, but sums in float32 would overflow.
_EXTREME = 1e6


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
    if given is None:
        raise ValueError(
            f"{caller} requires y to be passed, but the target y is None: attention is trained on "
            "emotion labels. Call fit(X, y), or choose strategy='middle', 'random' or 'energy', "
            "which need none."
        )
    given = given.toarray() if hasattr(given, "toarray") else np.asarray(given)
    if _is_continuous(given):
        targets = _distributions(given, n_songs, caller, named=labels is not None)
    else:
        encoded = encode_labels(given, n_songs, n_songs, caller)
        values = encoded.x.toarray().astype(np.float32)
        if not encoded.multilabel:
            values = values.argmax(axis=1)
        targets = EmotionTargets(values, encoded.classes, encoded.multilabel)
    if (targets.values == targets.values[0]).all():
        raise ValueError(
            f"{caller}: all songs have the same label, 1 class; attention is learned from what "
            "tells 2 classes or more apart."
        )
    return targets


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
    hidden_size: int
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

    _emotion_attributes: ClassVar = ("classes_", "network_", "loss_curve_", "n_epochs_", "device_")

    def _fit_emotions(
        self, songs: list[np.ndarray], targets: EmotionTargets, rng: np.random.Generator
    ) -> None:
        from skcca.nn.attention import AttentionBiLSTM, SongBatches, emotion_loss
        from skcca.nn.training import by_backward, resolve_device, seeded, train

        device = resolve_device(self.device)
        steps = self._steps(songs)
        batches = SongBatches(steps, targets.values, self.batch_size, rng, device)
        with seeded(self._seed, device):
            network = AttentionBiLSTM(
                n_features=self.n_features_in_,
                n_outputs=len(targets.classes),
                hidden_size=self.hidden_size,
                cell=self.cell,
                dropout=self.dropout,
            ).to(device)

            def loss(batch: Any) -> Any:
                padded, lengths, values = batch
                logits = network(padded, lengths).logits
                return emotion_loss(logits, values, multilabel=targets.multilabel)

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
        self.classes_, self._multilabel, self.device_ = targets.classes, targets.multilabel, device
        self.network_ = network.cpu().eval()  # so that a pickle opens where there is no GPU
        self.loss_curve_, self.n_epochs_ = result.loss_curve, result.n_epochs

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
        return infer(self.network_, self._steps(songs), resolve_device(self.device))

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
        return self._emotions(self._check_songs(X)).attention

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
        return self._emotions(self._check_songs(X)).pooled

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
        logits = self._emotions(self._check_songs(X)).logits.astype(np.float64)
        if self._multilabel:
            return 0.5 * (1 + np.tanh(logits / 2))  # the sigmoid, without overflow
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def _check_songs(self, X: Any, *, reset: bool = False) -> list[np.ndarray]:
        """Return the songs of X, or of its first view."""
        name = type(self).__name__
        views = X if isinstance(X, Views) else None
        if reset:
            vars(self).pop("view_names_in_", None)
            self._n_views = None if views is None else len(views.names)
            if views is not None and views.named:
                self.view_names_in_ = views.names
        else:
            check_is_fitted(self)
            self._check_fitted_views(views)
        songs = X if views is None else next(iter(views))
        if songs is None:
            raise ValueError(f"{name}: the first view is None, where songs are expected.")
        width = None if reset else self.n_features_in_
        songs = check_sequences(songs, n_features=width, caller=name)
        if reset:
            self.n_features_in_: int = songs[0].shape[1]
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
