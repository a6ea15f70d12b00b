"""Set up training on AWS, `make training-setup`: `python -m training.aws.setup --stack maskwatch-dev`.

Creates an ECR repository for the training image, a role for jobs and pipelines, and a group of model packages.
Existing ones stay, except that the policies of role and repository are updated. Prints the role's ARN and the image's
name.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from infra.ops.errors import AWS_ERRORS, OpsError, explain
from infra.ops.region import use_region
from infra.ops.stack import outputs_of
from training.aws.registry import ensure_group

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Setup:
    """The role's ARN, and the image's name without a tag."""

    role: str
    image: str


@dataclass(frozen=True)
class Access:
    """What jobs may use besides the stack's own.

    Attributes:
        pictures: Buckets of pictures, to read.
        key: ARN of a KMS key for volumes and outputs; empty for the services' own.
        vpc: Whether jobs may run in a VPC.
    """

    pictures: Sequence[str] = ()
    key: str = ""
    vpc: bool = False


def policy(bucket: str, access: Access, stack: str, account: str, region: str) -> dict[str, Any]:
    """Return the policy of a stack's jobs and pipelines, with only the rights that they need.

    Args:
        bucket: The stack's models bucket, to read and write.
        access: What else they may use.
        stack: Name of the stack.
        account: AWS account.
        region: AWS region.
    """
    prefix = f"arn:{boto3.Session().get_partition_for_region(region)}"  # arn:aws-cn in China
    own = f"{region}:{account}"
    buckets = [f"{prefix}:s3:::{name}" for name in (bucket, *access.pictures)]
    sagemaker = [
        f"{prefix}:sagemaker:{own}:{kind}/{name}*"
        for kind in ("training-job", "processing-job", "pipeline", "model-package", "model-package-group")
        for name in (stack, "maskwatch", "pipelines-")
    ]
    statements: dict[str, tuple[list[str], list[str]]] = {
        "Read": (["s3:GetObject", "s3:ListBucket"], [*buckets, *(f"{arn}/*" for arn in buckets)]),
        "Write": (["s3:PutObject", "s3:AbortMultipartUpload"], [f"{prefix}:s3:::{bucket}/*"]),
        "Image": (
            ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
            [f"{prefix}:ecr:{own}:repository/{resource_name(stack)}"],
        ),
        "Login": (["ecr:GetAuthorizationToken"], ["*"]),
        "Logs": (
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            [f"{prefix}:logs:{own}:log-group:/aws/sagemaker/*"],
        ),
        "Metrics": (["cloudwatch:PutMetricData"], ["*"]),
        "WhatServes": (["cloudformation:DescribeStacks"], [f"{prefix}:cloudformation:{own}:stack/{stack}/*"]),
        "Steps": (
            [
                *(f"sagemaker:{verb}{kind}" for kind in ("TrainingJob", "ProcessingJob") for verb in _VERBS),
                "sagemaker:AddTags",
                "sagemaker:CreateModelPackage",
                "sagemaker:DescribeModelPackage",
            ],
            sagemaker,
        ),
        "Track": (["sagemaker-mlflow:*"], [f"{prefix}:sagemaker:{own}:mlflow-tracking-server/*"]),
        "PassItself": (["iam:PassRole"], [f"{prefix}:iam::{account}:role/{resource_name(stack)}"]),
    }
    if access.key:
        statements["Key"] = ([f"kms:{verb}" for verb in _KEY_VERBS], [access.key])
    if access.vpc:
        statements["Vpc"] = ([f"ec2:{verb}" for verb in _VPC_VERBS], ["*"])
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resources}
            for name, (actions, resources) in statements.items()
        ],
    }


_VERBS = ("Create", "Describe", "Stop")
# https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html; S3 needs GenerateDataKey.
_KEY_VERBS = ("CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey")
_VPC_VERBS = (
    "CreateNetworkInterface",
    "CreateNetworkInterfacePermission",
    "DeleteNetworkInterface",
    "DeleteNetworkInterfacePermission",
    "DescribeDhcpOptions",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeVpcs",
)

_UNTAGGED = {
    "rulePriority": 1,
    "description": "images without a tag, such as those whose tag a later push took",
    "selection": {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 30,
    },
    "action": {"type": "expire"},
}


def resource_name(stack: str) -> str:
    """Return the name of a stack's ECR repository, and of the role of its jobs."""
    return f"{stack}-training"


def set_up(stack: str, bucket: str, access: Access, aws: boto3.Session) -> Setup:
    """Create what is missing, update the policies, and return the role and the image."""
    account, region = aws.client("sts").get_caller_identity()["Account"], aws.region_name
    ecr, iam = aws.client("ecr"), aws.client("iam")
    name = resource_name(stack)
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(
            repositoryName=name,
            imageScanningConfiguration={"scanOnPush": True},
            encryptionConfiguration={"encryptionType": "AES256"},
        )
    ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps({"rules": [_UNTAGGED]}))
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    document = json.dumps(policy(bucket, access, stack, account, region))
    iam.put_role_policy(RoleName=name, PolicyName="training", PolicyDocument=document)
    ensure_group(stack, aws.client("sagemaker"))
    (repository,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    return Setup(iam.get_role(RoleName=name)["Role"]["Arn"], repository["repositoryUri"])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", required=True, help="stack with the models bucket")
    parser.add_argument("--pictures", nargs="*", default=(), metavar="BUCKET", help="buckets to read from")
    parser.add_argument(
        "--key", default="", metavar="ARN", help="of a KMS key (not of its alias), for `job --key`"
    )
    parser.add_argument("--vpc", action="store_true", help="allow `job --subnets`")
    options = parser.parse_args()
    use_region()
    try:
        bucket = outputs_of(options.stack)["ModelsBucket"]
        access = Access(options.pictures, options.key, options.vpc)
        made = set_up(options.stack, bucket, access, boto3.Session())
    except (OpsError, *AWS_ERRORS) as error:
        sys.exit(f"error: {explain(error)}")
    registry = made.image.split("/")[0]
    print(f"ROLE={made.role}\nIMAGE={made.image}:latest")
    print(
        f"aws ecr get-login-password | docker login --username AWS --password-stdin {registry}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
