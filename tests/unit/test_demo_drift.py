"""What the demonstration of drift sends and says; all of it together is tried by hand, with `make run`."""

import io

import numpy as np
import pytest
from PIL import Image

from functions.inference.decode import decode
from functions.inference.image_statistics import image_statistics
from infra.ops.demo_drift import CHANGES, MIX, mixed, table
from tests.pictures import draw_face, encode

GRAIN = np.random.default_rng(0).normal(0, 6, (240, 320, 3))
FACE = encode(
    Image.fromarray((np.asarray(draw_face(320, 240)) + GRAIN).clip(0, 255).astype(np.uint8)), quality=95
)


def test_each_change_is_the_one_that_it_is_called() -> None:
    looks = {name: image_statistics(decode(change(FACE)).pixels) for name, change in CHANGES.items()}
    assert CHANGES["clean"](FACE) == FACE
    assert looks["darkened"]["brightness"] == pytest.approx(0.6 * looks["clean"]["brightness"], rel=0.02)
    assert looks["blurred"]["sharpness"] < 0.7 * looks["clean"]["sharpness"]
    assert looks["bad JPEG"]["blockiness"] > looks["clean"]["blockiness"] + 0.1


def test_a_transparent_picture_can_be_changed_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 4), np.uint8)).save(buffer, "PNG")
    assert all(change(buffer.getvalue()) for change in CHANGES.values())


def test_in_the_other_mix_the_rarer_label_is_the_frequent_one() -> None:
    files = [b"mask %d" % n for n in range(70)] + [b"no_mask %d" % n for n in range(20)] + [b"incorrect"] * 10
    labels = [file.split()[0].decode() for file in files]
    drawn = [file.split()[0].decode() for file in mixed(files, labels)]
    assert len(drawn) == 100
    assert (drawn.count("no_mask"), drawn.count("mask")) == (80, 20)
    assert mixed(files[:70], labels[:70]) == []


def test_the_table_tells_every_source_s_verdict_and_findings() -> None:
    sources = {"clean": ("ok", 400), MIX: ("drift", 400), "somebody else's": ("drift", 3)}
    report = {
        "sources": {name: {"verdict": verdict, "predictions": n} for name, (verdict, n) in sources.items()},
        "findings": [
            {"source": None, "words": "all"},
            {"source": MIX, "words": "other labels"},
            {"source": MIX, "words": "and more"},
        ],
    }
    _, clean, mix, more = table(report)
    assert clean.split() == ["clean", "400", "ok"]
    assert mix.split(maxsplit=4)[2:] == ["400", "drift", "other labels"]
    assert more.strip() == "and more"
