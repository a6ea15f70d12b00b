"""Drawn people and simulated cameras for the rehearsal."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from functions.shared.contract import LABELS
from tests.pictures import draw_person, encode

SIDE = 240  # pixels of a picture
SPLITS = {"train": 24, "val": 8, "test": 20}  # people per label


def person(label: str, number: int) -> Image.Image:
    """Draw a random person in front of a random wall."""
    rng = np.random.default_rng([LABELS.index(label), number])

    def colour(low: tuple[int, ...], high: tuple[int, ...]) -> tuple[int, int, int]:
        red, green, blue = rng.integers(low, high).tolist()
        return red, green, blue

    drawn = draw_person(
        label,
        int(rng.integers(130, 175)),
        int(rng.integers(165, 215)),
        skin=colour((150, 110, 85), (240, 195, 165)),
        hair=colour((20, 15, 10), (120, 85, 60)),
        cloth=colour((110, 150, 190), (190, 215, 240)),
    )
    wall = Image.fromarray(rng.integers(60, 200, (4, 5, 3), dtype=np.uint8))
    image = wall.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    image.paste(drawn, (int(rng.integers(20, 60)), 20))
    return image


def old_camera(image: Image.Image) -> bytes:
    """Return the picture of an old camera, which is almost sharp."""
    return encode(image.filter(ImageFilter.GaussianBlur(SIDE / 110)), quality=85)


def new_camera(image: Image.Image) -> bytes:
    """Return the picture of a new camera, which is out of focus and too blue."""
    blurred = image.filter(ImageFilter.GaussianBlur(SIDE / 60))
    return encode(
        Image.merge(
            "RGB",
            [
                band.point(lambda value, gain=gain: value * gain)
                for band, gain in zip(blurred.split(), (0.5, 0.8, 1.0), strict=True)
            ],
        ),
        quality=85,
    )


def write_pictures(folder: Path) -> None:
    """Write the operator's own pictures of people in front of the new cameras, `<split>/<label>/*.jpg`."""
    for first, (split, count) in enumerate(SPLITS.items(), 1):
        for label in LABELS:
            target = folder / split / label
            target.mkdir(parents=True)
            for number in range(count):
                (target / f"{number}.jpg").write_bytes(new_camera(person(label, 1000 * first + number)))
