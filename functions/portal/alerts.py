"""Alerts in a time range, read from the table that the Alerts function writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from functions.portal.times import hour_text, parse_range
from functions.shared.contract import ALERTS_PARTITION, alert_sort_key, read_source
from functions.shared.fields import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_ALERTS: Final = 1_000  # in one answer; the newest are kept
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class AlertsQuery:
    """The parameters of a request.

    Attributes:
        first: First hour of the range, UTC, inclusive.
        last: Last hour of the range, UTC, inclusive.
        source: A camera or site; empty for pictures without a source, None for all.
    """

    first: datetime
    last: datetime
    source: str | None


def parse(query: Mapping[str, str], now: datetime) -> AlertsQuery:
    """Parse the query string of a request; without `to`, the range ends with the day of `now`.

    Raises:
        InputError: A parameter is malformed; the detail shows the right form.
    """
    query = {name: text for name, text in query.items() if text or name == "source"}
    refuse_unknown(query, ("from", "to", "source"))
    first, last = parse_range(query, now)
    return AlertsQuery(first, last, read_source(query["source"]) or "" if "source" in query else None)


def find(selection: AlertsQuery, table: str) -> dict[str, Any]:
    """Return the alerts that began in a range, newest first, from a DynamoDB table."""
    documents = _documents(selection, table)
    wanted = (alert for alert in documents if selection.source in {None, alert["source"]})
    alerts = list(islice(wanted, MAX_ALERTS))
    return {
        "from": hour_text(selection.first),
        "to": hour_text(selection.last),
        "truncated": next(wanted, None) is not None,
        "alerts": alerts,
    }


def _documents(selection: AlertsQuery, table: str) -> Any:
    pages = (
        _dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": {"S": ALERTS_PARTITION},
                ":first": {"S": alert_sort_key(hour_text(selection.first))},
                ":last": {"S": alert_sort_key(hour_text(selection.last + _HOUR))},
            },
            ScanIndexForward=False,
        )
    )
    return (json.loads(item["document"]["S"]) for page in pages for item in page["Items"])


@cache
def _dynamodb() -> Any:
    import boto3  # noqa: PLC0415 -- takes a third of a second, which the pages do not need
    from botocore.config import Config  # noqa: PLC0415

    config = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.client("dynamodb", config=config)
