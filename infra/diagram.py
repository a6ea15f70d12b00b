"""Draw the stack with all its options: `python -m infra.diagram` updates the diagram in docs/architecture.md.

An arrow is a permission, a subscription or a route in the template, and points in the direction of the data.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.expand import TEMPLATE, VARIANTS, expand
from infra.local.template import unresolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Arrow = tuple[str, str, str]  # the logical ids of its start and end, and its label

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "architecture.md"
_BLOCK: Final = re.compile(r"(?<=<!-- python -m infra\.diagram -->\n).*?(?=<!-- end -->)", re.DOTALL)
_SHAPES: Final = {  # Mermaid's brackets around the name, by resource type; other types are not drawn
    "AWS::ApiGateway::RestApi": ("[/", "/]"),
    "AWS::DynamoDB::Table": ("[(", ")]"),
    "AWS::Events::Rule": ("((", "))"),
    "AWS::KinesisFirehose::DeliveryStream": ("[/", "/]"),
    "AWS::Lambda::Function": ("[", "]"),
    "AWS::S3::Bucket": ("[(", ")]"),
    "AWS::SNS::Topic": (">", "]"),
    "AWS::SQS::Queue": ("[[", "]]"),
    "AWS::Scheduler::Schedule": ("((", "))"),
    "AWS::StepFunctions::StateMachine": ("{{", "}}"),
}
_SENDS: Final = {  # by resource type, the property that names its targets
    "AWS::ApiGateway::RestApi": "Body",
    "AWS::Events::Rule": "Targets",
    "AWS::KinesisFirehose::DeliveryStream": "ExtendedS3DestinationConfiguration",
    "AWS::S3::Bucket": "NotificationConfiguration",
    "AWS::SQS::Queue": "RedrivePolicy",
    "AWS::Scheduler::Schedule": "Target",
}
_READS: Final = {"s3:GetObject", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"}
_WRITES: Final = {
    "s3:PutObject", "lambda:InvokeFunction", "sqs:SendMessage", "sns:Publish",
    "dynamodb:PutItem", "dynamodb:UpdateItem",
}  # fmt: skip


def diagram(template: Mapping[str, Any]) -> str:
    """Return an expanded template as a Mermaid flow chart."""
    resources = template["Resources"]
    drawn = {
        name: resource["Type"]
        for name, resource in resources.items()
        if resource["Type"] in _SHAPES and "ZipFile" not in resource.get("Properties", {}).get("Code", {})
    }
    aliases = {
        name: resource["Properties"]["FunctionName"]["Ref"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Alias"
    }
    pairs: dict[tuple[str, str], str] = {}
    for start, end, text in _arrows(resources):
        pair = aliases.get(start, start), aliases.get(end, end)
        if pair[0] != pair[1] and set(pair) <= drawn.keys():
            pairs.setdefault(pair, text)
    lines = ["flowchart LR"]
    for name, kind in drawn.items():
        if any(name in pair for pair in pairs):
            left, right = _SHAPES[kind]
            lines.append(f"  {name}{left}{_title(name)}{right}")
    for (start, end), text in pairs.items():
        both = (end, start) in pairs
        if not both or start < end:
            label = f"|{text}|" if text else ""
            lines.append(f"  {start} {'<-->' if both else '-->'}{label} {end}")
    return "\n".join(lines)


def _arrows(resources: Mapping[str, Any]) -> Iterator[Arrow]:
    writers = {  # the function that writes into a log group, by log group
        reference: name
        for name, resource in resources.items()
        for reference in _references(resource, "LoggingConfig")
    }
    for name, resource in resources.items():
        if part := _SENDS.get(resource["Type"]):
            text = "dead letters" if part == "RedrivePolicy" else ""
            yield from ((name, reference, text) for reference in _references(resource, part))
        for role in _references(resource, "Role") + _references(resource, "RoleArn"):
            yield from _arrows_of_role(name, resources[role])
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            (queue,) = _references(resource, "EventSourceArn")
            yield from ((queue, reference, "") for reference in _references(resource, "FunctionName"))
        if resource["Type"] == "AWS::Logs::SubscriptionFilter":
            (group,) = _references(resource, "LogGroupName")
            yield from ((writers[group], to, "records") for to in _references(resource, "DestinationArn"))


def _arrows_of_role(owner: str, role: Mapping[str, Any]) -> Iterator[Arrow]:
    for policy in role["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for reference in dict.fromkeys(_references({"Properties": statement}, "Resource")):
                if _READS & set(actions):
                    yield reference, owner, ""
                if _WRITES & set(actions):
                    yield owner, reference, ""


def _references(resource: Mapping[str, Any], key: str) -> list[str]:
    references = unresolved(resource.get("Properties", {}).get(key, {}))
    return [reference.partition(".")[0] for reference in references]


def _title(name: str) -> str:
    """Return a logical id as words: UploadsDeadLetters becomes "Uploads dead letters"."""
    name = name.removesuffix("Function")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def main() -> None:
    """Update the diagram in the document."""
    block = f"```mermaid\n{diagram(expand(TEMPLATE, VARIANTS['options']))}\n```\n"
    DOCUMENT.write_text(_BLOCK.sub(lambda _: block, DOCUMENT.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
