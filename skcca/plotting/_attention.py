"""Attention over the time of a song, and the chunks that a selector chooses."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcca._core.compat import check_kind
from skcca._core.types import ArrayLike
from skcca.chunk_selector import ChunkSelector, chunks_of_song
from skcca.plotting._canvas import (
    LINE,
    ORANGE,
    axes_for,
    check_canvas,
    contrast_colour,
    legend_above,
)
from skcca.views._sequences import check_sequences

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AttentionDisplay"]
_NAME = "AttentionDisplay"

# More stretches of a waveform than a picture has columns would not show.
_MAX_STRETCHES = 1_000


@dataclass(repr=False, eq=False)
class AttentionDisplay:
    """Show the attention of a `ChunkSelector` over a song, and the chunks it chooses.

    Use `from_estimator`, which computes what the constructor takes.

    Parameters
    ----------
    times : ndarray of shape (n_steps + 1,)
        Borders of the steps, in seconds.
    attention : ndarray of shape (n_steps,) or None
        Attention of each step; None draws the chunks alone.
    borders : ndarray of shape (n_chunks + 1,)
        Borders of the chunks, in seconds.
    selected : ndarray of shape (n_selected,)
        Numbers of the chosen chunks: chunk j lies between ``borders[j]`` and ``borders[j + 1]``.
    waveform : ndarray of shape (n_samples,) or (n_samples, n_channels), default=None
        Samples of the recording, floats or integers, drawn as an envelope behind the attention and
        scaled to their largest value, also where they are longer or shorter than the song.
    sample_rate : float, default=None
        Samples of `waveform` in a second, in Hz.
    title : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes and figure of the picture. These and what follows are defined once it is drawn.
    line_ : matplotlib StepPatch or None
        Attention over time; None where there is none.
    borders_ : matplotlib LineCollection
        A vertical line at each border of a chunk.
    selection_ : matplotlib PolyCollection
        A shade over each chosen chunk, in time order.
    waveform_ : matplotlib PolyCollection or None
        Envelope of the waveform, if one was given.
    legend_ : matplotlib Legend
        Legend, above the axes.

    See Also
    --------
    skcca.ChunkSelector : Represent each song by its most emotional chunks.

    Notes
    -----
    The envelope joins the lowest and the highest sample of each of at most 1,000 equal stretches
    of the recording, over all channels, so that a recording of any length draws fast and no peak is
    lost.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import ChunkSelector
    >>> from skcca.plotting import AttentionDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(90) % 3
    >>> songs = [rng.normal(size=(rng.integers(30, 60), 4)) for _ in y]
    >>> for song, emotion in zip(songs, y):  # the emotion shows at the start alone
    ...     song[:9, emotion] += 4.0
    >>> selector = ChunkSelector(batch_size=16, max_epochs=6, random_state=0).fit(songs, y)
    >>> display = AttentionDisplay.from_estimator(selector, songs[0], title="A song")
    >>> display.borders, display.selected
    (array([ 0., 18., 39., 55.]), array([0]))
    >>> display.figure_.savefig("song.png")  # doctest: +SKIP
    """

    times: np.ndarray
    attention: np.ndarray | None
    borders: np.ndarray
    selected: np.ndarray
    _: KW_ONLY
    waveform: ArrayLike = None
    sample_rate: float | None = None
    title: str | None = None

    @classmethod
    def from_estimator(
        cls,
        selector: ChunkSelector,
        song: ArrayLike,
        *,
        waveform: ArrayLike = None,
        sample_rate: float | None = None,
        seconds_per_frame: float | None = None,
        ax: Axes | None = None,
        title: str | None = None,
    ) -> AttentionDisplay:
        """Draw the attention and the chosen chunks of one song.

        Parameters
        ----------
        selector : ChunkSelector
            Fitted selector. Its `strategy` may be one without attention: then the chunks are drawn
            alone.
        song : array-like of shape (T, n_features), or list of one such
            Frames of the song, as in `fit`.
        waveform : array-like of shape (n_samples,) or (n_samples, n_channels), default=None
        sample_rate : float, default=None
            See `AttentionDisplay`; `waveform` needs its `sample_rate`.
        seconds_per_frame : float, default=None
            Seconds that a frame covers. None is the `frame_duration` of the selector.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        title : str, default=None
            Title of the picture.

        Returns
        -------
        display : AttentionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `selector` is no `ChunkSelector`, `waveform` holds no real numbers, or `ax` is no
            matplotlib Axes.
        ValueError
            If the selector is not fitted; if `song` is more than one song or does not fit it; if
            `waveform` comes without `sample_rate`, is empty or holds NaN or infinity.
        """
        check_canvas(ax, _NAME)
        selector = _check_selector(selector)
        seconds = selector.frame_duration if seconds_per_frame is None else seconds_per_frame
        _check_positive("seconds_per_frame", seconds)
        steps, attention, borders, chosen = chunks_of_song(selector, _one_song(song), _NAME)
        display = cls(
            seconds * steps, attention, seconds * borders, chosen,
            waveform=waveform, sample_rate=sample_rate, title=title,
        )  # fmt: skip
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> AttentionDisplay:
        """Draw on the given axes, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : AttentionDisplay
            This object, whose `ax_` and `figure_` may be adjusted further.
        """
        check_canvas(ax, _NAME)
        # A wrong waveform is refused before a figure is made.
        waveform, rate = self.waveform, self.sample_rate
        envelope = None if waveform is None else _envelope(waveform, rate)
        ax = axes_for(ax, (8, 3))
        self.ax_, self.figure_ = ax, ax.figure
        contrast = contrast_colour(ax)
        # With this transform x is in seconds and y in heights of the axes.
        of_height = ax.get_xaxis_transform()
        end = self.times[-1]

        self.waveform_ = None
        if envelope is not None:
            edges, low, high = envelope
            peak = max(np.abs(low).max(), np.abs(high).max()) or 1.0
            low, high = (0.5 + 0.45 * np.append(part, part[-1]) / peak for part in (low, high))
            self.waveform_ = ax.fill_between(
                edges, low, high, step="post", transform=of_height, zorder=0.5,
                color=contrast, alpha=0.2, linewidth=0.5, label="Waveform",
            )  # fmt: skip
            end = max(end, edges[-1])

        starts, stops = self.borders[self.selected], self.borders[self.selected + 1]
        self.selection_ = ax.broken_barh(
            list(zip(starts, stops - starts, strict=True)), (0, 1), transform=of_height, zorder=0.8,
            color=ORANGE, alpha=0.35, linewidth=0,
            label="Chosen chunk" if len(starts) == 1 else "Chosen chunks",
        )  # fmt: skip
        self.borders_ = ax.vlines(
            self.borders, 0, 1, transform=of_height, zorder=0.9,
            color=contrast, alpha=0.6, linewidth=0.8 if len(self.borders) < 60 else 0.3,
            linestyle="--", label="Borders",
        )  # fmt: skip

        self.line_ = None
        if self.attention is None:
            ax.set_yticks([])
        else:
            width = 1.5 if len(self.attention) < 500 else 1.0
            self.line_ = ax.stairs(
                self.attention, self.times, baseline=None, color=LINE[contrast], linewidth=width
            )
            top = np.max(self.attention)
            # A limit of 0 would hide the lower half of a line at 0.
            ax.set_ylim(-0.03 * top, 1.1 * top)
            ax.set_ylabel("Attention")
        ax.set_xlim(0, end)
        ax.set_xlabel("Time (s)")
        handles = [self.selection_, self.borders_]
        handles += [] if self.waveform_ is None else [self.waveform_]
        self.legend_ = legend_above(ax, handles, self.title)
        return self


def _check_selector(selector: object) -> ChunkSelector:
    """Return a selector after checking that it is one, and fitted."""
    if not isinstance(selector, ChunkSelector):
        kind = selector.__name__ if isinstance(selector, type) else type(selector).__name__
        raise TypeError(
            f"{_NAME}: `selector` is a {kind}; expected a fitted ChunkSelector. "
            "Take it out of a Pipeline or ViewTransformer: pipeline.named_steps[...], "
            "transformer.named_transformers_[...]."
        )
    check_is_fitted(selector)
    return selector


def _one_song(song: ArrayLike) -> ArrayLike:
    """Return one song, given bare or as the one song of a list."""
    if isinstance(song, (list, tuple)):
        single = len(song) > 0 and np.ndim(song[0]) == 1
    else:
        single = getattr(song, "ndim", 2) == 2
    if not single:
        n_songs = len(check_sequences(song, caller=_NAME, name="song"))
        if n_songs > 1:
            raise ValueError(
                f"{_NAME}: a picture shows one song; got {n_songs}. Draw one at a time: songs[0]."
            )
        song = next(iter(song))
    return song


def _check_positive(name: str, value: Any) -> None:
    # Beyond these limits times could leave the range of float64.
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 1e-100 < value < 1e100:
        raise ValueError(f"{_NAME}: `{name}` is {value!r:.60}; expected a positive number.")


def _envelope(waveform: ArrayLike, rate: float | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the borders (s) of stretches of a recording, and their lowest and highest samples."""
    if rate is None:
        raise ValueError(
            f"{_NAME}: `waveform` needs its `sample_rate`, in Hz, to lie under the song."
        )
    _check_positive("sample_rate", rate)
    samples = np.asarray(check_kind(waveform, "waveform"))
    if samples.dtype.kind not in "iuf":
        raise TypeError(
            f"{_NAME}: `waveform` has the dtype {samples.dtype}; expected real numbers."
        )
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise ValueError(
            f"{_NAME}: `waveform` has shape {samples.shape}; expected (n_samples,) or "
            "(n_samples, n_channels), with 1 sample at least."
        )
    edges = np.linspace(0, len(samples), min(len(samples), _MAX_STRETCHES) + 1).astype(int)
    low, high = (
        extreme.reduceat(samples, edges[:-1], axis=0).reshape(len(edges) - 1, -1).astype(float)
        for extreme in (np.minimum, np.maximum)
    )
    low, high = low.min(axis=1), high.max(axis=1)
    # Bytes are the one sample format whose silence is not 0.
    if samples.dtype == np.uint8:
        low, high = low - 128, high - 128
    if not np.isfinite([low, high]).all():
        raise ValueError(
            f"{_NAME}: `waveform` holds NaN or infinity; repair the recording, or "
            "np.nan_to_num(samples)."
        )
    return edges / rate, low, high
