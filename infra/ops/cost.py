"""The cost of pictures: `python -m infra.ops cost` prints the tables in docs/benchmarks.md."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.ops.errors import OpsError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

PRICES_SEEN: Final = "2026-11-21"  # for all prices in this file: us-east-1, first tier, no free tier
API_REQUEST: Final = 3.50 / 1e6  # dollars a call of a REST API
LAMBDA_REQUEST: Final = 0.20 / 1e6  # dollars an invocation
LAMBDA_GB_SECOND: Final = {"x86_64": 0.0000166667, "arm64": 0.0000133334}  # dollars
S3_READ: Final = 0.0004 / 1e3  # dollars a GET or HEAD
S3_WRITE: Final = 0.005 / 1e3  # dollars a PUT or LIST
SQS_REQUEST: Final = 0.40 / 1e6  # dollars
EXPRESS_REQUEST: Final = 1.00 / 1e6  # dollars an execution of an express state machine
EXPRESS_GB_SECOND: Final = 0.00001667  # dollars, in steps of 64 MB and 100 ms
STATE_TRANSITION: Final = 0.025 / 1e3  # dollars; one for each execution that a distributed map starts
# DynamoDB, on demand, since AWS halved it on 2024-11-01; checked on 2026-11-26 against Airbyte's table of 2025-07-21.
TABLE_WRITE: Final = 0.625 / 1e6  # dollars a write request unit
TABLE_READ: Final = 0.125 / 1e6  # dollars a read request unit
SCHEDULE: Final = 1.00 / 1e6  # dollars an invocation by EventBridge Scheduler
LOGS_GB: Final = 0.50  # dollars a GB ingested by CloudWatch Logs
FIREHOSE_GB: Final = 0.029  # dollars a GB, with at least 5 KB per record
S3_GB_MONTH: Final = 0.023  # dollars
METRIC_MONTH: Final = 0.30  # dollars a custom metric that is measured all month
ALARM_MONTH: Final = 0.10  # dollars a metric that an alarm watches
COMPOSITE_MONTH: Final = 0.50  # dollars a composite alarm
DASHBOARD_MONTH: Final = 3.00  # dollars
KEY_MONTH: Final = 1.00  # dollars a customer-managed KMS key
SNAPSHOT_GB_SECOND: Final = 0.0000015046  # dollars; SnapStart's cache, per GB of a published version's memory
PROVISIONED_GB_SECOND: Final = 0.0000041667  # dollars; an environment kept warm, x86_64, used or not
RESTORED_GB: Final = 0.0001397998  # dollars; SnapStart's restore of an environment, per GB of memory
WEB_ACL_MONTH: Final = 5.00 + 1.00  # dollars a web ACL of one rule
WEB_ACL_REQUEST: Final = 0.60 / 1e6  # dollars
REKOGNITION_IMAGE: Final = 1.00 / 1e3  # dollars a DetectProtectiveEquipment, first million of a month

PICTURES: Final = 1_000_000
MEMORY_SIZES: Final = (512, 1024, 1769)  # MB
MB_PER_PROCESSOR: Final = 1769  # Lambda gives a processor in proportion to memory
RESULTS: Final = Path(__file__).parents[2] / "tests" / "benchmarks" / "RESULTS.md"


QUEUE_BATCH: Final = 10  # pictures per invocation of Batch by a busy queue; see template.yaml
BACKFILL_BATCH: Final = 50  # pictures per invocation of Batch by the backfill; see infra/backfill.asl.yaml
BULKS: Final = (1_000_000, 100_000_000)  # pictures
CONCURRENCIES: Final = (5, 100, 1000)  # concurrent batches

RECORD_BYTES: Final = 1_600  # bytes of a log line with a record of two faces
REQUEST_BYTES: Final = 350 + 300  # bytes of the API's access log and of Lambda's START, END and REPORT
STORED_BYTES: Final = 400  # bytes of that record in S3, compressed with others
RECORDS_DAYS: Final = 400  # days that records are kept; see template.yaml
FIREHOSE_RECORD: Final = 5_000  # bytes, the minimum that Firehose bills; at worst one picture each
OBJECTS_MONTH: Final = 30 * 24 * 12  # objects that Firehose writes, one every five minutes; see template.yaml
SOURCES: Final = 3  # that the baseline knows and people label, each with two metrics
METRICS: Final = 2 * 15 + 15 + SOURCES * 2 + 3  # of two routes, Drift, the sources, Alerts
ALARM_METRICS: Final = 32  # metrics that alarms watch; see template.yaml
STARTS: Final = 10_000  # cold starts of Predict among a million predictions
ALERTS_MEMORY: Final = 512  # MB; see template.yaml
# A delivery of one picture, of a camera with a picture a second: `python -m tests.benchmarks.alerts deliveries`
ALERTS_PROCESSOR_MS: Final = 8.6  # on a whole processor
ALERTS_CALLS: Final = 4  # of DynamoDB, one after another
ALERTS_WRITES: Final = 1  # units: ten seconds of the camera have less than 1 KB
ALERTS_READS: Final = 6  # units: the rules, the last alert, and ten minutes of the camera
TABLE_MS: Final = 5.0  # per call of DynamoDB, assumed; AWS promises "single-digit milliseconds"
MINUTES_MONTH: Final = 30 * 24 * 60  # runs of the schedule that ends alerts
DRIFT_RUNS: Final = 30 * 24  # a month; see template.yaml
DRIFT_MEMORY: Final = 3008  # MB; see template.yaml
DRIFT_SECONDS: Final = 20.0  # duration of a run
DRIFT_DAYS: Final = 9  # of records that a run reads: LookbackDays, the day before, and today


def lambda_cost(
    memory: int, milliseconds: float, invocations: int = 1, architecture: str = "x86_64"
) -> float:
    """Return the dollars for Lambda invocations that together take `milliseconds`, at a memory size in MB."""
    gigabyte_seconds = milliseconds / 1000 * memory / 1024
    return invocations * LAMBDA_REQUEST + gigabyte_seconds * LAMBDA_GB_SECOND[architecture]


def billed_ms(milliseconds: float, memory: int) -> int:
    """Return the billed time of a prediction that takes `milliseconds` on one whole processor.

    With less memory than a whole processor comes with, it takes proportionally longer, since a prediction computes
    on one thread. With more, it is assumed not to be faster.
    """
    return math.ceil(milliseconds * max(1.0, MB_PER_PROCESSOR / memory))


@dataclass(frozen=True)
class Bulk:
    """Cost of scoring pictures in S3, in dollars; `dispatch` is that of SQS or Step Functions."""

    functions: float
    storage: float
    dispatch: float

    @property
    def total(self) -> float:
        """The sum of the three."""
        return self.functions + self.storage + self.dispatch


def by_queue(pictures: int, milliseconds: float) -> Bulk:
    """Return the cost of uploads: a message from S3 for each, received and deleted in batches."""
    return Bulk(
        functions=lambda_cost(MB_PER_PROCESSOR, pictures * milliseconds, math.ceil(pictures / QUEUE_BATCH)),
        storage=pictures * (2 * S3_READ + S3_WRITE),  # look for a result, read the picture, write the result
        dispatch=pictures * SQS_REQUEST * (1 + 2 / QUEUE_BATCH),
    )


def by_backfill(pictures: int, milliseconds: float) -> Bulk:
    """Return the cost of a backfill: a listing, and an express execution for each batch."""
    batches = math.ceil(pictures / BACKFILL_BATCH)
    tenths = math.ceil(BACKFILL_BATCH * milliseconds / 100)  # tenths of a second per batch
    return Bulk(
        functions=lambda_cost(MB_PER_PROCESSOR, pictures * milliseconds, batches),
        storage=pictures * (2 * S3_READ + S3_WRITE) + math.ceil(pictures / 1000) * S3_WRITE,
        dispatch=batches * (STATE_TRANSITION + EXPRESS_REQUEST + tenths / 10 * 64 / 1024 * EXPRESS_GB_SECOND),
    )


@dataclass(frozen=True)
class Item:
    """An item of cost: dollars for `PICTURES`, and dollars a month whatever their number."""

    what: str
    pictures: float = 0.0
    month: float = 0.0


def monitoring_items() -> list[Item]:
    """Return the cost of monitoring."""
    run = lambda_cost(DRIFT_MEMORY, DRIFT_SECONDS * 1e3) + DRIFT_DAYS * OBJECTS_MONTH / 30 * S3_READ
    stored = PICTURES * STORED_BYTES / 1e9 * S3_GB_MONTH * RECORDS_DAYS / 30
    delivery = lambda_cost(ALERTS_MEMORY, alerts_ms())
    return [
        Item(
            "Logs: a record of each picture, and lines of the API and of Lambda",
            pictures=PICTURES * (RECORD_BYTES + REQUEST_BYTES) / 1e9 * LOGS_GB,
        ),
        Item(
            "Firehose, at worst a picture at a time", pictures=PICTURES * FIREHOSE_RECORD / 1e9 * FIREHOSE_GB
        ),
        Item(f"S3, {RECORDS_DAYS} days", pictures=stored, month=OBJECTS_MONTH * S3_WRITE),
        Item(
            f"{METRICS} metrics with {SOURCES} sources, where each is measured in every hour",
            month=METRICS * METRIC_MONTH,
        ),
        Item("Alarms, and the one of them all", month=ALARM_METRICS * ALARM_MONTH + COMPOSITE_MONTH),
        Item("Dashboard, key of the topic", month=DASHBOARD_MONTH + KEY_MONTH),
        Item(
            f"Drift, every hour, {DRIFT_SECONDS:g} s and {DRIFT_DAYS} days of records", month=DRIFT_RUNS * run
        ),
        Item(
            "Alerts, at worst a picture at a time",
            pictures=PICTURES * (delivery + ALERTS_WRITES * TABLE_WRITE + ALERTS_READS * TABLE_READ),
            month=MINUTES_MONTH * (SCHEDULE + delivery + 2 * TABLE_READ),
        ),
    ]


def alerts_ms() -> float:
    """Return the milliseconds that Alerts takes for a delivery of one picture, at its share of a processor."""
    return ALERTS_PROCESSOR_MS * MB_PER_PROCESSOR / ALERTS_MEMORY + ALERTS_CALLS * TABLE_MS


def option_items() -> list[Item]:
    """Return the cost of the options."""
    gigabytes = MB_PER_PROCESSOR / 1024  # Predict's default
    kept, restored = 30 * 86400 * gigabytes * SNAPSHOT_GB_SECOND, STARTS * gigabytes * RESTORED_GB
    return [
        Item(f"SnapStart, on in prod: a version kept, {STARTS:,} starts", pictures=restored, month=kept),
        Item(
            "Web ACL that limits each address, on in prod",
            pictures=PICTURES * WEB_ACL_REQUEST,
            month=WEB_ACL_MONTH,
        ),
        Item(
            "Provisioned concurrency, instead of SnapStart: each environment",
            month=30 * 86400 * gigabytes * PROVISIONED_GB_SECOND,
        ),
    ]


def monitoring_table() -> str:
    """Return the Markdown table for monitoring."""
    items = monitoring_items()
    pictures, month = sum(item.pictures for item in items), sum(item.month for item in items)
    note = (
        f"Dollars; prices of us-east-1, looked up {PRICES_SEEN}. Metrics are billed for the hours in which they are "
        f"measured, so a stack with little traffic pays a fraction. After `make baseline`, each further source costs "
        f"${METRIC_MONTH:.2f} a month, and as much again while it is among the 20 with the most labels. Not in it: "
        f"labels of 30 days, each of which Drift reads every hour (${1e3 * DRIFT_RUNS * S3_READ:.2f} a month for a "
        "thousand), the first two yearly rotations of the key ($1.00 a month each), decompression by Firehose (cents "
        "a million), what Athena scans, messages to more than a thousand subscribers. Alerts takes "
        f"{alerts_ms():.0f} ms, of which {ALERTS_CALLS * TABLE_MS:g} are assumed for DynamoDB's answers; a "
        "stack without alerts does not have this line."
    )
    total = f"| **Total** | **${pictures:,.2f}** | **${month:,.2f}** |"
    return "\n".join([*_lines("Monitoring", items), total, "", note])


def options_table() -> str:
    """Return the Markdown table for the options."""
    note = (
        f"Dollars; prices of us-east-1, looked up {PRICES_SEEN}. Lambda keeps a snapshot of every version until "
        "the version is deleted, as a deployment does with the one before, and bills three hours of each at least."
    )
    return "\n".join([*_lines("Options", option_items()), "", note])


def _lines(title: str, items: Iterable[Item]) -> list[str]:
    lines = [f"| {title} | a million pictures | a month |", "|---|---:|---:|"]
    for item in items:
        cells = (f"${dollars:,.2f}" if dollars else "" for dollars in (item.pictures, item.month))
        lines.append(f"| {item.what} | {' | '.join(cells)} |")
    return lines


def bulk_table(milliseconds: float) -> str:
    """Return the Markdown table for pictures in S3, each of which takes `milliseconds` on one processor."""
    lines = [
        "| Pictures | | Lambda | S3 | SQS or Step Functions | Total | Hours with "
        + ", ".join(f"{n:,}" for n in CONCURRENCIES)
        + " batches at once |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for pictures in BULKS:
        hours = ", ".join(f"{pictures * milliseconds / 3.6e6 / n:,.2f}" for n in CONCURRENCIES)
        for way, cost_of in (("uploaded", by_queue), ("backfill", by_backfill)):
            bulk = cost_of(pictures, milliseconds)
            lines.append(
                f"| {pictures:,} | {way} | ${bulk.functions:,.2f} | ${bulk.storage:,.2f} | ${bulk.dispatch:,.2f} "
                f"| **${bulk.total:,.2f}** | {hours} |"
            )
    note = (
        f"Dollars; prices of us-east-1, looked up {PRICES_SEEN}. {milliseconds:g} ms a picture on one processor "
        f"({MB_PER_PROCESSOR:,} MB, x86_64). Not in it: putting the pictures into S3 and keeping them, log storage."
    )
    return "\n".join([*lines, "", note])


def table(milliseconds: float, peak: float) -> str:
    """Return the Markdown table for predictions of `milliseconds` that need `peak` MB of memory."""
    gateway, rekognition = PICTURES * API_REQUEST, PICTURES * REKOGNITION_IMAGE
    lines = [
        "| Memory | Billed | API Gateway | Lambda x86_64 | Lambda arm64 | Total | Rekognition |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for memory in MEMORY_SIZES:
        if peak > memory:
            continue
        billed = billed_ms(milliseconds, memory)
        x86, arm = (
            lambda_cost(memory, PICTURES * billed, PICTURES, architecture)
            for architecture in LAMBDA_GB_SECOND
        )
        lines.append(
            f"| {memory} MB | {billed} ms | ${gateway:.2f} | ${x86:.2f} | ${arm:.2f} | **${gateway + x86:.2f}** "
            f"| ${rekognition:,.0f} |"
        )
    note = (
        f"Dollars a million pictures; prices of us-east-1, looked up {PRICES_SEEN}. Measured: {milliseconds:g} ms "
        f"on one processor, {peak:g} MB at most. The total is with x86_64; arm64 is taken to be as fast. Not in it: "
        "cold starts, log storage, data out."
    )
    return "\n".join([*lines, "", note])


def measured(results: str) -> tuple[float, float]:
    """Return the end-to-end time of the handler (p50, milliseconds) and its peak memory (MB) from the benchmark.

    Raises:
        OpsError: No row begins with "handler", or its table has no column for p50 or MB.
    """
    header: list[str] = []
    for line in results.splitlines():
        cells = [cell.strip().strip("*`") for cell in line.strip().strip("|").split("|")]
        if any("p50" in cell for cell in cells):
            header = cells
        elif header and cells[0].lower().startswith("handler"):
            row = dict(zip(header, cells, strict=False))
            try:
                return _number(row, "p50"), _number(row, "MB")
            except StopIteration as error:
                raise OpsError("the handler's row has no figure for p50 or for MB") from error
    raise OpsError("no row for the handler")


def _number(row: dict[str, str], column: str) -> float:
    cell = next(value for name, value in row.items() if column in name)
    return float(next(re.finditer(r"[\d.]+", cell)).group())


def add_options(parser: ArgumentParser) -> None:
    """Add the measurements, which default to those in RESULTS.md."""
    parser.add_argument("--ms", type=float, help="milliseconds a prediction, on one processor")
    parser.add_argument("--mb", type=float, help="peak memory in MB")


def command(options: Namespace) -> None:
    """Print the tables."""
    ms, mb = options.ms, options.mb
    if ms is None or mb is None:
        milliseconds, peak = measured(RESULTS.read_text(encoding="utf-8"))
        ms = milliseconds if ms is None else ms
        mb = peak if mb is None else mb
    print(table(ms, mb), bulk_table(ms), monitoring_table(), options_table(), sep="\n\n")
