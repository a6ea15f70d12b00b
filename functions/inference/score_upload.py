"""Scores uploads: one result document per upload, however often, late or out of order its notifications arrive.

A notification only means that something has changed under a key. The current object is scored, unless the result is
already about it. The record of a prediction is written first, so that every result has one; a repeated attempt writes
it again, with the same id.
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

from functions.inference.challenger import predict_with_challenger
from functions.inference.decode import too_large
from functions.inference.decode_process import DecodeProcess
from functions.inference.prediction import PredictOptions
from functions.inference.results import ConflictError, ResultStore
from functions.inference.upload import Upload, UploadedObject
from functions.shared.contract import INTERNAL_RESULTS, MAX_UPLOAD_BYTES, key_fault
from functions.shared.metadata import decode_source
from functions.shared.problem import GONE, InputError, problem_json
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from functions.inference.challenger import Challenger
    from functions.inference.prediction import Prediction
    from functions.inference.record import Recorder
    from functions.inference.results import StoredResult
    from functions.inference.score import Models

# Namespace of the ids of predictions about uploads.
_IDS: Final = uuid.UUID("b3f0a1ce-6d1b-4d0e-8f57-1f4d6a3c2e90")
_TIMES: Final = ("decode_ms", "detect_ms", "inference_ms")
_ATTEMPTS: Final = 3  # while others write results of the same key


class Outcome(Enum):
    """The outcome of scoring an upload."""

    SCORED = "scored"
    REJECTED = "rejected"
    SKIPPED = "skipped"  # it has a result already, or is a folder
    INVALID = "invalid"  # see `InvalidKeyError`; only a backfill counts it


class InvalidKeyError(ValueError):
    """There can be no result under an upload's key; the message says why."""


class UploadScorer:
    """Scores the uploads of one bucket with a release and its challenger. Thread-safe.

    `uploads` and `results` name buckets. At most `decoders` pictures are decoded concurrently; each may take 200 MiB.
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
        self._scoring = Lock()
        self._decoders = SimpleQueue[DecodeProcess]()
        for _ in range(decoders):
            self._decoders.put(DecodeProcess())

    def score(self, upload: Upload, request_id: str) -> Outcome:
        """Write the result of an upload, unless it has one.

        Raises:
            ClientError: S3 refused the request; try again.
            ConflictError: At every attempt, another result was written meanwhile; try again.
            BotoCoreError: S3 was not reached, or a body broke off; try again.
            OSError: The decoder could not be started, or did not answer; try again.
            InvalidKeyError: There can be no result, because the key is too long or internal.
            ValueError: The bucket is another one.
        """
        if upload.key.endswith("/"):  # a folder, as S3's console creates it
            return Outcome.SKIPPED
        self._check(upload)
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._attempt(upload, request_id)
            except ConflictError:
                continue  # mostly, the other result is current
        return self._attempt(upload, request_id)

    def _attempt(self, upload: Upload, request_id: str) -> Outcome:
        versions = self._versions()
        before = self._results.find(upload)
        if before and self._results.is_current(before, upload, versions):
            return Outcome.SKIPPED
        with closing(self._fetch(upload)) as fetched:
            if before and (fetched.body is None or self._results.has_same_input(before, fetched, versions)):
                return Outcome.SKIPPED  # a deletion keeps the result
            return self._score(fetched, before, request_id)

    def _versions(self) -> set[str]:
        """Return the releases of which a result is current."""
        versions = {self._models.version}
        if self._challenger and not self._challenger.in_shadow:
            with self._scoring:
                models = self._challenger.load()
            versions |= {models.version} if models else set()
        return versions

    def _check(self, upload: Upload) -> None:
        if upload.bucket != self._uploads:
            raise ValueError("the object is not in the uploads bucket")
        if fault := key_fault(upload.key, INTERNAL_RESULTS):
            raise InvalidKeyError(fault)

    def _score(self, fetched: UploadedObject, before: StoredResult | None, request_id: str) -> Outcome:
        fields = _source_fields(fetched.source)
        try:
            prediction, shadow = self._predict(fetched, fields["source"] or fetched.upload.key)
        except InputError as error:
            problem = problem_json(error.problem, error.detail)
            content = {"status": "rejected", **fields, "problem": problem}
            self._results.write(fetched, before, content, self._models.version)
            self._recorder.write_refusal(error.problem, request_id=request_id, source=fields["source"])
            return Outcome.REJECTED
        rescored = before is not None and self._results.has_counted(before, fetched)
        context = {"source": fields["source"], "request_id": request_id, "uploaded": fetched.uploaded}
        # Before the result, because the next attempt skips an upload that has one.
        self._recorder.write_prediction(prediction, rescored=rescored, **context)
        if shadow:
            self._recorder.write_shadow(shadow, prediction, **context)
        times = {name: getattr(prediction, name) for name in _TIMES}
        content = {"status": "scored", **fields, "prediction": prediction.to_dict(), "times": times}
        self._results.write(fetched, before, content, prediction.model_version)
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
        """Return the answer and the shadow prediction, if any; `key` decides which release answers."""
        if fetched.body is None:
            raise InputError(GONE, "The picture was deleted before it was scored. Upload it again.")
        if fetched.size > MAX_UPLOAD_BYTES:
            raise too_large(fetched.size)
        data = fetched.body.read()  # raises if the body is truncated
        with self._decoder() as decoder:
            picture = decoder.decode(data)
        with self._scoring:
            prediction, shadow = predict_with_challenger(
                picture, self._models, self._challenger, PredictOptions(), key
            )
        name = json.dumps([*asdict(fetched.upload).values(), prediction.model_version])
        return replace(prediction, id=str(uuid.uuid5(_IDS, name))), shadow

    @contextmanager
    def _decoder(self) -> Iterator[DecodeProcess]:
        """Wait for an idle decoder."""
        decoder = self._decoders.get()
        try:
            yield decoder
        finally:
            self._decoders.put(decoder)


def _source_fields(header: str) -> dict[str, Any]:
    """Return the fields of a result about the source; an invalid source does not stop scoring."""
    try:
        return {"source": decode_source(header)}
    except InputError as error:
        return {"source": None, "source_problem": problem_json(error.problem, error.detail)}
