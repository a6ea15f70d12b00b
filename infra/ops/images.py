"""Pin the images of a package by digest, or protect those that a stack runs from the repository's lifecycle."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from samtranslator.yaml_helper import yaml_parse
from yaml import YAMLError, safe_dump

from infra.ops.errors import OpsError
from infra.ops.stack import add_stack

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def pin(template: dict[str, Any], ecr: Any) -> None:
    """Replace every image's `repository:tag`, which can be moved, by `repository@sha256:…`."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if properties.get("PackageType") == "Image" and "@" not in properties["ImageUri"]:
            repository, _, tag = properties["ImageUri"].rpartition(":")
            images = ecr.describe_images(repositoryName=_name(repository), imageIds=[{"imageTag": tag}])
            properties["ImageUri"] = f"{repository}@{images['imageDetails'][0]['imageDigest']}"


def keep(stack: str, cloudformation: Any, functions: Any, ecr: Any) -> list[str]:
    """Tag each image that a stack runs with `live-<stack>-<resource>`, which the lifecycle keeps; return the tags."""
    tags = []
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    for resource in (resource for page in pages for resource in page["StackResourceSummaries"]):
        if resource["ResourceType"] != "AWS::Lambda::Function":
            continue
        code = functions.get_function(FunctionName=resource["PhysicalResourceId"])["Code"]
        if "ResolvedImageUri" not in code:
            continue
        repository, _, digest = code["ResolvedImageUri"].partition("@")
        tag = f"live-{stack}-{resource['LogicalResourceId']}"
        name = _name(repository)
        (image,) = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageDigest": digest}])["images"]
        with suppress(ecr.exceptions.ImageAlreadyExistsException):  # it has the tag already
            ecr.put_image(repositoryName=name, imageManifest=image["imageManifest"], imageTag=tag)
        tags.append(tag)
    return tags


def _name(repository: str) -> str:
    return repository.partition("/")[2]


def add_options(parser: ArgumentParser) -> None:
    """Add the subcommands, with the package or the stack."""
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("pin", help="pin the images of a package by digest").add_argument(
        "package", type=Path
    )
    add_stack(commands.add_parser("keep", help="tag the images that a stack runs"))


def command(options: Namespace) -> None:
    """Pin the images of a package, or keep those of a stack.

    Raises:
        OpsError: The package is not a template.
    """
    ecr = boto3.client("ecr")
    if options.what == "keep":
        print("\n".join(keep(options.stack, boto3.client("cloudformation"), boto3.client("lambda"), ecr)))
        return
    try:
        template = yaml_parse(options.package.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, YAMLError):
        template = None
    if not isinstance(template, dict) or "Resources" not in template:
        raise OpsError(f"{options.package} is not a template; make package writes it")
    pin(template, ecr)
    options.package.write_text(safe_dump(template, sort_keys=False), encoding="utf-8")
