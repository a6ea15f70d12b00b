"""Promotes an approved model package: verifies the release, and updates the stack, which deploys it as a canary."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.promote.errors import BusyError, RefusedError
from functions.promote.registry import (
    APPROVED,
    PENDING,
    REJECTED,
    Conclusion,
    newer_approval,
    note_approval,
    read_package,
    write_conclusion,
)
from functions.promote.stack import (
    CHALLENGER_URI,
    MODEL_URI,
    PREVIOUS_MODEL_URI,
    ended_update,
    read_stack,
    start_update,
)
from functions.promote.verify import verify

if TYPE_CHECKING:
    from functions.promote.registry import Package
    from functions.promote.settings import Settings
    from functions.promote.stack import StackState


@dataclass(frozen=True)
class Clients:
    """boto3 clients."""

    cloudformation: Any
    s3: Any
    sagemaker: Any
    sns: Any


def promote(arn: str, settings: Settings, clients: Clients) -> Conclusion | None:
    """Advance an approval by one step; return its conclusion, or None if there is nothing to do.

    Calls may be repeated, late, out of order and concurrent. Promote keeps no state: CloudFormation's events have the
    approval's token and show its update, and the package's metadata has the approval's time and the conclusion.
    People are notified of packages that wait for approval, of conclusions, and of approvals that were withdrawn too
    late.

    Raises:
        BusyError: An update is in progress, perhaps its own; try again when it has ended.
        StuckError: The stack cannot be updated.
    """
    package = note_approval(read_package(arn, clients.sagemaker), clients.sagemaker)
    if package.status == PENDING:
        gate, other = (package.metadata.get(name, "not known") for name in ("gate", "compared_with"))
        text = f"The gate's verdict: {gate}. What it was compared with: {other}"
        _notify(package, "waits for your approval", text, settings, clients)
        return None
    withdrawn = package.status == REJECTED and not (package.conclusion and package.conclusion.is_final)
    if not withdrawn and (package.status != APPROVED or package.conclusion):
        return package.conclusion
    try:
        concluded = (_withdraw if withdrawn else _advance)(package, settings, clients)
    except RefusedError as error:
        concluded = Conclusion.REFUSED, str(error)
    if concluded is None:
        return None
    current = read_package(arn, clients.sagemaker)
    if current.status != package.status:  # a person has just decided otherwise
        return promote(arn, settings, clients)
    conclusion, text = concluded
    _notify(package, conclusion.value, text, settings, clients)
    write_conclusion(current, conclusion, f"{conclusion.value}: {text}", clients.sagemaker)
    return conclusion


def _advance(package: Package, settings: Settings, clients: Clients) -> tuple[Conclusion, str]:
    stack = read_stack(settings.stack, clients.cloudformation)
    if ended := _conclusion_of_update(package, stack, clients):
        return ended
    if newer := newer_approval(package, clients.sagemaker):
        return Conclusion.SUPERSEDED, f"number {newer.number} of the group was approved after it"
    uri = verify(package.release, package.metadata.get("version", ""), package.digest, clients.s3)
    if stack.parameters[MODEL_URI] == uri:
        return Conclusion.PROMOTED, f"{package.release} serves already"
    changes = changes_to_serve(uri, stack)
    start_update(stack, changes, _token(package), clients.cloudformation, settings.role)
    raise BusyError(f"the update to {uri} has begun")


def _withdraw(package: Package, settings: Settings, clients: Clients) -> tuple[Conclusion, str] | None:
    """Conclude an approval that a person withdrew; return None if nothing had been done for it."""
    if not package.conclusion:
        stack = read_stack(settings.stack, clients.cloudformation)
        ended = _conclusion_of_update(package, stack, clients)
        if ended is None or ended[0] is not Conclusion.PROMOTED:
            return ended
    return (
        Conclusion.WITHDRAWN,
        "the serving release was not changed; `infra.ops rollback` (docs/runbook.md) restores the previous one",
    )


def _conclusion_of_update(
    package: Package, stack: StackState, clients: Clients
) -> tuple[Conclusion, str] | None:
    """Return the conclusion of an approval's update; None if there was none."""
    update = ended_update(stack, _token(package), package.created, clients.cloudformation)
    if update is None:
        return None
    if update.succeeded:
        return Conclusion.PROMOTED, f"{package.release} serves"
    return Conclusion.ROLLED_BACK, f"the previous release serves again. {update.reason}"


def _token(package: Package) -> str:
    return hashlib.sha256(package.attempt.encode()).hexdigest()


def changes_to_serve(uri: str, stack: StackState) -> dict[str, str]:
    """Return the parameters to change so that a release serves; if it was the challenger, that is reset.

    The previous release is a parameter too, so a rollback by the canary restores it as well.
    """
    was_challenger = stack.parameters.get(CHALLENGER_URI) == uri
    changes = {MODEL_URI: uri} | ({CHALLENGER_URI: ""} if was_challenger else {})
    if PREVIOUS_MODEL_URI in stack.parameters and stack.parameters[MODEL_URI] != uri:
        changes[PREVIOUS_MODEL_URI] = stack.parameters[MODEL_URI]
    return changes


def _notify(package: Package, state: str, text: str, settings: Settings, clients: Clients) -> None:
    version = package.metadata.get("version", f"number {package.number}")
    clients.sns.publish(
        TopicArn=settings.topic,
        Subject=f"{package.group}: model {version} {state}"[:100],
        Message=f"{text}\n\n{package.arn}",
    )
