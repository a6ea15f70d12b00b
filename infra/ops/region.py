"""The AWS region of a command."""

from __future__ import annotations

import os


def use_region() -> None:
    """Let boto3, which reads only AWS_DEFAULT_REGION, use AWS_REGION first, as the AWS CLI does."""
    if region := os.environ.get("AWS_REGION"):
        os.environ["AWS_DEFAULT_REGION"] = region
