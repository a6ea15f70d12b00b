"""The table: counts in buckets, alerts, and the rules. It alone knows DynamoDB.

| pk | sk | what |
|---|---|---|
| `source#<name>` | begin of ten seconds | the faces, and hashes of the predictions that are counted |
| `states` | `source#<name>` | the source's last alert, what of it was told, and by when it must be |
| `alerts` | begin, id | every alert, as `GET /alerts` lists them |
| `rules` | `current`, `good` | the rules as they were set, and the last that could be read |
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.alerts.alert import OVER, Alert, from_json
from functions.alerts.counts import Bucket, bucket_name, bucket_start, keys_of
from functions.alerts.rules import DEFAULT
from functions.shared.contract import ALERTS_PARTITION, alert_sort_key
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from functions.shared.record import Record

KEEP: Final = 86_400  # seconds that a bucket stays: longer than Lambda and CloudWatch try to deliver anything
_AT_ONCE: Final = 50  # predictions in one update; an expression takes 300 operators
_COUNT: Final = "n|"  # what the attributes begin with that count faces
_RULES: Final = "rules"
_STATES: Final = "states"


@dataclass(frozen=True)
class State:
    """A source's last alert.

    Attributes:
        alert: It.
        told: To whom which status of it was told, see `watch.Watch`.
        claimed: When somebody last set about telling, Unix time.
    """

    alert: Alert
    told: Collection[str]
    claimed: int


class Store:
    """The table of a stack.

    Args:
        client: A boto3 client of DynamoDB.
        table: Its name.
        days: That alerts are kept.
    """

    def __init__(self, client: Any, table: str, days: int) -> None:
        self._client, self._table, self._days = client, table, days

    # ------------------------------------------------------------------------------------------------- counting
    def count(self, source: str, records: Iterable[Record], now: float) -> int:
        """Count the predictions of a source that are not counted yet; return how many those were."""
        by_bucket: dict[int, dict[str, Record]] = defaultdict(dict)
        for record in records:
            by_bucket[bucket_start(record.taken)][_id(record.key)] = record
        counted = 0
        for start, of_bucket in by_bucket.items():
            ids = list(of_bucket)
            for first in range(0, len(ids), _AT_ONCE):
                some = {name: of_bucket[name] for name in ids[first : first + _AT_ONCE]}
                counted += self._count(source, start, some, now)
        return counted

    def _count(self, source: str, start: int, records: Mapping[str, Record], now: float) -> int:
        """Add predictions to a bucket, if none of them is in it; otherwise those that are not."""
        left = dict(records)
        while left:
            faces = Counter(key for record in left.values() for key in keys_of(record))
            names = {f"#k{i}": f"{_COUNT}{key}" for i, key in enumerate(faces)}
            numbers = {f":k{i}": {"N": str(count)} for i, count in enumerate(faces.values())}
            ids = {f":i{i}": {"S": name} for i, name in enumerate(left)}
            added = ", ".join(["ids :ids", *(f"#k{i} :k{i}" for i in range(len(faces)))])
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_key(_of_source(source), bucket_name(start)),
                    UpdateExpression=f"ADD {added} SET expires = :expires, model_version = :version",
                    ConditionExpression=" AND ".join(f"NOT contains(ids, {name})" for name in ids),
                    **({"ExpressionAttributeNames": names} if names else {}),
                    ExpressionAttributeValues={
                        **ids,
                        **numbers,
                        ":ids": {"SS": list(left)},
                        ":expires": {"N": str(int(max(now, start)) + KEEP)},
                        ":version": {"S": next(reversed(left.values())).model_version},
                    },
                )
            except ClientError as error:
                if error_code(error) != _CONDITION:
                    raise
                known = self._ids(source, start)
                left = {name: record for name, record in left.items() if name not in known}
            else:
                return len(left)
        return 0

    def _ids(self, source: str, start: int) -> set[str]:
        item = self._get(_of_source(source), bucket_name(start))
        return set(item.get("ids", {}).get("SS", []))

    def buckets(self, source: str, first: float, last: float) -> list[Bucket]:
        """Return the buckets of a source that have a part between two Unix times, in the order of time."""
        items = self._query(
            _of_source(source), bucket_name(bucket_start(first)), bucket_name(bucket_start(last))
        )
        return [
            Bucket(
                start=int(datetime.fromisoformat(item["sk"]["S"]).timestamp()),
                counts={
                    name.removeprefix(_COUNT): int(value["N"])
                    for name, value in item.items()
                    if name.startswith(_COUNT)
                },
                model_version=item["model_version"]["S"],
            )
            for item in items
        ]

    # --------------------------------------------------------------------------------------------------- alerts
    def state(self, source: str) -> State | None:
        """Return a source's last alert, or None where there was none of late."""
        item = self._get(_STATES, _of_source(source))
        return _state(item) if item else None

    def states(self) -> list[State]:
        """Return the last alerts of all sources."""
        return [_state(item) for item in self._query(_STATES, "source#", "source$")]

    def move(self, alert: Alert, before: State | None, now: float) -> bool:
        """Put an alert in the place of a source's last one and into the list; False where another was faster.

        Whoever moves it is the one to tell it.

        Args:
            alert: That begins or is over.
            before: What the source had.
            now: Unix time.
        """
        expected: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before:
            expected = {
                "ConditionExpression": "alert_id = :id AND alert_status = :status",
                "ExpressionAttributeValues": {
                    ":id": {"S": before.alert.id},
                    ":status": {"S": before.alert.status},
                },
            }
        document = {"S": json.dumps(alert.to_json())}
        state = {
            **_key(_STATES, _of_source(alert.source)),
            "alert_id": {"S": alert.id},
            "alert_status": {"S": alert.status},
            "document": document,
            "claimed": {"N": str(int(now))},
        }
        if before and before.alert.id == alert.id and before.told:
            state["told_to"] = {"SS": list(before.told)}
        if alert.status == OVER:  # it is needed until nothing old can come any more
            state["expires"] = {"N": str(int(now) + 2 * KEEP)}
        listed = {
            **_key(ALERTS_PARTITION, alert_sort_key(alert.started, alert.id)),
            "document": document,
            "expires": {"N": str(int(now) + self._days * 86_400)},
        }
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {"Put": {"TableName": self._table, "Item": state, **expected}},
                    {"Put": {"TableName": self._table, "Item": listed}},
                ]
            )
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", [])
            if any(reason["Code"] == "ConditionalCheckFailed" for reason in reasons):
                return False
            raise
        return True

    def newest(self, most: int) -> list[dict[str, Any]]:
        """Return the alerts that began last, the newest first, as `Alert.to_json` has them."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": ALERTS_PARTITION}},
            ScanIndexForward=False,
            Limit=most,
        )
        return [json.loads(item["document"]["S"]) for item in answer["Items"]]

    def claim(self, state: State, now: float) -> bool:
        """Set about telling what somebody else did not; False where another is faster."""
        return self._change(
            state.alert,
            "SET claimed = :now",
            "claimed = :before",
            {":now": {"N": str(int(now))}, ":before": {"N": str(state.claimed)}},
        )

    def mark_told(self, alert: Alert, mark: str) -> None:
        """Remember that an alert's status was told to somebody."""
        self._change(alert, "ADD told_to :marks", "", {":marks": {"SS": [mark]}})

    def _change(self, alert: Alert, update: str, condition: str, values: Mapping[str, Any]) -> bool:
        same = "alert_id = :id AND alert_status = :status"
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(_STATES, _of_source(alert.source)),
                UpdateExpression=update,
                ConditionExpression=f"{same} AND {condition}" if condition else same,
                ExpressionAttributeValues={":id": {"S": alert.id}, ":status": {"S": alert.status}, **values},
            )
        except ClientError as error:
            if error_code(error) == _CONDITION:
                return False
            raise
        return True

    # ---------------------------------------------------------------------------------------------------- rules
    def rules(self) -> tuple[str, str]:
        """Return the rules as they were set last, and the last that could be read; the default if there are none.

        What somebody else has written there and is no text is returned as an empty text, which can be no rules.
        """
        items = {item["sk"]["S"]: item for item in self._query(_RULES, "a", "z")}
        current, good = (
            items[name].get("document", {}).get("S", "") if name in items else DEFAULT
            for name in ("current", "good")
        )
        return current, good

    def set_rules(self, text: str, before: str) -> bool:
        """Put rules in force in the place of those of `rules`; False where somebody has set others meanwhile."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**_key(_RULES, "current"), "document": {"S": text}},
                ConditionExpression=(
                    "attribute_not_exists(document) OR document = :before OR NOT attribute_type(document, :text)"
                ),
                ExpressionAttributeValues={":before": {"S": before}, ":text": {"S": "S"}},
            )
        except ClientError as error:
            if error_code(error) == _CONDITION:
                return False
            raise
        return True

    def keep_good_rules(self, text: str) -> None:
        """Keep rules that could be read, for when others cannot."""
        self._client.put_item(TableName=self._table, Item={**_key(_RULES, "good"), "document": {"S": text}})

    def has_seen(self, source: str) -> bool:
        """Return whether a prediction of a source was counted in the last day."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": _of_source(source)}},
            Limit=1,
        )
        return bool(answer["Items"])

    # ------------------------------------------------------------------------------------------------------- it
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


_CONDITION: Final = "ConditionalCheckFailedException"


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _of_source(source: str) -> str:
    """Return a source as a part of a key, which may not be empty."""
    return f"source#{source}"


def _id(key: int) -> str:
    return urlsafe_b64encode(key.to_bytes(8, "big")).decode().rstrip("=")


def _state(item: Mapping[str, Any]) -> State:
    alert = from_json(json.loads(item["document"]["S"]))
    return State(alert, item.get("told_to", {}).get("SS", []), int(item["claimed"]["N"]))
