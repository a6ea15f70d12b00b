"""The Promote handler: EventBridge events about model packages, delivered by a queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from functions.promote.errors import BusyError
from functions.promote.promote import Clients, promote
from functions.promote.settings import read_settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

settings = read_settings()
logger = Logger()
clients = Clients(*(boto3.client(service) for service in ("cloudformation", "s3", "sagemaker", "sns")))


def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Advance each approval; one that must wait for an update returns to the queue, which delivers it again."""
    waiting = []
    for message in event["Records"]:
        arn = json.loads(message["body"])["detail"]["ModelPackageArn"]
        try:
            conclusion = promote(arn, settings, clients)
        except BusyError as error:
            logger.info("approval waits", package=arn, reason=str(error))
            waiting.append({"itemIdentifier": message["messageId"]})
        else:
            logger.info("approval processed", package=arn, result=conclusion)
    return {"batchItemFailures": waiting}
