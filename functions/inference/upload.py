"""Objects in the uploads bucket, and the events that name them: S3's notifications, and batches of the backfill."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Upload:
    """An object in a bucket; version and ETag (without quotes) are None if not known."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class UploadedObject:
    """The current object under an upload's key; `body` is a stream, or None if the object was deleted."""

    upload: Upload
    source: str = ""
    uploaded: datetime | None = None
    size: int = 0
    body: Any = None

    def close(self) -> None:
        """Close the stream."""
        if self.body is not None:
            self.body.close()


def parse_uploads(body: str) -> list[Upload]:
    """Return the uploads that a notification from S3 names; none for S3's test event.

    Raises:
        ValueError: It is not a notification from S3.
    """
    message = json.loads(body)
    try:
        if message.get("Event") == "s3:TestEvent":
            return []
        return [
            _upload(record["s3"]["bucket"]["name"], record["s3"]["object"]) for record in message["Records"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message from S3: {error!r}") from error


def _upload(bucket: str, fields: Mapping[str, str]) -> Upload:
    key = unquote_plus(fields["key"])  # keys are URL-encoded, with a plus for a space
    return Upload(bucket, key, fields.get("versionId"), fields.get("eTag"))


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
