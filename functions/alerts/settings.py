"""What the environment says, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """How Alerts runs.

    Attributes:
        table: The DynamoDB table.
        topic: The ARN of the SNS topic.
        page_url: The page's address, which messages lead to.
        model_uri: Of the model release that serves: s3://bucket/prefix/, or empty for the one in the image.
        days: That alerts are kept.
        stack: The stack's name.
        namespace: Of the CloudWatch metrics.
    """

    table: str
    topic: str
    page_url: str
    model_uri: str
    days: int
    stack: str
    namespace: str


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from environment variables.

    Raises:
        RuntimeError: One is missing, or a number is none.
    """
    try:
        return Settings(
            table=environment["ALERTS_TABLE"],
            topic=environment["ALERTS_TOPIC"],
            page_url=environment["PAGE_URL"],
            model_uri=environment.get("MODEL_URI", "").partition("#")[0],  # behind it: a checksum
            days=int(environment["RECORDS_DAYS"]),
            stack=environment["STACK_NAME"],
            namespace=environment.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch"),
        )
    except (KeyError, ValueError) as error:
        raise RuntimeError(f"the environment lacks what template.yaml gives Alerts: {error!r}") from error
