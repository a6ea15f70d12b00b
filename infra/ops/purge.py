"""Delete the buckets of a deleted stack with their content, and its table of alerts and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from functions.shared.s3 import error_code
from infra.ops.errors import OpsError
from infra.ops.stack import outputs_of

if TYPE_CHECKING:
    from argparse import Namespace

_TAG = "aws:cloudformation:stack-name"  # set by CloudFormation, and kept when the stack is deleted


def buckets_of(stack: str, s3: Any) -> list[str]:
    """Return the names of the buckets that a stack created in the client's region.

    In another region, a stack of the same name may still exist.
    """
    start = stack.lower()[:20]  # CloudFormation shortens a long name
    buckets = s3.list_buckets(Prefix=start, BucketRegion=s3.meta.region_name)["Buckets"]
    return [bucket["Name"] for bucket in buckets if _tags(bucket["Name"], s3).get(_TAG) == stack]


def _tags(bucket: str, s3: Any) -> dict[str, str]:
    try:
        return {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    except ClientError as error:
        if error_code(error) != "NoSuchTagSet":
            raise
        return {}


def tables_of(stack: str, dynamodb: Any) -> list[str]:
    """Return the names of the tables of alerts that a stack created."""
    pages = dynamodb.get_paginator("list_tables").paginate()
    return [name for name in pages.search("TableNames[]") if name.startswith(f"{stack}-AlertsTable-")]


def command(options: Namespace) -> None:
    """Ask for confirmation, then delete all versions of all objects, the buckets and the tables.

    Raises:
        OpsError: The stack still exists, left nothing, or the user did not confirm.
    """
    try:
        outputs_of(options.stack)
    except OpsError:
        pass
    else:
        raise OpsError(f"{options.stack} still exists, and uses its buckets: run make destroy first")
    s3 = boto3.client("s3")
    region = s3.meta.region_name
    buckets = buckets_of(options.stack, s3)
    dynamodb = boto3.client("dynamodb")
    tables = tables_of(options.stack, dynamodb)
    if not buckets and not tables:
        raise OpsError(f"{options.stack} left no buckets and no table in {region}")
    print(f"This permanently deletes the content of, in {region}:", *buckets, *tables, sep="\n    ")
    if input(f"Type {options.stack} to continue: ") != options.stack:
        raise OpsError("nothing was deleted")
    for name in buckets:
        bucket = boto3.resource("s3").Bucket(name)
        bucket.object_versions.delete()
        bucket.delete()
        print(f"{name} is deleted")
    for name in tables:
        dynamodb.delete_table(TableName=name)
        print(f"{name} is deleted")
