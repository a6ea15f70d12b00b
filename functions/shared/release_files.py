"""The files of a model release, which is in S3, in a folder or in the image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from functions.shared.s3 import parse_uri, read

IMAGE_RELEASE: Final = Path(__file__).parents[1] / "inference" / "model"  # the release in the image
MANIFEST: Final = "manifest.json"
BASELINE: Final = "baseline.json"


def file_of_release(release: str, name: str) -> str:
    """Return the address of a file of a release.

    The release is a folder, s3://bucket/prefix/ with or without the manifest's checksum, or empty for the one in the
    image.
    """
    return f"{release.partition('#')[0].rstrip('/') or IMAGE_RELEASE}/{name}"


def read_manifest(s3: Any, release: str) -> dict[str, Any]:
    """Return the manifest of a release, see `file_of_release`.

    Raises:
        LookupError: There is none.
        ValueError: It is not JSON.
        ClientError: S3 refused the request.
        BotoCoreError: S3 was not reached.
    """
    address = file_of_release(release, MANIFEST)
    text = read_file(s3, address)
    if text is None:
        raise LookupError(f"{address} does not exist")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def read_file(s3: Any, address: str) -> bytes | None:
    """Return the bytes of a file at a path or at s3://bucket/key, or None if there is none.

    Raises:
        ClientError: S3 refused the request.
        BotoCoreError: S3 was not reached.
    """
    if location := parse_uri(address):
        return read(s3, *location)
    path = Path(address)
    return path.read_bytes() if path.exists() else None
