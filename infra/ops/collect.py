"""Turn feedback into training pictures: `collect --stack maskwatch-dev --from 2026-11-01 --to 2026-11-15`.

Each label is joined with the upload that it is about, if that still exists. The picture is copied to <label>/, and
crops.csv gets its source, the box of its face, and the day on which the upload expires. When the command runs again
on the same folder, it first deletes pictures whose uploads have expired. The folder may be the operator's own data
set; if that has splits, pictures are added only to train.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.drift.objects import fetch
from functions.shared.contract import LABELS, PRIVATE_RESULTS, result_key
from functions.shared.feedback import feedback_keys, read_feedback
from functions.shared.s3 import create_client, error_code
from infra.ops.arguments import positive_count, positive_share, utc
from infra.ops.collected import COLUMNS, TABLE, limit_key_share, read_rows, unexpired
from infra.ops.errors import OpsError
from infra.ops.files import Row, Table, locked, write_table
from infra.ops.stack import add_stack, outputs_of
from maskwatch.output import csv_cell

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from functions.shared.feedback import Feedback

DOUBTFUL: Final = "doubtful.csv"
DOUBTFUL_COLUMNS: Final = ("upload", "label", "predicted", "confidence")
# Confidence in another label at which a person must check the picture, as in training.prepare.
SURE: Final = 0.95
_CONCURRENCY: Final = 16
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class LabelledUpload:
    """A labelled picture whose upload still exists.

    Attributes:
        feedback: The feedback with its label.
        upload: The upload as in the result: bucket, key, version and ETag.
        source: The camera or site, as a cell of the table; empty if there is none.
        predicted: The most probable label.
        confidence: Its probability.
        box: Left, top, width and height of the largest face; None if no face was found.
        uploaded: Time of the upload.
    """

    feedback: Feedback
    upload: Mapping[str, str]
    source: str
    predicted: str
    confidence: float
    box: Mapping[str, int] | None
    uploaded: datetime

    @property
    def is_doubtful(self) -> bool:
        """Whether the model confidently predicted another label."""
        return self.predicted != self.feedback.label and self.confidence >= SURE


def newest_feedback(s3: Any, bucket: str, start: datetime, end: datetime) -> dict[str, Feedback]:
    """Return the newest feedback on each prediction that was sent from `start` up to `end`, by prediction id."""
    keys = feedback_keys(s3, bucket, start.date(), end.date())
    newest: dict[str, Feedback] = {}
    for _, body in fetch(s3, bucket, keys, _CONCURRENCY):
        feedback = read_feedback(body) if body else None
        if feedback and start <= feedback.time < end:
            latest = newest.setdefault(feedback.prediction_id, feedback)
            if feedback.time > latest.time:
                newest[feedback.prediction_id] = feedback
    return newest


def join(s3: Any, outputs: Mapping[str, str], newest: Mapping[str, Feedback]) -> Iterator[LabelledUpload]:
    """Yield the labelled pictures whose uploads still exist, in an order that depends only on their ids."""
    uploads = outputs["UploadsBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=uploads)
    times = {
        result_key(item["Key"]): item["LastModified"]
        for page in pages
        for item in page.get("Contents", [])
        if not item["Key"].startswith(PRIVATE_RESULTS)
    }
    labelled_uploads = []
    for key, body in fetch(s3, outputs["ResultsBucket"], times, _CONCURRENCY):
        result = json.loads(body) if body else {}
        prediction = result.get("prediction", {})
        if feedback := newest.get(prediction.get("prediction_id", "")):
            probabilities = prediction["probabilities"]
            predicted = max(LABELS, key=lambda name: probabilities[name])
            face = next(iter(prediction["faces"]), None)
            labelled_uploads.append(
                LabelledUpload(
                    feedback,
                    result["upload"],
                    str(csv_cell(result.get("source") or "")),
                    predicted,
                    probabilities[predicted],
                    face and face["box"],
                    times[key],
                )
            )
    yield from sorted(
        labelled_uploads,
        key=lambda labelled: hashlib.sha256(labelled.feedback.prediction_id.encode()).digest(),
    )


def collect(
    labelled_uploads: Iterable[LabelledUpload],
    rows: Sequence[Row],
    days: int | None,
    out: Path,
    unfinished: Path,
    per_source: int,
    s3: Any,
) -> tuple[list[Row], Counter[str]]:
    """Fetch pictures; return the rows of the table, and the number of pictures that were left out by reason.

    Args:
        labelled_uploads: Labelled pictures.
        rows: The existing rows of the table.
        days: How many days an upload is kept; None if it does not expire.
        out: The folder.
        unfinished: Folder for the pictures, each named by its SHA-256.
        per_source: Maximum number of pictures of one source.
        s3: A boto3 client.
    """
    rows, left_out = list(rows), Counter[str]()
    folder = "train/" if (out / "train").is_dir() else ""  # validation and test pictures are not changed
    taken = Counter(row["source"] for row in rows)
    known = {row[column] for row in rows for column in ("file", "sha256", "minute")}
    for labelled in labelled_uploads:
        sent, source = labelled.feedback, labelled.source
        suffix = PurePosixPath(labelled.upload["key"]).suffix.lower()
        name = str(csv_cell(f"{folder}{sent.label}/{sent.prediction_id}{suffix}"))
        minute = _minute(labelled)
        last = None if days is None else labelled.uploaded + days * _DAY
        if name in known:
            left_out["collected before"] += 1
        elif last and last < datetime.now(UTC):
            left_out["older than UploadsDays"] += 1
        elif taken[source] >= per_source:
            left_out["more than --per-source of a source"] += 1
        elif minute in known:
            left_out["of a source's same minute"] += 1
        elif (picture := _fetch(labelled.upload, s3)) is None:
            left_out["replaced or deleted since it was scored"] += 1
        elif (digest := hashlib.sha256(picture).hexdigest()) in known:
            left_out["the same picture"] += 1
        else:
            (unfinished / digest).write_bytes(picture)
            known |= {name, minute, digest}
            taken[source] += 1
            delete_after = f"{last:%Y-%m-%d}" if last else ""
            values = (name, source, *_edges(labelled.box), digest, minute, sent.api_key_id, delete_after)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows, left_out


def _minute(labelled: LabelledUpload) -> str:
    """Return an id of the source and minute; one picture per minute is enough."""
    return f"{labelled.source} {labelled.uploaded:%Y-%m-%dT%H:%M}".strip()  # as it is read from the table


def _fetch(upload: Mapping[str, str], s3: Any) -> bytes | None:
    try:
        got = s3.get_object(Bucket=upload["bucket"], Key=upload["key"], IfMatch=f'"{upload["etag"]}"')
        return bytes(got["Body"].read())
    except ClientError as error:
        if error_code(error) not in {"NoSuchKey", "PreconditionFailed", "404", "412"}:
            raise
        return None


def _edges(box: Mapping[str, int] | None) -> tuple[str, str, str, str]:
    if not box:
        return "", "", "", ""
    left, top = box["left"], box["top"]
    return str(left), str(top), str(left + box["width"]), str(top + box["height"])


def _days_kept(s3: Any, bucket: str) -> int | None:
    """Return how many days the bucket keeps an upload; None if uploads do not expire."""
    try:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as error:
        if error_code(error) != "NoSuchLifecycleConfiguration":
            raise
        return None
    return min(
        (rule["Expiration"]["Days"] for rule in rules if "Days" in rule.get("Expiration", {})), default=None
    )


def add_options(parser: ArgumentParser) -> None:
    """Add the stack, the period and the limits."""
    add_stack(parser)
    parser.add_argument("--from", dest="start", type=utc, required=True, help="start of the period; UTC")
    parser.add_argument("--to", dest="end", type=utc, required=True, help="end of the period, exclusive; UTC")
    parser.add_argument("--out", type=Path, default=Path("collected"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--per-source",
        type=positive_count,
        default=200,
        help="maximum number of pictures of a source (default: %(default)s)",
    )
    parser.add_argument(
        "--key-share",
        type=positive_share,
        default=0.5,
        help="maximum share of pictures labelled with one API key (default: %(default)s)",
    )
    parser.add_argument(
        "--keep-longer",
        action="store_true",
        help="keep pictures longer than UploadsDays; needs the consent of the people in them",
    )


def command(options: Namespace) -> None:
    """Collect pictures, and print how many there are and how many were left out.

    Raises:
        OpsError: There is no feedback, the folder's table is malformed, or another run is writing to it.
    """
    outputs = outputs_of(options.stack)
    s3 = create_client(read_timeout=20, attempts=4, connections=_CONCURRENCY)
    newest = newest_feedback(s3, outputs["InsightsBucket"], options.start, options.end)
    if not newest:
        raise OpsError(f"There is no feedback from {options.start} to {options.end}")
    days = None if options.keep_longer else _days_kept(s3, outputs["UploadsBucket"])
    options.out.mkdir(parents=True, exist_ok=True)
    unfinished = options.out / ".unfinished"
    with locked(options.out):
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
        unfinished.mkdir()
        try:
            _add_pictures(newest, outputs, days, unfinished, options, s3)
        finally:
            shutil.rmtree(unfinished)


def _add_pictures(
    newest: Mapping[str, Feedback],
    outputs: Mapping[str, str],
    days: int | None,
    unfinished: Path,
    options: Namespace,
    s3: Any,
) -> None:
    out: Path = options.out
    table, others, before = read_rows(out / TABLE)
    rows = before if options.keep_longer else unexpired(before, out, datetime.now(UTC).date())
    labelled_uploads = list(join(s3, outputs, newest))
    doubtful = [labelled for labelled in labelled_uploads if labelled.is_doubtful]
    sound = [labelled for labelled in labelled_uploads if not labelled.is_doubtful]
    gathered, left_out = collect(sound, rows, days, out, unfinished, options.per_source, s3)
    kept, surplus = limit_key_share(gathered, options.key_share)
    for row in surplus:
        (out / row["file"]).unlink(missing_ok=True)
    if options.keep_longer:
        kept = [row | {"delete_after": ""} for row in kept]
    columns = tuple(dict.fromkeys((*table.columns, *COLUMNS)))
    write_table(out / TABLE, replace(table, columns=columns, rows=[*others, *kept]))
    files = {row["sha256"]: out / row["file"] for row in kept}
    for picture in unfinished.iterdir():  # after the table: nothing would ever delete a picture without a row
        if file := files.get(picture.name):
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(picture, file)
    write_table(out / DOUBTFUL, Table(DOUBTFUL_COLUMNS, [_doubtful_row(labelled) for labelled in doubtful]))
    left_out["not an upload, or deleted"] = len(newest) - len(labelled_uploads)
    left_out["deleted, because its upload has expired"] = len(before) - len(rows)
    left_out["more than --key-share of one API key"] = len(surplus)
    left_out[f"the model confidently predicts another label: check {out / DOUBTFUL}"] = len(doubtful)
    _print_summary(kept, left_out, days, options)


def _print_summary(kept: Sequence[Row], left_out: Counter[str], days: int | None, options: Namespace) -> None:
    counts = Counter(PurePosixPath(row["file"]).parent.name for row in kept)
    by_label = ", ".join(f"{counts[label]} {label}" for label in LABELS)
    print(f"{len(kept)} pictures in {options.out}: {by_label}")
    print(*(f"{number:6} left out: {reason}" for reason, number in left_out.items() if number), sep="\n")
    if days is None and not options.keep_longer:
        print(
            "Uploads do not expire in this stack, so no picture has a day in delete_after; delete them yourself."
        )
    if first := min((row["delete_after"] for row in kept if row["delete_after"]), default=""):
        print(f"The first of them expires after {first}: run this again then, or use --keep-longer.")


def _doubtful_row(labelled: LabelledUpload) -> Row:
    uri = f"s3://{labelled.upload['bucket']}/{labelled.upload['key']}"
    values = (str(csv_cell(uri)), labelled.feedback.label, labelled.predicted, f"{labelled.confidence:.3f}")
    return dict(zip(DOUBTFUL_COLUMNS, values, strict=True))
