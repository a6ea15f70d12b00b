"""What the environment says, read once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MB_PER_CPU = 1769  # Lambda gives one processor for this much memory, and in proportion
_MAX_CPUS = 6


@dataclass(frozen=True)
class Settings:
    """How the functions of the inference image run.

    Attributes:
        model_uri: Of the model release: a folder, s3://bucket/prefix/, or empty for the one in the image.
        challenger_uri: Of the release that challenges it; empty for none.
        challenger_share: Percent of the sources that the challenger answers; 0: it scores in the shadow.
        cors_origin: Which pages of other sites may call the API; "*" for all.
        namespace: Of the CloudWatch metrics.
        threads: For one inference.
    """

    model_uri: str
    challenger_uri: str
    challenger_share: float
    cors_origin: str
    namespace: str
    threads: int


@dataclass(frozen=True)
class BatchSettings:
    """What Batch alone has to know.

    Attributes:
        uploads_bucket: Where pictures come from; those of any other are refused.
        results_bucket: Where results go.
        dead_letters_url: Of the queue for messages that failed for good.
        max_receives: How often a message may be received; after that it has failed for good.
    """

    uploads_bucket: str
    results_bucket: str
    dead_letters_url: str
    max_receives: int


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from environment variables, with defaults that fit a laptop.

    Raises:
        RuntimeError: The challenger's share is no percentage.
    """
    share = environment.get("CHALLENGER_SHARE", "0")
    try:
        in_range = 0 <= float(share) <= 100
    except ValueError:
        in_range = False
    if not in_range:
        raise RuntimeError(f"CHALLENGER_SHARE is {share!r}; it must be a number from 0 to 100")
    memory = int(environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", _MB_PER_CPU))
    return Settings(
        model_uri=environment.get("MODEL_URI", ""),
        challenger_uri=environment.get("CHALLENGER_URI", ""),
        challenger_share=float(share),
        cors_origin=environment.get("CORS_ORIGIN", "*"),
        namespace=environment.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch"),
        threads=min(max(round(memory / _MB_PER_CPU), 1), _MAX_CPUS),
    )


def read_batch_settings(environment: Mapping[str, str] = os.environ) -> BatchSettings:
    """Batch's settings from environment variables.

    Raises:
        RuntimeError: One is missing.
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
