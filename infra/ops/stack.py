"""Print an output of a stack, such as the name of a bucket or the URL of its API."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from functions.shared.s3 import error_code
from infra.ops.errors import OpsError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator


@contextmanager
def existing(stack: str, cloudformation: Any) -> Iterator[None]:
    """Convert the error of a call about a stack that does not exist.

    Raises:
        OpsError: The stack does not exist.
    """
    try:
        yield
    except ClientError as error:
        if error_code(error) != "ValidationError":
            raise
        where = f"in {cloudformation.meta.region_name}, at {cloudformation.meta.endpoint_url}"
        raise OpsError(
            f"There is no stack named {stack} {where}. Deploy it with `make deploy`, or choose another. "
            "The stack of `make run` is called maskwatch; paste the export line that `make run` prints to reach it."
        ) from error


class Outputs(dict[str, str]):
    """The outputs of a stack by their names in template.yaml; one that is missing raises an OpsError."""

    def __init__(self, stack: str, values: dict[str, str]) -> None:
        super().__init__(values)
        self._stack = stack

    def __missing__(self, name: str) -> str:
        # The local stack has others of its own.
        named = ", ".join(output for output in sorted(self) if not output.startswith("Attribute"))
        raise OpsError(f"{self._stack} has no output {name}; it has {named or 'none'}")


def describe(stack: str, cloudformation: Any) -> dict[str, Any]:
    """Return CloudFormation's description of a stack.

    Raises:
        OpsError: There is no such stack.
    """
    with existing(stack, cloudformation):
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return dict(description)


def outputs_of(stack: str) -> Outputs:
    """Return the outputs of a stack in the account and region of the environment.

    Raises:
        OpsError: There is no such stack.
    """
    outputs = describe(stack, boto3.client("cloudformation")).get("Outputs", [])
    return Outputs(stack, {output["OutputKey"]: output["OutputValue"] for output in outputs})


def add_stack(parser: ArgumentParser) -> None:
    """Add the stack, which has no default: a command for one stack must not change another."""
    parser.add_argument(
        "--stack", required=True, help="such as maskwatch-prod; that of `make run` is maskwatch"
    )


def add_options(parser: ArgumentParser) -> None:
    """Add the stack and the output."""
    add_stack(parser)
    parser.add_argument("name", help="name of an output in template.yaml, such as UploadsBucket")


def command(options: Namespace) -> None:
    """Print the output.

    Raises:
        OpsError: The stack does not exist, or has no such output.
    """
    print(outputs_of(options.stack)[options.name])
