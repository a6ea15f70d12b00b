"""URL and key of an API: of a stack, or of `make run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from infra.ops.errors import OpsError
from infra.ops.stack import outputs_of
from maskwatch.client import LOCAL

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_api_options(parser: ArgumentParser) -> None:
    """Add the options that choose the API: `--stack`, or `--url` and `--key`."""
    parser.add_argument("--stack", help="use the API of this stack instead of the one at --url")
    parser.add_argument("--url", default=LOCAL[0], help="(default: %(default)s)")
    parser.add_argument("--key", default=LOCAL[1], help="(default: %(default)s)")


def api_of(options: Namespace) -> tuple[str, str]:
    """Return the URL and the key of the API that the options choose."""
    return address(options.stack) if options.stack else (options.url, options.key)


def address(stack: str) -> tuple[str, str]:
    """Return the URL of a deployed stack's API, and its first key, or another one if the first is revoked.

    Raises:
        OpsError: The stack does not exist, has no API or no enabled key, or is that of `make run`.
    """
    outputs = outputs_of(stack)
    if "ApiKeyId" not in outputs and "UploadsBucket" in outputs:
        raise OpsError(
            f"{stack} is the stack of `make run`, whose API is at the address that it prints: give that with --url "
            "(URL=… of `make`) instead of the stack."
        )
    gateway = boto3.client("apigateway")
    pages = gateway.get_paginator("get_usage_plan_keys").paginate(usagePlanId=outputs["UsagePlan"])
    ids = [key["id"] for page in pages for key in page["items"]]
    for key_id in sorted(ids, key=lambda key_id: key_id != outputs["ApiKeyId"]):
        key = gateway.get_api_key(apiKey=key_id, includeValue=True)
        if key["enabled"]:
            return outputs["ApiUrl"], key["value"]
    raise OpsError(f"{stack} has no enabled API key; docs/deploy.md#api-keys says how to create one.")
