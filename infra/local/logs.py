"""Forwards the output of functions to CloudWatch: lines to Logs, embedded metrics (EMF) to Metrics."""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE: Final = 0.5  # seconds between deliveries
_BATCH: Final = 500  # lines per delivery
# LiteRT has no setting that silences it.
_NOISE: Final = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


class LogForwarder:
    """Collects lines from any thread, and delivers them from its own."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._lines: queue.SimpleQueue[tuple[str, str, int, str] | None] = queue.SimpleQueue()
        self._logs = client("logs")
        self._cloudwatch = client("cloudwatch")
        self._known: set[tuple[str, str]] = set()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, group: str, stream: str, line: str) -> None:
        """Queue a line. Empty ones are dropped, since CloudWatch refuses them."""
        if line.strip():
            self._lines.put((group, stream, int(time.time() * 1000), line))

    def stop(self) -> None:
        """Deliver the remaining lines, then end."""
        self._lines.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        more = True
        while more:
            batch = [self._lines.get()]
            if batch[0] is not None:
                time.sleep(_PAUSE)
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH:
                    batch.append(self._lines.get_nowait())
            more = None not in batch
            try:
                self._deliver([line for line in batch if line is not None])
            except Exception as error:  # noqa: BLE001 -- one bad line must not end logging
                print(f"a log delivery failed: {error}", file=sys.stderr)

    def _deliver(self, lines: list[tuple[str, str, int, str]]) -> None:
        events: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        values: dict[Metric, list[float]] = defaultdict(list)
        for group, stream, milliseconds, line in lines:
            events[group, stream].append({"timestamp": milliseconds, "message": line})
            metrics = embedded_metrics(line)
            for metric, value in metrics:
                values[metric].append(value)
            if not metrics and line.strip() != _NOISE:
                print(line, file=sys.stderr)
        for (group, stream), batch in events.items():
            self._create_once(group, stream)
            self._logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)
        for metric, measured in values.items():
            self._cloudwatch.put_metric_data(
                Namespace=metric.namespace,
                MetricData=[
                    {
                        "MetricName": metric.name,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
                        "Timestamp": datetime.fromtimestamp(metric.second, UTC),
                        "Values": measured,
                        "Unit": metric.unit,
                    }
                ],
            )

    def _create_once(self, group: str, stream: str) -> None:
        if (group, stream) in self._known:
            return
        with contextlib.suppress(self._logs.exceptions.ResourceAlreadyExistsException):
            self._logs.create_log_group(logGroupName=group)
        with contextlib.suppress(self._logs.exceptions.ResourceAlreadyExistsException):
            self._logs.create_log_stream(logGroupName=group, logStreamName=stream)
        self._known.add((group, stream))


@dataclass(frozen=True)
class Metric:
    """A metric, and the second in which its values were measured."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str
    second: int  # Unix time


def embedded_metrics(line: str) -> list[tuple[Metric, float]]:
    """Return the metric values in a log line in the embedded metric format (EMF); empty for other lines."""
    if not line.startswith("{") or '"CloudWatchMetrics"' not in line:
        return []
    try:
        record = json.loads(line)
        second = record["_aws"]["Timestamp"] // 1000
        return [
            (
                Metric(
                    directive["Namespace"],
                    metric["Name"],
                    tuple((name, str(record[name])) for name in dimensions),
                    metric.get("Unit", "None"),
                    second,
                ),
                float(value),
            )
            for directive in record["_aws"]["CloudWatchMetrics"]
            for dimensions in directive["Dimensions"]
            for metric in directive["Metrics"]
            for value in _listed(record[metric["Name"]])
        ]
    except (ValueError, KeyError, TypeError):
        return []  # CloudWatch, too, treats a malformed one as a plain log line


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
