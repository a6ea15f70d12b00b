"""An approved model package becomes what serves: verified, then an update of the stack, whose canary decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.promote.errors import BusyError, RefusedError
from functions.promote.registry import (
    APPROVED,
    PENDING,
    REJECTED,
    Result,
    newer_approval,
    read_package,
    record,
)
from functions.promote.stack import ended_update, read_stack, start_update
from functions.promote.verify import verify

if TYPE_CHECKING:
    from functions.promote.registry import Package
    from functions.promote.settings import Settings
    from functions.promote.stack import StackState

MODEL_URI: Final = "ModelUri"  # parameters of the stack
CHALLENGER_URI: Final = "ChallengerUri"
PREVIOUS_MODEL_URI: Final = "PreviousModelUri"


@dataclass(frozen=True)
class Clients:
    """Of boto3, by service."""

    cloudformation: Any
    s3: Any
    sagemaker: Any
    sns: Any


def promote(arn: str, settings: Settings, clients: Clients) -> Result | None:
    """Take an approval one step on; return what became of it, or None where there is nothing to do.

    It may be told of an approval any number of times, late, in any order and at once. It keeps no state: events of
    CloudFormation bear the approval's token and tell of its update, the package tells how it ended. Of a package that
    is still to be approved, people are told, and of an approval that is taken back too late.

    Args:
        arn: Of the package.
        settings: Which stack.
        clients: To do it with.

    Raises:
        BusyError: An update is under way, perhaps its own; ask again when that has ended.
        StuckError: The stack takes no update.
    """
    package = read_package(arn, clients.sagemaker)
    if package.status == PENDING:
        gate, other = (package.metadata.get(name, "not known") for name in ("gate", "compared_with"))
        text = f"The gate's verdict: {gate}. What it was compared with: {other}"
        _tell(package, "waits for your approval", text, settings, clients)
        return None
    withdrawn = package.status == REJECTED and not (package.result and package.result.is_over)
    if not withdrawn and (package.status != APPROVED or package.result):
        return package.result
    try:
        concluded = (_withdraw if withdrawn else _step)(package, settings, clients)
    except RefusedError as error:
        concluded = Result.REFUSED, str(error)
    if concluded is None:
        return None
    result, text = concluded
    _tell(package, result.value, text, settings, clients)
    record(package, result, f"{result.value}: {text}", clients.sagemaker)
    return result


def _step(package: Package, settings: Settings, clients: Clients) -> tuple[Result, str]:
    stack = read_stack(settings.stack, clients.cloudformation)
    if ended := _ended(package, stack, clients):
        return ended
    if newer := newer_approval(package, clients.sagemaker):
        return Result.SUPERSEDED, f"number {newer.number} of the group was approved after it"
    uri = verify(package.release, package.metadata.get("version", ""), package.digest, clients.s3)
    if stack.parameters[MODEL_URI] == uri:
        return Result.PROMOTED, f"{package.release} serves already"
    changes = changes_to_serve(uri, stack)
    start_update(stack, changes, _token(package), clients.cloudformation, settings.role)
    raise BusyError(f"the update to {uri} has begun")


def _withdraw(package: Package, settings: Settings, clients: Clients) -> tuple[Result, str] | None:
    """Conclude an approval that a person took back; None where nothing had been done about it."""
    if not package.result:
        stack = read_stack(settings.stack, clients.cloudformation)
        ended = _ended(package, stack, clients)
        if ended is None or ended[0] is not Result.PROMOTED:
            return ended
    return Result.WITHDRAWN, "what serves stays as it is; `python -m infra.ops rollback` changes it"


def _ended(package: Package, stack: StackState, clients: Clients) -> tuple[Result, str] | None:
    """Return how the update of an approval went; None where there was none."""
    update = ended_update(stack, _token(package), package.created, clients.cloudformation)
    if update is None:
        return None
    if update.succeeded:
        return Result.PROMOTED, f"{package.release} serves"
    return Result.ROLLED_BACK, f"what served before serves again. {update.reason}"


def _token(package: Package) -> str:
    return hashlib.sha256(package.attempt.encode()).hexdigest()


def changes_to_serve(uri: str, stack: StackState) -> dict[str, str]:
    """Return the parameters by which a release serves; the challenger that it was is none any more.

    The one before is kept in a parameter too: where the canary goes back, so does that.
    """
    was_challenger = stack.parameters.get(CHALLENGER_URI) == uri
    changes = {MODEL_URI: uri} | ({CHALLENGER_URI: ""} if was_challenger else {})
    if PREVIOUS_MODEL_URI in stack.parameters and stack.parameters[MODEL_URI] != uri:
        changes[PREVIOUS_MODEL_URI] = stack.parameters[MODEL_URI]
    return changes


def _tell(package: Package, state: str, text: str, settings: Settings, clients: Clients) -> None:
    version = package.metadata.get("version", f"number {package.number}")
    clients.sns.publish(
        TopicArn=settings.topic,
        Subject=f"{package.group}: model {version} {state}"[:100],
        Message=f"{text}\n\n{package.arn}",
    )
