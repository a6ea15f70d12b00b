"""CodeDeploy's hook before a new version gets traffic: the version must do its job once, or the deployment fails.

The function is deployed without a build: it uses the standard library, and the boto3 of Lambda's runtime.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import struct
import zlib
from typing import Any, Final

import boto3
from botocore.config import Config

VERSION_TIMEOUT: Final = 70  # seconds, including the cold start; no function has a longer timeout
MAX_UPLOADS: Final = 3  # pictures for Batch, at most
SIDE: Final = 64  # pixels of the picture
SOURCE: Final = "preflight"  # of the picture's record; compliance lists it separately

logger = logging.getLogger()


class CheckError(Exception):
    """A version failed its check."""


def handler(event: dict[str, str], _context: object) -> None:
    """Check the version of a deployment, and report the status to CodeDeploy.

    CodeDeploy waits an hour for a status, so it gets one whatever goes wrong.
    """
    codedeploy = _client("codedeploy")
    status = "Failed"
    try:
        info = codedeploy.get_deployment(deploymentId=event["DeploymentId"])["deploymentInfo"]
        _check(info["deploymentGroupName"], event["DeploymentId"])
        status = "Succeeded"
    except Exception:
        logger.exception("the version failed its check")
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )


def _check(group: str, deployment: str) -> None:
    for name, check in {"PREDICT": _predict, "BATCH": _batch, "PORTAL": _portal}.items():
        own_group, version = os.environ[name].split()
        if own_group == group:
            check(version, deployment)
            return
    raise CheckError(f"there is no check for the deployment group {group}")


def _predict(version: str, _deployment: str) -> None:
    """Check that a picture is scored."""
    answer = _request(version, "POST", "/predict", {"source": SOURCE}, picture())
    if "label" not in answer:
        raise CheckError(f"no prediction: {answer}")


def _portal(version: str, _deployment: str) -> None:
    """Check a route that reads S3."""
    if "rows" not in (answer := _request(version, "GET", "/compliance")):
        raise CheckError(f"no compliance: {answer}")


def _batch(version: str, deployment: str) -> None:
    """Check that a picture in the uploads bucket is scored.

    The bucket also notifies the live version, after at least two seconds. By then, the version under test is warm;
    its answer says whether it scored the picture itself. If it did not, another picture is uploaded.
    """
    message = {
        "messageId": deployment,
        "receiptHandle": deployment,
        "body": json.dumps({"Event": "s3:TestEvent"}),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }
    answer = _invoke(version, {"Records": [message]})
    if answer.get("batchItemFailures") != []:
        raise CheckError(f"a message was returned to the queue: {answer}")
    bucket, s3 = os.environ["UPLOADS_BUCKET"], _client("s3")
    for number in range(MAX_UPLOADS):
        key = f"preflight/{deployment}-{number}.png"
        etag = s3.put_object(Bucket=bucket, Key=key, Body=picture(), Metadata={"source": SOURCE})["ETag"]
        batch = {"BatchInput": {"reader": "prefix", "bucket": bucket}, "Items": [{"Key": key, "Etag": etag}]}
        answer = _invoke(version, batch)
        if answer != {"skipped": 1}:
            break
    if answer != {"scored": 1}:
        raise CheckError(f"the picture was not scored: {answer}")


def _request(
    version: str, method: str, path: str, query: dict[str, str] | None = None, body: bytes | None = None
) -> dict[str, Any]:
    """Send a request as API Gateway does; return the body of the answer, which must be 200 and JSON."""
    answer = _invoke(
        version,
        {
            "resource": path,
            "path": path,
            "httpMethod": method,
            "headers": {"content-type": "image/png"} if body else {},
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()},
            "requestContext": {"requestId": "preflight", "path": path},
            "body": base64.b64encode(body).decode() if body else None,
            "isBase64Encoded": body is not None,
        },
    )
    if answer.get("statusCode") != 200:
        raise CheckError(f"{method} {path}: {answer}")
    return dict(json.loads(answer["body"]))


def _invoke(version: str, event: dict[str, Any]) -> dict[str, Any]:
    answer = _client("lambda", VERSION_TIMEOUT, attempts=1).invoke(
        FunctionName=version, Payload=json.dumps(event)
    )
    payload = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise CheckError(f"the version crashed: {payload}")
    return dict(payload)


def _client(service: str, timeout: int = 10, attempts: int = 2) -> Any:
    config = Config(connect_timeout=5, read_timeout=timeout, retries={"total_max_attempts": attempts})
    return boto3.client(service, config=config)


def picture() -> bytes:
    """Return a PNG with a gradient."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(v for x in range(SIDE) for v in (4 * x, 4 * y, 128)) for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)  # 8 bits of red, green and blue
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)
