"""A local event source mapping: reads a queue, invokes a function with batches, and deletes processed messages.

SQS itself hides a failed message for the queue's visibility timeout, and moves it to the dead letters after the
template's maximum of receives. Not implemented: the batch window, and scaling.
"""

from __future__ import annotations

import sys
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from infra.local.errors import FunctionError, RequestTooLargeError, TooManyRequestsError
from infra.local.function import CONCURRENCY, Function
from infra.local.template import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.aws import Client

_PAUSE: Final = 1.0  # seconds between receives from an empty queue
_MAX_MESSAGES: Final = 10  # SQS's limit per receive


class Poller:
    """Reads a queue in its own threads until it is stopped.

    Args:
        mapping: Properties of the `AWS::Lambda::EventSourceMapping` in the template.
        function: The function to invoke.
        client: Returns moto's boto3 client for a service.
    """

    def __init__(self, mapping: Mapping[str, Any], function: Function, client: Client) -> None:
        self._arn = mapping["EventSourceArn"]
        self._size = min(int(mapping.get("BatchSize", _MAX_MESSAGES)), _MAX_MESSAGES)
        self._function, self._sqs = function, client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=self._arn.rpartition(":")[2])["QueueUrl"]
        self._stopped = Event()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(CONCURRENCY)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop reading; batches in progress are finished."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=self._function.config.timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                more = self._take_batch()
            except Exception as error:  # noqa: BLE001 -- one bad batch must not end polling
                print(f"polling {self._url} failed: {error}", file=sys.stderr)
                more = False
            if not more:
                self._stopped.wait(_PAUSE)

    def _take_batch(self) -> bool:
        """Process one batch; return whether there was one."""
        messages = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=self._size,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return False
        try:
            answer = self._function.invoke({"Records": [self._record(message) for message in messages]})
        except (FunctionError, TooManyRequestsError, RequestTooLargeError):
            return True  # SQS redelivers the messages; the reason is in the function's log
        failures = (answer or {}).get("batchItemFailures") or []
        self._delete(messages, {failure["itemIdentifier"] for failure in failures})
        return True

    def _record(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {
                name: {"dataType": value["DataType"], "stringValue": value.get("StringValue")}
                for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": REGION,
        }

    def _delete(self, messages: Sequence[Mapping[str, Any]], failed: set[str]) -> None:
        done = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
            if message["MessageId"] not in failed
        ]
        if done:
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=done)
