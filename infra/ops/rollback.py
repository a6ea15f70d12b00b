"""Make the previous release serve again, without a challenger: `python -m infra.ops rollback --stack NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3

from functions.promote.stack import CHALLENGER_URI, MODEL_URI, PREVIOUS_MODEL_URI
from infra.ops.errors import OpsError
from infra.ops.stack import add_stack
from infra.ops.update import add_ignore_alarms, change_parameters, state_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_UNKNOWN: Final = "none"


def add_options(parser: ArgumentParser) -> None:
    """Add the stack, and whether alarms are ignored."""
    add_stack(parser)
    add_ignore_alarms(parser)


def command(options: Namespace) -> None:
    """Roll back to the previous release.

    Raises:
        OpsError: There is no previous release, the stack cannot be updated, or the canary was rolled back.
    """
    cloudformation = boto3.client("cloudformation")
    stack = state_of(options.stack, cloudformation)
    before = stack.parameters.get(PREVIOUS_MODEL_URI, _UNKNOWN)
    if before == _UNKNOWN:
        raise OpsError(
            f"The release before {stack.parameters[MODEL_URI] or 'the release in the image'} is not known. "
            f"Name a release: .venv/bin/python -m infra.ops promote VERSION --stack {options.stack}"
        )
    # The release that is left is not the one to restore: a second rollback would bring it back.
    changes = {MODEL_URI: before, PREVIOUS_MODEL_URI: _UNKNOWN, CHALLENGER_URI: ""}
    change_parameters(options.stack, changes, cloudformation, ignore_alarms=options.ignore_alarms)
    print(f"{before or 'The release in the image'} serves, without a challenger.")
