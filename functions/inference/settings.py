"""Configuration from environment variables, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MB_PER_CPU = 1769  # Lambda allots processors in proportion to memory
_MAX_CPUS = 6


@dataclass(frozen=True)
class Settings:
    """The configuration of Predict and Batch.

    Attributes:
        model_uri: The serving release: a folder, s3://bucket/prefix/, or empty for the one in the image.
        challenger_uri: The challenger; empty for none.
        challenger_percentage: Percentage of the sources that the challenger answers; 0 for shadow mode.
        cors_origin: The origin that CORS allows; "*" for all.
        namespace: Namespace of the CloudWatch metrics.
        service: Value of the metrics' dimension `service`.
        threads: Threads per inference.
    """

    model_uri: str
    challenger_uri: str
    challenger_percentage: float
    cors_origin: str
    namespace: str
    service: str
    threads: int


@dataclass(frozen=True)
class BatchSettings:
    """The configuration of Batch alone.

    Attributes:
        uploads_bucket: The bucket of pictures; others are refused.
        results_bucket: The bucket of results.
        dead_letters_url: URL of the dead-letter queue.
        max_receives: How often a message may be received before it becomes a dead letter.
    """

    uploads_bucket: str
    results_bucket: str
    dead_letters_url: str
    max_receives: int


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables, with defaults for a laptop.

    Raises:
        RuntimeError: The challenger's share is not a percentage.
    """
    percentage = environment.get("CHALLENGER_SHARE", "0")
    try:
        in_range = 0 <= float(percentage) <= 100
    except ValueError:
        in_range = False
    if not in_range:
        raise RuntimeError(f"CHALLENGER_SHARE is {percentage!r}; it must be a number from 0 to 100")
    memory = int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", _MB_PER_CPU))
    return Settings(
        model_uri=environment.get("MODEL_URI", ""),
        challenger_uri=environment.get("CHALLENGER_URI", ""),
        challenger_percentage=float(percentage),
        cors_origin=environment.get("CORS_ORIGIN", "*"),
        namespace=environment.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch"),
        service=environment.get("POWERTOOLS_SERVICE_NAME", "local"),
        threads=min(max(round(memory / _MB_PER_CPU), 1), _MAX_CPUS),
    )


def read_batch_settings(environment: Mapping[str, str] = os.environ) -> BatchSettings:
    """Read the settings of Batch from environment variables.

    Raises:
        RuntimeError: A variable is missing or not a number.
    """
    try:
        return BatchSettings(
            uploads_bucket=environment["UPLOADS_BUCKET"],
            results_bucket=environment["RESULTS_BUCKET"],
            dead_letters_url=environment["DEAD_LETTERS_URL"],
            max_receives=int(environment["MAX_RECEIVES"]),
        )
    except (KeyError, ValueError) as error:
        raise RuntimeError(f"the environment lacks what template.yaml gives Batch: {error!r}") from error
