"""Upload a model release to a models bucket: `python -m infra.ops publish-model FOLDER --stack maskwatch-dev`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from functions.inference.release import ReleaseError, load_release
from functions.shared.release_files import MANIFEST
from functions.shared.s3 import error_code
from infra.ops.errors import OpsError
from infra.ops.stack import outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def publish(folder: Path, bucket: str, s3: Any) -> str:
    """Verify the release in `folder`, upload it, and return its URI for the stack parameter `ModelUri`.

    The URI ends in the SHA-256 of the manifest, so that a release that is changed later does not load. The manifest
    is uploaded last, and never overwritten: a release with a manifest is complete and final.

    Raises:
        ReleaseError: The release does not verify; nothing was uploaded.
        OpsError: The bucket already has a release of this version; it was not changed.
    """
    release = load_release(folder)
    uri = f"s3://{bucket}/models/{release.version}/"
    prefix = f"models/{release.version}/"
    refusal = OpsError(f"{uri} is published; give the release another version")
    if s3.list_objects_v2(Bucket=bucket, Prefix=prefix + MANIFEST)["KeyCount"]:
        raise refusal
    for name in release.manifest["files"]:
        s3.upload_file(str(folder / name), bucket, prefix + name)
    manifest = (folder / MANIFEST).read_bytes()
    try:
        s3.put_object(Bucket=bucket, Key=prefix + MANIFEST, Body=manifest, IfNoneMatch="*")
    except ClientError as error:
        if error_code(error) == "PreconditionFailed":  # published concurrently
            raise refusal from error
        raise
    return f"{uri}#{hashlib.sha256(manifest).hexdigest()}"


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
