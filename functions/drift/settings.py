"""Configuration from environment variables, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """The configuration of Drift.

    Attributes:
        records_bucket: The bucket of prediction records.
        insights_bucket: The bucket of feedback, compliance counts and reports.
        model_uri: The serving release: a folder, s3://bucket/prefix/, or empty for the one in the image.
        challenger_uri: The challenger, in the same form; empty for none.
        baseline_uri: s3://bucket/key of a baseline to use instead of the release's; empty for the release's.
        window_hours: Default length of the window.
        lookback_days: How many days before the window's end are counted and searched for feedback.
        min_accuracy: The lowest acceptable accuracy, 0 to 1.
        namespace: Namespace of the CloudWatch metrics.
        service: Value of the metrics' dimension `service`.
    """

    records_bucket: str
    insights_bucket: str
    model_uri: str
    challenger_uri: str
    baseline_uri: str
    window_hours: int
    lookback_days: int
    min_accuracy: float
    namespace: str
    service: str


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises:
        RuntimeError: A bucket is missing, or a number is not a number.
    """
    try:
        return Settings(
            records_bucket=environment["RECORDS_BUCKET"],
            insights_bucket=environment["INSIGHTS_BUCKET"],
            model_uri=environment.get("MODEL_URI", ""),
            challenger_uri=environment.get("CHALLENGER_URI", ""),
            baseline_uri=environment.get("BASELINE_URI", ""),
            window_hours=int(environment.get("WINDOW_HOURS", "24")),
            lookback_days=int(environment.get("LOOKBACK_DAYS", "7")),
            min_accuracy=float(environment.get("MIN_ACCURACY", "0.9")),
            namespace=environment.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch"),
            service=environment.get("POWERTOOLS_SERVICE_NAME", "drift"),
        )
    except (KeyError, ValueError) as error:
        raise RuntimeError(f"the environment lacks what template.yaml gives Drift: {error!r}") from error
