"""Moments of two views over their pairs: means and covariances.

    mu_x = X'a / N,  S_xx = X' diag(a) X / N - mu_x mu_x',  S_xy = X' W Y / N - mu_x mu_y'

Products about a fixed shift add up, over blocks, batches, machines and the parts of a blend; what
a large mean would cost has gone with the shift.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray

# A mean whose squared distance from the shift, in variances, is larger costs three digits.
_FAR = 1e3


class Moments(NamedTuple):
    """Means and second moments over the pairs; covariances once they are `centred`."""

    mean_x: Array  # (d_x,)
    mean_y: Array  # (d_y,)
    cov_x: Array  # (d_x, d_x)
    cov_y: Array  # (d_y, d_y)
    cov_xy: Array  # (d_x, d_y)

    @classmethod
    def of_products(cls, gram_x: Array, gram_y: Array, cross: Array, total: float) -> Moments:
        """Return the moments in [X 1]' diag(a) [X 1], [Y 1]' diag(b) [Y 1] and [X 1]' W [Y 1]."""
        for product in (gram_x, gram_y, cross):
            product /= total
        return cls(
            gram_x[-1, :-1],
            gram_y[-1, :-1],
            gram_x[:-1, :-1],
            gram_y[:-1, :-1],
            cross[:-1, :-1],
        )

    @classmethod
    def of_joint_product(cls, gram: Array, d_x: int) -> Moments:
        """Return the moments in [X Y 1]' diag(w) [X Y 1]."""
        gram /= gram[-1, -1]
        mean, cov = gram[-1, :-1], gram[:-1, :-1]
        return cls(mean[:d_x], mean[d_x:], cov[:d_x, :d_x], cov[d_x:, d_x:], cov[:d_x, d_x:])

    def __add__(self, other: object) -> Moments:
        """Return the sum of second moments about the same shift, parts of a blend."""
        assert isinstance(other, Moments)
        return Moments(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, share: float) -> Moments:
        """Return a part of a blend."""
        return Moments(*(share * value for value in self))

    def loses_precision(self, shift_x: Array, shift_y: Array) -> bool:
        """Whether the second moments have lost digits to a mean far from its shift."""
        sides = zip(self[:2], self[2:4], (shift_x, shift_y), strict=True)
        return any(
            (
                (mean**2 > _FAR * (np.diag(second) - mean**2)) & (abs(mean) > 1e-10 * abs(shift))
            ).any()
            for mean, second, shift in sides
        )

    def centred(self, shift_x: Array, shift_y: Array) -> Moments:
        """Return means of the unshifted views and covariances; overwrites the second moments."""
        means = {"cov_x": (self.mean_x,) * 2, "cov_y": (self.mean_y,) * 2}
        for name, (u, v) in {**means, "cov_xy": (self.mean_x, self.mean_y)}.items():
            _subtract_outer(getattr(self, name), u, v)
        return self._replace(mean_x=self.mean_x + shift_x, mean_y=self.mean_y + shift_y)


def _subtract_outer(A: Array, u: Array, v: Array, step: int = 256) -> None:
    """Subtract u v' in place, in stripes: at these sizes one more matrix counts."""
    for start in range(0, A.shape[1], step):
        columns = slice(start, start + step)
        A[:, columns] -= np.outer(u, v[columns])
