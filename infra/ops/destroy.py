"""Delete a stack. Its buckets, and its table of alerts and rules, stay until `make purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import WaiterError

from infra.ops.errors import OpsError
from infra.ops.stack import describe
from infra.ops.update import require_maskwatch

if TYPE_CHECKING:
    from argparse import Namespace


def command(options: Namespace) -> None:
    """Delete the stack and wait. `sam delete` would also delete its images, which other stacks may run.

    Raises:
        OpsError: The stack does not exist, is not MaskWatch's, or could not be deleted.
    """
    cloudformation = boto3.client("cloudformation")
    stack = describe(options.stack, cloudformation)
    require_maskwatch(options.stack, [parameter["ParameterKey"] for parameter in stack.get("Parameters", [])])
    cloudformation.delete_stack(StackName=options.stack)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=options.stack)
    except WaiterError as error:
        raise OpsError(
            f"{options.stack} is not deleted; CloudFormation's console says why. {error}"
        ) from error
    kept = sorted(
        output["OutputValue"]
        for output in stack.get("Outputs", [])
        if output["OutputKey"].endswith("Bucket") or output["OutputKey"] == "AlertsTable"
    )
    print(f"{options.stack} is deleted. These stay until make purge: {', '.join(kept)}")
