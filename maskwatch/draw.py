"""Drawing of an answer on its picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_QUALITY: Final = 90  # of a JPEG
# The colours of the page, which colour-blind people can tell apart.
COLOURS: Final = {"mask": "#0072B2", "no_mask": "#C24400", "incorrect": "#E69F00", "uncertain": "#66717C"}
LETTERS: Final = {"mask": "white", "no_mask": "white", "incorrect": "black", "uncertain": "white"}


def save(image: Image.Image, path: Path) -> None:
    """Write a drawn picture in the format of the path's ending.

    Raises:
        OSError: It cannot be written whole; Pillow alone takes a part for a success where a disk is full.
    """
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()[path.suffix.lower()], quality=_QUALITY)
    path.write_bytes(file.getvalue())


def draw(image: Image.Image, answer: Mapping[str, Any]) -> Image.Image:
    """Return a copy of an upright picture with a box, a label and its confidence for each face.

    A face with a `number`, such as that of a tracked person, shows it. If no face was found, the box is the whole
    picture, to which the label refers.
    """
    image = image.convert("RGB")
    canvas = ImageDraw.Draw(image)
    thickness = max(round(max(image.size) / 300), 1)
    font = ImageFont.load_default(max(round(max(image.size) / 45), 10))
    whole = {"box": {"left": 0, "top": 0, "width": image.width, "height": image.height}, **answer}
    for face in reversed(answer["faces"] or [whole]):  # the largest last, so that nothing covers its label
        box, colour = face["box"], COLOURS[face["label"]]
        left, top = box["left"], box["top"]
        right, bottom = left + box["width"], top + box["height"]
        canvas.rectangle((left, top, right, bottom), outline=colour, width=thickness)
        number = f"{face['number']} " if "number" in face else ""
        text = f"{number}{face['label']} {face['confidence']:.0%}"
        _, _, width, height = canvas.textbbox((0, 0), text, font=font)
        above = max(top - height - thickness, 0)
        start = max(min(left, image.width - width - 2 * thickness), 0)
        canvas.rectangle(
            (start, above, start + width + 2 * thickness, above + height + thickness), fill=colour
        )
        canvas.text((start + thickness, above), text, LETTERS[face["label"]], font)
    return image
