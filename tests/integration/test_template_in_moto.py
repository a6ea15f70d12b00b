"""Every resource of template.yaml is in moto, or on the list of what moto does not support."""

import json
from pathlib import Path

import boto3
import pytest
import requests

from infra.local.errors import StackError, TemplateError
from infra.local.stack import GAPS, deploy
from infra.local.template import REGION, STACK_NAME, transformed_template

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
EVERYTHING_ON = {
    "AddressRate": "2000",
    "PromotionRole": "arn:aws:iam::123456789012:role/maskwatch-execute-dev",
    "ProvisionedConcurrency": "1",
    "ReservedConcurrency": "5",
    "RetrainPipeline": "maskwatch-classifier",
}


@pytest.fixture
def client(moto):
    """Return clients of an empty moto server by service."""
    requests.post(f"{moto}/moto-api/reset", timeout=60).raise_for_status()
    session = boto3.Session("local", "local", region_name=REGION)
    return lambda service: session.client(service, endpoint_url=moto)


@pytest.mark.parametrize("parameters", [{}, EVERYTHING_ON], ids=["defaults", "everything on"])
def test_every_resource_is_in_moto_or_on_the_list(client, parameters):
    template = transformed_template(TEMPLATE, parameters)

    stack = deploy(template, parameters, client)

    found = client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    in_moto = {resource["LogicalResourceId"] for resource in found}
    for name, resource in stack.resources.items():
        assert (name in in_moto) != (resource.type in GAPS), name
    if parameters:
        assert stack.resources.keys() == template["Resources"].keys()


def test_every_item_of_the_list_is_in_the_template():
    resources = transformed_template(TEMPLATE, {})["Resources"].values()
    there = {resource["Type"] for resource in resources} | {
        f"{resource['Type']}.{name}" for resource in resources for name in resource.get("Properties", {})
    }
    assert GAPS.keys() <= there


def test_each_gap_has_its_reason():
    assert all(gap.reason for gap in GAPS.values())


def test_a_new_kind_of_resource_fails_the_start(client):
    template = transformed_template(TEMPLATE, {})
    template["Resources"]["Novelty"] = {"Type": "AWS::Athena::WorkGroup", "Properties": {}}

    with pytest.raises(StackError, match=r"nor in GAPS .*: Novelty \(AWS::Athena::WorkGroup\)"):
        deploy(template, {}, client)


def test_resources_that_moto_skips_are_created_by_api_calls(client):
    stack = deploy(transformed_template(TEMPLATE, {}), {}, client)

    bucket = stack.resources["ModelsBucket"].name
    assert client("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    uploads = stack.resources["UploadsBucket"].name
    to_queues = client("s3").get_bucket_notification_configuration(Bucket=uploads)["QueueConfigurations"]
    assert {to_queue["QueueArn"].rpartition(":")[2] for to_queue in to_queues} == {
        stack.resources["UploadsQueue"].name.rpartition("/")[2]
    }
    assert [to_queue.get("Filter") for to_queue in to_queues] == [None]
    alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == len(stack.of_type("AWS::CloudWatch::Alarm")) > 0
    subscriptions = client("logs").describe_subscription_filters(
        logGroupName=stack.resources["PredictLogs"].name
    )["subscriptionFilters"]
    assert '{ $.route = "*" }' in {subscription["filterPattern"] for subscription in subscriptions}
    assert client("firehose").list_delivery_streams()["DeliveryStreamNames"] == ["maskwatch-records"]


def test_the_dashboard_refers_to_existing_resources(client):
    stack = deploy(transformed_template(TEMPLATE, {}), {}, client)

    body = json.loads(client("cloudwatch").get_dashboard(DashboardName="maskwatch")["DashboardBody"])

    assert stack.resources["PredictFunction"].name in json.dumps(body)
    assert "${" not in json.dumps(body)


def test_alarms_notify_the_topic(client):
    stack = deploy(
        transformed_template(TEMPLATE, {"AlarmEmail": "ops@example.org"}),
        {"AlarmEmail": "ops@example.org"},
        client,
    )

    topic = stack.resources["AlarmsTopic"].name
    (drift,) = client("cloudwatch").describe_alarms(AlarmNames=["maskwatch-DriftAlarm"])["MetricAlarms"]
    assert drift["AlarmActions"] == drift["OKActions"] == [topic]
    (subscription,) = client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.org")


def test_nobody_is_subscribed_without_an_address(client):
    stack = deploy(transformed_template(TEMPLATE, {}), {}, client)

    topic = stack.resources["AlarmsTopic"].name
    assert client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_an_event_reaches_the_queue_that_its_rule_names(client):
    stack = deploy(transformed_template(TEMPLATE, EVERYTHING_ON), EVERYTHING_ON, client)
    queue = stack.resources["PromoteQueue"].name
    detail = {"ModelPackageGroupName": STACK_NAME, "ModelPackageArn": "arn:package"}

    for status in ("Approved", "Unknown"):
        event = {
            "Source": "aws.sagemaker",
            "DetailType": "SageMaker Model Package State Change",
            "Detail": json.dumps(detail | {"ModelApprovalStatus": status}),
        }
        assert client("events").put_events(Entries=[event])["FailedEntryCount"] == 0

    messages = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    details = [json.loads(message["Body"])["detail"] for message in messages]
    assert details == [detail | {"ModelApprovalStatus": "Approved"}]


def test_a_stream_with_unsupported_properties_fails_the_start(client):
    template = transformed_template(TEMPLATE, {})
    stream = template["Resources"]["RecordsStream"]["Properties"]
    stream["ExtendedS3DestinationConfiguration"]["CompressionFormat"] = "UNCOMPRESSED"

    with pytest.raises(StackError, match=r"RecordsStream: .* only GZIP is supported"):
        deploy(template, {}, client)


def test_an_unknown_parameter_is_refused():
    with pytest.raises(TemplateError, match="no such parameter: Typo"):
        transformed_template(TEMPLATE, {"Typo": "1"})
