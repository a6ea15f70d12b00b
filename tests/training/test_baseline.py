"""From validation pictures to the baseline of a release."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from functions.drift.baseline import read
from functions.drift.features import FEATURES, to_sample
from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError, load_release
from functions.inference.score import load_models
from functions.shared.contract import LABELS
from functions.shared.release_files import IMAGE_RELEASE
from tests.training.drawn import write_crops, write_tables
from training import baseline
from training.baseline import BASELINE, pictures, record_of, write_baseline
from training.errors import TrainingError


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with as many validation pictures as a baseline needs."""
    folder = tmp_path_factory.mktemp("many")
    write_crops(folder / "crops", {"train": 2, "val": 70, "test": 2})
    write_tables(folder)
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return without_baseline(tmp_path / "release")


def without_baseline(folder: Path) -> Path:
    """Copy the shipped release, without its baseline."""
    shutil.copytree(IMAGE_RELEASE, folder)
    (folder / BASELINE).unlink(missing_ok=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].pop(BASELINE, None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def served() -> list[dict]:
    """The records that serving would write for the pictures in `written`."""
    return []


@pytest.fixture(scope="module")
def written(many: Path, served: list[dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline in such a copy, of all validation pictures."""

    def recorded(*given: Any) -> dict | None:
        served.append(record_of(*given))
        return served[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "record_of", recorded)
        return write_baseline(many, without_baseline(tmp_path_factory.mktemp("written") / "release"))


def test_a_release_gets_a_baseline_with_its_checksum_in_the_manifest(
    many: Path, written: Path, release: Path, tmp_path: Path
) -> None:
    before = load_release(release)
    shutil.copytree(written.parent, tmp_path / "written")
    path = tmp_path / "written" / BASELINE
    after = load_release(path.parent)
    assert BASELINE in after.manifest["files"]
    assert (after.version, after.classifier) == (before.version, before.classifier)
    result = read(path.read_bytes())
    assert result.model_version == after.version
    assert result.overall.count == len(pictures(many, "val")) == 3 * 70
    path.write_text(path.read_text().replace("1", "2", 1))
    with pytest.raises(ReleaseError, match=f"{BASELINE}: sha256"):
        load_release(path.parent)


def test_it_is_the_same_each_time(
    many: Path, written: Path, served: list[dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, records = tmp_path / "again", iter(served)
    shutil.copytree(written.parent, again)
    monkeypatch.setattr(baseline, "record_of", lambda *_: next(records))
    assert write_baseline(many, again).read_bytes() == written.read_bytes()
    assert (again / "manifest.json").read_bytes() == (written.parent / "manifest.json").read_bytes()


def test_its_figures_are_those_of_serving_on_the_validation_pictures(
    written: Path, served: list[dict]
) -> None:
    result = read(written.read_bytes()).overall
    values = to_sample(served).values
    for feature in ("brightness", "blockiness", "confidence", "projection_5"):
        was = values[:, FEATURES.index(feature)]
        assert result.column(feature).mean() == pytest.approx(was.mean(), abs=0.05 * float(was.std()))
    labels = [max(LABELS, key=record["probabilities"].get) for record in served]
    assert result.label_counts() == {label: labels.count(label) for label in LABELS}


def test_only_validation_pictures_count_in_any_form_of_the_folder(many: Path, tmp_path: Path) -> None:
    assert {path.parts[-3] for path in pictures(many, "val") if "crops" in path.parts} == {"val"}
    write_crops(tmp_path / "in splits", {"train": 30})
    (tmp_path / "in splits" / "train").rename(tmp_path / "flat")
    assert 0 < len(pictures(tmp_path / "flat", "val")) < 45


def test_a_picture_that_serving_refuses_is_left_out() -> None:
    assert record_of(b"\xff\xd8\xff no picture", load_models(open_release(""), threads=1)) is None


def test_too_few_pictures_give_no_baseline_and_the_release_is_unchanged(drawn: Path, release: Path) -> None:
    before = (release / "manifest.json").read_bytes()
    with pytest.raises(TrainingError, match=r"has \d+ validation pictures; a baseline needs at least 200"):
        write_baseline(drawn, release)
    assert (release / "manifest.json").read_bytes() == before
    assert not (release / BASELINE).exists()
