"""Upload a model release to a models bucket: `python -m infra.ops publish-model FOLDER --stack maskwatch-dev`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from functions.inference.release import MANIFEST, ReleaseError, load_release
from infra.ops.errors import OpsError
from infra.ops.stack import outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


class AlreadyPublishedError(OpsError):
    """The bucket has a release of this version; a published release never changes."""


def publish(folder: Path, bucket: str, s3: Any) -> str:
    """Verify the release in `folder`, upload it, and return its address for the stack parameter `ModelUri`.

    The address ends in the SHA-256 of the manifest: what is changed later under the prefix does not load.

    The manifest comes last and only where there is none: what has a manifest is complete, and stays as it is.

    Raises:
        ReleaseError: The release does not verify; nothing was uploaded.
        AlreadyPublishedError: There is a release of this version; it was not touched.
    """
    release = load_release(folder)
    uri = f"s3://{bucket}/models/{release.version}/"
    prefix = f"models/{release.version}/"
    refusal = AlreadyPublishedError(f"{uri} is published; give the release another version")
    if s3.list_objects_v2(Bucket=bucket, Prefix=prefix + MANIFEST)["KeyCount"]:
        raise refusal
    for name in release.manifest["files"]:
        s3.upload_file(str(folder / name), bucket, prefix + name)
    manifest = (folder / MANIFEST).read_bytes()
    try:
        s3.put_object(Bucket=bucket, Key=prefix + MANIFEST, Body=manifest, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] == "PreconditionFailed":  # someone else was faster
            raise refusal from error
        raise
    return f"{uri}#{hashlib.sha256(manifest).hexdigest()}"


def add_options(parser: ArgumentParser) -> None:
    """Say which release goes where."""
    parser.add_argument("folder", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", help="publish to the models bucket of this stack")
    where.add_argument("--bucket")


def command(options: Namespace) -> None:
    """Publish, and print what to do next.

    Raises:
        OpsError: The release does not verify, or there is one of this version.
    """
    bucket = options.bucket or outputs_of(options.stack)["ModelsBucket"]
    try:
        uri = publish(options.folder, bucket, boto3.client("s3"))
    except ReleaseError as error:
        raise OpsError(f"Not published: {error}") from error
    print(f"Published. It serves once the stack's parameter says so: ModelUri={uri}")
