"""template.yaml in a form that MiniStack accepts, and the list of what MiniStack does not support."""

from __future__ import annotations

import re
import site
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from infra.local.template import transformed_template, unresolved
from tests.hostile import FAULTY

PROJECT: Final = Path(__file__).parents[2]
FILES: Final = "files"  # a bucket for what stacks are made from
ARCHIVE: Final = "empty.zip"  # in it: the code of every function

# What MiniStack 1.5.33 cannot take, each with the reason: types of resources, and of some a property.
GAPS: Final = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "it has no provisioned concurrency to scale",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "see AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::Budgets::Budget": "its CloudFormation does not know it",
    "AWS::CloudWatch::Alarm.Metrics": "it does no metric math, so an alarm on an expression is left out",
    "AWS::CloudWatch::CompositeAlarm": "its CloudFormation does not know it",
    "AWS::CodeDeploy::Application": "it has no CodeDeploy: an alias moves at once, and no hook is called",
    "AWS::CodeDeploy::DeploymentGroup": "see AWS::CodeDeploy::Application",
    "AWS::WAFv2::WebACLAssociation": "its CloudFormation does not know it",
}
_LACKING: Final = ("CODEDEPLOY", "SAGEMAKER")  # services that functions ask and MiniStack does not have
_VERBS: Final = ("delete", "get", "head", "patch", "post", "put")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


def emulated_template(parameters: dict[str, str], standin: str) -> dict[str, Any]:
    """Return template.yaml as CloudFormation that MiniStack accepts, with its parameters and conditions.

    Args:
        parameters: Those that do not have their default.
        standin: Where hooks reach CodeDeploy, and Promote reaches SageMaker, which MiniStack lacks.
    """
    template = transformed_template(PROJECT / "template.yaml", parameters)
    gone = {name for name, resource in template["Resources"].items() if _is_gap(resource)}
    known = {name: name for name in gone} | {
        name: _number(parameters.get(name, declared["Default"]))
        for name, declared in template["Parameters"].items()
        if declared["Type"] == "Number"  # MiniStack hands a parameter on as text
    }
    resources = {
        name: _replaced(resource, known)
        for name, resource in template["Resources"].items()
        if name not in gone
    }
    outputs = {
        name: output
        for name, output in template["Outputs"].items()
        if gone.isdisjoint(reference.partition(".")[0] for reference in unresolved(output))
    }
    of_type = defaultdict(dict)
    for name, resource in resources.items():
        of_type[resource["Type"]][name] = resource["Properties"]
        depends = resource.get("DependsOn", [])
        depends = [depends] if isinstance(depends, str) else depends
        resource["DependsOn"] = [other for other in depends if other not in gone]
    for function in of_type["AWS::Lambda::Function"].values():
        _run_from_working_tree(function, standin)
    for role in of_type["AWS::IAM::Role"].values():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                # MiniStack does not evaluate the service that a role is passed to.
                statement.pop("Condition", None)
    for machine in of_type["AWS::StepFunctions::StateMachine"].values():
        _batch_by_one(machine["Definition"]["States"])
    for name, api in of_type["AWS::ApiGateway::RestApi"].items():
        responses = _adapt_api(name, api)
        resources |= responses
        for deployment in of_type["AWS::ApiGateway::Deployment"]:
            resources[deployment]["DependsOn"] += responses  # it serves those that are there when it is made
    return {**template, "Resources": resources, "Outputs": outputs}


def _is_gap(resource: dict[str, Any]) -> bool:
    kind = resource["Type"]
    return not GAPS.keys().isdisjoint({kind, *(f"{kind}.{name}" for name in resource.get("Properties", {}))})


def _number(text: Any) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _replaced(value: Any, known: dict[str, Any]) -> Any:
    match value:
        case {"Ref": name} if name in known:
            return known[name]
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": _VARIABLE.sub(lambda found: str(known.get(found[1], found[0])), text)}
        case dict():
            return {key: _replaced(item, known) for key, item in value.items()}
        case list():
            return [_replaced(item, known) for item in value]
    return value


def _run_from_working_tree(function: dict[str, Any], standin: str) -> None:
    """Replace a function's image or archive by the working tree and this environment's packages."""
    variables = function.setdefault("Environment", {}).setdefault("Variables", {})
    variables |= {name: str(value) for name, value in variables.items() if isinstance(value, (int, float))}
    folder = function["Code"].get("S3Key", ".")  # see transformed_template
    path = [str(PROJECT / folder), *site.getsitepackages()]
    if variables.get("POWERTOOLS_SERVICE_NAME") == "batch":
        path.append(str(FAULTY))  # changes nothing but for two hostile files
    variables["PYTHONPATH"] = ":".join(path)
    variables |= {f"AWS_ENDPOINT_URL_{service}": standin for service in _LACKING}
    if function.pop("PackageType", "Zip") == "Image":
        function["Handler"] = function.pop("ImageConfig")["Command"][0]
    function |= {
        "Code": {"S3Bucket": FILES, "S3Key": ARCHIVE},
        "Runtime": "python3.13",
        "Timeout": 300,  # seconds: this machine may be far slower than Lambda
    }


def _batch_by_one(states: dict[str, Any]) -> None:
    """Make each item a batch of its own, because MiniStack does not support ItemBatcher."""
    for state in states.values():
        if batcher := state.pop("ItemBatcher", None):
            state["ItemSelector"] = {
                "BatchInput": batcher["BatchInput"],
                "Items.$": "States.Array($$.Map.Item.Value)",
            }


def _adapt_api(name: str, api: dict[str, Any]) -> dict[str, Any]:
    """Write an API as MiniStack imports it, and return its gateway responses, which it accepts as resources."""
    body = api["Body"]
    binary = body.pop("x-amazon-apigateway-binary-media-types")
    api["BinaryMediaTypes"] = [kind.replace("~1", "/") for kind in binary]
    for path in body["paths"].values():
        any_method = path.pop("x-amazon-apigateway-any-method")
        path |= {verb: any_method for verb in _VERBS if verb not in path}
    return {
        f"{name}{kind.title().replace('_', '')}": {
            "Type": "AWS::ApiGateway::GatewayResponse",
            "Properties": {
                "RestApiId": {"Ref": name},
                "ResponseType": kind,
                "StatusCode": str(response["statusCode"]),
                "ResponseParameters": response["responseParameters"],
                "ResponseTemplates": response["responseTemplates"],
            },
        }
        for kind, response in body.pop("x-amazon-apigateway-gateway-responses").items()
    }
