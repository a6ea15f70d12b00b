"""Upload a model release to a models bucket: `python -m infra.ops publish-model FOLDER --stack maskwatch-dev`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from functions.inference.release import ReleaseError, load_release
from functions.shared.release_files import MANIFEST
from functions.shared.s3 import error_code, read
from infra.ops.errors import OpsError
from infra.ops.stack import outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def publish(folder: Path, bucket: str, s3: Any) -> str:
    """Verify the release in `folder`, upload it, and return its URI for the stack parameter `ModelUri`.

    The URI ends in the SHA-256 of the manifest, so that a release that is changed later does not load. No file is
    overwritten, and the manifest is uploaded last: a release with a manifest is complete and final.

    Raises:
        ReleaseError: The release does not verify; nothing was uploaded.
        OpsError: The bucket already has a release of this version, or files of another one; they were not changed.
    """
    release = load_release(folder)
    uri = f"s3://{bucket}/models/{release.version}/"
    prefix = f"models/{release.version}/"
    if s3.list_objects_v2(Bucket=bucket, Prefix=prefix + MANIFEST)["KeyCount"]:
        raise OpsError(f"{uri} is published; give the release another version")
    for name in release.manifest["files"]:
        _put(s3, bucket, prefix + name, (folder / name).read_bytes())
    manifest = (folder / MANIFEST).read_bytes()
    _put(s3, bucket, prefix + MANIFEST, manifest)
    return f"{uri}#{hashlib.sha256(manifest).hexdigest()}"


def _put(s3: Any, bucket: str, key: str, body: bytes) -> None:
    """Write an object, unless it is there: from an earlier attempt, or because S3's answer to this one was lost.

    Raises:
        OpsError: There is another object.
    """
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
    except ClientError as error:
        if error_code(error) != "PreconditionFailed":
            raise
        if read(s3, bucket, key) != body:
            raise OpsError(
                f"s3://{bucket}/{key} is of another release, which is published or was begun; "
                "give the release another version"
            ) from error


def add_options(parser: ArgumentParser) -> None:
    """Add the release, and the stack or the bucket."""
    parser.add_argument("folder", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", help="publish to the models bucket of this stack")
    where.add_argument("--bucket")


def command(options: Namespace) -> None:
    """Publish a release, and print its URI.

    Raises:
        OpsError: The release does not verify, or its version is already published.
    """
    bucket = options.bucket or outputs_of(options.stack)["ModelsBucket"]
    try:
        uri = publish(options.folder, bucket, boto3.client("s3"))
    except ReleaseError as error:
        raise OpsError(f"Not published: {error}") from error
    print(f"Published. It serves once the stack's parameter says so: ModelUri={uri}")
