"""Where the API of a stack is, and what opens it; for those who ask the one that `make run` runs, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from infra.outputs import stack_outputs
from maskwatch.client import LOCAL

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_options(parser: ArgumentParser) -> None:
    """Let the command line say which API is asked."""
    parser.add_argument("--stack", help="ask the API of this stack")
    parser.add_argument("--url", default=LOCAL[0])
    parser.add_argument("--key", default=LOCAL[1])


def chosen(options: Namespace) -> tuple[str, str]:
    """Return the address and the key that the command line says."""
    return address(options.stack) if options.stack else (options.url, options.key)


def address(stack: str) -> tuple[str, str]:
    """Return where the API of a deployed stack is, and its first key."""
    outputs = stack_outputs(stack, boto3.client("cloudformation"))
    key = boto3.client("apigateway").get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)
    return outputs["ApiUrl"], key["value"]
