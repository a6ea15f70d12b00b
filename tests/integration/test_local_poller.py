"""The local event source mapping reads a queue as Lambda does."""

import json
import threading
import time
from textwrap import dedent

import boto3
import pytest

from infra.local.function import Function, FunctionConfig
from infra.local.poller import Poller
from infra.local.template import REGION


@pytest.fixture(scope="module")
def client(moto):
    session = boto3.Session("local", "local", region_name=REGION)
    return lambda service: session.client(service, endpoint_url=moto)


class Reading:
    """A queue that a function reads; the function prints its events."""

    def __init__(self, client, folder, source, number):
        self.sqs, self.lines = client("sqs"), []
        names = [f"dead-{number}", f"uploads-{number}"]
        self.dead, _ = (self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in names)
        arn = f"arn:aws:sqs:{REGION}:123456789012:"
        policy = {"deadLetterTargetArn": f"{arn}{names[0]}", "maxReceiveCount": 2}
        self.queue = self.sqs.get_queue_url(QueueName=names[1])["QueueUrl"]
        # As AWS demands, messages are hidden at least as long as the function may run.
        attributes = {"VisibilityTimeout": "5", "RedrivePolicy": json.dumps(policy)}
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes=attributes)
        (folder / "app.py").write_text(dedent(source))
        config = FunctionConfig("reader", "arn", "app.handler", folder, {}, 5.0, 512, "group")
        self.function = Function(config, lambda _group, _stream, line: self.lines.append(line))
        mapping = {"EventSourceArn": f"{arn}{names[1]}", "BatchSize": 10}
        self.poller = Poller(mapping, self.function, client)

    def send(self, *bodies):
        for body in bodies:
            attributes = {"colour": {"DataType": "String", "StringValue": "blue"}}
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body, MessageAttributes=attributes)

    def left(self, queue):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(map(int, counts.values()))

    def wait(self, condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, self.lines
            time.sleep(0.1)


@pytest.fixture
def reading(client, tmp_path):
    """Start a function of a module's source on a queue of its own."""
    started = []

    def start(source):
        started.append(Reading(client, tmp_path, source, tmp_path.name))
        return started[-1]

    yield start
    for each in started:
        each.poller.stop()
        each.function.stop()


PRINTS = """
    import json
    def handler(event, context):
        for record in event["Records"]:
            print(json.dumps(record), flush=True)
        return {"batchItemFailures": FAILURES}
"""


def test_messages_have_lambda_s_format_and_are_deleted(reading):
    started = reading(PRINTS.replace("FAILURES", "[]"))
    started.send(*(f"body {n}" for n in range(25)))
    started.wait(lambda: len(started.lines) >= 25 and not started.left(started.queue))

    records = [json.loads(line) for line in started.lines]
    assert sorted(record["body"] for record in records) == sorted(f"body {n}" for n in range(25))
    for record in records:
        assert record["eventSource"] == "aws:sqs"
        assert record["eventSourceARN"].startswith(f"arn:aws:sqs:{REGION}:123456789012:uploads-")
        assert record["attributes"]["ApproximateReceiveCount"] == "1"
        assert record["messageAttributes"] == {"colour": {"dataType": "String", "stringValue": "blue"}}
        assert record["messageId"]
        assert record["receiptHandle"]
    assert started.left(started.dead) == 0


def test_a_returned_message_is_delivered_again_and_becomes_a_dead_letter(reading):
    bad = '[{"itemIdentifier": r["messageId"]} for r in event["Records"] if r["body"] == "bad"]'
    started = reading(PRINTS.replace("FAILURES", bad))
    started.send("good", "bad", "fine")
    started.wait(lambda: started.left(started.dead) and not started.left(started.queue))

    assert sorted(json.loads(line)["body"] for line in started.lines) == ["bad", "bad", "fine", "good"]
    assert started.left(started.dead) == 1


@pytest.mark.parametrize("end", ["os._exit(1)", "1 / 0", "return {'batchItemFailures': [{'id': 1}]}"])
def test_if_the_function_fails_the_whole_batch_is_delivered_again(end, reading):
    started = reading(f"""
        import os
        def handler(event, context):
            for record in event["Records"]:
                print(record["body"] + record["attributes"]["ApproximateReceiveCount"], flush=True)
            if any(r["attributes"]["ApproximateReceiveCount"] == "1" for r in event["Records"]):
                {end}
            return {{"batchItemFailures": []}}
    """)
    started.send("a", "b")
    started.wait(lambda: {"a2", "b2"} <= set(started.lines) and not started.left(started.queue))

    assert started.left(started.dead) == 0


@pytest.mark.parametrize("answer", ["None", "{}", "{'batchItemFailures': None}"])
def test_an_empty_answer_means_that_all_messages_are_done(answer, reading):
    started = reading(f"def handler(event, context): return {answer}")
    started.send("a", "b")
    started.wait(lambda: not started.left(started.queue))

    assert started.left(started.dead) == 0


def test_after_the_stop_no_message_is_read(reading):
    started = reading(PRINTS.replace("FAILURES", "[]"))
    started.poller.stop()
    started.send("late")
    threading.Event().wait(2)

    assert started.left(started.queue) == 1
    assert started.lines == []
