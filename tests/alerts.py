"""The table of alerts in moto, records for it, and a queue for notifications."""

import base64
import gzip
import json
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime

import boto3

from functions.shared.record import parse_record
from tests.system import CREDENTIALS

TABLE = "alerts"
ENVIRONMENT = {
    "ALERTS_TABLE": TABLE,
    "ALERTS_TOPIC": "arn:aws:sns:us-east-1:123456789012:alerts",
    "PAGE_URL": "https://p/",
    "RECORDS_DAYS": "400",
    "STACK_NAME": "maskwatch",
    **CREDENTIALS,
}
START = datetime(2026, 11, 24, 9, tzinfo=UTC).timestamp()


def create_table(name=TABLE):
    """Create a table as template.yaml does."""
    client = boto3.client("dynamodb", "us-east-1")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    return client


def iso(time):
    """Return a Unix time in the format of records."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


def line(
    time, *labels, source="gate-3", confidence=0.97, track=None, prediction_id=None, version="1.0.0", **more
):
    """Return the log line of a record with one face for each label and further fields."""
    return json.dumps(
        {
            "time": iso(time),
            "request_id": "r",
            "route": "/predict",
            "model_version": version,
            "prediction_id": prediction_id or str(uuid.uuid4()),
            "source": source,
            **({"track": track} if track else {}),
            "label": labels[0] if labels else "mask",
            "probabilities": {"mask": 0.9, "no_mask": 0.06, "incorrect": 0.04},
            "faces": [
                {"side": 60, "detection_confidence": 0.99, "label": label, "confidence": confidence}
                for label in labels
            ],
            **more,
        }
    )


def record(time, *labels, **fields):
    """Return the record that the Alerts function reads from `line`."""
    found = parse_record(json.loads(line(time, *labels, **fields)))
    assert found
    return found


def delivery(lines):
    """Return the event that CloudWatch Logs sends to a subscribed function."""
    message = {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "predict",
        "logStream": "one",
        "subscriptionFilters": ["alerts"],
        "logEvents": [
            {"id": str(number), "timestamp": 1795251600000, "message": text}
            for number, text in enumerate(lines)
        ],
    }
    return {
        "awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(message).encode(), mtime=0)).decode()}
    }


@contextmanager
def subscribed(client, topic):
    """Subscribe a queue to the topic and the bus of alerts; yield a function that returns the messages so far.

    `client` makes a client of a service.
    """
    sqs, sns, events = (client(service) for service in ("sqs", "sns", "events"))
    name = f"messages-{uuid.uuid4()}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    services = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
    statement = {"Effect": "Allow", "Principal": services, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [statement]})})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["maskwatch"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    received = []

    def messages():
        while found := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            received.extend(json.loads(message["Body"]) for message in found)
            for message in found:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return received

    try:
        yield messages
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=queue)
