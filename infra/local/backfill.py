"""Runs executions of the backfill's state machine, which moto accepts but does not run.

A plain loop over the items that infra/backfill.asl.yaml names, in batches, with the state machine's own batch size,
input and tolerance. It does not retry, and has no time limits: a batch that fails has failed.
"""

from __future__ import annotations

import csv
import gzip
import json
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from infra.local.errors import ExecutionError, FunctionError, RequestTooLargeError
from infra.local.function import CONCURRENCY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from threading import Event

    from infra.local.aws import Client

_PAUSE: Final = 1.0  # seconds between polls for new executions


def run_executions(
    machine: str,
    definition: Mapping[str, Any],
    client: Client,
    invoke: Callable[[str, Any], Any],
    stopped: Event,
) -> None:
    """Poll moto for executions of a state machine, and run each in its own thread, until `stopped` is set.

    Args:
        machine: ARN of the state machine.
        definition: The state machine, with all references resolved.
        client: Returns moto's boto3 client for a service.
        invoke: Invokes the function with an ARN on an event.
        stopped: Ends the polling; executions in progress end with this process.
    """
    states, s3, begun = client("stepfunctions"), client("s3"), set[str]()

    def execute(arn: str) -> None:
        def update(**fields: Any) -> None:
            states.send_task_success(taskToken=arn, output=json.dumps(fields))  # see aws.py

        payload = json.loads(states.describe_execution(executionArn=arn)["input"])
        try:
            output = run(definition, payload, s3, invoke, lambda counts: update(items=counts))
        except ExecutionError as error:
            update(status="FAILED", error=error.error, cause=error.cause)
        except Exception as error:
            update(status="FAILED", error="States.Runtime", cause=repr(error))
            raise
        else:
            update(status="SUCCEEDED", output=json.dumps(output))

    while not stopped.wait(_PAUSE):
        running = states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")
        for arn in {execution["executionArn"] for execution in running["executions"]} - begun:
            begun.add(arn)
            Thread(target=execute, args=[arn], daemon=True).start()


def run(
    definition: Mapping[str, Any],
    payload: Mapping[str, Any],
    s3: Any,
    invoke: Callable[[str, Any], Any],
    progress: Callable[[Mapping[str, int]], None],
) -> dict[str, Any]:
    """Run an execution, and return its output.

    Args:
        definition: The state machine, with all references resolved.
        payload: The execution's input, `{"prefix" or "manifest": …, "concurrency": …}`.
        s3: A boto3 client.
        invoke: Invokes the function with an ARN on an event.
        progress: Called with the number of items in total, and of those that succeeded and failed so far.

    Raises:
        ExecutionError: The manifest does not exist, or more items failed than are tolerated.
    """
    state = definition["States"]["ScoreInventory" if "manifest" in payload else "ScorePrefix"]
    reader, batcher = state["ItemReader"]["Parameters"], state["ItemBatcher"]
    objects = _list_objects(s3, reader["Bucket"], payload.get("prefix", ""))
    if "manifest" in payload:
        objects = _read_inventory(s3, reader["Bucket"], payload["manifest"])
    items, size = list(objects), batcher["MaxItemsPerBatch"]
    function = state["ItemProcessor"]["States"]["Score"]["Parameters"]["FunctionName"]
    counts = {"total": len(items), "succeeded": 0, "failed": 0}
    results: dict[str, list[Any]] = {"SUCCEEDED": [], "FAILED": []}
    progress(counts)
    with ThreadPoolExecutor(min(payload["concurrency"], CONCURRENCY)) as pool:
        futures = {
            pool.submit(invoke, function, {"BatchInput": batcher["BatchInput"], "Items": batch}): len(batch)
            for batch in (items[start : start + size] for start in range(0, len(items), size))
        }
        for future in as_completed(futures):
            try:
                results["SUCCEEDED"].append(future.result())
                counts["succeeded"] += futures[future]
            except (FunctionError, RequestTooLargeError) as error:
                results["FAILED"].append({"Error": type(error).__name__, "Cause": str(error)})
                counts["failed"] += futures[future]
            progress(counts)
    details = _write(s3, state["ResultWriter"]["Parameters"], results)
    if counts["failed"] > state["ToleratedFailurePercentage"] / 100 * len(items):
        cause = f"{counts['failed']} of {len(items)} items failed; {details['Key']} says why"
        raise ExecutionError("States.ExceedToleratedFailureThreshold", cause)
    return {"ResultWriterDetails": details}


def _list_objects(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from ({"Key": item["Key"], "Etag": item["ETag"]} for item in page.get("Contents", []))


def _read_inventory(s3: Any, bucket: str, manifest: str) -> Iterator[dict[str, Any]]:
    def read(key: str) -> bytes:
        try:
            content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            raise ExecutionError("States.ItemReaderFailed", f"s3://{bucket}/{key}: {error}") from error
        return content

    document = json.loads(read(manifest))
    columns = [name.strip() for name in document["fileSchema"].split(",")]
    for file in document["files"]:
        rows = gzip.decompress(read(file["key"])).decode().splitlines()
        yield from (dict(zip(columns, row, strict=True)) for row in csv.reader(rows))


def _write(s3: Any, place: Mapping[str, str], results: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """Write the batches' results as Step Functions' ResultWriter does; return the manifest's bucket and key."""
    bucket, folder = place["Bucket"], f"{place['Prefix']}/{uuid.uuid4()}"
    files: dict[str, list[dict[str, Any]]] = {}
    for status, of_batches in results.items():
        key = f"{folder}/{status}_0.json"
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(of_batches).encode())
        files[status] = [{"Key": key}]
    details = {"Bucket": bucket, "Key": f"{folder}/manifest.json"}
    s3.put_object(**details, Body=json.dumps({"ResultFiles": files}).encode())
    return details
