"""The DynamoDB table of counts, alerts and rules.

| pk | sk | item |
|---|---|---|
| `source#<name>` | start of a bucket | its face counts, and the ids of the predictions that are counted |
| `states` | `source#<name>` | the source's last alert |
| `notifications` | start, id, status, listener | every notification not sent yet, and when that was last attempted |
| `alerts` | start, id | every alert, as `GET /alerts` lists it |
| `rules` | `current`, `good` | the rules as last set, and the last valid ones |
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.alerts.alert import OVER, Alert, from_dict
from functions.alerts.counts import Bucket, bucket_start, count_keys
from functions.alerts.rules import DEFAULT
from functions.shared.contract import ALERTS_PARTITION, alert_sort_key, iso
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from functions.shared.record import Record

BUCKET_TTL: Final = 86_400  # seconds; Lambda and CloudWatch give up redelivery earlier
_MAX_PREDICTIONS: Final = 50  # in one update; an expression may have 300 operators
_COUNT_PREFIX: Final = "n|"  # of the attributes that count faces
_RULES: Final = "rules"
_STATES: Final = "states"
_NOTIFICATIONS: Final = "notifications"


@dataclass(frozen=True)
class Notification:
    """A notification that is not sent yet.

    Attributes:
        alert: The alert, as it began or ended.
        listener: Whom to notify, see `watch.Watch`.
        claimed: When an invocation last began to send it, Unix time; 0 for never.
    """

    alert: Alert
    listener: str
    claimed: int


class Store:
    """The table of a stack; `client` is boto3's of DynamoDB, and alerts are kept for `days`."""

    def __init__(self, client: Any, table: str, days: int) -> None:
        self._client, self._table, self._days = client, table, days

    # ------------------------------------------------------------------------------------------------- counting
    def count(self, source: str, records: Iterable[Record], now: float) -> int:
        """Count the predictions of a source that are not counted yet; return how many these were."""
        by_bucket: dict[int, dict[str, Record]] = defaultdict(dict)
        for record in records:
            by_bucket[bucket_start(record.taken)][_id(record.key)] = record
        counted = 0
        for start, in_bucket in by_bucket.items():
            ids = list(in_bucket)
            for first in range(0, len(ids), _MAX_PREDICTIONS):
                chunk = {name: in_bucket[name] for name in ids[first : first + _MAX_PREDICTIONS]}
                counted += self._count(source, start, chunk, now)
        return counted

    def _count(self, source: str, start: int, records: Mapping[str, Record], now: float) -> int:
        """Add those predictions to a bucket that it does not contain yet; return how many these were."""
        left = dict(records)
        while left:
            faces = Counter(key for record in left.values() for key in count_keys(record))
            names = {f"#k{i}": f"{_COUNT_PREFIX}{key}" for i, key in enumerate(faces)}
            numbers = {f":k{i}": {"N": str(count)} for i, count in enumerate(faces.values())}
            ids = {f":i{i}": {"S": name} for i, name in enumerate(left)}
            added = ", ".join(["ids :ids", *(f"#k{i} :k{i}" for i in range(len(faces)))])
            is_written = _write_if(
                self._client.update_item,
                TableName=self._table,
                Key=_key(_source_key(source), iso(start)),
                UpdateExpression=f"ADD {added} SET expires = :expires, model_version = :version",
                ConditionExpression=" AND ".join(f"NOT contains(ids, {name})" for name in ids),
                **({"ExpressionAttributeNames": names} if names else {}),
                ExpressionAttributeValues={
                    **ids,
                    **numbers,
                    ":ids": {"SS": list(left)},
                    ":expires": {"N": str(int(max(now, start)) + BUCKET_TTL)},
                    ":version": {"S": next(reversed(left.values())).model_version},
                },
            )
            if is_written:
                return len(left)
            item = self._get(_source_key(source), iso(start))
            counted = set(item.get("ids", {}).get("SS", []))
            left = {name: record for name, record in left.items() if name not in counted}
        return 0

    def buckets(self, source: str, first: float, last: float) -> list[Bucket]:
        """Return the buckets of a source that overlap a range of Unix times, in chronological order."""
        items = self._query(_source_key(source), iso(bucket_start(first)), iso(bucket_start(last)))
        return [
            Bucket(
                start=int(datetime.fromisoformat(item["sk"]["S"]).timestamp()),
                counts={
                    name.removeprefix(_COUNT_PREFIX): int(value["N"])
                    for name, value in item.items()
                    if name.startswith(_COUNT_PREFIX)
                },
                model_version=item["model_version"]["S"],
                written=int(item["expires"]["N"]) - BUCKET_TTL,
            )
            for item in items
        ]

    # --------------------------------------------------------------------------------------------------- alerts
    def last_alert(self, source: str) -> Alert | None:
        """Return a source's last alert, or None if there was none recently."""
        item = self._get(_STATES, _source_key(source))
        return _alert(item) if item else None

    def last_alerts(self) -> list[Alert]:
        """Return the last alerts of all sources."""
        return [_alert(item) for item in self._query(_STATES, "source#", "source$")]

    def replace_alert(self, alert: Alert, before: Alert | None, now: float, listeners: Iterable[str]) -> bool:
        """Replace a source's last alert, also in the list; return False if another invocation did it first.

        `before` is the source's last alert so far. Notifications for the listeners are added in the same transaction.
        """
        expected: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before:
            expected = {
                "ConditionExpression": "alert_id = :id AND alert_status = :status",
                "ExpressionAttributeValues": {":id": {"S": before.id}, ":status": {"S": before.status}},
            }
        document = {"S": json.dumps(alert.to_dict())}
        state = {
            **_key(_STATES, _source_key(alert.source)),
            "alert_id": {"S": alert.id},
            "alert_status": {"S": alert.status},
            "document": document,
        }
        expires = {}
        if alert.status == OVER:  # kept until no old record can arrive any more
            expires = {"expires": {"N": str(int(now) + 2 * BUCKET_TTL)}}
        listed = {
            **_key(ALERTS_PARTITION, alert_sort_key(alert.started, alert.id)),
            "document": document,
            "expires": {"N": str(int(now) + self._days * 86_400)},
        }
        notifications = [
            {
                **_notification_key(alert, name),
                "document": document,
                "listener": {"S": name},
                "claimed": {"N": "0"},
                **expires,
            }
            for name in listeners
        ]
        puts: list[dict[str, Any]] = [{"Item": state | expires, **expected}]
        puts += [{"Item": item} for item in (listed, *notifications)]
        try:
            self._client.transact_write_items(
                TransactItems=[{"Put": {"TableName": self._table, **put}} for put in puts]
            )
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", [])
            if any(reason["Code"] == "ConditionalCheckFailed" for reason in reasons):
                return False
            raise
        return True

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest alerts, newest first, as `Alert.to_dict` returns them."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": ALERTS_PARTITION}},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [json.loads(item["document"]["S"]) for item in answer["Items"]]

    def notifications(self) -> list[Notification]:
        """Return the notifications that are not sent yet; those of a source in the order of its changes."""
        return [
            Notification(_alert(item), item["listener"]["S"], int(item["claimed"]["N"]))
            for item in self._query(_NOTIFICATIONS, "0", ":")
        ]

    def claim(self, notification: Notification, now: float) -> bool:
        """Reserve a notification for this invocation; return False if another has reserved or sent it."""
        return _write_if(
            self._client.update_item,
            TableName=self._table,
            Key=_notification_key(notification.alert, notification.listener),
            UpdateExpression="SET claimed = :now",
            ConditionExpression="claimed = :before",
            ExpressionAttributeValues={
                ":now": {"N": str(int(now))},
                ":before": {"N": str(notification.claimed)},
            },
        )

    def remove(self, notification: Notification) -> None:
        """Remove a notification that was sent."""
        key = _notification_key(notification.alert, notification.listener)
        self._client.delete_item(TableName=self._table, Key=key)

    # ---------------------------------------------------------------------------------------------------- rules
    def rules(self) -> tuple[str, str]:
        """Return the rules as last set, and the last valid ones; the default where there are none.

        An item without a text is returned as an empty text, which is not valid.
        """
        items = {item["sk"]["S"]: item for item in self._query(_RULES, "a", "z")}
        current, good = (
            items[name].get("document", {}).get("S", "") if name in items else DEFAULT
            for name in ("current", "good")
        )
        return current, good

    def set_rules(self, text: str, before: str) -> bool:
        """Replace the rules `before`; return False if somebody else has replaced them meanwhile."""
        return _write_if(
            self._client.put_item,
            TableName=self._table,
            Item={**_key(_RULES, "current"), "document": {"S": text}},
            ConditionExpression=(
                "attribute_not_exists(document) OR document = :before OR NOT attribute_type(document, :text)"
            ),
            ExpressionAttributeValues={":before": {"S": before}, ":text": {"S": "S"}},
        )

    def save_good_rules(self, text: str) -> None:
        """Save valid rules, which are used while the current ones are not valid."""
        self._client.put_item(TableName=self._table, Item={**_key(_RULES, "good"), "document": {"S": text}})

    def is_active(self, source: str) -> bool:
        """Return whether a prediction of a source was counted within the last day."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": _source_key(source)}},
            Limit=1,
        )
        return bool(answer["Items"])

    # -------------------------------------------------------------------------------------------------- helpers
    def _get(self, pk: str, sk: str) -> dict[str, Any]:
        answer = self._client.get_item(TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        item: dict[str, Any] = answer.get("Item", {})
        return item

    def _query(self, pk: str, first: str, last: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={":pk": {"S": pk}, ":first": {"S": first}, ":last": {"S": last}},
            ConsistentRead=True,
        )
        return [item for page in pages for item in page["Items"]]


def _write_if(write: Callable[..., object], **request: Any) -> bool:
    """Make a conditional write; return False if its condition does not hold."""
    try:
        write(**request)
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _source_key(source: str) -> str:
    """Return the key of a source; the prefix is needed because a key must not be empty."""
    return f"source#{source}"


def _id(key: int) -> str:
    return urlsafe_b64encode(key.to_bytes(8, "big")).decode().rstrip("=")


def _notification_key(alert: Alert, listener: str) -> dict[str, Any]:
    return _key(_NOTIFICATIONS, f"{alert_sort_key(alert.started, alert.id)}#{alert.status}#{listener}")


def _alert(item: Mapping[str, Any]) -> Alert:
    return from_dict(json.loads(item["document"]["S"]))
