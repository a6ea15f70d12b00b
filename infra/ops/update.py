"""Change parameters of a stack, and nothing else, as Promote does."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.promote.errors import BusyError, PromoteError
from functions.promote.stack import ended_update, read_stack, start_update
from infra.ops.errors import OpsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.promote.stack import StackState

_PAUSE: Final = 10.0  # seconds between two looks


def change_parameters(stack: str, changes: Mapping[str, str], cloudformation: Any) -> None:
    """Update the stack with other values of some parameters, and wait until its canary has decided.

    Args:
        stack: Its name.
        changes: Values by the names of parameters; what is so already is no reason for an update.
        cloudformation: A boto3 client.

    Raises:
        OpsError: It takes no update now, or was rolled back; the message says why.
    """
    try:
        state = read_stack(stack, cloudformation)
        if _has(state, changes):
            return
        token, started = uuid.uuid4().hex, datetime.now(UTC)
        start_update(state, changes, token, cloudformation)
        state = _ended(stack, cloudformation)
    except PromoteError as error:
        raise OpsError(str(error)) from error
    if not _has(state, changes):
        update = ended_update(state, token, started, cloudformation)
        raise OpsError(f"Rolled back, what was before is again. {update.reason if update else ''}".rstrip())


def _has(state: StackState, changes: Mapping[str, str]) -> bool:
    return all(state.parameters.get(name) == value for name, value in changes.items())


def _ended(stack: str, cloudformation: Any) -> StackState:
    while True:
        try:
            return read_stack(stack, cloudformation)
        except BusyError:
            time.sleep(_PAUSE)
