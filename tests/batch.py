"""Batch's handler in tests: its events, and its buckets and queue in moto."""

import importlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest
from moto import mock_aws

QUEUE = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:uploads"}


def message(number: int, body: str | dict, receives: int = 1) -> dict:
    return QUEUE | {
        "messageId": f"m{number}",
        "receiptHandle": "handle",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {},
    }


def notification(*keys: str, version: str | None = "v1", etag: str = "e1") -> dict:
    """Return S3's notification of uploads with these keys."""
    properties = {"versionId": version, "eTag": etag}
    return {
        "Records": [
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "uploads"}, "object": {"key": quote_plus(key), **properties}},
            }
            for key in keys
        ]
    }


def context(seconds: float = 60) -> SimpleNamespace:
    """Return a Lambda context with a remaining time."""
    end = time.monotonic() + seconds
    return SimpleNamespace(
        aws_request_id="request", get_remaining_time_in_millis=lambda: int((end - time.monotonic()) * 1000)
    )


def load_handler(patch: pytest.MonkeyPatch, dead_letters: str) -> ModuleType:
    """Import the handler's module as Lambda does."""
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_ACCESS_KEY_ID", "testing")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    patch.delenv("AWS_ENDPOINT_URL", raising=False)
    patch.setenv("UPLOADS_BUCKET", "uploads")
    patch.setenv("RESULTS_BUCKET", "results")
    patch.setenv("DEAD_LETTERS_URL", dead_letters)
    patch.setenv("MAX_RECEIVES", "5")
    return importlib.reload(importlib.import_module("functions.inference.batch"))


@contextmanager
def batch_on_moto(patch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, Any]]:
    """Yield the handler's module with its buckets and its queue, and an S3 client."""
    with mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3 = boto3.client("s3")
        for bucket in ("uploads", "results"):
            s3.create_bucket(Bucket=bucket)
        queue = boto3.resource("sqs").create_queue(QueueName="dead-letters")
        yield load_handler(patch, queue.url), s3


def answers_in_tens(module: ModuleType, s3: Any, files: Mapping[str, bytes]) -> Iterator[dict]:
    """Upload files by key, and yield Batch's answers to their notifications, in batches of ten."""
    etags = {key: s3.put_object(Bucket="uploads", Key=key, Body=file)["ETag"] for key, file in files.items()}
    messages = [
        message(number, notification(key, version=None, etag=etag.strip('"')))
        for number, (key, etag) in enumerate(etags.items())
    ]
    for start in range(0, len(messages), 10):
        yield module.handler({"Records": messages[start : start + 10]}, context(300))
