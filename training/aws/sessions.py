"""Sessions of SageMaker's SDK, without its telemetry and its validation of roles."""

from __future__ import annotations

import os
from typing import Final

import boto3
from botocore.exceptions import NoRegionError
from sagemaker.core.helper.session_helper import Session

NO_TELEMETRY: Final = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}


def session(bucket: str = "", *, local: bool = False) -> Session:
    """Return a session of the SDK that stages code in `bucket`, without telemetry and validation of roles.

    Raises:
        NoRegionError: No region is set, and the session is not `local`.
    """
    return Session(
        boto_session(local=local),
        default_bucket=bucket or None,
        default_bucket_prefix="training",
        sagemaker_config=NO_TELEMETRY,
    )


def boto_session(*, local: bool = False) -> boto3.Session:
    """Return the boto3 session for a session of the SDK, and turn the SDK's validation of roles off.

    It refuses a role without every right that any job could need, in a VPC for example. Ours has fewer on purpose.

    Raises:
        NoRegionError: No region is set, and the session is not `local`.
    """
    region = boto3.Session().region_name or ("us-east-1" if local else None)
    if not region:
        raise NoRegionError
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")
    return boto3.Session(region_name=region)
