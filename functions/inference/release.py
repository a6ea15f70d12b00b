"""A model release: a folder with the models and the manifest that vouches for them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LABELS: Final = ("mask", "no_mask", "incorrect")
MANIFEST: Final = "manifest.json"


class InvalidRelease(Exception):  # noqa: N818 -- named after what it says
    """The release must not serve; the message says what is wrong with which file."""


@dataclass(frozen=True)
class Release:
    """A verified model release.

    Attributes:
        version: What answers and records call it.
        classifier: The TFLite file, uint8 RGB (1, input_size, input_size, 3) in, probabilities out.
        input_size: Side of the classifier's input, in pixels.
        manifest: The whole manifest as written by training.
    """

    version: str
    classifier: bytes
    input_size: int
    manifest: Mapping[str, Any]


def load_release(folder: Path) -> Release:
    """Read and verify the release in `folder`.

    Raises:
        InvalidRelease: A file is missing or altered, or the labels or the input are not ours.
    """
    manifest = _manifest(folder)
    files = {name: _verified(folder, name, digest) for name, digest in manifest["files"].items()}
    classifier = manifest["classifier"]
    if classifier["file"] not in files:
        raise InvalidRelease(f"{MANIFEST}: no checksum for {classifier['file']}")
    return Release(manifest["version"], files[classifier["file"]], classifier["input"]["size"], manifest)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        labels = tuple(manifest["labels"])
        taken = manifest["classifier"]["input"]
        size = taken["size"]
        _ = manifest["version"], manifest["classifier"]["file"], manifest["files"].items()
    except FileNotFoundError as error:
        raise InvalidRelease(f"{path} is missing") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRelease(f"{path} is not a release manifest: {error!r}") from error
    if labels != LABELS:
        raise InvalidRelease(f"{path}: labels are {list(labels)}, expected {list(LABELS)}")
    if (
        taken != {"size": size, "dtype": "uint8", "layout": "NHWC", "channels": "RGB"}
        or not 32 <= size <= 1024
    ):
        raise InvalidRelease(f"{path}: input is {taken}, expected a square of uint8 RGB, NHWC")
    return dict(manifest)


def _verified(folder: Path, name: str, digest: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise InvalidRelease(f"{folder / name} is named in the manifest but cannot be read") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise InvalidRelease(f"{folder / name}: sha256 is {found}, the manifest says {digest}")
    return data
