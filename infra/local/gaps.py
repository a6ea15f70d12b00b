"""What moto's CloudFormation does not support: why each is not needed here, or the API call that takes its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.local import firehose
from infra.local.template import ACCOUNT, REGION, STACK_NAME, function_arn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.local.aws import Client


@dataclass(frozen=True)
class Gap:
    """A resource type or property that moto's CloudFormation does not support.

    Attributes:
        reason: Why it is not needed locally, or what takes its place.
        complete: Adds it by API call. Called with the clients, the resource's name and its resolved properties; for a
            property, with its resource's name and its value.
        ref: Returns the value of `Ref`; default: the logical id.
        arn: Returns the value of `GetAtt … Arn`, given that of `Ref` and the properties; default: "<logical id>.Arn".
    """

    reason: str
    complete: Callable[[Client, str, Any], Any] | None = None
    ref: Callable[[Mapping[str, Any]], str] | None = None
    arn: Callable[[str, Mapping[str, Any]], str] | None = None


_GATEWAY: Final = "moto's CloudFormation fails on the REST API that SAM generates; gateway.py serves it"

GAPS: Final[dict[str, Gap]] = {
    "AWS::ApiGateway::Account": Gap(_GATEWAY),
    "AWS::ApiGateway::ApiKey": Gap("moto's CloudFormation skips it; the gateway's only key is `local`"),
    "AWS::ApiGateway::Deployment": Gap(_GATEWAY),
    "AWS::ApiGateway::RestApi": Gap(_GATEWAY),
    "AWS::ApiGateway::Stage": Gap(_GATEWAY, ref=lambda properties: properties["StageName"]),
    "AWS::ApiGateway::UsagePlan": Gap("throttle and quota are API Gateway's own; nothing is counted locally"),
    "AWS::ApiGateway::UsagePlanKey": Gap("see AWS::ApiGateway::UsagePlan"),
    "AWS::ApplicationAutoScaling::ScalableTarget": Gap("a function has a fixed number of processes here"),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Gap("see AWS::ApplicationAutoScaling::ScalableTarget"),
    "AWS::Budgets::Budget": Gap("nothing is paid for here"),
    "AWS::CloudWatch::Alarm": Gap(
        "moto's CloudFormation skips it",
        complete=lambda client, name, properties: client("cloudwatch").put_metric_alarm(
            AlarmName=f"{STACK_NAME}-{name}",
            # A threshold from a parameter is still a string.
            **{**properties, "Threshold": float(properties["Threshold"])},
        ),
        arn=lambda name, _: f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{STACK_NAME}-{name}",
    ),
    "AWS::CloudWatch::CompositeAlarm": Gap("moto has none, and leaves alarms in the state they are set to"),
    "AWS::CodeDeploy::Application": Gap("one version runs here: there is no traffic to move"),
    "AWS::CodeDeploy::DeploymentGroup": Gap("see AWS::CodeDeploy::Application"),
    "AWS::Events::Rule": Gap(
        "moto's CloudFormation would create it before the ARNs in its pattern are known",
        complete=lambda client, name, properties: _put_rule(client("events"), name, properties),
    ),
    "AWS::Glue::Database": Gap("there is no Athena here; the records are files of lines of JSON"),
    "AWS::Glue::Table": Gap("see AWS::Glue::Database"),
    "AWS::KMS::Key.Tags": Gap("moto's CloudFormation fails on them; roles are not enforced here"),
    "AWS::KinesisFirehose::DeliveryStream": Gap(
        "moto's CloudFormation does not know it; see firehose.py",
        complete=lambda client, _, properties: _create_stream(client("firehose"), properties),
        ref=lambda properties: properties["DeliveryStreamName"],
        arn=lambda name, _: f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{name}",
    ),
    "AWS::Lambda::Alias": Gap(
        "moto's CloudFormation fails on it",
        ref=lambda properties: function_arn(f"{properties['FunctionName']}:{properties['Name']}"),
    ),
    "AWS::Lambda::EventSourceMapping": Gap(
        "moto would start the function in Docker; poller.py reads the queue"
    ),
    "AWS::Lambda::Permission": Gap("names an alias, which moto lacks; permissions are not enforced here"),
    "AWS::Lambda::Version": Gap("moto fails on a version of an image; the working tree is what runs"),
    "AWS::Lambda::Function.Code": Gap("the code is the working tree; moto would look for a bucket"),
    "AWS::Logs::LogStream": Gap("moto's CloudFormation does not know it; Firehose writes no errors here"),
    "AWS::Logs::SubscriptionFilter": Gap(
        "moto's CloudFormation does not know it",
        complete=lambda client, name, properties: _subscribe(client("logs"), name, properties),
    ),
    "AWS::S3::Bucket.CorsConfiguration": Gap(
        "skipped by moto's CloudFormation",
        complete=lambda client, bucket, value: client("s3").put_bucket_cors(
            Bucket=bucket, CORSConfiguration=_cors(value)
        ),
    ),
    "AWS::S3::Bucket.InventoryConfigurations": Gap(
        "skipped by moto's CloudFormation, which makes no inventories"
    ),
    "AWS::S3::Bucket.LifecycleConfiguration": Gap("skipped by moto's CloudFormation; nothing lives so long"),
    "AWS::S3::Bucket.NotificationConfiguration": Gap(
        "skipped by moto's CloudFormation",
        complete=lambda client, bucket, value: client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=_notifications(value)
        ),
    ),
    "AWS::S3::Bucket.OwnershipControls": Gap("skipped by moto's CloudFormation; there is one account here"),
    "AWS::S3::Bucket.PublicAccessBlockConfiguration": Gap(
        "skipped by moto's CloudFormation",
        complete=lambda client, bucket, value: client("s3").put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=value
        ),
    ),
    "AWS::S3::Bucket.VersioningConfiguration": Gap(
        "skipped by moto's CloudFormation",
        complete=lambda client, bucket, value: client("s3").put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration=value
        ),
    ),
    "AWS::S3::BucketPolicy": Gap("moto ignores conditions: TlsOnly would refuse everybody"),
    "AWS::Scheduler::Schedule": Gap("clock.py runs those of minutes; `make drift` does what the other would"),
    "AWS::SNS::TopicPolicy": Gap("moto's CloudFormation does not support it; policies are not enforced here"),
    "AWS::SQS::QueuePolicy": Gap("moto's CloudFormation does not support it; policies are not enforced here"),
    "AWS::StepFunctions::StateMachine.Definition": Gap(
        "moto's CloudFormation knows only DefinitionString; backfill.py runs it",
        complete=lambda client, arn, value: client("stepfunctions").update_state_machine(
            stateMachineArn=arn, definition=json.dumps(value)
        ),
    ),
    "AWS::WAFv2::WebACL": Gap("nothing is counted locally"),
    "AWS::WAFv2::WebACLAssociation": Gap("the web ACL is the account's, not the stack's"),
}


def _create_stream(client: Any, properties: Mapping[str, Any]) -> None:
    firehose.check(properties["ExtendedS3DestinationConfiguration"])
    client.create_delivery_stream(**properties)


def _put_rule(client: Any, name: str, properties: Mapping[str, Any]) -> None:
    rule = {key: value for key, value in properties.items() if key != "Targets"}
    if "EventPattern" in rule:
        rule["EventPattern"] = json.dumps(rule["EventPattern"])
    client.put_rule(Name=name, **rule)
    client.put_targets(Rule=name, Targets=properties["Targets"])


def _subscribe(client: Any, name: str, properties: Mapping[str, Any]) -> None:
    firehose.filter_of(properties["FilterPattern"])
    client.put_subscription_filter(
        filterName=name, **{key[0].lower() + key[1:]: value for key, value in properties.items()}
    )


def _cors(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bucket's CORS rules in the API's form."""
    renamed = {"MaxAge": "MaxAgeSeconds"}
    rules = configuration["CorsRules"]
    return {"CORSRules": [{renamed.get(name, name): value for name, value in rule.items()} for rule in rules]}


def _notifications(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bucket's notifications to queues in the API's form."""
    return {
        "QueueConfigurations": [
            {"QueueArn": to_queue["Queue"], "Events": [to_queue["Event"]]}
            for to_queue in configuration["QueueConfigurations"]
        ]
    }
