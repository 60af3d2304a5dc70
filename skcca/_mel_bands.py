"""From samples to rows of spectral bands.

Samples (n,) -> stretches of time -> windows -> spectra -> mel bands -> a row for each stretch. A
row depends on the samples of its own stretch alone, and every number of it is finite.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

WINDOW = 0.1  # seconds of "logmel"
_HOP, _LOWEST, _FLOOR = 0.025, 20.0, 1e-8  # of "logmel": seconds, Hz, power
_VGGISH_WINDOWS = 96  # of an example
_WINDOWS_AT_ONCE = 512


class Recipe(NamedTuple):
    """How samples become rows; ``log(|spectrum| ** power @ triangles + floor)`` in between."""

    rate: int
    window: np.ndarray  # (n,)
    hop: int  # samples
    triangles: np.ndarray  # (n_fft // 2 + 1, n_bands)
    power: int
    floor: float
    span: float | None  # samples of a row; None for the examples of VGGish

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """Return the rows (T, n_columns) of a recording, float32."""
        if self.span is None:
            step = _VGGISH_WINDOWS * self.hop
            length = step - self.hop + len(self.window)
            starts = np.arange(max(1, 1 + (len(samples) - length) // step)) * step
            rows = [self._bands(samples[a : a + length], length).ravel() for a in starts]
        else:
            n_rows = max(1, int(len(samples) / self.span + 0.5 + 1e-9))
            borders = np.minimum(np.rint(np.arange(n_rows + 1) * self.span), len(samples))
            bands = [
                self._bands(samples[a:b], len(self.window))
                for a, b in zip(borders[:-1].astype(int), borders[1:].astype(int), strict=True)
            ]
            rows = [np.concatenate([L.mean(axis=0), L.std(axis=0)]) for L in bands]
        return np.stack(rows).astype(np.float32)

    def _bands(self, samples: np.ndarray, at_least: int) -> np.ndarray:
        """Return the log-mel bands (n_windows, n_bands) of a stretch, filled up with silence."""
        samples = np.pad(samples, (0, max(0, at_least - len(samples))))
        windows = np.lib.stride_tricks.sliding_window_view(samples, len(self.window))[:: self.hop]
        n_fft = 2 * (len(self.triangles) - 1)
        bands = []
        for i in range(0, len(windows), _WINDOWS_AT_ONCE):
            # The window is float64: in float32 a loud band leaves nothing of a quiet one.
            spectra = np.fft.rfft(windows[i : i + _WINDOWS_AT_ONCE] * self.window, n_fft)
            bands.append(np.abs(spectra) ** self.power @ self.triangles)
        return np.log(np.concatenate(bands) + self.floor)


def logmel(n_bands: int, rate: int, frame_duration: float) -> Recipe:
    """Return how `features="logmel"` makes rows."""
    window = _hann(round(WINDOW * rate))
    triangles = _mel_triangles(len(window), rate, n_bands, _LOWEST, rate / 2)
    if not triangles.any(axis=0).all():
        raise ValueError(
            f"audio_frames: `n_bands`={n_bands} are too many at `sample_rate`={rate}: the lowest "
            "are narrower than the resolution of a spectrum. Lower `n_bands` or raise "
            "`sample_rate`."
        )
    window *= np.sqrt(2 / (_n_fft(len(window)) * np.sum(window**2)))
    hop = round(_HOP * rate)
    return Recipe(rate, window, hop, triangles, 2, _FLOOR, frame_duration * rate)


def vggish() -> Recipe:
    """Return how `features="vggish"` makes rows."""
    rate = 16_000
    triangles = _mel_triangles(400, rate, 64, 125.0, 7_500.0)
    return Recipe(rate, _hann(400), 160, triangles, 1, 0.01, None)


def _hann(n: int) -> np.ndarray:
    """Return the periodic Hann window, whose period is n and not n - 1."""
    return 0.5 - 0.5 * np.cos(2 * np.pi / n * np.arange(n))


def _n_fft(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _mel_triangles(n: int, rate: int, n_bands: int, lowest: float, highest: float) -> np.ndarray:
    """Return the weight of each bin of the spectrum of n samples in each mel band.

    Triangles are straight on the mel scale, as in VGGish; librosa's are straight in Hz.
    """

    def mel(hertz: Any) -> Any:
        return 1127 * np.log1p(hertz / 700)

    corners = np.linspace(mel(lowest), mel(highest), n_bands + 2)
    bins = mel(np.linspace(0, rate / 2, _n_fft(n) // 2 + 1))[:, None]
    rising, falling = bins - corners[:-2], corners[2:] - bins
    return np.maximum(0, np.minimum(rising, falling)) / (corners[1] - corners[0])
