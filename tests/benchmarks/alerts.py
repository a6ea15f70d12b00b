"""Measures false alerts, delay, cost of the Alerts function, and whether counts are exact under load.

`python -m tests.benchmarks.alerts` prints the table of simulated days. `… deliveries` measures the function alone,
with DynamoDB (moto) in another process. `… flood [SECONDS]` sends 200 records a second through the running system
(its log, the subscription, the function and the table) and compares the counts.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import boto3
import numpy as np

from functions.alerts.alert import OPEN
from functions.alerts.counts import BUCKET_SECONDS, Bucket, bucket_start, count_faces, count_keys
from functions.alerts.rules import DEFAULT, Rules, parse
from functions.alerts.store import Notification, Store
from functions.alerts.watch import Watch
from functions.shared.contract import LABELS, iso
from functions.shared.record import Record
from infra.local.aws import moto_server
from tests.alerts import ENVIRONMENT, START, create_table, delivery, line
from tests.system import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from functions.alerts.alert import Alert

MANIFEST: Final = json.loads((ROOT / "functions" / "inference" / "model" / "manifest.json").read_text())
HOURS: Final = 10
PEOPLE_PER_HOUR: Final = 60
STAY: Final = 12  # seconds that a person is in sight
FRAME_INTERVAL: Final = 2  # seconds
QUIET_SHARE: Final = 0.02  # of people without a mask on a quiet day
SIZES: Final = (1, 10, 50, 200)  # records per delivery
DELIVERIES: Final = 20  # measured deliveries
NEVER: Final = {"share": 1, "minutes": 10, "min_faces": 1_000_000}  # fully evaluated, but never violated
RULES: Final = {
    "40% of 40 faces in 10 min (the default)": json.loads(DEFAULT)["default"],
    "20% of 20 faces in 10 min": {"share": 0.2, "minutes": 10, "min_faces": 20},
    "any face": {"any": True},
    "any face, 90% sure": {"any": True, "min_confidence": 0.9},
}


class Memory(Store):
    """A store in memory, which simulates a day in seconds."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._buckets: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        self._alerts: dict[str, Alert] = {}
        self._notifications: list[Notification] = []

    def count(self, source: str, records: Any, now: float) -> int:  # noqa: ARG002 -- nothing expires
        fresh = [record for record in records if record.key not in self._seen]
        for record in fresh:
            self._seen.add(record.key)
            self._buckets[source, bucket_start(record.taken)].update(count_keys(record))
        return len(fresh)

    def buckets(self, source: str, first: float, last: float) -> list[Bucket]:
        starts = range(bucket_start(first), bucket_start(last) + 1, 10)
        return [Bucket(s, self._buckets[source, s], "", s) for s in starts if (source, s) in self._buckets]

    def last_alert(self, source: str) -> Alert | None:
        return self._alerts.get(source)

    def last_alerts(self) -> list[Alert]:
        return list(self._alerts.values())

    def replace_alert(
        self,
        alert: Alert,
        before: Alert | None,  # noqa: ARG002 -- no concurrency
        now: float,  # noqa: ARG002 -- nothing expires
        listeners: Iterable[str],
    ) -> bool:
        self._alerts[alert.source] = alert
        self._notifications += [Notification(alert, name, 0) for name in listeners]
        return True

    def notifications(self) -> list[Notification]:
        return list(self._notifications)

    def claim(self, notification: Notification, now: float) -> bool:  # noqa: ARG002 -- no concurrency
        return True

    def remove(self, notification: Notification) -> None:
        self._notifications.remove(notification)


def confidence(answer: str, actual: str, rng: np.random.Generator) -> float:
    """Draw the confidence of an answer: 0.98 if it is right, otherwise as of wrong answers on the test pictures."""
    if answer == actual:
        return 0.98
    rows = MANIFEST["metrics"]["served"]["precision_at"][answer]
    wrong = [row["n"] - row["right"] for row in rows]
    limit = rng.random() * wrong[0]
    return max(row["min_confidence"] for row, left in zip(rows, wrong, strict=True) if left >= limit)


