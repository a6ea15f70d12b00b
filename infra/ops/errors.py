"""Errors of the operator's commands, each explained in one line."""

from __future__ import annotations

from typing import Final

from boto3.exceptions import Boto3Error
from botocore import exceptions as aws

_LOCAL: Final = "for the stack of `make run`, paste the export line that it prints"

# Of calls, and of boto3's uploads of files.
AWS_ERRORS: Final = (aws.BotoCoreError, aws.ClientError, Boto3Error)


class OpsError(Exception):
    """A command failed; the message says why, and what to do."""


def explain(error: Exception) -> str:
    """Return an error's message; if it is one of `AWS_ERRORS`, in one line that says what to do."""
    if isinstance(error, aws.NoRegionError):
        return f"No AWS region is set: export AWS_DEFAULT_REGION=…; {_LOCAL}."
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError)):
        return f"There are no AWS credentials: run `aws configure`, or export AWS_PROFILE=…; {_LOCAL}."
    if isinstance(error, aws.ProfileNotFound):
        return f"{error}. `aws configure list-profiles` lists the profiles."
    # No connection, no answer in time, or an untrusted certificate.
    if isinstance(error, (aws.ConnectionError, aws.HTTPClientError)):
        return f"AWS cannot be reached: {' '.join(str(error).split())}"
    return " ".join(str(error).split()) if isinstance(error, AWS_ERRORS) else str(error)
