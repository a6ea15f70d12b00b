"""Configuration from environment variables, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """The configuration of Promote.

    Attributes:
        stack: ARN of the stack to update.
        role: ARN of the role that CloudFormation assumes for the update.
        topic: ARN of the SNS topic for notifications.
    """

    stack: str
    role: str
    topic: str


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises:
        RuntimeError: A variable is missing.
    """
    try:
        return Settings(environment["STACK_ID"], environment["UPDATE_ROLE"], environment["ALARMS_TOPIC"])
    except KeyError as error:
        raise RuntimeError(f"the environment lacks what template.yaml gives Promote: {error}") from error
