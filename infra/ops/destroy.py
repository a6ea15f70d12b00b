"""Delete a stack. Its buckets, and its table of alerts and rules, stay until `make purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import WaiterError

from infra.ops.errors import OpsError
from infra.ops.stack import describe, stack_outputs
from infra.ops.update import require_maskwatch

if TYPE_CHECKING:
    from argparse import Namespace


def command(options: Namespace) -> None:
    """Delete the stack and wait. `sam delete` would also delete its images, which other stacks may run.

    Raises:
        OpsError: The stack does not exist, is not MaskWatch's, or could not be deleted.
    """
    cloudformation = boto3.client("cloudformation")
    parameters = describe(options.stack, cloudformation).get("Parameters", [])
    require_maskwatch(options.stack, [one["ParameterKey"] for one in parameters])
    outputs = stack_outputs(options.stack, cloudformation)
    cloudformation.delete_stack(StackName=options.stack)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=options.stack)
    except WaiterError as error:
        raise OpsError(
            f"{options.stack} is not deleted; CloudFormation's console says why. {error}"
        ) from error
    kept = sorted(
        value for name, value in outputs.items() if name.endswith("Bucket") or name == "AlertsTable"
    )
    print(f"{options.stack} is deleted. These stay until make purge: {', '.join(kept)}")