def people(rng: np.random.Generator, without: float, hours: float, first: float) -> Iterator[Record]:
    """Yield the records of people who pass by; a wrong answer about a person is repeated in all frames."""
    for _ in range(rng.poisson(PEOPLE_PER_HOUR * hours)):
        arrival = first + rng.uniform(0, 3600 * hours)
        actual = "no_mask" if rng.random() < without else "mask"
        row = np.array(MANIFEST["metrics"]["served"]["confusion"][LABELS.index(actual)])
        answer = str(rng.choice(LABELS, p=row / row.sum()))
        body = {"faces": [{"label": answer, "confidence": confidence(answer, actual, rng)}]}
        for frame in range(STAY // FRAME_INTERVAL):
            key = int(rng.integers(2**63))
            time = arrival + frame * FRAME_INTERVAL
            yield Record(key, time, time, "gate", "", "", (answer,), body)


def simulate(rules: Rules, records: Sequence[Record], end: float) -> list[Alert]:
    """Return the notifications for records in chronological order, with a tick every minute."""
    notified: list[Alert] = []
    watch = Watch(Memory(), rules, lambda *_: {}, {"people": notified.append}, "")
    minute = START + 60
    for record in sorted(records, key=lambda record: record.time):
        while minute <= record.time:
            watch.tick(minute)
            minute += 60
        watch.process(record.source, [record], record.time)
    while minute <= end:
        watch.tick(minute)
        minute += 60
    return notified


def quiet_day(rule: dict[str, Any], seed: int) -> int:
    """Return the number of alerts on a day on which nearly everybody wears a mask."""
    rng = np.random.default_rng(seed)
    records = list(people(rng, QUIET_SHARE, HOURS, START))
    notified = simulate(parse(json.dumps({"default": rule})), records, START + 3600 * HOURS)
    return sum(alert.status == OPEN for alert in notified)


def bad_hour(rule: dict[str, Any], seed: int) -> float | None:
    """Return the seconds until an alert when, after a quiet hour, half of the people wear no mask."""
    rng = np.random.default_rng(seed)
    change = START + 3600
    records = [*people(rng, 0, 1, START), *people(rng, 0.5, 1, change)]
    notified = simulate(parse(json.dumps({"default": rule})), records, change + 3600)
    times = [_unix(alert.started) for alert in notified if alert.status == OPEN]
    return next((one - change for one in times if one > change), None)


def table(days: int = 10) -> str:
    """Return the Markdown table."""
    lines = [
        "| Rule | alerts on a quiet day | minutes until an alert | one was open already, or none began |",
        "|---|---:|---:|---:|",
    ]
    for name, rule in RULES.items():
        alerts = [quiet_day(rule, seed) for seed in range(days)]
        delays = [bad_hour(rule, seed) for seed in range(days)]
        begun = [delay for delay in delays if delay is not None]
        median = f"{np.median(begun) / 60:.1f}" if begun else ""
        lines.append(f"| {name} | {np.mean(alerts):.2f} | {median} | {len(delays) - len(begun)} of {days} |")
    return "\n".join(lines)


def flood(seconds: int) -> None:
    """Send 200 records a second through the running system, every tenth of them twice, and compare the counts."""
    from tests.system import eventually, running  # noqa: PLC0415 -- starts processes

    source, drawn = f"flood-{uuid.uuid4()}", np.random.default_rng(0)
    with running() as system:
        logs, group = system.client("logs"), system.outputs["PredictLogs"]
        logs.create_log_stream(logGroupName=group, logStreamName="flood")
        started, sent, late = time.time(), Counter[str](), 0.0
        for second in range(seconds):
            lines = []
            for n in range(200):
                label = str(drawn.choice(LABELS))
                sent[label] += 1
                lines.append(line(started + second + n / 200, label, source=source))
            lines += lines[::10]
            at = int(time.time() * 1000)
            logs.put_log_events(
                logGroupName=group,
                logStreamName="flood",
                logEvents=[{"timestamp": at, "message": text} for text in lines],
            )
            late = max(late, time.time() - started - second - 1)
            time.sleep(max(0.0, started + second + 1 - time.time()))
        took = time.time() - started
        store = Store(system.client("dynamodb"), system.outputs["AlertsTable"], 1)

        def counted() -> dict[str, int]:
            return dict(
                count_faces(store.buckets(source, started, started + seconds), 0, others=False).labels
            )

        expected = {"uncertain": 0, **sent}
        eventually(lambda: counted() == expected, 120)
        print(  # noqa: T201
            f"{sum(sent.values()):,} records in {took:.0f} s, at most {late:.1f} s behind; counted {counted()}"
        )


def deliveries() -> Iterator[str]:
    """Yield the lines of a Markdown table: the cost of deliveries about one source, one per second."""
    heads = "records in a delivery", "ms of a processor", "… a record", "calls of DynamoDB"
    yield f"| {' | '.join(heads)} | write units | read units |"
    yield "|---:|---:|---:|---:|---:|---:|"
    with moto_server() as endpoint:
        for size in SIZES:
            table = f"alerts-{size}"
            environment = os.environ | ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint, "ALERTS_TABLE": table}
            command = [sys.executable, "-m", "tests.benchmarks.alerts", "worker", str(size)]
            found = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
            milliseconds, *calls_and_units = json.loads(found.stdout)
            cells = [
                f"{milliseconds:.1f}",
                f"{milliseconds / size:.2f}",
                *(f"{n:.1f}" for n in calls_and_units),
            ]
            yield f"| {size} | {' | '.join(cells)} |"


