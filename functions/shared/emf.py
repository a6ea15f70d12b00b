"""Log lines in CloudWatch's embedded metric format (EMF): a JSON object, some members of which are metrics."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def emf_line(
    namespace: str,
    timestamp: float,
    dimensions: Sequence[str],
    members: Mapping[str, Any],
    metrics: Mapping[str, float],
    units: Mapping[str, str],
    default_unit: str = "Count",
) -> str:
    """Return a line for `write_line`.

    Args:
        namespace: CloudWatch namespace of the metrics.
        timestamp: Time of the metrics, Unix seconds.
        dimensions: Names of the members that are dimensions.
        members: Other members, written before the metrics in this order.
        metrics: Values by metric name.
        units: Units by metric name, where they differ from `default_unit`.
        default_unit: `Count`, or `None` for numbers without a unit.
    """
    directive = {
        "Namespace": namespace,
        "Dimensions": [dimensions],
        "Metrics": [{"Name": name, "Unit": units.get(name, default_unit)} for name in metrics],
    }
    metadata = {"Timestamp": int(timestamp * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({**members, **metrics, "_aws": metadata}, separators=(",", ":"))


def write_counts(namespace: str, dimensions: Mapping[str, str], counts: Mapping[str, int]) -> None:
    """Write a line with counts by metric name, and nothing else but their dimensions."""
    write_line(emf_line(namespace, time.time(), list(dimensions), dimensions, counts, {}))


def write_line(line: str) -> None:
    """Write a line to standard output, which is Lambda's log, in one call.

    `print` writes the line break in a second call, before which another thread may write.
    """
    sys.stdout.write(line + "\n")
