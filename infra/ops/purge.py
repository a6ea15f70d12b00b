"""Empty and delete the buckets of a deleted stack. Their content cannot be restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from infra.ops.errors import OpsError
from infra.ops.stack import stack_outputs

if TYPE_CHECKING:
    from argparse import Namespace

_TAG = "aws:cloudformation:stack-name"  # set by CloudFormation, and kept when the stack is deleted


def left_by(stack: str, s3: Any) -> list[str]:
    """Return the names of the buckets that a stack created."""
    return [
        bucket["Name"]
        for bucket in s3.list_buckets()["Buckets"]
        if bucket["Name"].startswith(f"{stack.lower()}-") and _tags(bucket["Name"], s3).get(_TAG) == stack
    ]


def _tags(bucket: str, s3: Any) -> dict[str, str]:
    try:
        return {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}


def command(options: Namespace) -> None:
    """Ask for confirmation, then delete all versions of all objects, and the buckets.

    Raises:
        OpsError: The stack still exists, left no bucket, or the user did not confirm.
    """
    try:
        stack_outputs(options.stack, boto3.client("cloudformation"))
    except OpsError:
        pass
    else:
        raise OpsError(f"{options.stack} still exists, and its buckets are in use: run make destroy first")
    buckets = left_by(options.stack, boto3.client("s3"))
    if not buckets:
        raise OpsError(f"{options.stack} left no buckets")
    print("This permanently deletes the content of:", *buckets, sep="\n    ")
    if input(f"Type {options.stack} to continue: ") != options.stack:
        raise OpsError("nothing was deleted")
    for name in buckets:
        bucket = boto3.resource("s3").Bucket(name)
        bucket.object_versions.delete()
        bucket.delete()
        print(f"{name} is deleted")
