"""Parses batches of the backfill's state machine (infra/backfill.asl.yaml)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from functions.inference.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse_batch(event: Mapping[str, Any]) -> list[Upload]:
    """Return the objects of a batch, whose `Items` are those of an S3 listing or rows of an S3 inventory.

    Raises:
        ValueError: `BatchInput` has another reader.
    """
    batch_input = event["BatchInput"]
    match batch_input["reader"]:
        case "prefix":
            bucket = batch_input["bucket"]
            return [Upload(bucket, item["Key"], etag=item["Etag"].strip('"')) for item in event["Items"]]
        case "inventory":
            return [_from_row(row) for row in event["Items"] if _is_current(row)]
        case other:
            raise ValueError(f"a backfill cannot read {other!r}")


def _from_row(row: Mapping[str, str]) -> Upload:
    """Return the object of an inventory row, of which only the first two columns are certain to exist."""
    return Upload(
        row["Bucket"], unquote_plus(row["Key"]), row.get("VersionId") or None, row.get("ETag") or None
    )


def _is_current(row: Mapping[str, str]) -> bool:
    """Return whether a row is about the current version of its key, and not about a deletion."""
    return row.get("IsLatest", "true") == "true" and row.get("IsDeleteMarker", "false") == "false"
