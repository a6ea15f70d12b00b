"""A local event source mapping: reads a queue, hands batches to a function, deletes what it took care of.

What it gives back stays in the queue, invisible for as long as the template says, and goes to the dead letters
after as many receives as the template says: both are SQS's own doing. Not here: the batch window, and scaling.
"""

from __future__ import annotations

import sys
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from infra.local.function import CONCURRENCY, Function, FunctionFailed, NoneIdle, PayloadTooLarge
from infra.local.template import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.stack import Client

_PAUSE: Final = 0.5  # seconds between two looks into an empty queue
_MOST: Final = 10  # messages that SQS gives at once


class Poller:
    """Reads a queue in threads of its own until it is stopped.

    Args:
        mapping: an `AWS::Lambda::EventSourceMapping` as the template has it.
        function: what gets the messages.
        client: returns a boto3 client of moto by the name of the service.
    """

    def __init__(self, mapping: Mapping[str, Any], function: Function, client: Client) -> None:
        self._arn = mapping["EventSourceArn"]
        self._size = min(int(mapping.get("BatchSize", _MOST)), _MOST)
        self._function, self._sqs = function, client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=self._arn.rpartition(":")[2])["QueueUrl"]
        self._stopped = Event()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(CONCURRENCY)]

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Read no more; batches under way come to their end."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=self._function.config.timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                more = self._take_batch()
            except Exception as error:  # noqa: BLE001 -- polling must not end with one bad batch
                print(f"polling {self._url} failed: {error}", file=sys.stderr)
                more = False
            if not more:
                self._stopped.wait(_PAUSE)

    def _take_batch(self) -> bool:
        """Hand one batch on; return whether there was one."""
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
        except (FunctionFailed, NoneIdle, PayloadTooLarge):
            return True  # they come again; why is in the function's log
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
