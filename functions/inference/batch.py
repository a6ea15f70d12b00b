"""Batch's handler: messages about uploads, or items of a backfill, to results in S3."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote_plus

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from functions.inference import backfill
from functions.inference.fetch import open_release
from functions.inference.record import Recorder
from functions.inference.score import load_models
from functions.inference.settings import read_batch_settings, read_settings
from functions.inference.upload import Scorer, Upload
from functions.shared.s3 import create_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

T = TypeVar("T")
WORKERS: Final = 10  # uploads under way at once; while one is scored, others come and results go
_RESERVE: Final = 5.0  # seconds before Lambda's limit when whatever is unfinished is given back
_MAX_ERROR: Final = 1000  # characters of an error that are kept with its message

settings, batch_settings = read_settings(), read_batch_settings()
release = open_release(settings.model_uri)  # a release that does not verify must not start
logger = Logger()
s3 = create_client(read_timeout=10, attempts=4, connections=WORKERS)
scorer = Scorer(
    s3,
    batch_settings.results_bucket,
    load_models(release, settings.threads),
    Recorder(settings.namespace, "batch", release.version),
    decoders=settings.threads,
)
# That a whole batch goes back is S3's trouble, not a crash, which is what an error of the function stands for.
processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


class UnfinishedError(Exception):
    """Not every upload has its result yet; those that have one are skipped the next time."""


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Answer an SQS event with the messages to deliver again, a backfill's batch with the number of each outcome."""
    if "Items" in event:
        return _score_items(backfill.uploads(event), context)
    return _score_messages(event, context)


def _score_messages(event: dict[str, Any], context: LambdaContext) -> Any:
    with _started([partial(_score_message, r["body"], context) for r in event["Records"]]) as futures:
        of_message = dict(zip((r["messageId"] for r in event["Records"]), futures, strict=True))

        def finish(record: SQSRecord) -> None:
            try:
                _wait(of_message[record.message_id], context)
            except Exception as error:
                receives = int(record.attributes.approximate_receive_count)
                logger.warning(
                    "upload failed", message_id=record.message_id, receives=receives, error=repr(error)
                )
                if receives < batch_settings.max_receives:
                    raise
                _bury(record, error, context)

        return process_partial_response(event, finish, processor, context)


def _score_message(body: str, context: LambdaContext) -> None:
    for upload in uploads_in(body):
        scorer.score(upload, context.aws_request_id)


def uploads_in(body: str) -> list[Upload]:
    """Return the uploads that a message from S3 tells of; none, where S3 but tries whether it may send.

    Raises:
        ValueError: It is no message from S3.
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


def _upload(bucket: str, told: Mapping[str, str]) -> Upload:
    key = unquote_plus(told["key"])  # as in a form: a space is a plus
    return Upload(bucket, key, told.get("versionId"), told.get("eTag"))


def _bury(record: SQSRecord, error: Exception, context: LambdaContext) -> None:
    """Put a message that was received often enough among the dead letters, with its error, which SQS would lose."""
    kept = {"error": repr(error)[:_MAX_ERROR], "request_id": context.aws_request_id}
    _sqs().send_message(
        QueueUrl=batch_settings.dead_letters_url,
        MessageBody=record.body,
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in kept.items()},
    )


@cache
def _sqs() -> Any:
    return boto3.client("sqs")  # half a second that few processes need


def _score_items(uploads: Sequence[Upload], context: LambdaContext) -> dict[str, int]:
    outcomes, errors = Counter[str](), []
    with _started([partial(scorer.score, upload, context.aws_request_id) for upload in uploads]) as futures:
        for future in futures:
            try:
                outcomes[_wait(future, context).value] += 1
            except Exception as error:  # noqa: BLE001 -- whatever it is, the others go on
                errors.append(repr(error))
    if errors:
        raise UnfinishedError(f"{len(errors)} of {len(uploads)} uploads; the first: {errors[0]}")
    return dict(outcomes)


@contextmanager
def _started(calls: Sequence[Callable[[], T]]) -> Iterator[list[Future[T]]]:
    """Run calls in threads; in the end those that have not begun are dropped, those under way are left alone."""
    pool = ThreadPoolExecutor(WORKERS)
    try:
        yield [pool.submit(call) for call in calls]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wait(future: Future[T], context: LambdaContext) -> T:
    left = context.get_remaining_time_in_millis() / 1e3 - _RESERVE
    wait([future], timeout=max(left, 0))
    if not future.done():
        raise UnfinishedError("out of time")
    return future.result()