def work(size: int) -> tuple[float, float, float, float]:
    """Return CPU milliseconds, DynamoDB calls, write units and read units per delivery.

    The table contains ten minutes of the source at the same rate.
    """
    calls, spent = Counter[str](), list[float]()
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register(
        "before-call.dynamodb", lambda model, **_: calls.update([model.name])
    )
    table = os.environ["ALERTS_TABLE"]
    client = create_table(table)
    from functions.alerts import app  # noqa: PLC0415 -- creates clients

    app.store.set_rules(json.dumps({"default": NEVER}), DEFAULT)
    now, drawn = bucket_start(time.time()), np.random.default_rng(0)

    def pages() -> Iterator[dict[str, Any]]:
        yield from client.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "source#gate"}},
        )

    def lines(second: int) -> list[str]:
        times = (now + second + n / size for n in range(size))
        return [line(at, str(drawn.choice(LABELS)), source="gate") for at in times]

    for second in range(-BUCKET_SECONDS, 0):
        found, _ = app.unpack(delivery(lines(second)))
        app.store.count("gate", found["gate"], now)
    ((bucket,),) = (page["Items"] for page in pages())
    for start in range(now - 600, now - BUCKET_SECONDS, BUCKET_SECONDS):  # copies of this bucket
        client.put_item(TableName=table, Item=bucket | {"sk": {"S": iso(start)}})
    writes = reads = 0
    for second in range(DELIVERIES):
        event = delivery(lines(second))
        calls.clear()
        started = time.process_time()
        app.handler(event, None)
        spent.append(time.process_time() - started)
        called, updates = calls.total(), calls["UpdateItem"]
        window = [item for page in pages() for item in page["Items"]][-61:]
        writes += updates * math.ceil(item_size(window[-1]) / 1024)
        reads += 2 + math.ceil(sum(map(item_size, window)) / 4096)  # the rules, the last alert, the buckets
    return 1000 * float(np.median(spent)), called, writes / DELIVERIES, reads / DELIVERIES


def item_size(item: Mapping[str, Any]) -> int:
    """Return the size of an item in bytes as DynamoDB counts it: names and values; a number is half its digits."""
    total = 0
    for name, value in item.items():
        ((kind, held),) = value.items()
        total += len(name) + (
            sum(len(one) + 1 for one in held) + 3
            if kind == "SS"
            else len(held) // 2 + 1
            if kind == "N"
            else len(held)
        )
    return total


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["flood", *rest]:
            flood(int(rest[0]) if rest else 300)
        case ["deliveries"]:
            for text in deliveries():
                print(text, flush=True)  # noqa: T201
        case ["worker", size]:
            with contextlib.redirect_stdout(io.StringIO()):  # the handler writes metrics
                found = work(int(size))
            print(json.dumps(found))  # noqa: T201
        case _:
            print(table())  # noqa: T201
