"""Failures that Lambda does not count as errors, since the function returned: a metric by executed version."""

from __future__ import annotations

import os
import time

from functions.shared.emf import emf_line


def count_failure() -> None:
    """Print the metric `Failures`, by which an alarm rolls back the deployment of the version that runs."""
    dimensions = {
        "service": os.environ.get("POWERTOOLS_SERVICE_NAME", "local"),
        "version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "local"),
    }
    namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "MaskWatch")
    line = emf_line(namespace, time.time(), [list(dimensions)], dimensions, {"Failures": 1}, {}, "Count")
    print(line)  # noqa: T201 -- Lambda's log
