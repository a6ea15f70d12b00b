"""Augmentation of faces: variations by cameras, crops and compression, which must not decide the label.

The public data sets leak their labels through aspect ratio, blur and tightness of the crop. Each is therefore random
here, in the same way for every class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

from training.colours import any_colour, coloured, compressed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.tables import Box


MARGINS: Final = (0.1, 0.8)  # range around serving's margin, relative to a face's sides
QUARTER_TURNS: Final = 0.1  # share of views that are turned: detection does not notice a face on its side
WHOLE: Final = 0.12  # share of portraits used whole, as in serving if no face is found


def augment(
    pixels: NDArray[np.uint8], face: Box | None, size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a random view of a face.

    Args:
        pixels: RGB, uint8, (H, W, 3).
        face: The face's box in `pixels`; None if the picture is the face.
        size: Side of the result, in pixels.
        rng: Random number generator.

    Returns:
        RGB, uint8, (size, size, 3).
    """
    image = Image.fromarray(pixels)
    if rng.random() < 0.3:
        image = _rotated(image, face, rng)
    image = _framed(image, face, size, rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = _degraded(image, size, rng)
    result = coloured(image, rng)
    if rng.random() < 0.25:
        _cut_out(result, rng)
    if rng.random() < QUARTER_TURNS:
        result = np.ascontiguousarray(np.rot90(result, int(rng.integers(1, 4))))
    return result


def _rotated(image: Image.Image, face: Box | None, rng: np.random.Generator) -> Image.Image:
    left, top, right, bottom = face or (0, 0, image.width, image.height)
    return image.rotate(
        float(np.clip(rng.normal(0, 13), -40, 40)),
        Image.Resampling.BILINEAR,
        center=((left + right) / 2, (top + bottom) / 2),
        fillcolor=any_colour(rng),
    )


def _framed(image: Image.Image, face: Box | None, size: int, rng: np.random.Generator) -> Image.Image:
    """Crop with random margins and stretch to the square, sometimes as a small part of a plain background."""
    if face is None or rng.random() < WHOLE:
        inset = rng.uniform(-0.02, 0.12, 4).clip(0) * rng.integers(0, 2)
        box = (
            inset[0] * image.width,
            inset[1] * image.height,
            image.width * (1 - inset[2]),
            image.height * (1 - inset[3]),
        )
    else:
        width, height = face[2] - face[0], face[3] - face[1]
        margin = rng.uniform(*MARGINS) + rng.uniform(-0.2, 0.2, 4)
        box = (
            max(0, face[0] - margin[0] * width),
            max(0, face[1] - margin[1] * height),
            min(image.width, face[2] + margin[2] * width),
            min(image.height, face[3] + margin[3] * height),
        )
    if rng.random() >= 0.15:
        return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    width, height = (int(v) for v in size * rng.uniform(0.5, 1, 2))
    scene = Image.new("RGB", (size, size), any_colour(rng))
    place = (int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1)))
    scene.paste(image.resize((width, height), Image.Resampling.BILINEAR, box=box), place)
    return scene


def _degraded(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """Apply low resolution, blur and JPEG artefacts, each with some probability."""
    if rng.random() < 0.25:
        small = int(rng.uniform(20, 72))
        how = (Image.Resampling.BILINEAR, Image.Resampling.BOX)[rng.integers(0, 2)]
        image = image.resize((small, small), how).resize((size, size), Image.Resampling.BILINEAR)
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.2) * size / 128))
    if rng.random() < 0.25:
        image = compressed(image, int(rng.integers(15, 90)))
    return image


def _cut_out(pixels: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Cover a rectangle of at most a third of a side, in place, like a hand, a phone or another head."""
    size = len(pixels)
    height, width = (int(v) for v in size * rng.uniform(0.08, 0.33, 2))
    top, left = int(rng.integers(0, size - height)), int(rng.integers(0, size - width))
    pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3, dtype=np.uint8)
