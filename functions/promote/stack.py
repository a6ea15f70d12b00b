"""Updates of the stack's parameters, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.promote.errors import BusyError, StuckError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MODEL_URI: Final = "ModelUri"  # names of parameters
CHALLENGER_URI: Final = "ChallengerUri"
PREVIOUS_MODEL_URI: Final = "PreviousModelUri"
# The template contains roles and a transform.
_CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")
_BUSY: Final = "_IN_PROGRESS"
_DONE: Final = "UPDATE_COMPLETE"


@dataclass(frozen=True)
class StackState:
    """A stack at one moment: its ARN, and the values of its parameters by name."""

    arn: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Update:
    """An update of the stack that has ended.

    Attributes:
        succeeded: Whether it was not rolled back.
        reason: The reason of the first failure; empty if there was none.
    """

    succeeded: bool
    reason: str


def read_stack(name: str, cloudformation: Any) -> StackState:
    """Return the state of a stack, named by name or ARN, that is not being updated.

    Raises:
        BusyError: It is being updated.
        StuckError: It cannot be updated.
    """
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    status = stack["StackStatus"]
    if status.endswith(_BUSY):
        raise BusyError(f"{name} is in {status}")
    if status.endswith("_FAILED"):
        raise StuckError(f"{name} is in {status}: continue its rollback in CloudFormation's console")
    parameters = stack.get("Parameters", [])
    values = {parameter["ParameterKey"]: parameter.get("ParameterValue", "") for parameter in parameters}
    return StackState(stack["StackId"], values)


def start_update(
    stack: StackState, changes: Mapping[str, str], token: str, cloudformation: Any, role: str = ""
) -> None:
    """Start an update that changes some parameters, and keeps the others and the template.

    Args:
        stack: The stack.
        changes: New values by parameter name.
        token: Identifies the update; CloudFormation starts at most one update with it.
        cloudformation: A boto3 client.
        role: ARN of the role that CloudFormation assumes; empty for the role of the previous update, or else the
            caller's rights.

    Raises:
        BusyError: The stack is being updated, perhaps with this token.
        ClientError: CloudFormation refused the request.
    """
    parameters = [
        {"ParameterKey": name, "ParameterValue": changes[name]}
        if name in changes
        else {"ParameterKey": name, "UsePreviousValue": True}
        for name in stack.parameters
    ]
    try:
        cloudformation.update_stack(
            StackName=stack.arn,
            UsePreviousTemplate=True,
            Parameters=parameters,
            Capabilities=_CAPABILITIES,
            ClientRequestToken=token,
            **({"RoleARN": role} if role else {}),
        )
    except ClientError as error:
        details = error.response["Error"]
        if _BUSY in details["Message"] or details["Code"] == "TokenAlreadyExistsException":
            raise BusyError(details["Message"]) from error
        raise


def ended_update(stack: StackState, token: str, since: datetime, cloudformation: Any) -> Update | None:
    """Return the update with a token; None if there was none. The stack must not be in an update.

    `since` is the earliest time when it can have started; older events are not read.
    """
    events = []
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack.arn):
        events += [event for event in page["StackEvents"] if event.get("ClientRequestToken") == token]
        if page["StackEvents"] and page["StackEvents"][-1]["Timestamp"] < since:
            break
    if not events:
        return None
    succeeded = any(
        event["PhysicalResourceId"] == stack.arn and event["ResourceStatus"] == _DONE for event in events
    )
    failures = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"
        for event in reversed(events)  # CloudFormation returns the newest first
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    return Update(succeeded, failures[0] if failures else "")
