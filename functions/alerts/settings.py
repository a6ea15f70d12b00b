"""Configuration from environment variables, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """The configuration of Alerts.

    Attributes:
        table: Name of the DynamoDB table.
        topic: ARN of the SNS topic.
        page_url: URL of the page, to which messages link.
        model_uri: The serving release: s3://bucket/prefix/, or empty for the one in the image.
        days: How many days alerts are kept.
        stack: Name of the stack.
        namespace: Namespace of the CloudWatch metrics.
    """

    table: str
    topic: str
    page_url: str
    model_uri: str
    days: int
    stack: str
    namespace: str


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises:
        RuntimeError: A variable is missing or not a number.
    """
    try:
        return Settings(
            table=environment["ALERTS_TABLE"],
            topic=environment["ALERTS_TOPIC"],
            page_url=environment["PAGE_URL"],
            model_uri=environment.get("MODEL_URI", ""),
            days=int(environment["RECORDS_DAYS"]),
            stack=environment["STACK_NAME"],
            namespace=environment.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch"),
        )
    except (KeyError, ValueError) as error:
        raise RuntimeError(f"the environment lacks what template.yaml gives Alerts: {error!r}") from error
