"""What a deployed stack says about itself: `python -m infra.outputs STACK OUTPUT` prints one of its outputs."""

from __future__ import annotations

import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def outputs_or_exit(stack: str) -> dict[str, str]:
    """Return the outputs of a stack, or end the program with the reason why there are none."""
    try:
        return stack_outputs(stack, boto3.client("cloudformation"))
    except (BotoCoreError, ClientError) as error:
        sys.exit(
            f"{error}\nThe stack of `make run` is reached by the commands that it prints when it starts."
        )


def stack_outputs(stack: str, cloudformation: Any) -> dict[str, str]:
    """Return the outputs of a stack by their names in template.yaml."""
    (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


if __name__ == "__main__":
    print(stack_outputs(sys.argv[1], boto3.client("cloudformation"))[sys.argv[2]])
