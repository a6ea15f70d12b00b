"""Starts the retraining pipeline on an alarm, on a schedule or by hand: one execution at a time.

The function has no build: this module uses the standard library, and boto3, which Lambda's runtime has.
"""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3

IN_PROGRESS: Final = {"Executing", "Stopping"}

logger = logging.getLogger()
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Start an execution, unless one is in progress or began within the cool-down; return the outcome.

    The event `{"by_hand": true}` ignores the cool-down.
    """
    sagemaker, pipeline = boto3.client("sagemaker"), os.environ["PIPELINE"]
    cool_down = timedelta(days=int(os.environ["COOL_DOWN_DAYS"]))
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending"
    )
    last = None
    for execution in (one for page in pages for one in page["PipelineExecutionSummaries"]):
        if execution["PipelineExecutionStatus"] in IN_PROGRESS:  # a later one may have ended before it
            return _answer("under way", execution["PipelineExecutionArn"])
        last = last or execution
    if last and not event.get("by_hand") and datetime.now(UTC) - last["StartTime"] < cool_down:
        return _answer("cooling down", last["PipelineExecutionArn"])
    # Concurrent invocations see the same last execution, and SageMaker starts one execution per token.
    previous = last["PipelineExecutionArn"] if last else pipeline
    token = hashlib.sha256(previous.encode()).hexdigest()
    started = sagemaker.start_pipeline_execution(PipelineName=pipeline, ClientRequestToken=token)
    return _answer("started", started["PipelineExecutionArn"])


def _answer(outcome: str, execution: str) -> dict[str, str]:
    logger.info("%s: %s", outcome, execution)
    return {"outcome": outcome, "execution": execution}
