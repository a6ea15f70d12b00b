"""Dead letters go back into their queue as they were, and the operator sees why they had failed."""

import json

import boto3
import pytest
from moto import mock_aws

from infra.ops import redrive


@pytest.fixture
def sqs(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(redrive, "_WAIT", 0)
    with mock_aws():
        yield boto3.Session("testing", "testing", region_name="us-east-1").client("sqs")


@pytest.fixture
def queue(sqs):
    """A queue; its dead letters are in one named `dead`."""
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
    return sqs.create_queue(QueueName="uploads", Attributes={"RedrivePolicy": policy})["QueueUrl"]


def bury(sqs, body, error=None):
    attributes = {"error": {"DataType": "String", "StringValue": error}} if error else {}
    url = sqs.get_queue_url(QueueName="dead")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)


def bodies(sqs, name):
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


def test_every_dead_letter_is_in_the_queue_again(sqs, queue):
    sent = [json.dumps({"Records": [n]}) for n in range(25)]
    for body in sent:
        bury(sqs, body, "SlowDown")

    redrive.redrive(queue, sqs)

    assert sorted(bodies(sqs, "uploads")) == sorted(sent)
    assert bodies(sqs, "dead") == []


def test_errors_are_counted(sqs, queue):
    for error in ("AccessDenied", "AccessDenied", "SlowDown", None):
        bury(sqs, "{}", error)

    errors = redrive.redrive(queue, sqs)

    assert errors == {"AccessDenied": 2, "SlowDown": 1, "none kept: it crashed or ran out of time": 1}


def test_what_was_kept_of_the_error_does_not_go_along(sqs, queue):
    bury(sqs, "{}", "SlowDown")
    redrive.redrive(queue, sqs)

    (message,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    assert "MessageAttributes" not in message


def test_a_message_that_cannot_be_sent_stays_a_dead_letter(sqs, queue):
    bury(sqs, "{}")

    def refuse(**_):
        raise ConnectionError

    sqs.meta.events.register("before-call.sqs.SendMessage", refuse)
    with pytest.raises(ConnectionError):
        redrive.redrive(queue, sqs)
    sqs.meta.events.unregister("before-call.sqs.SendMessage", refuse)

    dead = sqs.get_queue_url(QueueName="dead")["QueueUrl"]
    counts = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    assert counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_without_dead_letters_there_is_nothing_to_do(sqs, queue):
    assert redrive.redrive(queue, sqs) == {}
