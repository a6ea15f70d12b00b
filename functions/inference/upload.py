"""One uploaded picture to one result document, however often, late or out of order its news arrives.

News of an upload only says that something has changed under its key. What is scored is what lies there now, unless
the result already speaks of it, and a result is written only where nobody else has written one meanwhile. So a second
delivery changes nothing, and of a picture that was replaced the result that stays is its last version's.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.inference.decode import decode
from functions.inference.prediction import PredictOptions
from functions.inference.score import score
from functions.shared.contract import MAX_KEY_BYTES, MAX_UPLOAD_BYTES, result_key
from functions.shared.metadata import decode_source
from functions.shared.problem import GONE, TOO_LARGE, InputError, problem_json
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.inference.prediction import Prediction
    from functions.inference.record import Recorder
    from functions.inference.score import Models

_IDS: Final = uuid.UUID("b3f0a1ce-6d1b-4d0e-8f57-1f4d6a3c2e90")  # the namespace of predictions about uploads


class Outcome(Enum):
    """What became of an upload."""

    SCORED = "scored"
    REJECTED = "rejected"
    SKIPPED = "skipped"  # it has its result, or is a folder


@dataclass(frozen=True)
class Upload:
    """An object in a bucket; its version and ETag (without quotes) as far as they are known."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class _Found:
    """What lies under an upload's key: `source` as S3 tells it, when it came, the bytes, unread; None: it is gone."""

    upload: Upload
    source: str = ""
    uploaded: datetime | None = None
    size: int = 0
    body: Any = None

    def close(self) -> None:
        """Read no further."""
        if self.body is not None:
            self.body.close()


@dataclass(frozen=True)
class _Result:
    """A result that is there: its own ETag, and what it is about, which is its object's metadata."""

    etag: str
    about: Mapping[str, str]


class Scorer:
    """Scores uploads with one release. For many threads at once.

    Args:
        s3: A boto3 client.
        results: The bucket that results go to.
        models: Used by one thread at a time.
        recorder: Used by one thread at a time.
        decoders: How many pictures may be decoded at once; each may take 200 MiB meanwhile.
    """

    def __init__(self, s3: Any, results: str, models: Models, recorder: Recorder, decoders: int) -> None:
        self._s3, self._results, self._models, self._recorder = s3, results, models, recorder
        self._decoding, self._scoring, self._recording = BoundedSemaphore(decoders), Lock(), Lock()

    def score(self, upload: Upload, request_id: str) -> Outcome:
        """See to it that an upload has its result.

        Raises:
            ClientError: S3 refused, or somebody else has written the result meanwhile: to be tried again.
            BotoCoreError: S3 was not reached, or broke off: to be tried again.
            ValueError: The key leaves no room for that of a result.
        """
        if upload.key.endswith("/"):  # a folder, as S3's console makes them
            return Outcome.SKIPPED
        if len(result_key(upload.key).encode()) > MAX_KEY_BYTES:
            raise ValueError(
                f"the key with .json behind it is longer than the {MAX_KEY_BYTES} bytes that S3 takes"
            )
        before = self._find_result(upload)
        if before and self._is_about(before, upload):
            return Outcome.SKIPPED
        with closing(self._open(upload)) as found:
            if before and (found.body is None or self._would_repeat(before, found)):
                return Outcome.SKIPPED  # a deletion takes no result away
            return self._score(found, before, request_id)

    def _score(self, found: _Found, before: _Result | None, request_id: str) -> Outcome:
        source = None
        try:
            source = decode_source(found.source)
            prediction = self._predict(found)
        except InputError as rejected:
            problem = problem_json(rejected.problem, rejected.detail)
            self._write(found, before, {"status": "rejected", "source": source, "problem": problem}, {})
            with self._recording:
                self._recorder.rejected(rejected.problem, request_id=request_id)
            return Outcome.REJECTED
        times = {name: getattr(prediction, name) for name in ("decode_ms", "detect_ms", "inference_ms")}
        verdict = {"status": "scored", "source": source, "prediction": prediction.as_json()}
        self._write(found, before, verdict, times)
        with self._recording:
            self._recorder.predicted(prediction, source=source, request_id=request_id)
        return Outcome.SCORED

    def _find_result(self, upload: Upload) -> _Result | None:
        try:
            head = self._s3.head_object(Bucket=self._results, Key=result_key(upload.key))
        except ClientError as error:
            if error_code(error) == "404":
                return None
            raise
        return _Result(head["ETag"], head["Metadata"])

    def _open(self, upload: Upload) -> _Found:
        try:
            got = self._s3.get_object(Bucket=upload.bucket, Key=upload.key)
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return _Found(upload)
            raise
        upload = Upload(upload.bucket, upload.key, got.get("VersionId"), got["ETag"].strip('"'))
        source = got["Metadata"].get("source", "")
        return _Found(upload, source, got["LastModified"], got["ContentLength"], got["Body"])

    def _is_about(self, result: _Result, upload: Upload) -> bool:
        """Whether what is known of the upload without asking is enough to know its result."""
        known = {"version": upload.version} if upload.version else {"etag": upload.etag}
        return result.about.items() >= (known | {"model": self._models.version}).items()

    def _would_repeat(self, result: _Result, found: _Found) -> bool:
        """Whether scoring would but say again what the result says, of another version of the same bytes."""
        about = self._about(found)
        del about["version"]
        return result.about.items() >= about.items()

    def _about(self, found: _Found) -> dict[str, str]:
        """What a result is about; of a deletion less, so that the same bytes may come again."""
        about = {"version": found.upload.version or "", "model": self._models.version}
        if found.body is None:
            return about
        source = hashlib.sha256(found.source.encode()).hexdigest()
        return about | {"etag": found.upload.etag or "", "source": source}

    def _predict(self, found: _Found) -> Prediction:
        if found.body is None:
            raise InputError(GONE, "The picture was deleted before it was scored. Upload it again.")
        if found.size > MAX_UPLOAD_BYTES:
            raise InputError(
                TOO_LARGE, f"The picture has {found.size:,} bytes; at most {MAX_UPLOAD_BYTES:,} are accepted."
            )
        data = found.body.read()  # raises where fewer bytes come than were announced
        with self._decoding:
            picture = decode(data)
        with self._scoring:
            prediction = score(picture, self._models, PredictOptions())
        name = json.dumps([*asdict(found.upload).values(), self._models.version])
        return replace(prediction, id=str(uuid.uuid5(_IDS, name)))

    def _write(
        self, found: _Found, before: _Result | None, verdict: Mapping[str, Any], times: Mapping[str, float]
    ) -> None:
        document = {
            **verdict,
            "upload": asdict(found.upload),
            "model_version": self._models.version,
            "times": {
                "uploaded": found.uploaded and found.uploaded.isoformat(),
                "scored": datetime.now(UTC).isoformat(timespec="milliseconds"),
                **times,
            },
        }
        try:
            self._s3.put_object(
                Bucket=self._results,
                Key=result_key(found.upload.key),
                Body=json.dumps(document).encode(),
                ContentType="application/json",
                Metadata=self._about(found),
                **({"IfMatch": before.etag} if before else {"IfNoneMatch": "*"}),
            )
        except ClientError as error:
            if error_code(error) != "PreconditionFailed":
                raise
            after = self._find_result(
                found.upload
            )  # perhaps the same: S3's first answer was lost, and boto3 asked again
            if not after or after.about != self._about(found):
                raise
