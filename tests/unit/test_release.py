"""A release that does not match its manifest is refused with the reason."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from functions.inference.fetch import open_release
from functions.inference.release import NETWORKS, ReleaseError, load_release
from functions.shared.contract import LABELS
from functions.shared.release_files import IMAGE_RELEASE
from tests.releases import alter, copy_release


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_release(tmp_path / "release")


def test_the_shipped_release_loads(folder: Path) -> None:
    release = load_release(folder)
    assert release.manifest["labels"] == list(LABELS)
    assert release.classifier.file[4:8] == release.detector.file[4:8] == b"TFL3"
    assert release.classifier.file != release.detector.file
    assert 0 < release.min_score < 1
    assert release.version


def test_a_release_may_have_a_classifier_for_small_faces(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    small = manifest["classifier"] | {"input": manifest["classifier"]["input"] | {"size": 128}}
    alter(folder, small_classifier=small)
    release = load_release(folder)
    assert release.small_classifier
    assert (release.small_classifier.size, release.classifier.size) == (128, 224)
    alter(folder, small_classifier=small | {"file": "small.tflite"})
    with pytest.raises(ReleaseError, match=r"no checksum for small\.tflite"):
        load_release(folder)
    alter(folder, small_classifier=small | {"input": {"size": 100}})
    with pytest.raises(ReleaseError, match="the small_classifier's input is"):
        load_release(folder)


def test_an_older_release_loads_without_a_small_classifier(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("small_classifier", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert load_release(folder).small_classifier is None


def test_an_empty_uri_is_the_release_in_the_image() -> None:
    assert open_release("").version == load_release(IMAGE_RELEASE).version


def test_a_folder_is_a_uri(folder: Path) -> None:
    alter(folder, version="mine")
    assert open_release(str(folder)).version == "mine"


@pytest.mark.parametrize("network", NETWORKS)
def test_an_altered_model_is_refused(folder: Path, network: str) -> None:
    path = folder / f"{network}.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ReleaseError, match=rf"{network}\.tflite: sha256 is .*, the manifest says"):
        load_release(folder)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_missing_model_is_refused(folder: Path, network: str) -> None:
    (folder / f"{network}.tflite").unlink()
    with pytest.raises(ReleaseError, match=rf"{network}\.tflite is named in the manifest but cannot be read"):
        load_release(folder)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_release_without_one_of_its_models_is_refused(folder: Path, network: str) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != network}))
    with pytest.raises(ReleaseError, match=f"is not a release manifest.*{network}"):
        load_release(folder)


@pytest.mark.parametrize("score", [0, 1, -0.1, 1.5])
def test_an_invalid_threshold_is_refused(folder: Path, score: float) -> None:
    detector = json.loads((folder / "manifest.json").read_text())["detector"]
    alter(folder, detector=detector | {"min_score": score})
    with pytest.raises(ReleaseError, match="min_score"):
        load_release(folder)


def test_a_missing_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(ReleaseError, match=r"manifest\.json is missing"):
        load_release(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"labels": 5}'])
def test_an_invalid_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(ReleaseError, match="is not a release manifest"):
        load_release(folder)


@pytest.mark.parametrize("labels", [["mask", "no_mask"], ["no_mask", "mask", "incorrect"], []])
def test_other_labels_are_refused(folder: Path, labels: list[str]) -> None:
    alter(folder, labels=labels)
    with pytest.raises(ReleaseError, match="labels are"):
        load_release(folder)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    "change", [{"size": 8}, {"size": 450}, {"dtype": "float32"}, {"layout": "NCHW"}, {"channels": "BGR"}]
)
def test_another_input_is_refused(folder: Path, network: str, change: dict[str, Any]) -> None:
    result = json.loads((folder / "manifest.json").read_text())[network]
    alter(folder, **{network: result | {"input": result["input"] | change}})
    with pytest.raises(ReleaseError, match=f"the {network}'s input is"):
        load_release(folder)


def test_a_model_without_a_checksum_is_refused(folder: Path) -> None:
    alter(folder, files={})
    with pytest.raises(ReleaseError, match="no checksum"):
        load_release(folder)


@pytest.mark.parametrize("version", ["", "../7", "a b", "x" * 65, 7, None, "1.0\n"])
def test_an_invalid_version_is_refused(folder: Path, version: object) -> None:
    alter(folder, version=version)
    with pytest.raises(ReleaseError, match="the version must be"):
        load_release(folder)


def test_a_network_of_another_type_is_refused(folder: Path) -> None:
    (folder / "detector.tflite").write_bytes(b"a pickle, say")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    alter(folder, files=files | {"detector.tflite": hashlib.sha256(b"a pickle, say").hexdigest()})
    with pytest.raises(ReleaseError, match=r"detector\.tflite is not a TFLite file"):
        load_release(folder)
