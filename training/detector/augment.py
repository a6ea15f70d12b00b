"""Augmentation of scenes: mosaics, faces at every size, portraits, pasted faces, backgrounds without faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from functions.inference.detect import letterbox
from training.colours import any_colour, coloured, compressed
from training.scenes import overlaps_any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.scenes import Scene

MOSAIC: Final = 0.4  # share of pictures made of four scenes
FACE_FREE: Final = 0.05  # share of pictures that are backgrounds without faces
PORTRAIT: Final = 0.22  # share of pictures that are portraits
OVER_A_SCENE: Final = 0.3  # share of portraits on a background from a scene, rather than on a plain colour
NOT_FACE: Final = 0.3  # share of tiles centred on a place that looks like a face, if the scene has one
PASTED: Final = 0.35  # share of pictures with pasted faces
SIZES: Final = (13.0, 260.0)  # range of face sizes in pixels, uniform on a log scale
SEEN: Final = 0.45  # visible share of a face's area from which it must be found
IGNORED: Final = 0.1  # visible share from which it is ignored: a detection is neither right nor wrong
SMALLEST: Final = 7.0  # pixels; smaller faces are ignored, too


@dataclass(frozen=True)
class Faces:
    """Boxes (left, top, right, bottom) in pixels, float32 (n, 4), and whether each must be found, bool (n,)."""

    boxes: NDArray[np.float32]
    must_find: NDArray[np.bool_]


@dataclass(frozen=True)
class Material:
    """The material for training pictures.

    Attributes:
        scenes: Whole scenes.
        cumulated: Cumulative probabilities of drawing them, (scenes,).
        portraits: Scenes of one face.
        cut_faces: Faces to paste, with a narrow rim: RGB uint8 (H, W, 3).
    """

    scenes: Sequence[Scene]
    cumulated: NDArray[np.float64]
    portraits: Sequence[Scene]
    cut_faces: Sequence[NDArray[np.uint8]]

    def any_scene(self, rng: np.random.Generator) -> Scene:
        """Draw a scene by its probability."""
        return self.scenes[min(int(np.searchsorted(self.cumulated, rng.random())), len(self.scenes) - 1)]


def compose(
    material: Material, size: int, plain: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Faces]:
    """Compose a training picture.

    Args:
        material: The material.
        size: Side of the picture, in pixels.
        plain: Probability of a scene as in serving, with only colours and mirroring changed.
        rng: Random number generator.

    Returns:
        The picture, RGB uint8 (size, size, 3), and the faces in it.
    """
    if rng.random() < plain:
        return _plain(material.any_scene(rng), size, rng)
    kind = rng.random()
    canvas = Image.new("RGB", (size, size), any_colour(rng))
    parts = _parts(canvas, material, kind, rng)
    if material.cut_faces and rng.random() < PASTED:
        for _ in range(int(rng.integers(1, 5))):
            face = material.cut_faces[int(rng.integers(len(material.cut_faces)))]
            parts.append(_paste(canvas, face, parts, rng))
    faces = _joined(parts)
    if rng.random() < 0.25:
        canvas, faces = _rotated(canvas, faces, rng)
    pixels = coloured(_degraded(canvas, rng), rng)
    if rng.random() < 0.5:
        pixels, boxes = _mirrored(pixels, faces.boxes)
        faces = Faces(boxes, faces.must_find)
    return pixels, faces


def _parts(canvas: Image.Image, material: Material, kind: float, rng: np.random.Generator) -> list[Faces]:
    """Fill the canvas in the way that `kind`, 0 to 1, selects; return the faces of each part."""
    size = canvas.width
    if kind < MOSAIC:
        x, y = (int(v) for v in size * rng.uniform(0.3, 0.7, 2))
        tiles = ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size))
        return [_tile(canvas, tile, material.any_scene(rng), size, rng) for tile in tiles]
    if kind < MOSAIC + FACE_FREE:
        _face_free(canvas, material.any_scene(rng), rng)
        return []
    if material.portraits and kind < MOSAIC + FACE_FREE + PORTRAIT:
        if rng.random() < OVER_A_SCENE:
            _face_free(canvas, material.any_scene(rng), rng)
        portrait = material.portraits[int(rng.integers(len(material.portraits)))]
        return [_portrait(canvas, portrait, rng)]
    return [_tile(canvas, (0, 0, size, size), material.any_scene(rng), size, rng)]


def _plain(scene: Scene, size: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Faces]:
    pixels, boxes = scene.pixels, scene.boxes
    if rng.random() < 0.5:
        pixels, boxes = _mirrored(pixels, boxes)
    square, scale = letterbox(pixels, size)
    if rng.random() < 0.5:
        square = coloured(Image.fromarray(square), rng)
    faces = Faces((boxes * scale).astype(np.float32), scene.must_find)
    return square, _clipped(faces, (0, 0, scale * pixels.shape[1], scale * pixels.shape[0]))


def _mirrored(
    pixels: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    turned = boxes.copy()
    turned[:, [0, 2]] = pixels.shape[1] - boxes[:, [2, 0]]
    return pixels[:, ::-1], turned


def _tile(
    canvas: Image.Image, tile: tuple[int, int, int, int], scene: Scene, size: int, rng: np.random.Generator
) -> Faces:
    """Fill a rectangle of the canvas with a part of a scene, often scaled so that one face gets a random size."""
    left, top, right, bottom = tile
    height, width = scene.pixels.shape[:2]
    fit = size / max(width, height)
    centred = scene.boxes
    if len(scene.not_faces) and rng.random() < NOT_FACE:
        centred = scene.not_faces
    box = centred[int(rng.integers(len(centred)))]
    side = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
    if rng.random() < 0.5:
        scale = float(np.exp(rng.uniform(*np.log(SIZES)))) / side
        scale = float(np.clip(scale, 0.35 * fit, 3.5 * fit))
    else:
        scale = fit * float(rng.uniform(0.6, 1.35))
    across, down = scale * np.exp(rng.uniform(-0.12, 0.12, 2))
    # Place the face's centre at random, then shift the scene so that it covers as much as possible.
    centre = np.array([(box[0] + box[2]) / 2 * across, (box[1] + box[3]) / 2 * down])
    room = np.array([right - left, bottom - top])
    offset = rng.uniform(0.1, 0.9, 2) * room - centre
    extent = np.array([width * across, height * down])
    slack = room - extent
    offset = np.clip(offset, np.minimum(slack, 0), np.maximum(slack, 0))
    x0, y0 = np.maximum(offset, 0).round()
    x1, y1 = np.minimum(offset + extent, room).round()
    if x1 - x0 < 2 or y1 - y0 < 2:
        return _joined([])
    crop = np.array([x0, y0, x1, y1]) - np.tile(offset, 2)
    crop /= (across, down, across, down)
    crop = np.clip(crop, 0, (width, height, width, height))
    part = Image.fromarray(scene.pixels).resize(
        (int(x1 - x0), int(y1 - y0)), Image.Resampling.BILINEAR, tuple(crop), reducing_gap=2.0
    )
    canvas.paste(part, (left + int(x0), top + int(y0)))
    boxes = scene.boxes * (across, down, across, down) + np.tile(offset + np.array([left, top]), 2)
    faces = Faces(boxes.astype(np.float32), scene.must_find)
    return _clipped(faces, (left + x0, top + y0, left + x1, top + y1))


def _portrait(canvas: Image.Image, portrait: Scene, rng: np.random.Generator) -> Faces:
    """Put a portrait on the canvas: as large as possible, as in serving, or smaller and anywhere."""
    height, width = portrait.pixels.shape[:2]
    left, top, right, bottom = rng.uniform(0, 0.12, 4) * (rng.random() < 0.3) * (width, height, width, height)
    region = (left, top, width - right, height - bottom)
    extent = np.array([region[2] - region[0], region[3] - region[1]]) * np.exp(rng.uniform(-0.12, 0.12, 2))
    fills = rng.random() < 0.5
    longest = canvas.width * (1.0 if fills else float(np.exp(rng.uniform(np.log(0.3), 0))))
    fitted = (extent * longest / extent.max()).round().clip(8, canvas.width).astype(int)
    place = np.zeros(2, int) if fills else rng.integers(0, canvas.width - fitted + 1)
    part = Image.fromarray(portrait.pixels).resize(
        (int(fitted[0]), int(fitted[1])), Image.Resampling.BILINEAR, region, reducing_gap=2.0
    )
    canvas.paste(part, (int(place[0]), int(place[1])))
    scale = fitted / (region[2] - region[0], region[3] - region[1])
    boxes = (portrait.boxes - np.tile(region[:2], 2)) * np.tile(scale, 2) + np.tile(place, 2)
    end = place + fitted
    return _clipped(
        Faces(boxes.astype(np.float32), portrait.must_find),
        (float(place[0]), float(place[1]), float(end[0]), float(end[1])),
    )


def _clipped(faces: Faces, to: tuple[float, float, float, float]) -> Faces:
    """Clip faces to a rectangle; those that lose too much, or are too small, are ignored or removed."""
    boxes = faces.boxes
    cut = np.concatenate([np.maximum(boxes[:, :2], to[:2]), np.minimum(boxes[:, 2:], to[2:])], axis=1)
    sides = (cut[:, 2:] - cut[:, :2]).clip(0)
    visible = sides.prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    must_find = faces.must_find & (visible >= SEEN) & (sides.min(axis=1) >= SMALLEST)
    there = visible > IGNORED
    return Faces(cut[there].astype(np.float32), must_find[there])


def _joined(parts: Sequence[Faces]) -> Faces:
    none = Faces(np.zeros((0, 4), np.float32), np.zeros(0, bool))
    return Faces(
        np.concatenate([part.boxes for part in (none, *parts)]),
        np.concatenate([part.must_find for part in (none, *parts)]),
    )


def _face_free(canvas: Image.Image, scene: Scene, rng: np.random.Generator) -> None:
    """Fill the canvas with a part of the scene without faces; leave it unchanged if none is found."""
    height, width = scene.pixels.shape[:2]
    for _ in range(20):
        side = rng.uniform(0.2, 0.8, 2) * min(width, height)
        left, top = rng.uniform(0, 1, 2) * (np.array([width, height]) - side)
        place = (left, top, left + side[0], top + side[1])
        if not overlaps_any(scene.boxes, place):
            canvas.paste(Image.fromarray(scene.pixels).resize(canvas.size, Image.Resampling.BILINEAR, place))
            return


def _paste(
    canvas: Image.Image, face: NDArray[np.uint8], there: Sequence[Faces], rng: np.random.Generator
) -> Faces:
    """Paste a face with soft edges where it overlaps no other; return it, or no faces if that fails."""
    size = canvas.width
    height = float(np.exp(rng.uniform(*np.log((18, size * 0.6)))))
    width = height * face.shape[1] / face.shape[0] * float(np.exp(rng.uniform(-0.1, 0.1)))
    width, height = int(max(width, 10)), int(max(height, 10))
    if width >= size or height >= size:
        return _joined([])
    left, top = int(rng.integers(0, size - width)), int(rng.integers(0, size - height))
    if overlaps_any(_joined(there).boxes, (left, top, left + width, top + height)):
        return _joined([])
    rim = 0.5 * float(rng.uniform(0.02, 0.12)) * min(width, height)
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    edge = (rim, rim, width - rim, height - rim)
    if rng.random() < 0.5:
        draw.ellipse((0, 0, width, height), fill=255)
    else:
        draw.rectangle(edge, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(rim))
    canvas.paste(
        Image.fromarray(face).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0),
        (left, top),
        mask,
    )
    dx, dy = 0.05 * width, 0.04 * height
    box = np.array([[left + dx, top + dy, left + width - dx, top + height - dy]])
    return Faces(box.astype(np.float32), np.array([min(width, height) >= SMALLEST * 1.2]))


def _rotated(canvas: Image.Image, faces: Faces, rng: np.random.Generator) -> tuple[Image.Image, Faces]:
    """Rotate the picture; each box then bounds the rotated ellipse in the upright box."""
    degrees = float(np.clip(rng.normal(0, 10), -30, 30))
    size = canvas.width
    turned = canvas.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=any_colour(rng))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    centres = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 - size / 2
    halves = (faces.boxes[:, 2:] - faces.boxes[:, :2]) / 2
    x, y = centres[:, 0] * cos + centres[:, 1] * sin, -centres[:, 0] * sin + centres[:, 1] * cos
    half_width = np.hypot(halves[:, 0] * cos, halves[:, 1] * sin)
    half_height = np.hypot(halves[:, 0] * sin, halves[:, 1] * cos)
    boxes = np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1) + size / 2
    return turned, _clipped(Faces(boxes.astype(np.float32), faces.must_find), (0, 0, size, size))


def _degraded(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply low resolution, blur and JPEG artefacts, each with some probability."""
    size = image.size
    if rng.random() < 0.1:
        small = int(size[0] * rng.uniform(0.4, 0.8))
        image = image.resize((small, small), Image.Resampling.BOX).resize(size, Image.Resampling.BILINEAR)
    if rng.random() < 0.1:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    if rng.random() < 0.2:
        image = compressed(image, int(rng.integers(20, 90)))
    return image
