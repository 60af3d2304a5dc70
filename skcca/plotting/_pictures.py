"""Pictures of queries and items, as they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np


def drawn_pictures(
    images: Any, which: np.ndarray, name: str, caller: str
) -> list[np.ndarray] | None:
    """Return the pictures that are drawn; grey ones from 0 to 1, by the same measure."""
    if images is None:
        return None
    drawn = [np.asarray(images[i]) for i in which]
    for image in drawn:
        colours = image.ndim == 3 and image.shape[2] in (3, 4)
        if image.dtype.kind not in "biuf" or not (colours or image.ndim == 2) or not image.size:
            raise ValueError(
                f"{caller}: `{name}` holds a picture of shape {image.shape}, dtype {image.dtype}; "
                "expected numbers (H, W), (H, W, 3) or (H, W, 4). Rows of pixels: "
                "X.reshape(-1, H, W); channels first: np.moveaxis(images, 1, -1)."
            )
        if not np.isfinite(image).all():
            raise ValueError(f"{caller}: `{name}` holds NaN or infinity; np.nan_to_num(images).")
        if colours and image.dtype != np.uint8 and (image.min() < 0 or image.max() > 1):
            raise ValueError(
                f"{caller}: `{name}` holds colours from {image.min():g} to {image.max():g}; "
                "expected 0 to 1, or the type uint8."
            )
    grey = [image for image in drawn if image.ndim == 2]
    if grey:
        low = float(min(image.min() for image in grey))
        span = (float(max(image.max() for image in grey)) - low) or 1.0
        drawn = [(image - low) / span if image.ndim == 2 else image for image in drawn]
    return drawn


def height_of(pictures: list[list[np.ndarray] | None]) -> float:
    """Return the room that pictures need, in widths of a cell."""
    shapes = [image.shape for images in pictures if images is not None for image in images]
    return max((min(1.0, height / width) for height, width, *_ in shapes), default=0.0)
