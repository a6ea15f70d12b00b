"""Deploys the template into moto: with moto's CloudFormation, and with API calls for what that does not support."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.errors import StackError
from infra.local.function import PROJECT, FunctionConfig
from infra.local.gaps import GAPS
from infra.local.template import (
    REGION,
    STACK_NAME,
    function_arn,
    parameter_values,
    resolve,
    true_conditions,
    unresolved,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.local.aws import Client


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
    conditions = true_conditions(template, known)
    declared = {
        name: resolve(resource, known, conditions)
        for name, resource in template["Resources"].items()
        if conditions.get(resource.get("Condition"), True)
    }
    unsupported = {name for name, resource in declared.items() if resource["Type"] in GAPS}

    outputs = {
        name: {key: part for key, part in output.items() if key != "Condition"}
        for name, output in resolve(template.get("Outputs", {}), known, conditions).items()
        if conditions.get(output.get("Condition"), True)
        and not unsupported & {reference.partition(".")[0] for reference in unresolved(output)}
    }
    values = {name: known[name] for name in template.get("Parameters", {})}
    attributes = _put_into_moto(declared, unsupported, outputs, values, client)
    for name in unsupported:
        gap, properties = GAPS[declared[name]["Type"]], declared[name].get("Properties", {})
        attributes[name] = gap.ref(resolve(properties, attributes, {})) if gap.ref else name
        if gap.arn:
            attributes[f"{name}.Arn"] = gap.arn(attributes[name], resolve(properties, attributes, {}))
    attributes |= _stand_ins(declared.values(), unsupported, attributes)

    resources = {}
    for name, resource in declared.items():
        properties = resolve(resource.get("Properties", {}), attributes, {})
        if left := unresolved(properties):
            raise StackError(f"{name} has references that the local stack cannot resolve: {', '.join(left)}")
        resources[name] = Resource(resource["Type"], attributes[name], properties)
        _complete(name, resources[name], client)
    return Stack(resources, attributes)


def with_parameters(stack: Stack, template: Mapping[str, Any], parameters: Mapping[str, str]) -> Stack:
    """Return a deployed stack with the properties that other parameters give to its resources."""
    known = {**parameter_values(template, parameters), **stack.attributes}
    conditions = true_conditions(template, known)
    resources = {}
    for name, resource in stack.resources.items():
        properties = template["Resources"].get(name, {}).get("Properties", {})
        resources[name] = Resource(resource.type, resource.name, resolve(properties, known, conditions))
    return Stack(resources, stack.attributes)


def function_configs(stack: Stack, endpoint: str, url: str) -> list[FunctionConfig]:
    """Return the configuration of every function, except CodeDeploy's hook, since there is no CodeDeploy here.

    Args:
        stack: The result of `deploy`.
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
            arn=function_arn(function.name),
            handler=handler,
            code=PROJECT / properties["Code"].get("S3Key", "."),
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
    unsupported: set[str],
    outputs: Mapping[str, Any],
    parameters: Mapping[str, str],
    client: Client,
) -> dict[str, Any]:
    """Create the stack; return the physical ids, and the attributes that the template references."""
    stand_ins = {name: name for name in unsupported} | _stand_ins(resources.values(), unsupported, {})
    taken = {
        name: _taken(resources[name], unsupported, stand_ins) for name in resources if name not in unsupported
    }
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
            "neither supported by moto's CloudFormation nor in GAPS in infra/local/gaps.py: "
            + ", ".join(f"{name} ({taken[name]['Type']})" for name in missing)
        )
    (stack,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    values = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return names | {output["Description"]: values[key] for key, output in attributes.items()}


def _taken(
    resource: Mapping[str, Any], unsupported: set[str], stand_ins: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the part of a resource that moto supports."""
    properties = {
        name: value
        for name, value in resource.get("Properties", {}).items()
        if f"{resource['Type']}.{name}" not in GAPS
    }
    if resource["Type"] == "AWS::Lambda::Function":
        properties["Code"] = {"ImageUri": "local"}
    depends = resource.get("DependsOn", [])
    depends = [
        name for name in ([depends] if isinstance(depends, str) else depends) if name not in unsupported
    ]
    taken = {"Type": resource["Type"], "Properties": properties, "DependsOn": depends}
    return dict(resolve(taken, stand_ins, {}))


def _stand_ins(values: Iterable[Any], unsupported: set[str], known: Mapping[str, Any]) -> dict[str, str]:
    """Return a value, its own name, for each attribute of a resource that moto lacks."""
    references = unresolved(list(values))
    return {name: name for name in references if name.partition(".")[0] in unsupported and name not in known}


def _complete(name: str, resource: Resource, client: Client) -> None:
    parts = {f"{resource.type}.{key}": (resource.name, value) for key, value in resource.properties.items()}
    for kind, (owner, value) in {resource.type: (name, resource.properties), **parts}.items():
        gap = GAPS.get(kind)
        if gap and gap.complete:
            try:
                gap.complete(client, owner, value)
            except (BotoCoreError, ClientError, StackError) as error:
                raise StackError(f"{name}: the local stack does not take {kind}: {error}") from error
