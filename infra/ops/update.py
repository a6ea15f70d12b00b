"""Change parameters of a stack, and nothing else, as the Promote function does."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.promote.errors import BusyError, PromoteError
from functions.promote.stack import MODEL_URI, ended_update, read_stack, start_update
from infra.ops.errors import AWS_ERRORS, OpsError, explain
from infra.ops.stack import existing

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Collection, Mapping

    from functions.promote.stack import StackState

_PAUSE: Final = 10.0  # seconds between polls


def add_ignore_alarms(parser: ArgumentParser) -> None:
    """Add the option for an update that ends an incident; CodeDeploy starts none while an alarm of the API is on."""
    parser.add_argument(
        "--ignore-alarms",
        action="store_true",
        help="also while an alarm of the API is on: only the alarms of the new versions roll this update back, and "
        "each later one until the next deployment",
    )


def change_parameters(
    stack: str, changes: Mapping[str, str], cloudformation: Any, *, ignore_alarms: bool = False
) -> None:
    """Update parameters of a stack, and wait for the end of its canary.

    Args:
        stack: Name of the stack.
        changes: New values by parameter name; without a difference, there is no update.
        cloudformation: A boto3 client.
        ignore_alarms: Whether only the alarms of the new versions roll the update back.

    Raises:
        OpsError: The stack cannot be updated now, was rolled back or changed again, or nobody waits for its end; the
            message says why.
    """
    if ignore_alarms:
        changes = {**changes, "RollbackAlarms": "version"}
    state = state_of(stack, cloudformation)
    if _has(state, changes):
        return
    token, started = uuid.uuid4().hex, datetime.now(UTC)
    try:
        start_update(state, changes, token, cloudformation)
        state = _wait(stack, cloudformation)
    except PromoteError as error:
        raise OpsError(str(error)) from error
    if not _has(state, changes):
        update = ended_update(state, token, started, cloudformation)
        if update and update.succeeded:
            others = ", ".join(name for name, value in changes.items() if state.parameters.get(name) != value)
            raise OpsError(f"The update succeeded, but a later one has changed {others} already.")
        raise OpsError(f"The update was rolled back. {update.reason if update else ''}".rstrip())


def state_of(stack: str, cloudformation: Any) -> StackState:
    """Return the state of a stack that can be updated now.

    Raises:
        OpsError: There is no such stack, it is not MaskWatch's, or it cannot be updated now.
    """
    try:
        with existing(stack, cloudformation):
            state = read_stack(stack, cloudformation)
    except PromoteError as error:
        raise OpsError(str(error)) from error
    require_maskwatch(stack, state.parameters)
    return state


def require_maskwatch(stack: str, parameters: Collection[str]) -> None:
    """Check by the names of its parameters that a stack is MaskWatch's.

    Raises:
        OpsError: It is not.
    """
    if MODEL_URI not in parameters:
        raise OpsError(f"{stack} is not a stack of MaskWatch: it has no parameter {MODEL_URI}")


def _has(state: StackState, changes: Mapping[str, str]) -> bool:
    return all(state.parameters.get(name) == value for name, value in changes.items())


def _wait(stack: str, cloudformation: Any) -> StackState:
    try:
        while True:
            try:
                return read_stack(stack, cloudformation)
            except BusyError:
                time.sleep(_PAUSE)
    except (KeyboardInterrupt, *AWS_ERRORS) as error:
        reason = "Stopped." if isinstance(error, KeyboardInterrupt) else explain(error)
        raise OpsError(f"The update of {stack} goes on, but nobody waits for its end. {reason}") from error
