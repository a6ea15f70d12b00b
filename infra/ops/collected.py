"""The folder of collected pictures: its table, expiry, and the share of one API key."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.ops.errors import OpsError
from infra.ops.files import Row, Table, read_table
from maskwatch.output import csv_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE: Final = "crops.csv"  # as training reads it, with additional columns
COLUMNS: Final = (
    "file", "source", "xmin", "ymin", "xmax", "ymax", "sha256", "minute", "api_key_id", "delete_after"
)  # fmt: skip


def read_rows(path: Path) -> tuple[Table, list[Row], list[Row]]:
    """Return the table, the rows of the operator's own pictures, and those of collected ones.

    Raises:
        OpsError: The table is malformed, or a collected picture is not in its folder.
    """
    if not path.exists():
        return Table(), [], []
    table = read_table(path)
    ours = not {"minute", "delete_after"}.isdisjoint(table.columns)
    required = COLUMNS if ours else ("file",)
    if missing := [name for name in required if name not in table.columns]:
        marks = "`minute` and `delete_after` mark collected pictures: rename yours, or restore these columns"
        raise OpsError(f"{path} has no column {', '.join(missing)}{f'; {marks}' if ours else ''}")
    # Earlier versions wrote formulas as they were; `csv_cell` does not change a cell twice.
    collected = [
        row | {name: str(csv_cell(row[name])) for name in ("source", "minute")}
        for row in table.rows
        if row.get("minute")
    ]
    for row in collected:
        file = Path(row["file"])
        if not file.name or file.is_absolute() or ".." in file.parts:
            raise OpsError(f"{path}: {row['file']!r} is not a file in this folder")
    return table, [row for row in table.rows if not row.get("minute")], collected


def unexpired(rows: Sequence[Row], out: Path, today: date) -> list[Row]:
    """Delete the pictures whose uploads have expired, and return the rows of the others.

    Raises:
        OpsError: A row has an invalid day; nothing was deleted.
    """
    kept = [row for row in rows if not row["delete_after"] or _last_day(row) >= today]
    for row in rows:
        if row not in kept:
            (out / row["file"]).unlink(missing_ok=True)
    return kept


def limit_key_share(rows: Sequence[Row], share: float) -> tuple[list[Row], list[Row]]:
    """Return rows of which no API key labelled more than a share, and the surplus rows, the last first."""
    kept, surplus = list(rows), list[Row]()
    while kept:
        key, number = Counter(row["api_key_id"] for row in kept).most_common(1)[0]
        if number <= share * len(kept):
            break
        last = max(index for index, row in enumerate(kept) if row["api_key_id"] == key)
        surplus.append(kept.pop(last))
    return kept, surplus


def _last_day(row: Row) -> date:
    try:
        return date.fromisoformat(row["delete_after"])
    except ValueError as error:
        raise OpsError(
            f"{TABLE}: delete_after of {row['file']} is {row['delete_after']!r}; it must be a day, such as 2026-12-26"
        ) from error
