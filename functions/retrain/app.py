"""Starts the retraining pipeline when an alarm, a schedule or a person asks for it: one execution at a time.

The function has no build: this module uses the standard library, and boto3, which Lambda's runtime has.
"""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3

UNFINISHED: Final = {"Executing", "Stopping"}

logger = logging.getLogger()
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Start an execution, unless one is under way or began within the cool-down; say which, or why not.

    Who asks by hand, with `{"by_hand": true}`, need not wait for the cool-down.
    """
    sagemaker, pipeline = boto3.client("sagemaker"), os.environ["PIPELINE"]
    cool_down = timedelta(days=int(os.environ["COOL_DOWN_DAYS"]))
    found = sagemaker.list_pipeline_executions(
        PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
    )["PipelineExecutionSummaries"]
    last = found[0] if found else None
    if last and last["PipelineExecutionStatus"] in UNFINISHED:
        return _answer("under way", last["PipelineExecutionArn"])
    if last and not event.get("by_hand") and datetime.now(UTC) - last["StartTime"] < cool_down:
        return _answer("cooling down", last["PipelineExecutionArn"])
    # Two who ask at once have seen the same last execution, and SageMaker starts one for a token.
    seen = last["PipelineExecutionArn"] if last else pipeline
    token = hashlib.sha256(seen.encode()).hexdigest()
    started = sagemaker.start_pipeline_execution(PipelineName=pipeline, ClientRequestToken=token)
    return _answer("started", started["PipelineExecutionArn"])


def _answer(outcome: str, execution: str) -> dict[str, str]:
    logger.info("%s: %s", outcome, execution)
    return {"outcome": outcome, "execution": execution}
