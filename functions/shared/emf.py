"""Lines in CloudWatch's embedded metric format (EMF): a JSON object of which some members are metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIME: Final = "time"  # first member of every prediction record
RECORD_START: Final = f'{{"{TIME}"'  # by which the next record is found in a damaged file


def emf_line(
    namespace: str,
    timestamp: float,
    dimensions: Sequence[Sequence[str]],
    members: Mapping[str, Any],
    metrics: Mapping[str, float],
    units: Mapping[str, str],
    default_unit: str,
) -> str:
    """Return a line to print.

    Args:
        namespace: Of the metrics.
        timestamp: Of the metrics, Unix seconds.
        dimensions: Names of members, one list for each set of dimensions.
        members: What else the line says, in this order, before the metrics.
        metrics: By name.
        units: Of the metrics that have another unit than `default_unit`.
        default_unit: `Count`, or `None` for numbers of no unit.
    """
    directive = {
        "Namespace": namespace,
        "Dimensions": dimensions,
        "Metrics": [{"Name": name, "Unit": units.get(name, default_unit)} for name in metrics],
    }
    about = {"Timestamp": int(timestamp * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({**members, **metrics, "_aws": about}, separators=(",", ":"))
