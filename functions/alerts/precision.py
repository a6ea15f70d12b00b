"""The precision of labels on the serving release's test pictures, from its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.alerts.counts import VIOLATIONS
from functions.alerts.rules import STEPS
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Precision:
    """The precision of a label on a release's test pictures.

    Attributes:
        value: The share of predictions that were right, 0 to 1.
        n: How many test faces got this label.
        min_confidence: Only predictions of at least this confidence are included.
    """

    value: float
    n: int
    min_confidence: float


def precision_of(
    manifest: Mapping[str, Any], version: str, lowest: Mapping[str, int]
) -> dict[str, Precision]:
    """Return the precision of each violating label in `lowest`, measured on the served path.

    If the manifest has precision by confidence, it is that of test faces of at least the lowest confidence in the
    window, otherwise that of all test faces. A manifest of another release than `version`, or without figures, gives
    none. `lowest` is the lowest confidence by label, in steps of `1 / STEPS`.
    """
    if manifest.get("version") != version:
        return {}
    served = manifest.get("metrics", {}).get("served", {})
    precision = {}
    for label in VIOLATIONS:
        if label not in lowest:
            continue
        rows = [
            row
            for row in served.get("precision_at", {}).get(label, [])
            if row["n"] and row["min_confidence"] <= lowest[label] / STEPS + 1e-9
        ]
        if rows:
            row = max(rows, key=lambda row: row["min_confidence"])
            precision[label] = Precision(row["right"] / row["n"], row["n"], row["min_confidence"])
        elif "confusion" in served:
            column = LABELS.index(label)
            n = sum(row[column] for row in served["confusion"])
            if n:
                precision[label] = Precision(served["confusion"][column][column] / n, n, 0.0)
    return precision
