"""A metric, by executed version, of failures that Lambda does not count because the function returned an answer."""

from __future__ import annotations

import os
import time

from functions.shared.emf import emf_line, write_line


def count_failure() -> None:
    """Write the metric `Failures`; its alarm rolls back the deployment of the running version."""
    # Read here, since both API handlers and Batch call this and have no settings in common.
    dimensions = {
        "service": os.environ.get("POWERTOOLS_SERVICE_NAME", "local"),
        "version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "local"),
    }
    namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch")
    line = emf_line(namespace, time.time(), [list(dimensions)], dimensions, {"Failures": 1}, {}, "Count")
    write_line(line)
