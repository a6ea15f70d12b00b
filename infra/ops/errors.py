"""What stops an operator's command, and how it is said: one line."""

from __future__ import annotations

from typing import Final

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


class OpsError(Exception):
    """A command cannot do its job; the message says why, and what to do."""


def explain(error: BotoCoreError | ClientError) -> str:
    """Return what is wrong with a call of AWS, and what to do, in one line."""
    if isinstance(error, NoRegionError):
        return f"No AWS region is set: export AWS_DEFAULT_REGION=…; {_LOCAL}."
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return f"There are no AWS credentials: run `aws configure`, or export AWS_PROFILE=…; {_LOCAL}."
    if isinstance(error, ProfileNotFound):
        return f"{error}. `aws configure list-profiles` names those that there are."
    if isinstance(
        error, (AwsConnectionError, HTTPClientError)
    ):  # no connection, no answer in time, no trusted certificate
        return f"AWS cannot be reached: {' '.join(str(error).split())}"
    return " ".join(str(error).split())
