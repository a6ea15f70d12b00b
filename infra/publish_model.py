"""Upload a model release to a models bucket: `python -m infra.publish_model FOLDER --stack maskwatch-dev`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from functions.inference.release import MANIFEST, load_release
from infra.outputs import stack_outputs


class AlreadyPublished(Exception):  # noqa: N818 -- a verdict about the version
    """The bucket has a release of this version; a published release never changes."""


def publish(folder: Path, bucket: str, s3: Any) -> str:
    """Verify the release in `folder`, upload it, and return its address for the stack parameter `ModelUri`.

    The manifest comes last and only where there is none: what has a manifest is complete, and stays as it is.

    Raises:
        InvalidRelease: The release does not verify; nothing was uploaded.
        AlreadyPublished: There is a release of this version; it was not touched.
    """
    release = load_release(folder)
    uri = f"s3://{bucket}/models/{release.version}/"
    prefix = f"models/{release.version}/"
    refusal = AlreadyPublished(f"{uri} is published; give the release another version")
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
    return uri


def main() -> None:
    """Publish as the command line says, and print what to do next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", help="publish to the models bucket of this stack")
    where.add_argument("--bucket")
    arguments = parser.parse_args()
    bucket = (
        arguments.bucket or stack_outputs(arguments.stack, boto3.client("cloudformation"))["ModelsBucket"]
    )
    uri = publish(arguments.folder, bucket, boto3.client("s3"))
    print(f"Published. It serves once the stack's parameter says so: ModelUri={uri}")


if __name__ == "__main__":
    main()
