"""What is counted and logged of failures that Lambda does not count, because the function returned an answer."""

from __future__ import annotations

import os
import re
from typing import Final

from functions.shared.emf import write_counts

_PATH: Final = re.compile(r'(https?://[^/\s"]+/)[^\s"]*')


def count_failure() -> None:
    """Write the metric `Failures` by executed version; its alarm rolls back the deployment of the running version."""
    # Read here, since both API handlers and Batch call this and have no settings in common.
    dimensions = {
        "service": os.environ.get("POWERTOOLS_SERVICE_NAME", "local"),
        "version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "local"),
    }
    namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch")
    write_counts(namespace, dimensions, {"Failures": 1})


def without_paths(error: str) -> str:
    """Return an error with only the hosts of its URLs.

    If S3 does not answer, botocore's error has the URL of the object, and so the name of a file.
    """
    return _PATH.sub(r"\1…", error)
