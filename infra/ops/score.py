"""Score a folder of pictures: `python -m infra.ops score FOLDER`, with `make run` or `--stack maskwatch-dev`."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tqdm import tqdm

from infra.ops.address import add_api_options, api_of
from infra.ops.errors import OpsError
from infra.ops.files import require_writable, write_whole
from maskwatch.client import ANSWER_LABELS, TYPES, ApiError, Client
from maskwatch.output import BOM, COLUMNS, Row, csv_cell, scored
from maskwatch.pictures import ENDINGS, list_pictures
from maskwatch.score import FATAL

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CONNECTIONS: Final = 8
TIMEOUT: Final = (
    420.0  # seconds without a new result after which the rest counts as missing: a retry takes 360
)
_PAUSE: Final = 1.0  # seconds after a round without results


def upload(client: Client, files: Sequence[Path], source: str | None) -> Iterator[Row]:
    """Upload files, and yield a row for each: its status is `waiting`, or `refused` with the reason in `detail`.

    Raises:
        ApiError: The service refuses them all, such as for a wrong key or an exhausted quota.
    """

    def upload(path: Path) -> Row:
        row = {"file": str(path)}
        try:
            key = client.upload(path.read_bytes(), TYPES[path.suffix.lower()], source)
        except (OSError, ApiError) as error:
            if isinstance(error, ApiError) and error.problem in FATAL:
                raise
            return row | {"status": "refused", "detail": str(error)}
        return row | {"status": "waiting", "key": key}

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        yield from pool.map(upload, files)


def wait(client: Client, rows: Sequence[Row], timeout: float = TIMEOUT) -> Iterator[Row]:
    """Yield waiting rows as their results arrive: as `scored` or `rejected`, or as `missing` after a timeout.

    A missing one names the latest refusal, such as for an exhausted quota.
    The client should not retry, which would delay the timeout.
    """
    waiting = deque(rows)
    latest, refusal = time.monotonic(), ""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        while waiting and time.monotonic() - latest < timeout:
            chunk = [waiting.popleft() for _ in range(min(CONNECTIONS, len(waiting)))]
            results = list(pool.map(lambda row: _result(client, row["key"]), chunk))
            for row, result in zip(chunk, results, strict=True):
                if isinstance(result, dict):
                    yield row | _row(result)
                else:
                    waiting.append(row)
                    refusal = f"; {result}" if result else refusal
            if any(isinstance(result, dict) for result in results):
                latest = time.monotonic()
            else:
                time.sleep(_PAUSE)
    for row in waiting:
        detail = f"no result for {timeout:.0f} seconds; it may still come{refusal}"
        yield row | {"status": "missing", "detail": detail}


def totals(rows: Sequence[Row]) -> str:
    """Return a table of pictures and faces by label, and of the pictures without a prediction."""
    pictures = Counter(row["label"] for row in rows if row["status"] == "scored")
    faces = {label: sum(row.get(f"faces_{label}", 0) for row in rows) for label in ANSWER_LABELS}
    lines = [f"{'':12}{'pictures':>10}{'faces':>10}"]
    lines += [f"{label:12}{pictures[label]:>10,}{faces[label]:>10,}" for label in ANSWER_LABELS]
    lines += [f"{'total':12}{pictures.total():>10,}{sum(faces.values()):>10,}"]
    others = Counter((row["status"], row.get("detail", "")) for row in rows if row["status"] != "scored")
    lines += [f"{status:12}{count:>10,}  {detail}" for (status, detail), count in others.most_common()]
    return "\n".join(lines)


def as_csv(rows: Iterable[Row]) -> str:
    """Return rows as CSV for spreadsheets."""
    file = io.StringIO()
    file.write(BOM)
    table = csv.DictWriter(file, (*COLUMNS, "key"))
    table.writeheader()
    table.writerows({name: csv_cell(cell) for name, cell in row.items()} for row in rows)
    return file.getvalue()


def _result(client: Client, key: str) -> dict[str, Any] | ApiError | None:
    try:
        return client.result(key)
    except ApiError as refusal:
        if refusal.transient:  # ending here would make the next run upload, and count, every picture again
            return refusal
        raise


def _row(result: Mapping[str, Any]) -> Row:
    if result["status"] == "rejected":
        return {"status": "rejected", "detail": result["problem"]["detail"]}
    return scored(result["prediction"])


def add_options(parser: ArgumentParser) -> None:
    """Add the folder and the API."""
    parser.add_argument("folder", type=Path)
    add_api_options(parser)
    parser.add_argument("--source", help="the camera or site that the pictures are from")
    parser.add_argument("--out", type=Path, default=Path("scores.csv"), help="default: %(default)s")


def command(options: Namespace) -> None:
    """Score a folder, print the totals, and write a table.

    Raises:
        OpsError: The folder has no pictures, the table cannot be written, or a picture got no result.
    """
    if not options.folder.is_dir():
        raise OpsError(f"{options.folder} is not a folder")
    files, left_out = list_pictures(options.folder)
    if not files:
        raise OpsError(f"{options.folder} has no files named {ENDINGS}")
    if left_out:
        print(f"Files left out, not {ENDINGS}: {left_out:,}")
    require_writable(options.out)  # rather than fail when all is uploaded
    api = api_of(options)
    client = Client(*api, CONNECTIONS)
    rows = {}
    try:
        client.health()
        for row in tqdm(upload(client, files, options.source), "uploaded", len(files), unit=" pictures"):
            rows[row["file"]] = row
        write_whole(options.out, as_csv(rows.values()))  # only the rows have the keys, if the wait is killed
        waiting = [row for row in rows.values() if row["status"] == "waiting"]
        results = wait(Client(*api, CONNECTIONS, retry=False), waiting)
        for row in tqdm(results, "results", len(waiting), unit=" pictures"):
            rows[row["file"]] = row
    finally:  # also after Ctrl-C, SIGHUP or SIGTERM
        if rows:
            write_whole(options.out, as_csv(rows.values()))
            lines = f"a line for {len(rows):,} of {len(files):,} pictures"
            print(f"{totals(list(rows.values()))}\n\n{options.out} has {lines}.")
    if without := sum(row["status"] in {"refused", "missing"} for row in rows.values()):
        raise OpsError(f"{without} of {len(files)} pictures got no result.")
