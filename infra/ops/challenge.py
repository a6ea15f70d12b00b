"""Let a published release answer a share of the sources: `challenge 10 --release 2.1.0 --stack maskwatch-dev`.

The release is verified first. A share of 0 ends the trial. The stack's other parameters do not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from functions.promote.stack import CHALLENGER_URI, MODEL_URI
from infra.ops.arguments import percentage
from infra.ops.errors import OpsError
from infra.ops.promote import verified_address
from infra.ops.stack import add_stack
from infra.ops.update import add_ignore_alarms, change_parameters, state_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def begin(stack: str, version: str, share: float, *, ignore_alarms: bool = False) -> str:
    """Make a release the challenger with a share of the sources in percent, and return its address.

    Raises:
        OpsError: The release must not serve, or it serves already; or see `change_parameters`.
    """
    address = verified_address(version, stack)
    cloudformation = boto3.client("cloudformation")
    before = state_of(stack, cloudformation).parameters
    if before[MODEL_URI] == address:
        raise OpsError(f"{version} is the serving release; name another.")
    changes = {CHALLENGER_URI: address, "ChallengerShare": f"{share:g}"}
    change_parameters(stack, changes, cloudformation, ignore_alarms=ignore_alarms)
    if before[CHALLENGER_URI] not in {"", address}:
        print(f"The trial of {before[CHALLENGER_URI]} has ended.")  # somebody else may have begun it
    return address


def add_options(parser: ArgumentParser) -> None:
    """Add the share, the release, the stack, and whether alarms are ignored."""
    parser.add_argument(
        "share", type=percentage, help="percentage of the sources that it answers; 0 ends the trial"
    )
    parser.add_argument(
        "--release", metavar="VERSION", help="version of a release in the stack's models bucket"
    )
    add_stack(parser)
    add_ignore_alarms(parser)


def command(options: Namespace) -> None:
    """Begin, change or end the trial.

    Raises:
        OpsError: No release is named; or see `begin`.
    """
    ignore_alarms = options.ignore_alarms
    if options.share == 0:
        cloudformation = boto3.client("cloudformation")
        change_parameters(options.stack, {CHALLENGER_URI: ""}, cloudformation, ignore_alarms=ignore_alarms)
        print("The serving release answers all sources.")
        return
    if not options.release:
        raise OpsError("Name the release to try: --release VERSION.")
    address = begin(options.stack, options.release, options.share, ignore_alarms=ignore_alarms)
    print(f"{options.release} answers {options.share:g}% of the sources: ChallengerUri={address}")
