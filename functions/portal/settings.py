"""Settings from environment variables, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """Settings of the portal.

    Attributes:
        cors_origin: The origin that CORS allows; "*" for all.
        uploads_bucket: Bucket for presigned uploads.
        results_bucket: Bucket of the results that Batch writes.
        insights_bucket: Bucket of feedback, drift reports and compliance counts.
        alerts_table: DynamoDB table of the Alerts function.
    """

    cors_origin: str
    uploads_bucket: str
    results_bucket: str
    insights_bucket: str
    alerts_table: str


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that the environment holds.

    Raises:
        RuntimeError: A bucket or the table is missing.
    """
    return Settings(
        cors_origin=environment.get("CORS_ORIGIN", "*"),
        uploads_bucket=_required("UPLOADS_BUCKET", environment),
        results_bucket=_required("RESULTS_BUCKET", environment),
        insights_bucket=_required("INSIGHTS_BUCKET", environment),
        alerts_table=_required("ALERTS_TABLE", environment),
    )


def _required(name: str, environment: Mapping[str, str]) -> str:
    if not environment.get(name):
        raise RuntimeError(f"set {name}, as template.yaml does")
    return environment[name]
