"""What the environment says, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """Which stack is updated, and by what.

    Attributes:
        stack: Its ARN.
        role: ARN of the role by which CloudFormation updates it.
        topic: ARN of the topic that is told.
    """

    stack: str
    role: str
    topic: str


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from environment variables.

    Raises:
        RuntimeError: One is missing.
    """
    try:
        return Settings(environment["STACK_ID"], environment["UPDATE_ROLE"], environment["ALARMS_TOPIC"])
    except KeyError as error:
        raise RuntimeError(f"the environment lacks what template.yaml gives Promote: {error}") from error
