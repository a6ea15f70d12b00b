"""Drawn pictures."""

import io
import struct
import zlib

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
FINE = 4  # drawn pixels per pixel of the result, on each side


def draw_face(width: int = 160, height: int = 200) -> Image.Image:
    """Draw an upright face with a surgical mask, lit from the left so that it has no symmetry."""
    image = Image.new("RGB", (width, height), (96, 120, 140))
    draw = ImageDraw.Draw(image)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return left * width, top * height, right * width, bottom * height

    draw.rectangle(box(0, 0, 0.15, 1), (210, 210, 200))
    draw.ellipse(box(0.2, 0.1, 0.8, 0.95), (224, 178, 150))
    draw.pieslice(box(0.17, 0.05, 0.83, 0.7), 180, 360, (60, 40, 30))
    for eye in (0.37, 0.63):
        draw.ellipse(box(eye - 0.06, 0.4, eye + 0.06, 0.46), (250, 250, 250))
        draw.ellipse(box(eye - 0.02, 0.405, eye + 0.02, 0.455), (40, 30, 20))
    draw.rounded_rectangle(box(0.26, 0.55, 0.74, 0.86), width // 12, (120, 170, 215))
    for strap in (0.6, 0.8):
        draw.line(box(0.2, strap, 0.26, strap), (240, 240, 240), 2)
        draw.line(box(0.74, strap, 0.8, strap), (240, 240, 240), 2)
    return image


def draw_person(
    label: str,
    width: int,
    height: int,
    *,
    skin: Colour = (198, 134, 92),
    hair: Colour = (90, 90, 90),
    cloth: Colour = (120, 170, 215),
) -> Image.Image:
    """Draw a head and shoulders in front of a wall, with a mask according to the label."""
    image = Image.new("RGB", (width * FINE, height * FINE), (120, 118, 110))
    pen = ImageDraw.Draw(image)
    wide, tall = image.size

    def at(*shares: float) -> tuple[float, ...]:
        return tuple(share * (tall if i % 2 else wide) for i, share in enumerate(shares))

    def shaded(colour: Colour) -> Colour:
        red, green, blue = (round(0.85 * value) for value in colour)
        return red, green, blue

    pen.ellipse(at(0.05, 0.86, 0.95, 1.4), (70, 92, 120))
    pen.rounded_rectangle(at(0.38, 0.75, 0.62, 0.98), wide // 16, shaded(skin))
    pen.ellipse(at(0.2, 0.1, 0.8, 0.9), skin)
    pen.pieslice(at(0.17, 0.04, 0.83, 0.68), 180, 360, hair)
    for eye in (0.37, 0.63):
        pen.ellipse(at(eye - 0.06, 0.4, eye + 0.06, 0.46), (250, 250, 250))
        pen.ellipse(at(eye - 0.025, 0.402, eye + 0.025, 0.458), (40, 30, 20))
        pen.line(at(eye - 0.08, 0.365, eye + 0.08, 0.36), hair, wide // 50)
    if label != "mask":
        pen.polygon(at(0.5, 0.44, 0.455, 0.585, 0.545, 0.585), shaded(skin))
        for nostril in (0.455, 0.515):
            pen.ellipse(at(nostril, 0.565, nostril + 0.03, 0.59), (120, 70, 55))
    if label == "no_mask":
        pen.chord(at(0.4, 0.63, 0.6, 0.74), 0, 180, (170, 60, 60))
    else:
        top = {"mask": 0.5, "incorrect": 0.62}[label]
        pen.rounded_rectangle(at(0.25, top, 0.75, 0.87), wide // 10, cloth)
        for fold in (0.07, 0.14, 0.2):
            pen.line(at(0.29, top + fold, 0.71, top + fold), shaded(cloth), wide // 90)
        for strap in (top + 0.03, 0.8):
            pen.line(at(0.2, 0.52, 0.26, strap), (240, 240, 240), wide // 60)
            pen.line(at(0.74, strap, 0.8, 0.52), (240, 240, 240), wide // 60)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def draw_scene(
    sides: tuple[int, ...] = (110, 80, 60, 30), width: int = 480, height: int = 240
) -> Image.Image:
    """Draw faces of these widths, in pixels, side by side in front of a wall."""
    image = Image.new("RGB", (width, height), (120, 118, 110))
    left = 20
    for side in sides:
        image.paste(draw_face(side, side * 5 // 4), (left, height - side * 5 // 4 - 20))
        left += side + 30
    return image


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """Return the bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def draw_mjpeg(length: int) -> bytes:
    """Draw two people with masks who sway in front of a wall, as motion JPEG of 640x480 with `length` frames."""
    frames = []
    for number in range(length):
        image = Image.new("RGB", (640, 480), (120, 118, 110))
        sway = abs(length // 2 - number)
        image.paste(draw_face(96, 120), (80 + sway, 200))
        image.paste(draw_face(96, 120), (420 - sway, 220))
        frames.append(encode(image, quality=90))
    return b"".join(frames)


def chunk(name: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
