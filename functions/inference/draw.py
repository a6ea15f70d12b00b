"""Look at an answer: `python -m functions.inference.draw in.jpg out.jpg` draws faces and labels on a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.score import Question, load_models, score
from functions.problem import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

# Told apart by people who are colour-blind as well (Okabe & Ito 2008).
COLOURS: Final = {"mask": "#0072B2", "no_mask": "#D55E00", "incorrect": "#009E73", "uncertain": "#666666"}


def draw(image: Image.Image, answer: Mapping[str, Any]) -> Image.Image:
    """A copy of an upright picture with what an answer of the API says of it."""
    image = image.convert("RGB")
    canvas = ImageDraw.Draw(image)
    thickness = max(round(max(image.size) / 300), 1)
    font = ImageFont.load_default(max(round(max(image.size) / 45), 10))
    whole = {"box": {"left": 0, "top": 0, "width": image.width, "height": image.height}, **answer}
    for face in answer["faces"] or [whole]:
        box, colour = face["box"], COLOURS[face["label"]]
        left, top = box["left"], box["top"]
        right, bottom = left + box["width"], top + box["height"]
        canvas.rectangle((left, top, right, bottom), outline=colour, width=thickness)
        text = f"{face['label']} {face['confidence']:.0%}"
        _, _, width, height = canvas.textbbox((0, 0), text, font=font)
        above = max(top - height - thickness, 0)
        start = max(min(left, image.width - width - 2 * thickness), 0)
        canvas.rectangle(
            (start, above, start + width + 2 * thickness, above + height + thickness), fill=colour
        )
        canvas.text((start + thickness, above), text, "white", font)
    return image


def main() -> int:
    """Score a picture with the release in the image and draw the answer; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help="a JPEG, PNG or WebP file")
    parser.add_argument("drawn", type=Path, help="where the drawn copy goes; its ending says the format")
    options = parser.parse_args()
    try:
        picture = decode(options.picture.read_bytes())
        answer = score(picture, load_models(open_release(""), 1), Question(), decode_ms=0).as_json()
        with Image.open(options.picture) as image:
            draw(ImageOps.exif_transpose(image), answer).save(options.drawn)
    except (Rejected, OSError, ValueError) as error:
        print(f"{options.picture}: {error}", file=sys.stderr)
        return 1
    for face in answer["faces"]:
        print(f"{face['label']:10}{face['confidence']:6.1%}  {face['box']}")
    print(f"{answer['summary']['faces']} faces; the {answer['classified']} says {answer['label']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
