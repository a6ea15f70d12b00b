"""The Batch handler: scores uploads, named by SQS messages or by a backfill's batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)

from functions.inference.challenger import open_challenger
from functions.inference.fetch import open_release
from functions.inference.record import Recorder
from functions.inference.results import ConflictError
from functions.inference.score import load_models
from functions.inference.score_upload import InvalidKeyError, Outcome, UploadScorer
from functions.inference.settings import read_batch_settings, read_settings
from functions.inference.upload import parse_batch, parse_uploads
from functions.shared.failures import count_failure, without_paths
from functions.shared.s3 import create_client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.inference.upload import Upload

T = TypeVar("T")
WORKERS: Final = 10  # concurrent uploads: while one is scored, others are transferred
CHALLENGER_SECONDS: Final = 5.0
_RESERVE: Final = 5.0  # seconds before the timeout when unfinished messages are returned
_MAX_ERROR: Final = 1000  # characters

settings, batch_settings = read_settings(), read_batch_settings()
release = open_release(settings.model_uri)  # fails the start if the release is not valid
logger = Logger()
s3 = create_client(read_timeout=10, attempts=4, connections=WORKERS)
scorer = UploadScorer(
    s3,
    batch_settings.uploads_bucket,
    batch_settings.results_bucket,
    load_models(release, settings.threads),
    Recorder(settings.namespace, "batch", release.version),
    decoders=settings.threads,
    challenger=open_challenger(settings, CHALLENGER_SECONDS),
)
pool = ThreadPoolExecutor(WORKERS)
# A whole batch is returned if S3 fails. That is not an error of the function, which would mean a crash.
processor = AsyncBatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


class UnfinishedError(Exception):
    """Some uploads have no result yet; the next attempt skips those that have one."""


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Return the messages to redeliver for an SQS event, or the number of each outcome for a backfill's batch."""
    if "Items" in event:
        return asyncio.run(_score_items(parse_batch(event), context))
    return async_process_partial_response(event, partial(_score_message, context=context), processor, context)


async def _score_message(record: SQSRecord, context: LambdaContext) -> None:
    try:
        await _run(
            lambda: [scorer.score(u, context.aws_request_id) for u in parse_uploads(record.body)], context
        )
    except Exception as error:
        receives = int(record.attributes.approximate_receive_count)
        text = without_paths(repr(error))
        logger.warning("upload failed", message_id=record.message_id, receives=receives, error=text)
        if not isinstance(error, InvalidKeyError):  # the upload's key is invalid, so retrying cannot help
            if not isinstance(error, ConflictError):  # somebody replaces the picture all the time
                count_failure()
            if receives < batch_settings.max_receives:
                raise
        _send_to_dead_letters(record, text, context)


def _send_to_dead_letters(record: SQSRecord, error: str, context: LambdaContext) -> None:
    """Send a message that is not retried to the dead letters with its error, which SQS would not keep."""
    attributes = {"error": error[:_MAX_ERROR], "request_id": context.aws_request_id}
    _sqs().send_message(
        QueueUrl=batch_settings.dead_letters_url,
        MessageBody=record.body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()
        },
    )


@cache
def _sqs() -> Any:
    return boto3.client("sqs")  # created only when needed, because it takes half a second


async def _score_items(uploads: Sequence[Upload], context: LambdaContext) -> dict[str, int]:
    calls = [_run(partial(_score_item, upload, context.aws_request_id), context) for upload in uploads]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if errors:
        first = without_paths(repr(errors[0]))  # Lambda logs what is raised
        raise UnfinishedError(f"{len(errors)} of {len(uploads)} uploads; the first: {first}")
    return dict(Counter(outcome.value for outcome in outcomes if not isinstance(outcome, BaseException)))


def _score_item(upload: Upload, request_id: str) -> Outcome:
    try:
        return scorer.score(upload, request_id)
    except InvalidKeyError:
        return Outcome.INVALID


async def _run(call: Callable[[], T], context: LambdaContext) -> T:
    """Run a call in the pool; when time runs out, cancel it unless it has begun.

    Raises:
        TimeoutError: The function's timeout is near.
    """
    left = context.get_remaining_time_in_millis() / 1e3 - _RESERVE
    return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(pool, call), max(left, 0))
