"""Retry dead letters, and print their errors: `python -m infra.ops redrive --stack NAME`.

Uploads return to their queue, and log deliveries to the Alerts function. Nothing is done twice: an upload with a
result is skipped, and a prediction counts once.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import boto3

from infra.ops.stack import outputs_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

_WAIT: Final = 2  # seconds; long polling asks all servers of SQS before it reports an empty queue
# Attributes that Batch, Lambda and Scheduler write.
_ERRORS: Final = ("error", "ErrorMessage", "ERROR_MESSAGE")


def redrive(dead_letters: str, send: Callable[[str], object], sqs: Any) -> Counter[str]:
    """Send the messages of a queue elsewhere; return how many had each error.

    Those that arrive meanwhile stay, because they may be messages that were sent a moment ago and cannot succeed.

    Args:
        dead_letters: The URL of the queue.
        send: Sends the body of a message.
        sqs: A boto3 client.
    """
    errors: Counter[str] = Counter()
    started = time.time() * 1000
    while messages := sqs.receive_message(
        QueueUrl=dead_letters,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=_WAIT,
        AttributeNames=["SentTimestamp"],
        MessageAttributeNames=[*_ERRORS],
    ).get("Messages"):
        for message in messages:
            if int(message["Attributes"]["SentTimestamp"]) > started:
                continue
            send(message["Body"])  # before deleting it, so that it cannot be lost
            sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
            attributes = message.get("MessageAttributes", {})
            errors[_reason(attributes)] += 1
    return errors


def _reason(attributes: dict[str, Any]) -> str:
    reasons = (attributes[name]["StringValue"] for name in _ERRORS if name in attributes)
    return next(reasons, "unknown: the function crashed or timed out")


def command(options: Namespace) -> None:
    """Redrive all dead letters, and print their errors."""
    outputs, sqs, functions = outputs_of(options.stack), boto3.client("sqs"), boto3.client("lambda")

    def enqueue(body: str) -> None:
        sqs.send_message(QueueUrl=outputs["UploadsQueue"], MessageBody=body)

    def invoke(body: str) -> None:
        functions.invoke(
            FunctionName=outputs["AlertsFunction"], InvocationType="Event", Payload=body.encode()
        )

    what = [("UploadsDeadLetters", enqueue, "uploads are in the queue again")]
    if "AlertsDeadLetters" in outputs:
        what.append(("AlertsDeadLetters", invoke, "deliveries of log lines go to Alerts again"))
    for queue, send, done in what:
        errors = redrive(outputs[queue], send, sqs)
        for error, number in errors.most_common():
            print(f"{number:6} {error}")
        print(f"{errors.total()} {done}.")
