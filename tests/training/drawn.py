"""A small data folder of drawn faces in the format that training reads."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from moto import mock_aws
from PIL import Image, ImageDraw

from functions.shared.contract import LABELS
from tests.pictures import draw_face, encode
from training.scenes import Scene

# The environment in which the SageMaker SDK is content with a moto server.
MOTO = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def moto_account():
    """An empty AWS account in this process and its environment; yields what changes that further."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in MOTO.items():
            patch.setenv(name, value)
        yield patch


def draw(label: str, seed: int, width: int = 64, height: int = 72) -> Image.Image:
    """Draw a head in front of a background, with a mask according to the label."""
    rng = np.random.default_rng([LABELS.index(label), seed])
    noise = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    image = noise.resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    skin = tuple(int(v) for v in rng.integers((120, 90, 70), (240, 200, 180)))
    left, top = rng.uniform(0.1, 0.2, 2)
    head = (left * width, top * height, (1 - left) * width, (1 - top / 3) * height)
    pen.ellipse(head, skin)
    for eye in (0.38, 0.62):
        pen.ellipse((eye * width - 3, 0.4 * height - 2, eye * width + 3, 0.4 * height + 2), (30, 20, 20))
    pen.ellipse((0.45 * width, 0.5 * height, 0.55 * width, 0.6 * height), (90, 50, 40))
    pen.ellipse((0.4 * width, 0.7 * height, 0.6 * width, 0.76 * height), (150, 30, 40))
    starts = {"mask": 0.48, "incorrect": 0.64}
    if label in starts:
        pen.rectangle((0.22 * width, starts[label] * height, 0.78 * width, 0.9 * height), (130, 180, 225))
    return image


def write_crops(folder: Path, counts: dict[str, int]) -> None:
    """Write `<split>/<label>/*.jpg`, a number per label; in each split, the first is tall and the second wide."""
    for split, count in counts.items():
        for label in LABELS:
            target = folder / split / label
            target.mkdir(parents=True)
            for number in range(count):
                width, height = {0: (48, 100), 1: (100, 48)}.get(number, (64, 72))
                seed = number + 1000 * list(counts).index(split)
                picture = encode(draw(label, seed, width, height), quality=92)
                (target / f"{split}_{number}.jpg").write_bytes(picture)


def write_tables(folder: Path, splits: tuple[str, ...] = ("train", "test")) -> None:
    """Write `crops.csv` with two sources, and `frames.csv` with a scene of three faces for each split."""
    rows = ["file,split,label,source,width,height"]
    for path in sorted((folder / "crops").rglob("*.jpg")):
        split, label, name = path.parts[-3:]
        source = ("gate", "ward")[int(path.stem[-1]) % 2]
        rows.append(f"crops/{split}/{label}/{name},{split},{label},{source},64,72")
    (folder / "crops.csv").write_text("\n".join(rows) + "\n")
    (folder / "frames").mkdir()
    rows = ["file,split,source,width,height,xmin,ymin,xmax,ymax,label"]
    for number, split in enumerate(splits):
        noise = np.random.default_rng(number).integers(40, 120, (4, 8, 3), dtype=np.uint8)
        scene = Image.fromarray(noise).resize((320, 160), Image.Resampling.BICUBIC)
        for place, label in enumerate(LABELS):
            left = 10 + 105 * place
            scene.paste(draw(label, 77 + number), (left, 40))
            rows.append(f"frames/{split}.jpg,{split},street,320,160,{left},40,{left + 64},112,{label}")
        rows.append(f"frames/{split}.jpg,{split},street,320,160,0,0,12,15,mask")  # too small to be of use
        (folder / "frames" / f"{split}.jpg").write_bytes(encode(scene))
    (folder / "frames.csv").write_text("\n".join(rows) + "\n")


def scene_of_two_faces(number: int, split: str) -> Scene:
    """Draw two faces, of which only the left one is labelled; the right one is green."""
    pixels = np.full((240, 480, 3), 128, np.uint8)
    face = draw_face(90 + 3 * number % 30, 110)
    pixels[60:170, 60 : 60 + face.width] = np.asarray(face)
    green = np.asarray(
        Image.merge(
            "RGB", [face.getchannel(i).point(lambda v, i=i: v if i == 1 else v // 3) for i in range(3)]
        )
    )
    pixels[60:170, 300 : 300 + face.width] = green
    box = np.array([[60 + 0.2 * face.width, 76, 60 + 0.8 * face.width, 165]], np.float32)
    return Scene(
        Path(f"{number}"), split, "", "", pixels, box, np.zeros(1, int), np.ones(1, bool), np.zeros((0, 4))
    )
