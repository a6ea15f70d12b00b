"""Variations of colour and compression, with which both networks are trained."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageEnhance

if TYPE_CHECKING:
    from numpy.typing import NDArray


def compressed(image: Image.Image, quality: int) -> Image.Image:
    """Return an image as JPEG of this quality shows it."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def any_colour(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw an RGB colour."""
    return tuple(int(v) for v in rng.integers(0, 256, 3))


def coloured(image: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Vary saturation, then gamma, contrast, exposure and white balance (in one lookup table), then sensor noise."""
    image = ImageEnhance.Color(image).enhance(0 if rng.random() < 0.06 else rng.uniform(0.5, 1.4))
    levels = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25))
    levels = (levels - 0.5) * rng.uniform(0.75, 1.25) + 0.5
    gains = rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, (3, 1))
    if rng.random() < 0.08:
        gains *= rng.uniform(0.12, 0.5)
    image = image.point((levels * gains * 255).clip(0, 255).astype(int).ravel().tolist())
    if rng.random() >= 0.15:
        return np.array(image)
    noise = rng.normal(0, rng.uniform(3, 15), (image.height, image.width, 3))
    return (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)
