"""The drift demonstration changes pictures, simulates cameras and reports drift."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from functions.inference.decode import decode
from functions.inference.image_statistics import image_statistics
from infra.ops import demo_drift
from infra.ops.demo_drift import CHANGES, MIX, drawn, simulate, table
from tests.drift_samples import sample
from tests.pictures import draw_face, encode

GRAIN = np.random.default_rng(0).normal(0, 6, (240, 320, 3))
FACE = encode(
    Image.fromarray((np.asarray(draw_face(320, 240)) + GRAIN).clip(0, 255).astype(np.uint8)), quality=95
)


def test_each_change_has_the_effect_of_its_name() -> None:
    looks = {name: image_statistics(decode(change(FACE)).pixels) for name, change in CHANGES.items()}
    assert CHANGES["clean"](FACE) == FACE
    assert looks["darkened"]["brightness"] == pytest.approx(0.6 * looks["clean"]["brightness"], rel=0.02)
    assert looks["blurred"]["sharpness"] < 0.7 * looks["clean"]["sharpness"]
    assert looks["bad JPEG"]["blockiness"] > looks["clean"]["blockiness"] + 0.1


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_keeps_width_and_height(name) -> None:
    large = decode(CHANGES[name](encode(draw_face(1_400, 1_000).rotate(90, expand=True))))
    assert (large.width, large.height) == (1_000, 1_400)


def test_a_large_picture_is_blurred_too() -> None:
    large = encode(Image.open(io.BytesIO(FACE)).resize((1_600, 1_200)), quality=95)
    sharpness = [
        image_statistics(decode(one).pixels)["sharpness"] for one in (large, CHANGES["blurred"](large))
    ]
    assert sharpness[1] < 0.7 * sharpness[0]


def test_a_transparent_picture_can_be_changed_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 4), np.uint8)).save(buffer, "PNG")
    assert all(change(buffer.getvalue()) for change in CHANGES.values())


def test_the_other_mix_swaps_the_shares_of_labels() -> None:
    mixed = drawn(sample(2_000), np.random.default_rng(0), [0.1, 0.9, 0.0])
    assert len(mixed.labels) == 1_000
    assert mixed.label_counts()["no_mask"] / 1_000 == pytest.approx(0.9, abs=0.03)


def test_each_camera_is_listed_with_its_change(monkeypatch) -> None:
    monkeypatch.setattr("functions.drift.html._evidently", lambda *_: [])
    samples = {"clean": sample(800), "darkened": sample(800, shift={"brightness": -2})}
    report, page = simulate(samples, "1")
    lines = list(table(report))
    assert {name: source.status for name, source in report.sources.items()} == {
        "clean": "ok",
        "darkened": "drift",
        MIX: "drift",
    }
    assert "brightness has fallen" in next(line for line in lines if line.startswith("darkened"))
    assert "proportions of labels have changed" in next(line for line in lines if line.startswith(MIX))
    assert page.startswith("<!doctype html>")


REFUSED = {"text.jpg": b"text", "cut.jpg": FACE[:500], "empty.jpg": b"", "gif.jpg": b"GIF89a\1\0\1\0"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures" / "folder.jpg").mkdir(parents=True)
    for name, content in REFUSED.items():
        (tmp_path / "pictures" / name).write_bytes(content)
    for number in range(2):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(FACE)
    return tmp_path / "pictures"


def options(folder):
    return SimpleNamespace(folder=folder, pictures=400, out=folder.parent / "demo.html")


def test_pictures_that_predict_refuses_are_left_out(folder, monkeypatch) -> None:
    seen = {}

    def simulated(samples, _):
        seen.update(samples)
        return simulate({"clean": sample(800)}, "1")

    monkeypatch.setattr("functions.drift.html._evidently", lambda *_: [])
    monkeypatch.setattr(demo_drift, "MIN_PICTURES", 2)
    monkeypatch.setattr(demo_drift, "simulate", simulated)
    demo_drift.command(options(folder))
    assert {name: one.predictions for name, one in seen.items()} == dict.fromkeys(CHANGES, 2)


def test_too_few_pictures_that_can_be_scored_are_refused(folder, monkeypatch) -> None:
    monkeypatch.setattr(demo_drift, "MIN_PICTURES", 3)
    with pytest.raises(demo_drift.OpsError, match="Of 6 pictures, 2 can be scored"):
        demo_drift.command(options(folder))


def test_too_small_a_number_of_pictures_is_refused_at_once(folder) -> None:
    with pytest.raises(demo_drift.OpsError, match="--pictures is 50; at least 100 are needed"):
        demo_drift.command(SimpleNamespace(folder=folder, pictures=50, out=folder.parent / "demo.html"))


def test_too_few_pictures_are_refused(tmp_path) -> None:
    with pytest.raises(demo_drift.OpsError, match="0 pictures"):
        demo_drift.command(SimpleNamespace(folder=tmp_path, pictures=400, out=tmp_path / "demo.html"))
