"""What the environment says, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """How the portal runs.

    Attributes:
        cors_origin: Which pages of other sites may call it; "*" for all.
        uploads_bucket: Where presigned uploads put pictures.
        results_bucket: Where Batch writes what it found in them.
        insights_bucket: Where feedback goes, and Drift writes its reports and the summaries of compliance.
        alerts_table: Where Alerts lists them.
    """

    cors_origin: str
    uploads_bucket: str
    results_bucket: str
    insights_bucket: str
    alerts_table: str


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from environment variables.

    Raises:
        RuntimeError: A bucket or the table is not named.
    """
    return Settings(
        cors_origin=environment.get("CORS_ORIGIN", "*"),
        uploads_bucket=_needed("UPLOADS_BUCKET", environment),
        results_bucket=_needed("RESULTS_BUCKET", environment),
        insights_bucket=_needed("INSIGHTS_BUCKET", environment),
        alerts_table=_needed("ALERTS_TABLE", environment),
    )


def _needed(name: str, environment: Mapping[str, str]) -> str:
    if not environment.get(name):
        raise RuntimeError(f"set {name}, as template.yaml does")
    return environment[name]
