"""Events work without a caller: uploads are scored, the schedule fires, alarms reach people."""

import json
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime

from infra.local.template import ACCOUNT, REGION, transformed_template
from tests.emulator import jobs
from tests.emulator.calls import name_of
from tests.emulator.stack import wait_for
from tests.emulator.template import PROJECT
from tests.pictures import draw_scene, encode


def test_an_upload_gets_its_result(stack):
    upload = stack.request("POST", "/uploads", json={"type": "image/jpeg", "source": "gate-1"}).json()
    stack.emulator.post_form(upload["upload"]["url"], upload["upload"]["fields"], encode(draw_scene()))

    def result():
        answer = stack.request("GET", upload["result"].removeprefix("/v1"))
        return answer.json() if answer.status_code == 200 else None

    assert wait_for(result)["prediction"]["label"] == "mask"


def test_the_schedule_starts_drift(stack):
    """The test runs the schedule's target once, without waiting for the hour."""
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
    alarm_came = on_call(stack)

    set_off(stack, "DriftAlarm", value=1)

    assert alarm_came("DriftAlarm")


def test_an_unreadable_baseline_raises_an_alarm(everything):
    """A run that fails finally puts its event into the queue that an alarm watches."""
    alarm_came, function = on_call(everything), everything.resources["DriftFunction"]
    dead_letters, functions = everything.outputs["DriftDeadLetters"], everything.client("lambda")
    give_dead_letters(everything, "DriftFunction")
    functions.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0)  # 2 on AWS

    with missing_baseline(everything):
        functions.invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")
        (letter,) = wait_for(lambda: receive(everything, dead_letters))

    functions.delete_function_event_invoke_config(FunctionName=function)
    assert "correct BaselineUri" in str(letter)
    watched = set_off(everything, "DriftDeadLettersAlarm", value=1)
    assert watched == {"QueueName": dead_letters.rpartition("/")[2]}
    assert alarm_came("DriftDeadLettersAlarm")


def give_dead_letters(stack, function):
    """Configure what the template says and MiniStack's CloudFormation ignores."""
    template = transformed_template(PROJECT / "template.yaml", {})
    target = template["Resources"][function]["Properties"]["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name_of(stack.resources[target])}"
    stack.client("lambda").update_function_configuration(
        FunctionName=stack.resources[function], DeadLetterConfig={"TargetArn": arn}
    )


@contextmanager
def missing_baseline(stack):
    s3 = stack.client("s3")
    bucket, _, key = stack.parameters["BaselineUri"].removeprefix("s3://").partition("/")
    baseline = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=key)
    try:
        yield
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=baseline)


def receive(stack, queue):
    return stack.client("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"]).get("Messages")


def on_call(stack):
    """Subscribe to the topic of alarms; yield a function that waits for the message of one."""
    sqs = stack.client("sqs")
    queue = sqs.create_queue(QueueName=f"oncall-{uuid.uuid4()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
    }
    policy = json.dumps({"Statement": statement | {"Resource": arn}})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    stack.client("sns").subscribe(TopicArn=stack.outputs["AlarmsTopic"], Protocol="sqs", Endpoint=arn)

    def alarm_came(name):
        def is_on():
            bodies = [json.loads(message["Body"]) for message in receive(stack, queue) or []]
            alarms = [json.loads(body["Message"]) for body in bodies]
            return any(
                (alarm["AlarmName"], alarm["NewStateValue"]) == (stack.resources[name], "ALARM")
                for alarm in alarms
            )

        return wait_for(is_on)

    return alarm_came


def set_off(stack, name, *, value):
    """Publish an alarm's metric above its threshold, because MiniStack's SQS has none; return the dimensions."""
    cloudwatch = stack.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[stack.resources[name]])["MetricAlarms"]
    assert value > alarm["Threshold"]
    metric = {each: alarm[each] for each in ("MetricName", "Dimensions")} | {"Value": value}
    cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[metric])
    return {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}


def test_every_alarm_for_people_names_the_topic(stack):
    alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    topics = {
        alarm["AlarmName"]: set(alarm["AlarmActions"] + alarm["OKActions"])
        for alarm in alarms
        if alarm["AlarmName"] in stack.resources.values() and "Version" not in alarm["AlarmName"]
    }
    assert topics
    assert set(map(frozenset, topics.values())) == {frozenset({stack.outputs["AlarmsTopic"]})}


def test_an_approval_reaches_promote_through_its_rule_and_queue(everything):
    arn = jobs.package(everything, "models/nowhere/")
    detail = {
        "ModelPackageGroupName": everything.name,
        "ModelApprovalStatus": "Approved",
        "ModelPackageArn": arn,
    }
    told_of(everything, "PromoteApprovals", "SageMaker Model Package State Change", detail)

    def refused():
        asked = [json.loads(one.body) for one in everything.standin.asked]
        return {one["ModelApprovalStatus"] for one in asked if one.get("ModelPackageArn") == arn} - {
            "Approved"
        }

    assert wait_for(refused) == {"Rejected"}


def test_an_alarm_on_drift_starts_the_pipeline(everything):
    (alarm,) = everything.client("cloudwatch").describe_alarms(
        AlarmNames=[everything.resources["DriftAlarm"]]
    )["MetricAlarms"]
    change = {"alarmName": alarm["AlarmName"], "state": {"value": "ALARM"}}
    told_of(everything, "RetrainFunctionAlarms", "CloudWatch Alarm State Change", change, alarm["AlarmArn"])

    def started():
        asked = [json.loads(one.body) for one in everything.standin.asked]
        return [one for one in asked if "PipelineName" in one and "ClientRequestToken" in one]

    assert wait_for(started)[0]["PipelineName"] == everything.parameters["RetrainPipeline"]


def test_an_execution_that_fails_is_in_the_queue_whose_alarm_tells_people(everything):
    pipeline = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{everything.parameters['RetrainPipeline']}"
    sqs, queue = everything.client("sqs"), everything.outputs["RetrainDeadLetters"]
    for status in ("Succeeded", "Failed"):
        detail = {"pipelineArn": pipeline, "currentPipelineExecutionStatus": status}
        kind = "SageMaker Model Building Pipeline Execution Status Change"
        told_of(
            everything,
            "RetrainFailures",
            kind,
            detail | {"pipelineExecutionArn": f"{pipeline}/execution/{status}"},
        )

    (message,) = wait_for(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages"))

    assert json.loads(message["Body"])["detail"]["pipelineExecutionArn"] == f"{pipeline}/execution/Failed"
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def told_of(stack, rule, kind, detail, *resources):
    """Let a rule match a custom source, because only AWS can send events with AWS's sources."""
    events, name = stack.client("events"), name_of(stack.resources[rule]).rpartition("/")[2]
    pattern = json.loads(events.describe_rule(Name=name)["EventPattern"])
    events.put_rule(Name=name, EventPattern=json.dumps(pattern | {"source": ["test"]}))
    try:
        event = {"Source": "test", "DetailType": kind, "Detail": json.dumps(detail)}
        answer = events.put_events(Entries=[event | {"Resources": list(resources)}])
        assert answer["FailedEntryCount"] == 0, answer
    finally:
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
