"""Deploys the template into moto: with moto's CloudFormation, and with API calls for what that does not support."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.local import firehose
from infra.local.errors import DeliveryError, StackError
from infra.local.function import FunctionConfig
from infra.local.template import (
    ACCOUNT,
    REGION,
    STACK_NAME,
    parameter_values,
    resolve,
    true_conditions,
    unresolved,
)

if TYPE_CHECKING:
    from pathlib import Path

Client = Callable[[str], Any]  # from the name of a service to its boto3 client


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
            **{"AlarmName": f"{STACK_NAME}-{name}", **_numbers(properties)}
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
        ref=lambda properties: _function_arn(f"{properties['FunctionName']}:{properties['Name']}"),
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


@dataclass(frozen=True)
class Resource:
    """A resource whose condition holds; `name` is its physical id."""

    type: str
    name: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Stack:
    """The resources by logical id, with all references resolved, and the attributes that references resolve to."""

    resources: Mapping[str, Resource]
    attributes: Mapping[str, Any]

    def of_type(self, resource_type: str) -> list[Resource]:
        """Return the resources of a type, in the template's order."""
        return [resource for resource in self.resources.values() if resource.type == resource_type]


def deploy(template: Mapping[str, Any], parameters: Mapping[str, str], client: Client) -> Stack:
    """Deploy a transformed template into moto.

    Args:
        template: The result of `transformed_template`.
        parameters: The parameters that it was given.
        client: Returns moto's boto3 client for a service.

    Raises:
        StackError: A resource is neither supported by moto nor in `GAPS`, or moto refuses it.
    """
    known: dict[str, Any] = dict(parameter_values(template, parameters))
    known |= {f"Mappings.{name}": table for name, table in template.get("Mappings", {}).items()}
    conditions = true_conditions(template, known)
    declared = {
        name: resolve(resource, known, conditions)
        for name, resource in template["Resources"].items()
        if conditions.get(resource.get("Condition"), True)
    }
    listed = {name for name, resource in declared.items() if resource["Type"] in GAPS}

    outputs = {
        name: {key: part for key, part in output.items() if key != "Condition"}
        for name, output in resolve(template.get("Outputs", {}), known, conditions).items()
        if conditions.get(output.get("Condition"), True)
        and not listed & {reference.partition(".")[0] for reference in unresolved(output)}
    }
    values = {name: known[name] for name in template.get("Parameters", {})}
    attributes = _put_into_moto(declared, listed, outputs, values, client)
    for name in listed:
        gap, properties = GAPS[declared[name]["Type"]], declared[name].get("Properties", {})
        attributes[name] = gap.ref(resolve(properties, attributes, {})) if gap.ref else name
        if gap.arn:
            attributes[f"{name}.Arn"] = gap.arn(attributes[name], resolve(properties, attributes, {}))
    attributes |= _stand_ins(declared.values(), listed, attributes)

    resources = {}
    for name, resource in declared.items():
        properties = resolve(resource.get("Properties", {}), attributes, {})
        if left := unresolved(properties):
            raise StackError(f"{name} has references that the local stack cannot resolve: {', '.join(left)}")
        resources[name] = Resource(resource["Type"], attributes[name], properties)
        _complete(name, resources[name], client)
    return Stack(resources, attributes)


def resolved(template: Mapping[str, Any], parameters: Mapping[str, str], stack: Stack) -> Stack:
    """Return a deployed stack's properties with other parameters; the resources themselves stay the same."""
    known = {**parameter_values(template, parameters), **stack.attributes}
    conditions = true_conditions(template, known)
    resources = {}
    for name, resource in stack.resources.items():
        properties = template["Resources"].get(name, {}).get("Properties", {})
        resources[name] = Resource(resource.type, resource.name, resolve(properties, known, conditions))
    return Stack(resources, stack.attributes)


def function_configs(stack: Stack, project: Path, endpoint: str, url: str) -> list[FunctionConfig]:
    """Return the configuration of every function, except CodeDeploy's hook, since there is no CodeDeploy here.

    Args:
        stack: The result of `deploy`.
        project: The template's folder.
        endpoint: moto's URL, for the functions' AWS clients.
        url: The local API's URL, which replaces the one on AWS in environment variables.

    Raises:
        StackError: An image's handler is not in the template (`ImageConfig.Command`).
    """
    (stage,) = stack.of_type("AWS::ApiGateway::Stage")
    on_aws = f"https://{stage.properties['RestApiId']}.execute-api.{REGION}.amazonaws.com/{stage.name}/"
    configs = []
    for function in stack.of_type("AWS::Lambda::Function"):
        properties = function.properties
        if function.name.startswith("CodeDeployHook_"):
            continue
        handler = properties.get("Handler") or properties.get("ImageConfig", {}).get("Command", [None])[0]
        if not handler:
            raise StackError(f"{function.name}: name its handler in ImageConfig.Command")
        variables = properties.get("Environment", {}).get("Variables", {})
        config = FunctionConfig(
            name=function.name,
            arn=_function_arn(function.name),
            handler=handler,
            code=project / properties["Code"].get("S3Key", "."),
            environment={
                "AWS_ENDPOINT_URL": endpoint,
                **{k: str(v).replace(on_aws, url) for k, v in variables.items()},
            },
            timeout=float(properties.get("Timeout", 3)),
            memory=int(properties.get("MemorySize", 128)),
            log_group=properties.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function.name}"),
        )
        configs.append(config)
    return configs


