"""One uploaded picture to one result document, however often, late or out of order its news arrives.

News of an upload only says that something has changed under its key. What is scored is what lies there now, unless
the result already speaks of it.
"""

from __future__ import annotations

import json
import uuid
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from enum import Enum
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.inference.challenger import score_both
from functions.inference.decode_process import DecodeProcess
from functions.inference.prediction import PredictOptions
from functions.inference.results import ResultStore
from functions.inference.uploaded import Upload, UploadedObject
from functions.shared.contract import INTERNAL_RESULTS, MAX_KEY_BYTES, MAX_UPLOAD_BYTES, result_key
from functions.shared.metadata import decode_source
from functions.shared.problem import GONE, TOO_LARGE, InputError, problem_json
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions.inference.challenger import Challenger
    from functions.inference.prediction import Prediction
    from functions.inference.record import Recorder
    from functions.inference.results import StoredResult
    from functions.inference.score import Models

_IDS: Final = uuid.UUID("b3f0a1ce-6d1b-4d0e-8f57-1f4d6a3c2e90")  # the namespace of predictions about uploads
_TIMES: Final = ("decode_ms", "detect_ms", "inference_ms")


class Outcome(Enum):
    """What became of an upload."""

    SCORED = "scored"
    REJECTED = "rejected"
    SKIPPED = "skipped"  # it has its result, or is a folder


class Scorer:
    """Scores the uploads of one bucket with a release and its challenger. For many threads at once.

    Args:
        s3: A boto3 client.
        uploads: The bucket that pictures come from.
        results: The bucket that results go to.
        models: Used by one thread at a time.
        recorder: Used by one thread at a time.
        decoders: How many pictures may be decoded at once; each may take 200 MiB meanwhile.
        challenger: Used by one thread at a time; None where there is none.
    """

    def __init__(
        self,
        s3: Any,
        uploads: str,
        results: str,
        models: Models,
        recorder: Recorder,
        decoders: int,
        challenger: Challenger | None = None,
    ) -> None:
        self._s3, self._uploads, self._models, self._recorder = s3, uploads, models, recorder
        self._challenger = challenger
        self._results = ResultStore(s3, results)
        self._scoring, self._recording = Lock(), Lock()
        self._decoders = SimpleQueue[DecodeProcess]()
        for _ in range(decoders):
            self._decoders.put(DecodeProcess())

    def score(self, upload: Upload, request_id: str) -> Outcome:
        """See to it that an upload has its result.

        Raises:
            ClientError: S3 refused, or somebody else has written the result meanwhile: to be tried again.
            BotoCoreError: S3 was not reached, or broke off: to be tried again.
            ValueError: There can be no result: the bucket is another one, or the key leaves no room or is internal.
        """
        if upload.key.endswith("/"):  # a folder, as S3's console makes them
            return Outcome.SKIPPED
        self._check(upload)
        versions = self._versions()
        before = self._results.find(upload)
        if before and self._results.is_about(before, upload, versions):
            return Outcome.SKIPPED
        with closing(self._fetch(upload)) as fetched:
            if before and (fetched.body is None or self._results.would_repeat(before, fetched, versions)):
                return Outcome.SKIPPED  # a deletion takes no result away
            return self._score(fetched, before, request_id)

    def _versions(self) -> set[str]:
        """Return the releases of which a result is the newest that there can be."""
        versions = {self._models.version}
        if self._challenger and not self._challenger.in_shadow:
            with self._scoring:
                models = self._challenger.load()
            versions |= {models.version} if models else set()
        return versions

    def _check(self, upload: Upload) -> None:
        if upload.bucket != self._uploads:
            raise ValueError("the object is not in the uploads bucket")
        if len(result_key(upload.key).encode()) > MAX_KEY_BYTES:
            raise ValueError(
                f"the key with .json behind it is longer than the {MAX_KEY_BYTES} bytes that S3 takes"
            )
        if upload.key.startswith(INTERNAL_RESULTS):
            raise ValueError(f"keys under {', '.join(INTERNAL_RESULTS)} are not for pictures")

    def _score(self, fetched: UploadedObject, before: StoredResult | None, request_id: str) -> Outcome:
        about = _about_source(fetched.source)
        try:
            prediction, shadow = self._predict(fetched, about["source"] or fetched.upload.key)
        except InputError as error:
            problem = problem_json(error.problem, error.detail)
            content = {"status": "rejected", **about, "problem": problem}
            self._results.write(fetched, before, content, self._models.version)
            with self._recording:
                self._recorder.rejected(error.problem, request_id=request_id)
            return Outcome.REJECTED
        times = {name: getattr(prediction, name) for name in _TIMES}
        content = {"status": "scored", **about, "prediction": prediction.as_json(), "times": times}
        self._results.write(fetched, before, content, prediction.model_version)
        rescored = before is not None and before.about.get("etag") == fetched.upload.etag
        context = {"source": about["source"], "request_id": request_id, "uploaded": fetched.uploaded}
        with self._recording:
            self._recorder.predicted(prediction, rescored=rescored, **context)
            if shadow:
                self._recorder.shadowed(shadow, prediction, **context)
        return Outcome.SCORED

    def _fetch(self, upload: Upload) -> UploadedObject:
        try:
            got = self._s3.get_object(Bucket=upload.bucket, Key=upload.key)
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return UploadedObject(upload)
            raise
        upload = Upload(upload.bucket, upload.key, got.get("VersionId"), got["ETag"].strip('"'))
        source = got["Metadata"].get("source", "")
        return UploadedObject(upload, source, got["LastModified"], got["ContentLength"], got["Body"])

    def _predict(self, fetched: UploadedObject, key: str) -> tuple[Prediction, Prediction | None]:
        """Return the answer, and what a challenger says in its shadow; `key` decides which release answers."""
        if fetched.body is None:
            raise InputError(GONE, "The picture was deleted before it was scored. Upload it again.")
        if fetched.size > MAX_UPLOAD_BYTES:
            detail = f"The picture has {fetched.size:,} bytes; at most {MAX_UPLOAD_BYTES:,} are accepted."
            raise InputError(TOO_LARGE, detail)
        data = fetched.body.read()  # raises where fewer bytes come than were announced
        with self._decoder() as decoder:
            picture = decoder.decode(data)
        with self._scoring:
            prediction, shadow = score_both(picture, self._models, self._challenger, PredictOptions(), key)
        name = json.dumps([*asdict(fetched.upload).values(), prediction.model_version])
        return replace(prediction, id=str(uuid.uuid5(_IDS, name))), shadow

    @contextmanager
    def _decoder(self) -> Iterator[DecodeProcess]:
        """Wait for a decoder that nobody uses."""
        decoder = self._decoders.get()
        try:
            yield decoder
        finally:
            self._decoders.put(decoder)


def _about_source(header: str) -> dict[str, Any]:
    """What a result says of the source; one that is none does not cost the picture its score."""
    try:
        return {"source": decode_source(header)}
    except InputError as error:
        return {"source": None, "source_problem": problem_json(error.problem, error.detail)}
