"""Every resource of template.yaml is in moto, or on the list of what moto does not support."""

import json

import boto3
import pytest
import requests

from infra.expand import TEMPLATE
from infra.local.errors import StackError, TemplateError
from infra.local.gaps import GAPS
from infra.local.stack import deploy
from infra.local.template import REGION, STACK_NAME, transformed_template
from tests.template import stack_template

DEFAULTS = {}
EVERYTHING_ON = {
    "AddressRate": "2000",
    "AlarmEmail": "ops@example.org",
    "PromotionRole": "arn:aws:iam::123456789012:role/maskwatch-execute-dev",
    "ProvisionedConcurrency": "1",
    "ReservedConcurrency": "5",
    "RetrainPipeline": "maskwatch-classifier",
}


class Moto:
    """A moto server, emptied when a test needs something else in it than the last one did.

    Tests of the same stack stand together, since to deploy it takes seconds.
    """

    def __init__(self, address):
        self.address, self.session = address, boto3.Session("local", "local", region_name=REGION)
        self.parameters = self.template = self.stack = None

    def client(self, service):
        return self.session.client(service, endpoint_url=self.address)

    def empty(self):
        requests.post(f"{self.address}/moto-api/reset", timeout=60).raise_for_status()
        self.parameters = None

    def deployed(self, parameters):
        """Return the stack with these parameters, deployed if it is not there."""
        if self.parameters != parameters:
            self.empty()
            # Kept, since a later transform gives the API's deployment another name.
            self.template = transformed_template(TEMPLATE, parameters)
            self.stack = deploy(self.template, parameters, self.client)
            self.parameters = parameters
        return self.stack


@pytest.fixture(scope="module")
def server(moto):
    return Moto(moto)


def test_alarms_notify_the_topic(server):
    stack = server.deployed(EVERYTHING_ON)

    topic = stack.resources["AlarmsTopic"].name
    (drift,) = server.client("cloudwatch").describe_alarms(AlarmNames=["maskwatch-DriftAlarm"])[
        "MetricAlarms"
    ]
    assert drift["AlarmActions"] == drift["OKActions"] == [topic]
    (subscription,) = server.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.org")


def test_an_event_reaches_the_queue_that_its_rule_names(server):
    stack = server.deployed(EVERYTHING_ON)
    queue = stack.resources["PromoteQueue"].name
    detail = {"ModelPackageGroupName": STACK_NAME, "ModelPackageArn": "arn:package"}

    for status in ("Approved", "Unknown"):
        event = {
            "Source": "aws.sagemaker",
            "DetailType": "SageMaker Model Package State Change",
            "Detail": json.dumps(detail | {"ModelApprovalStatus": status}),
        }
        assert server.client("events").put_events(Entries=[event])["FailedEntryCount"] == 0

    messages = server.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    details = [json.loads(message["Body"])["detail"] for message in messages]
    assert details == [detail | {"ModelApprovalStatus": "Approved"}]


@pytest.mark.parametrize("parameters", [EVERYTHING_ON, DEFAULTS], ids=["everything on", "defaults"])
def test_every_resource_is_in_moto_or_on_the_list(server, parameters):
    stack = server.deployed(parameters)

    found = server.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    in_moto = {resource["LogicalResourceId"] for resource in found}
    for name, resource in stack.resources.items():
        assert (name in in_moto) != (resource.type in GAPS), name
    if parameters:
        assert stack.resources.keys() == server.template["Resources"].keys()


def test_resources_that_moto_skips_are_created_by_api_calls(server):
    stack = server.deployed(DEFAULTS)

    bucket = stack.resources["ModelsBucket"].name
    assert server.client("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    uploads = stack.resources["UploadsBucket"].name
    to_queues = server.client("s3").get_bucket_notification_configuration(Bucket=uploads)[
        "QueueConfigurations"
    ]
    assert {to_queue["QueueArn"].rpartition(":")[2] for to_queue in to_queues} == {
        stack.resources["UploadsQueue"].name.rpartition("/")[2]
    }
    assert [to_queue.get("Filter") for to_queue in to_queues] == [None]
    alarms = server.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == len(stack.of_type("AWS::CloudWatch::Alarm")) > 0
    subscriptions = server.client("logs").describe_subscription_filters(
        logGroupName=stack.resources["PredictLogs"].name
    )["subscriptionFilters"]
    assert '{ $.route = "*" }' in {subscription["filterPattern"] for subscription in subscriptions}
    assert server.client("firehose").list_delivery_streams()["DeliveryStreamNames"] == ["maskwatch-records"]


def test_the_dashboard_refers_to_existing_resources(server):
    stack = server.deployed(DEFAULTS)

    body = json.loads(server.client("cloudwatch").get_dashboard(DashboardName="maskwatch")["DashboardBody"])

    assert stack.resources["PredictFunction"].name in json.dumps(body)
    assert "${" not in json.dumps(body)


def test_nobody_is_subscribed_without_an_address(server):
    stack = server.deployed(DEFAULTS)

    topic = stack.resources["AlarmsTopic"].name
    assert server.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_every_item_of_the_list_is_in_the_template():
    resources = stack_template()["Resources"].values()
    there = {resource["Type"] for resource in resources} | {
        f"{resource['Type']}.{name}" for resource in resources for name in resource.get("Properties", {})
    }
    assert GAPS.keys() <= there


def test_each_gap_has_its_reason():
    assert all(gap.reason for gap in GAPS.values())


def test_a_new_kind_of_resource_fails_the_start(server):
    server.empty()
    template = stack_template()
    template["Resources"]["Novelty"] = {"Type": "AWS::Athena::WorkGroup", "Properties": {}}

    with pytest.raises(StackError, match=r"nor in GAPS .*: Novelty \(AWS::Athena::WorkGroup\)"):
        deploy(template, {}, server.client)


def test_a_stream_with_unsupported_properties_fails_the_start(server):
    server.empty()
    template = stack_template()
    stream = template["Resources"]["RecordsStream"]["Properties"]
    stream["ExtendedS3DestinationConfiguration"]["CompressionFormat"] = "UNCOMPRESSED"

    with pytest.raises(StackError, match=r"RecordsStream: .* only GZIP is supported"):
        deploy(template, {}, server.client)


def test_an_unknown_parameter_is_refused():
    with pytest.raises(TemplateError, match="no such parameter: Typo"):
        transformed_template(TEMPLATE, {"Typo": "1"})