def _put_into_moto(
    resources: Mapping[str, Any],
    listed: set[str],
    outputs: Mapping[str, Any],
    parameters: Mapping[str, str],
    client: Client,
) -> dict[str, Any]:
    """Create the stack; return the physical ids, and the attributes that the template references."""
    stand_ins = {name: name for name in listed} | _stand_ins(resources.values(), listed, {})
    taken = {name: _taken(resources[name], listed, stand_ins) for name in resources if name not in listed}
    references = {
        reference
        for reference in unresolved(list(resources.values()))
        if "." in reference and reference not in stand_ins
    }
    attributes = {
        f"Attribute{number}": {"Value": {"Fn::GetAtt": reference.split(".", 1)}, "Description": reference}
        for number, reference in enumerate(sorted(references))
    }
    cloudformation = client("cloudformation")
    try:
        cloudformation.create_stack(
            StackName=STACK_NAME,
            TemplateBody=json.dumps(
                {
                    "Parameters": {name: {"Type": "String", "Default": ""} for name in parameters},
                    "Resources": taken,
                    "Outputs": {**outputs, **attributes},
                }
            ),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
            ],
        )
    except ClientError as error:
        raise StackError(f"moto does not take the template: {error}") from error
    names = {  # moto lists a resource of an unknown type without an id
        created["LogicalResourceId"]: created["PhysicalResourceId"]
        for created in cloudformation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
        if "LogicalResourceId" in created
    }
    if missing := sorted(taken.keys() - names.keys()):
        raise StackError(
            "neither supported by moto's CloudFormation nor in GAPS in infra/local/stack.py: "
            + ", ".join(f"{name} ({taken[name]['Type']})" for name in missing)
        )
    (stack,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    values = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return names | {output["Description"]: values[key] for key, output in attributes.items()}


def _taken(resource: Mapping[str, Any], listed: set[str], stand_ins: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a resource that moto supports."""
    properties = {
        name: value
        for name, value in resource.get("Properties", {}).items()
        if f"{resource['Type']}.{name}" not in GAPS
    }
    if resource["Type"] == "AWS::Lambda::Function":
        properties["Code"] = {"ImageUri": "local"}
    depends = resource.get("DependsOn", [])
    depends = [name for name in ([depends] if isinstance(depends, str) else depends) if name not in listed]
    taken = {"Type": resource["Type"], "Properties": properties, "DependsOn": depends}
    return dict(resolve(taken, stand_ins, {}))


def _stand_ins(values: Iterable[Any], listed: set[str], known: Mapping[str, Any]) -> dict[str, str]:
    """Return a value, its own name, for each attribute of a resource that moto lacks."""
    references = unresolved(list(values))
    return {name: name for name in references if name.partition(".")[0] in listed and name not in known}


def _complete(name: str, resource: Resource, client: Client) -> None:
    parts = {f"{resource.type}.{key}": (resource.name, value) for key, value in resource.properties.items()}
    for kind, (owner, value) in {resource.type: (name, resource.properties), **parts}.items():
        gap = GAPS.get(kind)
        if gap and gap.complete:
            try:
                gap.complete(client, owner, value)
            except (BotoCoreError, ClientError, DeliveryError) as error:
                raise StackError(f"{name}: the local stack does not take {kind}: {error}") from error


def _create_stream(client: Any, properties: Mapping[str, Any]) -> None:
    firehose.check(properties["ExtendedS3DestinationConfiguration"])
    client.create_delivery_stream(**properties)


def _put_rule(client: Any, name: str, properties: Mapping[str, Any]) -> None:
    about = {key: value for key, value in properties.items() if key != "Targets"}
    if "EventPattern" in about:
        about["EventPattern"] = json.dumps(about["EventPattern"])
    client.put_rule(Name=name, **about)
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


def _numbers(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alarm's properties in the API's form: a threshold from a parameter is still a string."""
    return {**alarm, "Threshold": float(alarm["Threshold"])}


def _function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
