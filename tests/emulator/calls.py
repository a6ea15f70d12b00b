"""Calls that AWS services make with the stack's roles, as AWS documents them, and that MiniStack does not check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra.local.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.emulator.stack import Stack

_LOG: Final = ("logs:CreateLogStream", "logs:PutLogEvents")
_ARN: Final = f"{REGION}:{ACCOUNT}"
PIPELINE: Final = "everything-classifier"
UPDATE_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/maskwatch-execute-dev"
_EXECUTION: Final = f"arn:aws:states:{_ARN}:execution:{{stack}}-backfill"


@dataclass(frozen=True)
class Calls:
    """Calls on one resource that a role must allow, or must not.

    Attributes:
        why: The purpose of the calls.
        resource: The resource's ARN; names in braces are resources of the template.
        actions: The actions called.
        denied: Whether the role must not allow them.
    """

    why: str
    resource: str
    actions: tuple[str, ...]
    denied: bool = False


def _logs(group: str) -> Calls:
    stream = f"arn:aws:logs:{_ARN}:log-group:{{{group}}}:log-stream:one"
    return Calls("Lambda writes the log", stream, _LOG)


_MISSING: Final = "S3 answers 404 and not 403 for a missing object"


def _missing(bucket: str) -> Calls:
    return Calls(_MISSING, f"arn:aws:s3:::{{{bucket}}}", ("s3:ListBucket",))


CALLS: Final = {
    "AlertsRole": (
        _logs("AlertsLogs"),
        _missing("ModelsBucket"),
        Calls(
            "SNS encrypts messages",
            f"arn:aws:kms:{_ARN}:key/{{AlarmsKey}}",
            ("kms:Decrypt", "kms:GenerateDataKey"),
        ),
        Calls(
            "Lambda stores an event that failed",
            f"arn:aws:sqs:{_ARN}:{{AlertsDeadLetters}}",
            ("sqs:SendMessage",),
        ),
    ),
    "AlertsScheduleRole": (
        Calls(
            "the schedule ends alerts",
            f"arn:aws:lambda:{_ARN}:function:{{AlertsFunction}}",
            ("lambda:InvokeFunction",),
        ),
        Calls(
            "the schedule stores an event that failed",
            f"arn:aws:sqs:{_ARN}:{{AlertsDeadLetters}}",
            ("sqs:SendMessage",),
        ),
    ),
    "BackfillRole": (
        Calls("the map lists the uploads", "arn:aws:s3:::{UploadsBucket}", ("s3:ListBucket",)),
        Calls("the map reads an inventory", "arn:aws:s3:::{ResultsBucket}/inventory/x", ("s3:GetObject",)),
        Calls("a batch is scored", "{BatchFunctionAliaslive}", ("lambda:InvokeFunction",)),
        Calls(
            "the results are written",
            "arn:aws:s3:::{ResultsBucket}/backfill/x",
            ("s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"),
        ),
        Calls("the map starts children", "{Backfill}", ("states:StartExecution",)),
        Calls(
            "the execution is stopped",
            f"{_EXECUTION}:one",
            ("states:DescribeExecution", "states:StopExecution"),
        ),
        Calls(
            "its children are stopped",
            f"{_EXECUTION}/prefix:one",
            ("states:DescribeExecution", "states:StopExecution"),
        ),
    ),
    "BatchRole": (
        _logs("BatchLogs"),
        Calls(
            "Lambda reads the queue",
            f"arn:aws:sqs:{_ARN}:{{UploadsQueue}}",
            ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        ),
        *(_missing(bucket) for bucket in ("ModelsBucket", "UploadsBucket", "ResultsBucket")),
    ),
    "DriftRole": (
        _logs("DriftLogs"),
        _missing("ModelsBucket"),
        Calls(
            "Lambda stores an event that failed",
            f"arn:aws:sqs:{_ARN}:{{DriftDeadLetters}}",
            ("sqs:SendMessage",),
        ),
    ),
    "DriftScheduleRole": (
        Calls(
            "the schedule starts Drift",
            f"arn:aws:lambda:{_ARN}:function:{{DriftFunction}}",
            ("lambda:InvokeFunction",),
        ),
        Calls(
            "the schedule stores an event that failed",
            f"arn:aws:sqs:{_ARN}:{{DriftDeadLetters}}",
            ("sqs:SendMessage",),
        ),
    ),
    "PortalRole": (
        _logs("PortalLogs"),
        _missing("ResultsBucket"),
        _missing("InsightsBucket"),
        *(
            Calls(
                "clients cannot read internal objects",
                f"arn:aws:s3:::{{ResultsBucket}}/{folder}/x.json",
                ("s3:GetObject",),
                denied=True,
            )
            for folder in ("backfill", "inventory", "preflight")
        ),
    ),
    "PreflightRole": (
        _logs("PreflightLogs"),
        Calls(
            "the deployment is read and its status reported",
            f"arn:aws:codedeploy:{_ARN}:deploymentgroup:ServerlessDeploymentApplication/PredictFunctionDeploymentGroup",
            ("codedeploy:GetDeployment", "codedeploy:PutLifecycleEventHookExecutionStatus"),
        ),
    ),
    "PredictRole": (_logs("PredictLogs"), _missing("ModelsBucket")),
    "PromoteRole": (
        _logs("PromoteLogs"),
        _missing("ModelsBucket"),
        Calls(
            "Lambda reads the queue",
            f"arn:aws:sqs:{_ARN}:{{PromoteQueue}}",
            ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        ),
        Calls(
            "the package is read and updated",
            f"arn:aws:sagemaker:{_ARN}:model-package/{{stack}}/1",
            ("sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"),
        ),
        Calls("approvals are compared", "*", ("sagemaker:ListModelPackages",)),
        Calls(
            "the stack is updated",
            f"arn:aws:cloudformation:{_ARN}:stack/{{stack}}/{{id}}",
            ("cloudformation:UpdateStack",),
        ),
        Calls(
            "no other stack is updated",
            f"arn:aws:cloudformation:{_ARN}:stack/another/{{id}}",
            ("cloudformation:UpdateStack",),
            denied=True,
        ),
        Calls(
            "the template is transformed",
            f"arn:aws:cloudformation:{REGION}:aws:transform/Serverless-2016-10-31",
            ("cloudformation:CreateChangeSet",),
        ),
        Calls("CloudFormation gets its role", UPDATE_ROLE, ("iam:PassRole",)),
        Calls(
            "the topic's key is used",
            f"arn:aws:kms:{_ARN}:key/{{AlarmsKey}}",
            ("kms:Decrypt", "kms:GenerateDataKey"),
        ),
    ),
    "RetrainRole": (
        _logs("RetrainLogs"),
        Calls(
            "the pipeline's executions are listed and started",
            f"arn:aws:sagemaker:{_ARN}:pipeline/{PIPELINE}",
            ("sagemaker:ListPipelineExecutions", "sagemaker:StartPipelineExecution"),
        ),
        Calls(
            "Lambda stores an event that failed",
            f"arn:aws:sqs:{_ARN}:{{RetrainDeadLetters}}",
            ("sqs:SendMessage",),
        ),
    ),
    "RecordsSenderRole": (
        Calls(
            "CloudWatch Logs sends records",
            f"arn:aws:firehose:{_ARN}:deliverystream/{{RecordsStream}}",
            ("firehose:PutRecord",),
        ),
    ),
    "RecordsWriterRole": (
        Calls(
            "Firehose writes objects",
            "arn:aws:s3:::{RecordsBucket}/x",
            ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
        ),
        Calls(
            "Firehose inspects the bucket",
            "arn:aws:s3:::{RecordsBucket}",
            ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"),
        ),
        Calls(
            "Firehose logs errors",
            f"arn:aws:logs:{_ARN}:log-group:{{RecordsStreamLogs}}:log-stream:one",
            ("logs:PutLogEvents",),
        ),
    ),
}


def wrong_calls(role: str, stack: Stack) -> list[str]:
    """Return the purposes of `CALLS` that a role does not allow, or allows although it must not."""
    iam = stack.client("iam")
    known = {name: name_of(identifier) for name, identifier in stack.resources.items()}
    known["id"] = stack.arn.rpartition("/")[2]
    wrong = []
    for calls in CALLS.get(role, ()):
        results = iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/{stack.resources[role]}",
            ActionNames=calls.actions,
            ResourceArns=[calls.resource.format(stack=stack.name, **known)],
        )["EvaluationResults"]
        if any((result["EvalDecision"] != "allowed") != calls.denied for result in results):
            wrong.append(calls.why)
    return wrong


def name_of(identifier: str) -> str:
    """Return a resource's physical id; for a queue, its name instead of its URL."""
    return identifier.rpartition("/")[2] if identifier.startswith("https:") else identifier
