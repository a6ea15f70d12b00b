"""A batch of the backfill's state machine (infra/backfill.asl.yaml) to uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from functions.inference.uploaded import Upload

if TYPE_CHECKING:
    from collections.abc import Mapping


def uploads(event: Mapping[str, Any]) -> list[Upload]:
    """Return the objects of a batch: `Items` as S3 lists them, or as rows of an S3 inventory. Scoring tells pictures.

    Raises:
        ValueError: `BatchInput` names neither of these as the reader.
    """
    about = event["BatchInput"]
    match about["reader"]:
        case "prefix":
            return [
                Upload(about["bucket"], item["Key"], etag=item["Etag"].strip('"')) for item in event["Items"]
            ]
        case "inventory":
            return [_of_row(row) for row in event["Items"] if _is_there(row)]
        case other:
            raise ValueError(f"a backfill reads no {other!r}")


def _of_row(row: Mapping[str, str]) -> Upload:
    """Columns but the first two are the inventory's to choose. It writes keys as a form does: a space is a plus."""
    return Upload(
        row["Bucket"], unquote_plus(row["Key"]), row.get("VersionId") or None, row.get("ETag") or None
    )


def _is_there(row: Mapping[str, str]) -> bool:
    """Whether a row is about what lies under its key now, not about an older version or a deletion."""
    return row.get("IsLatest", "true") == "true" and row.get("IsDeleteMarker", "false") == "false"
