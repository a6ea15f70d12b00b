"""Errors of the operator's commands, each explained in one line."""

from __future__ import annotations

from typing import Final

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import (
    ConnectionError as AwsConnectionError,
)

_LOCAL: Final = "for the stack of `make run`, paste the export line that it prints"


AWS_ERRORS: Final = (BotoCoreError, ClientError, Boto3Error)  # of calls, and of boto3's uploads of files


class OpsError(Exception):
    """A command failed; the message says why, and what to do."""


def explain(error: Exception) -> str:
    """Explain in one line why a call to AWS failed with one of `AWS_ERRORS`, and what to do."""
    if isinstance(error, NoRegionError):
        return f"No AWS region is set: export AWS_DEFAULT_REGION=…; {_LOCAL}."
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return f"There are no AWS credentials: run `aws configure`, or export AWS_PROFILE=…; {_LOCAL}."
    if isinstance(error, ProfileNotFound):
        return f"{error}. `aws configure list-profiles` lists the profiles."
    # No connection, no answer in time, or an untrusted certificate.
    if isinstance(error, (AwsConnectionError, HTTPClientError)):
        return f"AWS cannot be reached: {' '.join(str(error).split())}"
    return " ".join(str(error).split())
