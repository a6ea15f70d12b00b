"""Loads and verifies a model release: a folder with networks and a manifest with their checksums."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.shared.contract import LABELS
from functions.shared.release_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NETWORKS: Final = ("classifier", "detector")
SMALL_CLASSIFIER: Final = "small_classifier"  # optional
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # valid as a folder's name
_TFLITE: Final = b"TFL3"  # after the first four bytes
_INPUT: Final = {"dtype": "uint8", "layout": "NHWC", "channels": "RGB"}


class ReleaseError(Exception):
    """The release is not valid; the message names the file and the fault."""


@dataclass(frozen=True)
class Release:
    """A verified model release.

    Attributes:
        version: Its version, which answers and records contain.
        classifier: Classifies a face.
        small_classifier: A cheaper classifier for small faces; None if the release has none.
        detector: Detects faces (see `detect.read_cells` for its output).
        min_score: Minimum score of a face, 0 to 1.
        manifest: The manifest as written by training.
    """

    version: str
    classifier: Network
    small_classifier: Network | None
    detector: Network
    min_score: float
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Network:
    """A TFLite file that takes uint8 RGB (1, size, size, 3)."""

    file: bytes
    size: int


def load_release(folder: Path) -> Release:
    """Load and verify the release in `folder`.

    Raises:
        ReleaseError: A file is missing or changed, or the labels or the input are not those of this program.
    """
    manifest = _manifest(folder)
    files = {name: _read_verified(folder, name, digest) for name, digest in manifest["files"].items()}
    networks = {kind: _network(manifest, kind, files) for kind in _networks(manifest)}
    return Release(
        version=manifest["version"],
        classifier=networks["classifier"],
        small_classifier=networks.get(SMALL_CLASSIFIER),
        detector=networks["detector"],
        min_score=manifest["detector"]["min_score"],
        manifest=manifest,
    )


def _networks(manifest: Mapping[str, Any]) -> list[str]:
    return [*NETWORKS, *([SMALL_CLASSIFIER] if SMALL_CLASSIFIER in manifest else [])]


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        labels = tuple(manifest["labels"])
        inputs = {kind: manifest[kind]["input"] for kind in _networks(manifest)}
        sizes = {kind: given["size"] for kind, given in inputs.items()}
        in_range = {kind: 32 <= size <= 1024 and size % 32 == 0 for kind, size in sizes.items()}
        score_in_range = 0 < manifest["detector"]["min_score"] < 1
        version = manifest["version"]
        _ = [manifest[kind]["file"] for kind in inputs], manifest["files"].items()
    except FileNotFoundError as error:
        raise ReleaseError(f"{path} is missing; training writes it if the runs pass the gate") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{path} is not a release manifest: {error!r}") from error
    if not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise ReleaseError(
            f"{path}: the version must be up to 64 letters, digits, dots, dashes and underscores"
        )
    if labels != LABELS:
        raise ReleaseError(f"{path}: labels are {list(labels)}, expected {list(LABELS)}")
    for kind, given in inputs.items():
        if not in_range[kind] or given != {**_INPUT, "size": sizes[kind]}:
            raise ReleaseError(f"{path}: the {kind}'s input is {given}, expected a square of uint8 RGB, NHWC")
    if not score_in_range:
        raise ReleaseError(f"{path}: the detector's min_score must be between 0 and 1")
    return dict(manifest)


def _network(manifest: Mapping[str, Any], kind: str, files: Mapping[str, bytes]) -> Network:
    entry = manifest[kind]
    if entry["file"] not in files:
        raise ReleaseError(f"{MANIFEST}: no checksum for {entry['file']}")
    if files[entry["file"]][4:8] != _TFLITE:
        raise ReleaseError(f"{entry['file']} is not a TFLite file")
    return Network(files[entry["file"]], entry["input"]["size"])


def _read_verified(folder: Path, name: str, digest: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise ReleaseError(f"{folder / name} is named in the manifest but cannot be read") from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != digest:
        raise ReleaseError(f"{folder / name}: sha256 is {actual}, the manifest says {digest}")
    return data
