"""Score existing objects in the uploads bucket: `python -m infra.ops backfill --stack NAME --prefix 2026/11/`."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import boto3
from tqdm import tqdm

from infra.ops.arguments import positive_count
from infra.ops.errors import OpsError
from infra.ops.stack import add_stack, outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

_PAUSE: Final = 2.0  # seconds between polls of an execution


def watch(execution: str, states: Any, bar: Any) -> dict[str, Any]:
    """Wait for the end of an execution, updating a progress bar, and return its output.

    Raises:
        OpsError: It did not succeed; the message is that of Step Functions.
    """
    while True:
        description = states.describe_execution(executionArn=execution)
        for run in states.list_map_runs(executionArn=execution)["mapRuns"]:
            items = states.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
            bar.total = items["total"]
            bar.update(items["succeeded"] + items["failed"] - bar.n)
        if description["status"] == "SUCCEEDED":
            output: dict[str, Any] = json.loads(description["output"])
            return output
        if description["status"] != "RUNNING":
            raise OpsError(
                ": ".join(
                    filter(None, (description["status"], description.get("error"), description.get("cause")))
                )
            )
        time.sleep(_PAUSE)


def outcomes(output: dict[str, Any], s3: Any) -> tuple[Counter[str], Counter[str]]:
    """Return the number of pictures by outcome and of failed batches by cause, from an execution's result files."""

    def read(key: str) -> Any:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    bucket = output["ResultWriterDetails"]["Bucket"]
    files = read(output["ResultWriterDetails"]["Key"])["ResultFiles"]
    pictures, failures = Counter[str](), Counter[str]()
    for file in files["SUCCEEDED"]:
        for batch in read(file["Key"]):
            pictures.update(batch)
    for file in files["FAILED"]:
        failures.update(
            batch.get("Cause") or batch.get("Error") or "no reason" for batch in read(file["Key"])
        )
    return pictures, failures


def add_options(parser: ArgumentParser) -> None:
    """Add the stack, and the choice of pictures."""
    add_stack(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--prefix", help="pictures whose keys start with this")
    what.add_argument("--manifest", metavar="KEY", help="pictures of this S3 inventory in the results bucket")
    parser.add_argument(
        "--concurrency", type=positive_count, default=2, help="batches at once (default: %(default)s)"
    )


def command(options: Namespace) -> None:
    """Run a backfill, show its progress, and print the outcomes.

    Raises:
        OpsError: No object was found, or the execution did not succeed.
    """
    machine = outputs_of(options.stack)["Backfill"]
    given = {"prefix": options.prefix} if options.manifest is None else {"manifest": options.manifest}
    states = boto3.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=machine, input=json.dumps({**given, "concurrency": options.concurrency})
    )["executionArn"]
    print(f"{execution}\nIt continues even if this command is stopped.")
    with tqdm(unit=" objects") as bar:
        output = watch(execution, states, bar)
    pictures, failures = outcomes(output, boto3.client("s3"))
    if not pictures and not failures:
        where = (
            f"with the prefix {options.prefix!r}" if options.manifest is None else f"in {options.manifest}"
        )
        raise OpsError(f"There are no objects {where}.")
    for outcome, number in sorted(pictures.items()):
        print(f"{outcome:10}{number:>14,}")
    for cause, batches in failures.most_common():
        print(f"{batches:,} batches failed: {cause}")
