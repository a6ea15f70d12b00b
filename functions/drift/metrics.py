"""The CloudWatch metrics of a run, as lines in the embedded metric format (EMF) with the time of the window's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.drift.compare import DRIFT, OK, SILENT, SUSPECTED
from functions.drift.feedback_join import serving_audit
from functions.drift.report import OTHER_VERSION
from functions.shared.emf import emf_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from functions.drift.accuracy import Figures
    from functions.drift.report import Report

_VERDICTS: Final = {DRIFT: 1, OK: 0}  # other verdicts give no data point
_STATUSES: Final = {DRIFT: 1, SILENT: 1, SUSPECTED: 0, OK: 0}
_EFFECTS: Final = {
    "input": "InputDrift",
    "embedding": "EmbeddingDrift",
    "prediction": "PredictionDrift",
    "confidence": "ConfidenceDrop",
}
_UNITS: Final = {
    **dict.fromkeys(("Records", "CorruptRecords", "UnreadLabels", "UnknownLabels", "NewFindings"), "Count"),
    "RunTime": "Seconds",
}
_NO_SOURCE: Final = "(none)"  # a dimension must not be empty


def lines(namespace: str, service: str, report: Report, new_findings: int, seconds: float) -> list[str]:
    """Return a line for all sources together, with the duration of the run in seconds, and one for each source.

    `new_findings` are new drifts while an earlier one continues, which the drift alarm alone would not show.
    """
    end, counts, accuracy, comparison = report.window.end, report.counts, report.accuracy, report.comparison
    effects = comparison.effects if comparison else {}
    serving = serving_audit(accuracy, report.serving_version)
    lost = counts.damaged * max(counts.valid / max(counts.objects, 1), 1)  # as many as other objects have
    overall: dict[str, float] = {
        **({"DriftVerdict": _VERDICTS[report.verdict]} if report.verdict in _VERDICTS else {}),
        **({"OtherVersion": int(report.verdict == OTHER_VERSION)} if counts.records else {}),
        "NewFindings": new_findings,
        **{name: effects[kind] for kind, name in _EFFECTS.items() if kind in effects},
        "Records": counts.valid,
        "CorruptRecords": counts.corrupt + round(lost),
        **(_accuracy(serving) if serving else {}),
        "UnreadLabels": accuracy.unread,
        "UnknownLabels": accuracy.unknown,
        "RunTime": round(seconds, 3),
    }
    result = [_line(namespace, end, {"service": service}, overall)]
    for source in sorted({*report.sources, *accuracy.sources}):
        status = report.sources[source].status if source in report.sources else ""
        measured: dict[str, float] = {"DriftVerdict": _STATUSES[status]} if status in _STATUSES else {}
        if source in accuracy.sources and (share := accuracy.sources[source].accuracy):
            measured |= {"ChosenAccuracy": round(share.value, 6)}
        if measured:
            result.append(_line(namespace, end, {"source": source or _NO_SOURCE}, measured))
    return result


def _accuracy(figures: Figures) -> dict[str, float]:
    share = figures.accuracy
    if share is None:
        return {}
    return {
        "Accuracy": round(share.value, 6),
        "AccuracyLow": round(share.low, 6),
        "AccuracyHigh": round(share.high, 6),
    }


def _line(namespace: str, end: datetime, dimensions: Mapping[str, str], measured: Mapping[str, float]) -> str:
    return emf_line(namespace, end.timestamp(), list(dimensions), dimensions, measured, _UNITS, "None")
