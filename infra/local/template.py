"""template.yaml as CloudFormation sees it: files included, SAM transformed, references resolved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import boto3
import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import intrinsics_multi_constructor

from infra.local.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"  # moto's own
STACK_NAME: Final = "maskwatch"
_NO_VALUE: Final = object()
_VARIABLE: Final = re.compile(r"\$\{([^!}][^}]*)\}")


class _Loader(yaml.CSafeLoader):
    """SAM's own loader, `!Sub` and all, but ten times as fast."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def transformed_template(path: Path, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Read a SAM template and return plain CloudFormation, with its conditions.

    `CodeUri` and `ImageUri`, which `sam build` would set, get placeholders: the S3 key of a function's code is its
    folder, relative to the template's.

    Raises:
        TemplateError: A parameter has no value, or SAM refuses the template.
    """
    source = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 -- a safe loader
    return transform(_included(source, path.parent), parameters)


def transform(template: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return a SAM template without includes as plain CloudFormation, and change it; see `transformed_template`."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            if properties.get("PackageType") == "Image":
                properties["ImageUri"] = "local"
            elif "CodeUri" in properties:
                properties["CodeUri"] = f"s3://local/{properties['CodeUri']}"
    values = parameter_values(template, parameters)
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    try:
        transformed: dict[str, Any] = translator.translate(template, values, passthrough_metadata=True)
    except InvalidDocumentException as error:
        raise TemplateError("; ".join(cause.message for cause in error.causes)) from error
    return transformed


def parameter_values(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return the values of all parameters, given or default, and of the pseudo parameters.

    Raises:
        TemplateError: A given parameter does not exist, or one without a default is not given.
    """
    declared = template.get("Parameters", {})
    if unknown := set(given) - set(declared):
        raise TemplateError(f"no such parameter: {', '.join(sorted(unknown))}")
    values = {
        "AWS::AccountId": ACCOUNT,
        "AWS::Partition": "aws",
        "AWS::Region": REGION,
        "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK_NAME}/local",
        "AWS::StackName": STACK_NAME,
        "AWS::URLSuffix": "amazonaws.com",
    }
    for name, parameter in declared.items():
        if name not in given and "Default" not in parameter:
            raise TemplateError(f"parameter {name} has no default: give it with --parameter {name}=…")
        values[name] = str(given.get(name, parameter.get("Default")))
    return values


def true_conditions(template: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, bool]:
    """Evaluate all conditions of the template."""
    conditions = template.get("Conditions", {})

    def holds(test: Any) -> bool:
        match test:
            case {"Condition": name}:
                return holds(conditions[name])
            case {"Fn::Equals": [left, right]}:
                return str(resolve(left, known, {})) == str(resolve(right, known, {}))
            case {"Fn::Not": [inner]}:
                return not holds(inner)
            case {"Fn::And": tests}:
                return all(holds(inner) for inner in tests)
            case {"Fn::Or": tests}:
                return any(holds(inner) for inner in tests)
        raise TemplateError(f"unknown condition function: {test}")

    return {name: holds(test) for name, test in conditions.items()}


def resolve(  # noqa: PLR0911 -- one for each form
    value: Any, known: Mapping[str, Any], conditions: Mapping[str, bool]
) -> Any:
    """Return `value` with intrinsic functions evaluated where `known` has all they refer to; the others stay.

    `known` holds parameters and physical ids by name, attributes as `"Resource.Attribute"`. A value that is
    `AWS::NoValue` is removed from its mapping or list.
    """
    match value:
        case {"Ref": "AWS::NoValue"}:
            return _NO_VALUE
        case {"Ref": name}:
            return known.get(name, value)
        case {"Fn::GetAtt": [name, attribute]}:
            return known.get(f"{name}.{attribute}", value)
        case {"Fn::If": [condition, yes, no]}:
            return resolve(yes if conditions[condition] else no, known, conditions)
        case {"Fn::Sub": argument}:
            return _substituted(argument, known, conditions)
        case dict() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
            function, argument = next(iter(value.items()))
            argument = resolve(argument, known, conditions)
            return {function: argument} if unresolved(argument) else _called(function, argument)
        case dict():
            items = ((key, resolve(item, known, conditions)) for key, item in value.items())
            return {key: item for key, item in items if item is not _NO_VALUE}
        case list():
            return [item for item in (resolve(i, known, conditions) for i in value) if item is not _NO_VALUE]
    return value


def unresolved(value: Any) -> list[str]:  # noqa: PLR0911 -- one for each form
    """Return the references that are left in `value`: `"Resource"` or `"Resource.Attribute"`."""
    match value:
        case {"Ref": name}:
            return [name]
        case {"Fn::GetAtt": [name, attribute]}:
            return [f"{name}.{attribute}"]
        case {"Fn::Sub": [text, variables]}:
            return unresolved(variables) + [n for n in _VARIABLE.findall(text) if n not in variables]
        case {"Fn::Sub": text}:
            return _VARIABLE.findall(text)
        case dict():
            return [name for item in value.values() for name in unresolved(item)]
        case list():
            return [name for item in value for name in unresolved(item)]
    return []


def _included(value: Any, folder: Path) -> Any:
    """Replace `Fn::Transform: AWS::Include` by the content of local files."""
    match value:
        case {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": str(location)}}}:
            # A loader without `!Sub`, since AWS::Include accepts no short forms in included files.
            return yaml.load((folder / location).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        case dict():
            return {key: _included(item, folder) for key, item in value.items()}
        case list():
            return [_included(item, folder) for item in value]
    return value


def _substituted(argument: Any, known: Mapping[str, Any], conditions: Mapping[str, bool]) -> Any:
    text, variables = argument if isinstance(argument, list) else (argument, {})
    variables = resolve(variables, known, conditions)
    values = {**known, **{name: value for name, value in variables.items() if not unresolved(value)}}
    text = _VARIABLE.sub(lambda match: str(values.get(match[1], match[0])), text)
    left = {name: value for name, value in variables.items() if name not in values}
    if left:
        return {"Fn::Sub": [text, left]}
    return {"Fn::Sub": text} if _VARIABLE.search(text) else text.replace("${!", "${")


def _called(function: str, argument: Any) -> Any:
    match function, argument:
        case "Fn::Join", [separator, parts]:
            return separator.join(str(part) for part in parts)
        case "Fn::Split", [separator, text]:
            return text.split(separator)
        case "Fn::Select", [index, items]:
            return items[int(index)]
    raise TemplateError(f"the local stack does not support the intrinsic function {function}")


def function_arn(name: str) -> str:
    """Return the ARN of a function, or of an alias: `function:alias`."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
