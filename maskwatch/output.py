"""Output formats for predictions, one line per picture (table, JSON, CSV), and the table of compliance."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from maskwatch.client import ANSWER_LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

COLUMNS: Final = (
    "file", "status", "label", "confidence", "faces", *(f"faces_{label}" for label in ANSWER_LABELS),
    "detail", "model_version", "prediction_id",
)  # fmt: skip
BOM: Final = "\ufeff"  # Excel recognises UTF-8 by it
# The start of what a spreadsheet would evaluate, in a cell or after a character at which some spreadsheets split
# cells. A copy: pip installs no functions/; tests/unit/test_contract_copies.py compares.
FORMULA: Final = re.compile(r'(?:^|(?<=[,;|\t"]))(?=\s*[-=+@＝＋－＠])')  # noqa: RUF001 -- full-width signs count, too

Row = dict[str, Any]  # by column


@dataclass(frozen=True)
class Response:
    """The response of the API for one picture: an answer or a refusal.

    Attributes:
        file: Name of the picture.
        answer: The API's answer; None if the picture was refused.
        detail: Why it was refused.
        problem: Identifier of the problem in the table of /docs, or empty.
    """

    file: str
    answer: Mapping[str, Any] | None
    detail: str = ""
    problem: str = ""


def scored(prediction: Mapping[str, Any]) -> Row:
    """Return the columns of a row for a prediction."""
    counts = prediction["summary"]
    return {
        "status": "scored",
        "faces": counts["faces"],
        **{f"faces_{label}": counts[label] for label in ANSWER_LABELS},
        **{name: prediction[name] for name in ("label", "confidence", "model_version", "prediction_id")},
    }


def as_table(responses: Iterable[Response], names: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table, with totals at the end; `names` are those of all pictures, for the column width."""
    file = max(len(printable(name)) for name in names)
    labels: Counter[str] = Counter()
    faces: Counter[str] = Counter()
    for response in responses:
        if not labels:
            yield f"{'file':{file}}  {'label':9}  confidence  faces" + "".join(
                f"{n:>11}" for n in ANSWER_LABELS
            )
        name = printable(response.file)
        if response.answer is None:
            labels["refused"] += 1
            yield f"{name:{file}}  refused: {printable(response.detail)}"
            continue
        label, counts = response.answer["label"], response.answer["summary"]
        labels[label] += 1
        faces.update(counts)
        numbers = "".join(f"{counts[label] or '':>11}" for label in ANSWER_LABELS)
        yield f"{name:{file}}  {label:9}  {response.answer['confidence']:10.1%}  {counts['faces']:5}{numbers}"
    if labels.total() > 1:
        parts = [f"{labels[label]:,} {label}" for label in (*ANSWER_LABELS, "refused") if labels[label]]
        yield f"{labels.total():,} pictures: {', '.join(parts)}"
        parts = [f"{faces[label]:,} {label}" for label in ANSWER_LABELS if faces[label]]
        yield f"{faces['faces']:,} faces{': ' if parts else ''}{', '.join(parts)}"


def as_json(responses: Iterable[Response], _: Sequence[str]) -> Iterator[str]:
    """Yield a JSON object per picture: its file, its status, and the API's answer or the reason for the refusal."""
    for response in responses:
        if response.answer is None:
            row = {"status": "refused", "problem": response.problem, "detail": response.detail}
        else:
            row = {"status": "scored", **response.answer}
        # If the output is not UTF-8, a character that it lacks would be written as an escape that is not JSON.
        yield json.dumps({"file": response.file} | row, ensure_ascii=sys.stdout.encoding.lower() != "utf-8")


def as_csv(responses: Iterable[Response], _: Sequence[str]) -> Iterator[str]:
    """Yield a header with the columns, and a line per picture."""
    yield BOM + _line(COLUMNS)
    for response in responses:
        row = scored(response.answer) if response.answer else {"status": "refused", "detail": response.detail}
        row |= {"file": response.file}
        yield _line([row.get(column, "") for column in COLUMNS])


FORMATS: Final[Mapping[str, Callable[[Iterable[Response], Sequence[str]], Iterator[str]]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}


def compliance_table(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table of an answer of GET /compliance, with shares in percent."""
    source = max([len(row["source"]) for row in answer["rows"]] + [6])
    time = "time (UTC)" if answer["by"] == "hour" else "time"  # days are those of a time zone
    yield f"{time:16}  {'source':{source}}  pictures     faces" + "".join(
        f"{label:>11}" for label in ANSWER_LABELS
    )
    rows = [*answer["rows"], {"time": "total", "source": ""} | answer["total"]]
    for row in rows:
        shares = [row[f"share_{label}"] for label in ANSWER_LABELS]
        numbers = "".join(f"{'' if share is None else format(share, '.1%'):>11}" for share in shares)
        time = row["time"][: 10 if answer["by"] == "day" else 16].replace("T", " ")
        yield f"{time:16}  {row['source']:{source}}  {row['pictures']:8,}  {row['faces']:8,}{numbers}"
    corrected = answer["total"].get("corrected_mask")
    if corrected is not None:
        low, high = (answer["total"][f"corrected_mask_{end}"] for end in ("low", "high"))
        yield f"corrected for the model's errors: {corrected:.1%} wore a mask (95% interval {low:.1%} to {high:.1%})"
    if people := answer["total"].get("people"):
        yield f"people, counted once per stay: {people:,}, of whom {answer['total']['people_mask']:,} wore a mask"
    for days, why in (("missing", "not counted"), ("partial", "counted before the day was over")):
        if answer.get(days):
            yield f"{why}: {', '.join(answer[days])}"
    yield f"as of {answer['as_of'] or 'never: nothing was counted in this range'}"


def _line(cells: Sequence[Any]) -> str:
    file = io.StringIO()
    csv.writer(file).writerow([csv_cell(cell) for cell in cells])
    return file.getvalue().removesuffix("\r\n")


def csv_cell(value: object) -> object:
    """Return a value as a CSV cell that no spreadsheet evaluates; numbers stay as they are."""
    return FORMULA.sub("'", value) if isinstance(value, str) else value


def printable(text: str) -> str:
    """Escape control characters, which would move the cursor, colour the terminal or break the line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
