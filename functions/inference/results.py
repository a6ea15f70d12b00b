"""The results bucket: one document per upload, written conditionally.

The object's metadata has the upload's version and ETag, its source, the model and whether the people are counted, so
that one HEAD request shows that, and whether the result is current. A repeated delivery changes nothing;
if a picture was replaced, the final result is that of the last version.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.shared.contract import API_UPLOADS, result_key
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from functions.inference.upload import Upload, UploadedObject

_CONFLICT_PAUSES: Final = (0.2, 0.6, 1.8)  # seconds


class ConflictError(Exception):
    """The result changed while an upload was scored: another one was written, or it was deleted."""


@dataclass(frozen=True)
class StoredResult:
    """An existing result: its ETag, and its metadata, which identifies the upload and the model."""

    etag: str
    metadata: Mapping[str, str]


class ResultStore:
    """The results bucket. Thread-safe."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3, self._bucket = s3, bucket

    def find(self, upload: Upload) -> StoredResult | None:
        """Return the result under the upload's key, whichever version it is about; None if there is none."""
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=result_key(upload.key))
        except ClientError as error:
            if error_code(error) == "404":
                return None
            raise
        return StoredResult(head["ETag"], head["Metadata"])

    def is_current(self, result: StoredResult, upload: Upload, versions: Collection[str]) -> bool:
        """Return whether a result is of this upload and one of these releases, without fetching the upload."""
        known = {}
        if not upload.key.startswith(API_UPLOADS):  # keys of presigned uploads are unique
            known = {"version": upload.version} if upload.version else {"etag": upload.etag or ""}
        return result.metadata.get("model") in versions and result.metadata.items() >= known.items()

    def has_same_input(
        self, result: StoredResult, fetched: UploadedObject, versions: Collection[str]
    ) -> bool:
        """Return whether a result is of the same bytes and source, and of one of these releases."""
        model = result.metadata.get("model", "")
        metadata = _metadata(fetched, model)
        del metadata["version"]
        return model in versions and result.metadata.items() >= metadata.items()

    def has_counted(self, result: StoredResult, fetched: UploadedObject) -> bool:
        """Return whether this result or one before it counted the people in the same bytes from the same source."""
        counted = result.metadata.get("counted", "yes") == "yes"  # older results do not say
        return counted and self.has_same_input(result, fetched, {result.metadata.get("model", "")})

    def write(
        self,
        fetched: UploadedObject,
        before: StoredResult | None,
        content: Mapping[str, Any],
        model_version: str,
    ) -> None:
        """Write a result, if the existing one is still `before` (None for none).

        Raises:
            ClientError: S3 refused the request; try again.
            ConflictError: It is another one meanwhile; begin again.
        """
        document = {
            **content,
            "upload": asdict(fetched.upload),
            "model_version": model_version,
            "times": {
                "uploaded": fetched.uploaded and fetched.uploaded.isoformat(),
                "scored": datetime.now(UTC).isoformat(timespec="milliseconds"),
                **content.get("times", {}),
            },
        }
        counted = content["status"] == "scored" or (before is not None and self.has_counted(before, fetched))
        metadata = _metadata(fetched, model_version) | {"counted": "yes" if counted else "no"}
        put = partial(
            self._s3.put_object,
            Bucket=self._bucket,
            Key=result_key(fetched.upload.key),
            Body=json.dumps(document).encode(),
            ContentType="application/json",
            Metadata=metadata,
            **({"IfMatch": before.etag} if before else {"IfNoneMatch": "*"}),
        )
        try:
            _retry_conflicts(put)
        except ClientError as error:
            if error_code(error) not in {"PreconditionFailed", "NoSuchKey", "ConditionalRequestConflict"}:
                raise
            # It may be this one, if S3's first answer was lost and boto3 tried again.
            after = self.find(fetched.upload)
            if not after or after.metadata != metadata:
                raise ConflictError from error


def _retry_conflicts(put: Callable[[], object]) -> None:
    """Write an object; while another write of it is in progress, which boto3 does not retry, wait and try again."""
    for pause in _CONFLICT_PAUSES:
        try:
            put()
        except ClientError as error:
            if error_code(error) != "ConditionalRequestConflict":
                raise
            time.sleep(pause)
        else:
            return
    put()


def _metadata(fetched: UploadedObject, model_version: str) -> dict[str, str]:
    """Return what identifies the upload; a deletion has no ETag, so that the same bytes may be uploaded again."""
    metadata = {"version": fetched.upload.version or "", "model": model_version}
    if fetched.body is None:
        return metadata
    source = hashlib.sha256(fetched.source.encode()).hexdigest()
    return metadata | {"etag": fetched.upload.etag or "", "source": source}
