"""Drawn videos."""

from collections.abc import Iterable
from pathlib import Path

import av
from PIL import Image, ImageDraw

from tests.pictures import draw_face

WALL = (120, 118, 110)


def draw_bare_face(width: int = 96, height: int = 120) -> Image.Image:
    """Draw a face without a mask."""
    image = draw_face(width, height)
    draw = ImageDraw.Draw(image)
    skin, shade, lips = (224, 178, 150), (200, 150, 125), (150, 60, 60)
    draw.rounded_rectangle((0.2 * width, 0.52 * height, 0.8 * width, 0.88 * height), width // 8, skin)
    nose = ((0.5, 0.48), (0.45, 0.64), (0.55, 0.64))
    draw.polygon([(across * width, down * height) for across, down in nose], shade)
    draw.ellipse((0.4 * width, 0.72 * height, 0.6 * width, 0.78 * height), lips)
    return image


def room(*people: tuple[Image.Image, int, int]) -> Image.Image:
    """Draw a frame of 640 x 480 with faces, each at its left and top, in front of a wall."""
    image = Image.new("RGB", (640, 480), WALL)
    for face, left, top in people:
        image.paste(face, (left, top))
    return image


def write_video(path: Path, frames: Iterable[Image.Image], rate: int = 10, *, rotated: int = 0) -> Path:
    """Write frames of one size as H.264, with a frame rate and the rotation for display."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"preset": "veryfast", "g": str(rate)})
        stream.pix_fmt = "yuv420p"
        if rotated:
            stream.set_display_rotation(rotated)
        for number, frame in enumerate(frames):
            if not number:
                stream.width, stream.height = frame.size
            file.mux(stream.encode(av.VideoFrame.from_image(frame)))
        file.mux(stream.encode())
    return path
