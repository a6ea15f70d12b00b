"""Make a published release the serving one: `python -m infra.ops promote VERSION --stack maskwatch-dev`.

The release is verified, then the stack's parameter ModelUri is updated; the canary may roll that back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from functions.inference.release import ReleaseError
from functions.promote.errors import RefusedError
from functions.promote.promote import changes_to_serve
from functions.promote.verify import verify
from infra.ops.errors import OpsError
from infra.ops.stack import add_stack, outputs_of
from infra.ops.update import add_ignore_alarms, change_parameters, state_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_options(parser: ArgumentParser) -> None:
    """Add the release, the stack, and whether alarms are ignored."""
    parser.add_argument("version", help="version of a release in the stack's models bucket")
    add_stack(parser)
    add_ignore_alarms(parser)


def verified_address(version: str, stack: str) -> str:
    """Verify a published release, and return its address for the stack's parameters.

    Raises:
        OpsError: The release must not serve; the message says why.
    """
    uri = f"s3://{outputs_of(stack)['ModelsBucket']}/models/{version}/"
    try:
        return verify(uri, version, "", boto3.client("s3"))
    except (RefusedError, ReleaseError) as error:
        raise OpsError(f"Release {version} must not serve: {error}") from error


def command(options: Namespace) -> None:
    """Promote the release.

    Raises:
        OpsError: The release must not serve, the stack cannot be updated, or the canary was rolled back.
    """
    address = verified_address(options.version, options.stack)
    cloudformation = boto3.client("cloudformation")
    changes = changes_to_serve(address, state_of(options.stack, cloudformation))
    change_parameters(options.stack, changes, cloudformation, ignore_alarms=options.ignore_alarms)
    print(f"{options.version} serves: ModelUri={address}")
