"""Send uploads that failed for good back to their queue: `python -m infra.ops redrive --stack maskwatch-dev`."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import boto3

from infra.ops.stack import outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_WAIT: Final = 2  # seconds; with a wait, SQS asks all its servers before it says that a queue is empty


def redrive(queue: str, sqs: Any) -> Counter[str]:
    """Move the dead letters of a queue back into it; return how many there were of each error.

    Args:
        queue: The URL of the queue; it knows where its dead letters are.
        sqs: A boto3 client.
    """
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]
    name = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    dead_letters = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    errors: Counter[str] = Counter()
    while messages := sqs.receive_message(
        QueueUrl=dead_letters, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT, MessageAttributeNames=["error"]
    ).get("Messages"):
        for message in messages:
            sqs.send_message(QueueUrl=queue, MessageBody=message["Body"])  # first, lest it be lost
            sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
            kept = message.get("MessageAttributes", {}).get("error", {})
            errors[kept.get("StringValue", "none kept: it crashed or ran out of time")] += 1
    return errors


def add_options(parser: ArgumentParser) -> None:
    """Say which queue."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", help="the uploads queue of this stack")
    where.add_argument("--queue", metavar="URL")


def command(options: Namespace) -> None:
    """Redrive, and print what the errors were."""
    queue = options.queue or outputs_of(options.stack)["UploadsQueue"]
    errors = redrive(queue, boto3.client("sqs"))
    for error, number in errors.most_common():
        print(f"{number:6} {error}")
    print(f"{errors.total()} uploads are in the queue again.")
