"""Tables that people edit in spreadsheets, and files that are written whole or not at all."""

from __future__ import annotations

import codecs
import csv
import fcntl
import io
import os
import secrets
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.ops.errors import OpsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DELIMITERS: Final = ",;\t"

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table: the names of its columns, its rows by column, and how the file is written."""

    columns: Sequence[str] = ()
    rows: Sequence[Row] = ()
    delimiter: str = ","
    encoding: str = "utf-8"


def read_table(path: Path) -> Table:
    """Read a table with a header. Empty lines are skipped; cells and column names are stripped.

    `training.tables.read_table` reads the same tables, and says why they are two.

    Raises:
        OpsError: The file is not UTF-8 or not a table, names a column twice, or has cells that belong to no column.
    """
    data = path.read_bytes()
    try:
        file = io.StringIO(data.decode("utf-8-sig"), newline="")
        header = file.readline()
        delimiter = max(DELIMITERS, key=header.count)
        names = csv.reader([header.rstrip(f"{DELIMITERS} \r\n")], delimiter=delimiter, strict=True)
        columns = [name.strip() for name in next(names, [])]
        if twice := [name or "an empty name" for name, number in Counter(columns).items() if number > 1]:
            raise OpsError(f"{path} names a column twice: {', '.join(twice)}")
        rows = []
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped[len(columns) :]):
                raise OpsError(f"{path}, line {reader.line_num + 1}, has more cells than there are columns")
            if any(stripped):
                rows.append(dict.fromkeys(columns, "") | dict(zip(columns, stripped, strict=False)))
    except UnicodeDecodeError as error:
        raise OpsError(f"{path} is not UTF-8; save it as CSV UTF-8") from error
    except csv.Error as error:
        raise OpsError(f"{path} is not a table: {error}") from error
    return Table(columns, rows, delimiter, "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8")


def write_table(path: Path, table: Table) -> None:
    """Write a table; a cell that a row lacks stays empty."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, table.columns, restval="", delimiter=table.delimiter)
    writer.writeheader()
    writer.writerows(table.rows)
    write_whole(path, file.getvalue(), table.encoding)


def require_writable(path: Path) -> None:
    """Check that a file can be written, and create its folder.

    Raises:
        OpsError: There is something else than a file.
        OSError: The folder cannot be created or written to.
    """
    real = _real(path)
    if real.is_symlink() or (real.exists() and not real.is_file()):  # still a link: it leads to itself
        raise OpsError(f"{path} is not a file")
    real.parent.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=real.parent).close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other commands from writing to a folder; the file of the lock stays, the lock ends with the process.

    Raises:
        OpsError: Another command is writing to it.
    """
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OpsError(
                f"Another command is writing to {folder}; run this again when it has ended"
            ) from error
        yield


def write_whole(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a file that replaces the old one only once it is complete.

    Bytes of file names that are not UTF-8 are written as escapes.
    """
    path = _real(path)  # a link to a file stays
    fresh = path.with_name(f".new-{secrets.token_hex(4)}-{path.name}")  # another command may write it too
    try:
        fresh.write_text(text, encoding, "backslashreplace", newline="")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _real(path: Path) -> Path:
    """Return the file that links lead to. Path.resolve raises a RuntimeError for a link to itself."""
    return Path(os.path.realpath(path))
