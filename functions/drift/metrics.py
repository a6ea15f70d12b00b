"""What CloudWatch is told of a run: lines in the embedded metric format (EMF), dated to the window's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from functions.shared.emf import emf_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from functions.drift.compare import Comparison

_VERDICTS: Final = {"drift": 1, "ok": 0}  # of the others there is no number to alarm on
_EFFECTS: Final = {
    "input": "InputDrift",
    "embedding": "EmbeddingDrift",
    "prediction": "PredictionDrift",
    "confidence": "ConfidenceDrop",
}
_UNITS: Final = {"Records": "Count", "CorruptRecords": "Count", "RunTime": "Seconds"}
_NO_SOURCE: Final = "(none)"  # CloudWatch takes no empty value


def lines(
    namespace: str,
    service: str,
    end: datetime,
    facts: Mapping[str, Any],
    comparison: Comparison | None,
    seconds: float,
) -> list[str]:
    """Return a line for everything together, and one for each source."""
    counts, truth = facts["counts"], facts["truth"]
    verdict, by_source = (comparison.verdict, comparison.sources) if comparison else ("", {})
    effects = comparison.effects if comparison else {}
    overall = {
        **_verdict(verdict),
        **{name: effects[kind] for kind, name in _EFFECTS.items() if kind in effects},
        "Records": counts["records"],
        "CorruptRecords": counts["corrupt"] + counts["damaged"],
        **_accuracy(truth["overall"], ("value", "low", "high")),
        "RunTime": round(seconds, 3),
    }
    told = [_line(namespace, end, {"service": service}, overall)]
    for source in sorted({*by_source, *truth["sources"]}):
        measured = _verdict(by_source.get(source, ""))
        if source in truth["sources"]:
            measured |= _accuracy(truth["sources"][source], ("value", "high"))
        if measured:
            told.append(_line(namespace, end, {"source": source or _NO_SOURCE}, measured))
    return told


def _verdict(verdict: str) -> dict[str, float]:
    return {"DriftVerdict": _VERDICTS[verdict]} if verdict in _VERDICTS else {}


def _accuracy(figures: Mapping[str, Any], parts: tuple[str, ...]) -> dict[str, float]:
    names = {"value": "Accuracy", "low": "AccuracyLow", "high": "AccuracyHigh"}
    accuracy = figures["accuracy"]
    return {names[part]: round(accuracy[part], 6) for part in parts} if accuracy else {}


def _line(namespace: str, end: datetime, dimensions: Mapping[str, str], measured: Mapping[str, float]) -> str:
    return emf_line(namespace, end.timestamp(), [list(dimensions)], dimensions, measured, _UNITS, "None")
