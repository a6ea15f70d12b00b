"""Dead letters are sent to their queue again unchanged, and their errors are printed."""

import json
import time
from argparse import Namespace

import boto3
import pytest

from infra.ops import redrive

STACK = {
    "UploadsDeadLetters": "uploads-dead",
    "UploadsQueue": "uploads",
    "AlertsDeadLetters": "alerts-dead",
    "AlertsFunction": "alerts",
}


@pytest.fixture
def sqs(moto, monkeypatch):  # noqa: ARG001 -- an AWS account
    monkeypatch.setattr(redrive, "_WAIT", 0)
    return boto3.client("sqs")


@pytest.fixture
def queues(sqs):
    return {
        name: sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("uploads", "uploads-dead", "alerts-dead")
    }


@pytest.fixture
def stack(queues, monkeypatch):
    """The outputs of a stack, and the events of its function."""
    outputs = {name: queues.get(value, value) for name, value in STACK.items()}
    monkeypatch.setattr(redrive, "outputs_of", lambda _: outputs)
    invoked = []

    class Functions:
        def invoke(self, **call):
            invoked.append(call)

    clients = {"lambda": Functions(), "sqs": boto3.client("sqs")}
    monkeypatch.setattr(redrive.boto3, "client", clients.__getitem__)
    return outputs, invoked


def bury(sqs, queue, body, **attributes):
    kept = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
    sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=kept)


def messages(sqs, queue):
    found = []
    while some := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        found += some
    return found


def test_every_upload_returns_to_its_queue_without_its_error(sqs, queues, stack):  # noqa: ARG001
    sent = [json.dumps({"Records": [n]}) for n in range(25)]
    for body in sent:
        bury(sqs, queues["uploads-dead"], body, error="SlowDown")

    redrive.command(Namespace(stack="s"))

    again = messages(sqs, queues["uploads"])
    assert sorted(message["Body"] for message in again) == sorted(sent)
    assert not any("MessageAttributes" in message for message in again)
    assert messages(sqs, queues["uploads-dead"]) == []


def test_an_upload_that_becomes_a_dead_letter_again_at_once_is_not_sent_again(sqs, queues):
    sent = []

    def fail(body):
        sent.append(body)
        assert len(sent) < 9  # not for ever
        time.sleep(0.01)
        bury(sqs, queues["uploads-dead"], body, error="InvalidKeyError")

    for body in ("1", "2"):
        bury(sqs, queues["uploads-dead"], body)
    time.sleep(0.01)

    assert redrive.redrive(queues["uploads-dead"], fail, sqs).total() == 2
    assert sorted(sent) == ["1", "2"]


def test_every_log_delivery_is_sent_to_alerts_again(sqs, queues, stack):
    _, invoked = stack
    bodies = ['{"awslogs": {"data": "H4s…"}}', '{"time": "2026-11-24T09:00:00Z"}']
    bury(sqs, queues["alerts-dead"], bodies[0], RequestID="1", ErrorCode="200", ErrorMessage="AccessDenied")
    bury(sqs, queues["alerts-dead"], bodies[1], ERROR_CODE="X", ERROR_MESSAGE="too late")

    redrive.command(Namespace(stack="s"))

    assert sorted(call["Payload"].decode() for call in invoked) == sorted(bodies)
    assert {(call["FunctionName"], call["InvocationType"]) for call in invoked} == {("alerts", "Event")}
    assert messages(sqs, queues["alerts-dead"]) == []


def test_failures_are_counted_by_error(sqs, queues, stack, capsys):  # noqa: ARG001
    for error in ("AccessDenied", "AccessDenied", "SlowDown"):
        bury(sqs, queues["uploads-dead"], "{}", error=error)
    bury(sqs, queues["uploads-dead"], "{}")
    bury(sqs, queues["alerts-dead"], "{}", ErrorMessage="no such table")

    redrive.command(Namespace(stack="s"))

    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "2 AccessDenied",
        "1 SlowDown",
        "1 unknown: the function crashed or timed out",
        "4 uploads are in the queue again.",
        "1 no such table",
        "1 deliveries of log lines go to Alerts again.",
    ]


def test_without_alerts_only_uploads_are_redriven(queues, stack, capsys):  # noqa: ARG001
    outputs, _ = stack
    del outputs["AlertsDeadLetters"], outputs["AlertsFunction"]

    redrive.command(Namespace(stack="s"))

    assert capsys.readouterr().out == "0 uploads are in the queue again.\n"


def test_a_message_that_cannot_be_sent_remains_a_dead_letter(sqs, queues):
    bury(sqs, queues["uploads-dead"], "{}")

    def refuse(_):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        redrive.redrive(queues["uploads-dead"], refuse, sqs)

    counts = sqs.get_queue_attributes(
        QueueUrl=queues["uploads-dead"], AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"
