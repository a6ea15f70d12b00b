"""What was found in pictures, a line each: as a table to look at, as JSON, and as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from maskwatch.client import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

COLUMNS: Final = (
    *("file", "status", "label", "confidence", "faces"),
    *(f"faces_{label}" for label in OUTCOMES),
    *("detail", "model_version", "prediction_id"),
)
BOM: Final = "\ufeff"  # by which Excel knows UTF-8
# What a spreadsheet would compute, at the beginning of a cell, or after what may part cells where it is not a comma.
_FORMULA: Final = re.compile(r'(?:^|(?<=[,;|\t"]))(?=\s*[-=+@＝＋－＠])')  # noqa: RUF001 -- wide ones count, too

Row = dict[str, Any]  # by column


@dataclass(frozen=True)
class Outcome:
    """What came of one picture.

    Attributes:
        file: Its name.
        answer: The API's; None where it was refused.
        detail: Why it was refused.
        kind: Which problem that is, by its identifier in the table of /docs, or empty.
    """

    file: str
    answer: Mapping[str, Any] | None
    detail: str = ""
    kind: str = ""


def scored(prediction: Mapping[str, Any]) -> Row:
    """Return what the columns say about a prediction."""
    counts = prediction["summary"]
    return {
        "status": "scored",
        "faces": counts["faces"],
        **{f"faces_{label}": counts[label] for label in OUTCOMES},
        **{name: prediction[name] for name in ("label", "confidence", "model_version", "prediction_id")},
    }


def as_table(outcomes: Iterable[Outcome], names: Sequence[str]) -> Iterator[str]:
    """Give the lines of a table, with a line at its end that counts; `names` are those of all pictures to come."""
    file = max(len(printable(name)) for name in names)
    labels: Counter[str] = Counter()
    faces: Counter[str] = Counter()
    for outcome in outcomes:
        if not labels:
            yield f"{'file':{file}}  {'label':9}  confidence  faces" + "".join(f"{n:>11}" for n in OUTCOMES)
        name = printable(outcome.file)
        if outcome.answer is None:
            labels["refused"] += 1
            yield f"{name:{file}}  refused: {printable(outcome.detail)}"
            continue
        label, counts = outcome.answer["label"], outcome.answer["summary"]
        labels[label] += 1
        faces.update(counts)
        numbers = "".join(f"{counts[label] or '':>11}" for label in OUTCOMES)
        yield f"{name:{file}}  {label:9}  {outcome.answer['confidence']:10.1%}  {counts['faces']:5}{numbers}"
    if labels.total() > 1:
        parts = [f"{labels[label]:,} {label}" for label in (*OUTCOMES, "refused") if labels[label]]
        yield f"{labels.total():,} pictures: {', '.join(parts)}"
        parts = [f"{faces[label]:,} {label}" for label in OUTCOMES if faces[label]]
        yield f"{faces['faces']:,} faces{': ' if parts else ''}{', '.join(parts)}"


def as_json(outcomes: Iterable[Outcome], _: Sequence[str]) -> Iterator[str]:
    """Give a JSON object for each: its file, its status, and the API's answer or what is wrong with it."""
    for outcome in outcomes:
        if outcome.answer is None:
            row = {"status": "refused", "problem": outcome.kind, "detail": outcome.detail}
        else:
            row = {"status": "scored", **outcome.answer}
        # Where the output is not UTF-8, a character that it lacks would come out as no JSON.
        yield json.dumps({"file": outcome.file} | row, ensure_ascii=sys.stdout.encoding.lower() != "utf-8")


def as_csv(outcomes: Iterable[Outcome], _: Sequence[str]) -> Iterator[str]:
    """Give a head with the columns, and a line for each."""
    yield BOM + _line(COLUMNS)
    for outcome in outcomes:
        row = scored(outcome.answer) if outcome.answer else {"status": "refused", "detail": outcome.detail}
        row |= {"file": outcome.file}
        yield _line([row.get(column, "") for column in COLUMNS])


FORMS: Final[Mapping[str, Callable[[Iterable[Outcome], Sequence[str]], Iterator[str]]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}


def compliance_table(found: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of a table of what GET /compliance says, as they are read: with shares in percent."""
    source = max([len(row["source"]) for row in found["rows"]] + [6])
    yield f"{'time':16}  {'source':{source}}  pictures     faces" + "".join(
        f"{label:>11}" for label in OUTCOMES
    )
    rows = [*found["rows"], {"time": "together", "source": ""} | found["total"]]
    for row in rows:
        shares = [row[f"share_{label}"] for label in OUTCOMES]
        numbers = "".join(f"{'' if share is None else format(share, '.1%'):>11}" for share in shares)
        time = row["time"][: 10 if found["by"] == "day" else 16].replace("T", " ")
        yield f"{time:16}  {row['source']:{source}}  {row['pictures']:8,}  {row['faces']:8,}{numbers}"
    corrected = found["total"].get("corrected_mask")
    if corrected is not None:
        low, high = (found["total"][f"corrected_mask_{end}"] for end in ("low", "high"))
        yield f"without the model's mistakes {corrected:.1%} wore a mask (95% interval {low:.1%} to {high:.1%})"
    if people := found["total"].get("people"):
        yield f"people, each counted once a stay: {people:,}, of whom {found['total']['people_mask']:,} wore a mask"
    for days, why in (("missing", "not counted"), ("partial", "not over when they were counted")):
        if found.get(days):
            yield f"{why}: {', '.join(found[days])}"
    yield f"as of {found['as_of'] or 'never: nothing was counted in this time'}"


def _line(cells: Sequence[Any]) -> str:
    file = io.StringIO()
    csv.writer(file).writerow([csv_cell(cell) for cell in cells])
    return file.getvalue().removesuffix("\r\n")


def csv_cell(value: object) -> object:
    """Return a value as a cell of CSV that no spreadsheet computes; numbers stay as they are."""
    return _FORMULA.sub("'", value) if isinstance(value, str) else value


def printable(text: str) -> str:
    """Escape what would move the cursor, colour the terminal or break the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
