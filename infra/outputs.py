"""What a deployed stack says about itself."""

from __future__ import annotations

from typing import Any


def stack_outputs(stack: str, cloudformation: Any) -> dict[str, str]:
    """Return the outputs of a stack by their names in template.yaml."""
    (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
