"""What happens by itself: uploads are scored, the schedule fires, alarms reach whoever is on call."""

import json
import uuid
from datetime import UTC, datetime

from tests.emulator.stack import wait_for
from tests.pictures import draw_scene, encode


def test_an_upload_gets_its_result(stack):
    upload = stack.request("POST", "/uploads", json={"type": "image/jpeg", "source": "gate-1"}).json()
    stack.emulator.post_form(upload["upload"]["url"], upload["upload"]["fields"], encode(draw_scene()))

    def result():
        answer = stack.request("GET", upload["result"].removeprefix("/v1"))
        return answer.json() if answer.status_code == 200 else None

    assert wait_for(result)["prediction"]["label"] == "mask"


def test_the_schedule_starts_drift(stack):
    """What the schedule does every hour is done once, at once."""
    scheduler, s3 = stack.client("scheduler"), stack.client("s3")
    hourly = scheduler.get_schedule(Name=stack.resources["DriftSchedule"])
    once = f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})"
    latest = {"Bucket": stack.outputs["InsightsBucket"], "Key": "drift/latest.json"}
    s3.put_object(**latest, Body=b"{}")

    scheduler.create_schedule(
        Name="once", ScheduleExpression=once, FlexibleTimeWindow={"Mode": "OFF"}, Target=hourly["Target"]
    )

    wait_for(lambda: "window" in json.loads(s3.get_object(**latest)["Body"].read()))
    assert hourly["ScheduleExpression"] == "rate(1 hour)"


def test_an_alarm_reaches_the_topic(stack):
    sqs, cloudwatch = stack.client("sqs"), stack.client("cloudwatch")
    queue = sqs.create_queue(QueueName=f"oncall-{uuid.uuid4()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
    }
    policy = json.dumps({"Statement": statement | {"Resource": arn}})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    topic = stack.outputs["AlarmsTopic"]
    stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[stack.resources["DriftAlarm"]])["MetricAlarms"]
    value = {name: alarm[name] for name in ("MetricName", "Dimensions")} | {"Value": alarm["Threshold"] + 1}

    cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[value])

    (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    output = json.loads(json.loads(message["Body"])["Message"])
    assert output["AlarmName"] == stack.resources["DriftAlarm"]
    assert output["NewStateValue"] == "ALARM"


def test_every_alarm_for_whoever_is_on_call_names_the_topic(stack):
    alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    topics = {
        alarm["AlarmName"]: set(alarm["AlarmActions"] + alarm["OKActions"])
        for alarm in alarms
        if alarm["AlarmName"] in stack.resources.values() and "Version" not in alarm["AlarmName"]
    }
    assert topics
    assert set(map(frozenset, topics.values())) == {frozenset({stack.outputs["AlarmsTopic"]})}
