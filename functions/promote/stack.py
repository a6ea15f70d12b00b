"""The stack as promotion changes it: some parameters, nothing else, one update at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.promote.errors import BusyError, StuckError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# Roles are among the resources, and CloudFormation transforms the template anew.
_CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")
_BUSY: Final = "_IN_PROGRESS"
_DONE: Final = "UPDATE_COMPLETE"


@dataclass(frozen=True)
class StackState:
    """A stack at one moment.

    Attributes:
        arn: Of the stack.
        status: CloudFormation's, UPDATE_COMPLETE for example.
        parameters: Their values, by name.
    """

    arn: str
    status: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Update:
    """An update of the stack that has ended.

    Attributes:
        succeeded: Whether what it brought stayed.
        reason: Of what failed first; empty where nothing did.
    """

    succeeded: bool
    reason: str


def read_stack(name: str, cloudformation: Any) -> StackState:
    """Return the state of a stack that nobody is updating.

    Args:
        name: Its name or ARN.
        cloudformation: A boto3 client.

    Raises:
        BusyError: It is being updated.
        StuckError: It takes no update.
    """
    (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    status = found["StackStatus"]
    if status.endswith(_BUSY):
        raise BusyError(f"{name} is in {status}")
    if status.endswith("_FAILED"):
        raise StuckError(f"{name} is in {status}: continue its rollback in CloudFormation's console")
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", [])}
    return StackState(found["StackId"], status, parameters)


def start_update(
    stack: StackState, changes: Mapping[str, str], token: str, cloudformation: Any, role: str = ""
) -> None:
    """Start an update that gives some parameters other values, and keeps the others and the template.

    Args:
        stack: What to update.
        changes: Values by the names of parameters.
        token: Names the update. CloudFormation starts one at most with it.
        cloudformation: A boto3 client.
        role: ARN of the role by which CloudFormation does it; without one, by that of the update before, or the
            caller's rights.

    Raises:
        BusyError: The stack is being updated, perhaps with this very token.
        ClientError: CloudFormation refused.
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
        told = error.response["Error"]
        if _BUSY in told["Message"] or told["Code"] == "TokenAlreadyExistsException":
            raise BusyError(told["Message"]) from error
        raise


def ended_update(stack: StackState, token: str, since: datetime, cloudformation: Any) -> Update | None:
    """Return how the update with a token went, of a stack that nobody is updating; None where there was none.

    Args:
        stack: Where it went.
        token: Of the update.
        since: When it can have started at the earliest.
        cloudformation: A boto3 client.
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
        for event in reversed(events)  # CloudFormation gives the newest first
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    return Update(succeeded, failures[0] if failures else "")
