"""Make a published release serve, as Promote does with an approved one: `promote VERSION --stack maskwatch-dev`.

The release is verified, then the parameter ModelUri names it; the canary decides whether it stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from functions.inference.release import ReleaseError
from functions.promote.errors import PromoteError, RefusedError
from functions.promote.promote import changes_to_serve
from functions.promote.stack import read_stack
from functions.promote.verify import verify
from infra.ops.errors import OpsError
from infra.ops.stack import outputs_of
from infra.ops.update import change_parameters

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_options(parser: ArgumentParser) -> None:
    """Say which release, and which stack."""
    parser.add_argument("version", help="of a release in the stack's models bucket")
    parser.add_argument("--stack", required=True)


def command(options: Namespace) -> None:
    """Promote, and say what serves.

    Raises:
        OpsError: The release must not serve, the stack takes no update, or the canary went back.
    """
    uri = f"s3://{outputs_of(options.stack)['ModelsBucket']}/models/{options.version}/"
    try:
        address = verify(uri, options.version, "", boto3.client("s3"))
    except (RefusedError, ReleaseError) as error:
        raise OpsError(f"Not promoted: {error}") from error
    cloudformation = boto3.client("cloudformation")
    try:
        changes = changes_to_serve(address, read_stack(options.stack, cloudformation))
    except PromoteError as error:
        raise OpsError(str(error)) from error
    change_parameters(options.stack, changes, cloudformation)
    print(f"{options.version} serves: ModelUri={address}")
