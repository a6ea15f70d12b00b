"""The results bucket: one document for an upload, written only where nobody else has written one meanwhile.

What a result is about (the upload's version and ETag, its source, the model) is its object's metadata, so that one
HEAD tells whether there is anything to do. A second delivery changes nothing, and of a picture that was replaced the
result that stays is its last version's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.shared.contract import API_UPLOADS, result_key
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from functions.inference.uploaded import Upload, UploadedObject


@dataclass(frozen=True)
class StoredResult:
    """A result that is there: its own ETag, and what it is about."""

    etag: str
    about: Mapping[str, str]


class ResultStore:
    """The results bucket. For many threads at once.

    Args:
        s3: A boto3 client.
        bucket: Where results are.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3, self._bucket = s3, bucket

    def find(self, upload: Upload) -> StoredResult | None:
        """Return the result that is there, whatever it is about."""
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=result_key(upload.key))
        except ClientError as error:
            if error_code(error) == "404":
                return None
            raise
        return StoredResult(head["ETag"], head["Metadata"])

    def is_about(self, result: StoredResult, upload: Upload, versions: Collection[str]) -> bool:
        """Whether what is known of the upload without fetching it is enough to know its result, by these releases."""
        known = {}
        if not upload.key.startswith(
            API_UPLOADS
        ):  # a presigned form is for one object, however often it is used
            known = {"version": upload.version} if upload.version else {"etag": upload.etag or ""}
        return result.about.get("model") in versions and result.about.items() >= known.items()

    def would_repeat(self, result: StoredResult, fetched: UploadedObject, versions: Collection[str]) -> bool:
        """Whether scoring by these releases would say again what the result says of the same bytes."""
        model = result.about.get("model", "")
        about = _about(fetched, model)
        del about["version"]
        return model in versions and result.about.items() >= about.items()

    def write(
        self,
        fetched: UploadedObject,
        before: StoredResult | None,
        content: Mapping[str, Any],
        model_version: str,
    ) -> None:
        """Write a result, by some release, in the place of the one that was found before, or of none.

        Raises:
            ClientError: S3 refused, or somebody else has written another one meanwhile: to be tried again.
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
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=result_key(fetched.upload.key),
                Body=json.dumps(document).encode(),
                ContentType="application/json",
                Metadata=_about(fetched, model_version),
                **({"IfMatch": before.etag} if before else {"IfNoneMatch": "*"}),
            )
        except ClientError as error:
            if error_code(error) != "PreconditionFailed":
                raise
            # Perhaps it is this one: S3's first answer was lost, and boto3 asked again.
            after = self.find(fetched.upload)
            if not after or after.about != _about(fetched, model_version):
                raise


def _about(fetched: UploadedObject, model_version: str) -> dict[str, str]:
    """What a result is about; of a deletion less, so that the same bytes may come again."""
    about = {"version": fetched.upload.version or "", "model": model_version}
    if fetched.body is None:
        return about
    source = hashlib.sha256(fetched.source.encode()).hexdigest()
    return about | {"etag": fetched.upload.etag or "", "source": source}
