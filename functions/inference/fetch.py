"""Opens a model release in the image, in a folder or in S3."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path

from functions.inference.release import Release, ReleaseError, load_release
from functions.shared.release_files import IMAGE_RELEASE, MANIFEST
from functions.shared.s3 import Location, parse_uri

_PLAIN_NAME = re.compile(r"[\w-][\w.-]*")


def open_release(uri: str) -> Release:
    """Load and verify the release at `uri`: a folder, s3://bucket/prefix/, or empty for the one in the image.

    An S3 address may end in `#` and the SHA-256 of the manifest. As the manifest has the checksums of all other
    files, a release that was changed after the address was written is refused.

    Raises:
        ReleaseError: The release is missing, incomplete, changed or not compatible.
    """
    location = parse_uri(uri)
    if location is None:
        return load_release(Path(uri) if uri else IMAGE_RELEASE)
    prefix, _, digest = location.key.partition("#")
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        _download(Location(location.bucket, prefix), Path(folder), digest)
        return load_release(Path(folder))


def _download(location: Location, folder: Path, digest: str) -> None:
    import boto3  # noqa: PLC0415 -- takes a third of a second
    from boto3.exceptions import Boto3Error  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    bucket, prefix = location.bucket, location.key.rstrip("/")
    name = MANIFEST
    try:
        s3 = boto3.client("s3")
        s3.download_file(bucket, f"{prefix}/{name}", str(folder / name))
        _check_manifest(folder / MANIFEST, digest)
        for name in _files(folder / MANIFEST):
            s3.download_file(bucket, f"{prefix}/{name}", str(folder / name))
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise ReleaseError(f"s3://{bucket}/{prefix}/{name} cannot be fetched: {error}") from error


def _check_manifest(manifest: Path, digest: str) -> None:
    actual = hashlib.sha256(manifest.read_bytes()).hexdigest()
    if digest and actual != digest:
        raise ReleaseError(f"{manifest.name}: sha256 is {actual}, the release's address says {digest}")


def _files(manifest: Path) -> list[str]:
    """Return the file names in the manifest, none of which may contain a path."""
    try:
        names = list(json.loads(manifest.read_bytes())["files"].keys())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{manifest.name} is not a release manifest: {error!r}") from error
    for name in names:
        if not _PLAIN_NAME.fullmatch(name):
            raise ReleaseError(f"{manifest.name}: {name!r} is not a plain file name")
    return names
