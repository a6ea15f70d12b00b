"""The Alerts handler: counts records that a log subscription delivers, and ends alerts on a schedule."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections import defaultdict
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.alerts.counts import count_keys
from functions.alerts.notify import notify_people, notify_systems
from functions.alerts.precision import precision_of
from functions.alerts.settings import read_settings
from functions.alerts.store import Store
from functions.alerts.watch import Watch, adopt_rules
from functions.shared.emf import write_counts
from functions.shared.record import parse_record
from functions.shared.release_files import read_manifest
from functions.shared.s3 import create_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from functions.alerts.precision import Precision
    from functions.shared.record import Record

_CONFIG: Final = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 5}
)

settings = read_settings()
logger = Logger()
store = Store(boto3.client("dynamodb", config=_CONFIG), settings.table, settings.days)
sns, events = boto3.client("sns", config=_CONFIG), boto3.client("events", config=_CONFIG)
s3 = create_client(read_timeout=5, attempts=3, connections=1)


def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Count the records of a log delivery, or on a schedule event end alerts that are over at its `time`."""
    rules, fault = adopt_rules(store)
    if fault:
        logger.error("the rules of the alerts cannot be used; the last good ones hold", fault=fault)
    watch = Watch(
        store,
        rules,
        _precision,
        {
            "people": lambda alert: notify_people(sns, settings.topic, alert),
            "systems": lambda alert: notify_systems(events, settings.stack, alert),
        },
        settings.page_url,
    )
    counted = unreadable = 0
    try:
        if "awslogs" in event:
            by_source, unreadable = unpack(event)
            counted = watch.process_all(by_source, time.time())
        else:
            watch.tick(datetime.fromisoformat(event["time"]).timestamp())
    finally:
        counts = {"BadRules": int(bool(fault)), "AlertRecords": counted, "UnreadAlertRecords": unreadable}
        write_counts(settings.namespace, {"service": "alerts"}, counts)
    return {"counted": counted, "unreadable": unreadable}


def unpack(event: Mapping[str, Any]) -> tuple[dict[str, list[Record]], int]:
    """Return the predictions of a CloudWatch Logs delivery by source, and the number of unreadable lines.

    Refusals, shadow predictions and rescored uploads are left out.
    """
    packed = base64.b64decode(event["awslogs"]["data"])
    delivery = json.loads(zlib.decompress(packed, wbits=31))
    by_source: dict[str, list[Record]] = defaultdict(list)
    unreadable = 0
    for line in delivery["logEvents"] if delivery["messageType"] == "DATA_MESSAGE" else ():
        try:
            record = parse_record(json.loads(line["message"]))
            if record and not (record.is_refusal or record.shadow or record.rescored):
                count_keys(record)  # raises if the record cannot be counted
                by_source[record.source].append(record)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            record = None
        unreadable += record is None
    return by_source, unreadable


def _precision(version: str, lowest: Mapping[str, int]) -> dict[str, Precision]:
    try:
        return precision_of(_manifest(), version, lowest)
    except (BotoCoreError, ClientError, AttributeError, LookupError, TypeError, ValueError):
        logger.exception("the release's test figures cannot be read; the alert is sent without them")
        return {}


@cache
def _manifest() -> dict[str, Any]:
    return read_manifest(s3, settings.model_uri)
