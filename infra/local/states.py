"""A local Step Functions: runs the executions that are started in moto, which itself would leave them running.

It knows as much of the Amazon States Language as infra/backfill.asl.yaml needs, and refuses anything else: choices by
what is there, and distributed maps over S3 whose items one function takes in batches. Paths are `$` and `$.name`.
moto's own interpreter knows no batches, no inventories and no tolerated failures. Not here: time limits, jitter, and
stopping an execution.
"""

from __future__ import annotations

import csv
import gzip
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from infra.local.function import FunctionFailed, NoneIdle, PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from infra.local.stack import Client

    Invoke = Callable[[str, Any], Any]  # a function's ARN and an event to its answer
    Tell = Callable[
        [Mapping[str, int]], None
    ]  # how many items there are in all, and how many of each outcome

_PAUSE: Final = 0.5  # seconds between two looks for new executions
_MAX_WAIT: Final = 1.0  # seconds before a task is tried again, however long the definition says
_STATE: Final = {
    "Choice": {"Choices", "Default"},
    "Map": {
        *("Label", "ItemReader", "ItemBatcher", "MaxConcurrencyPath", "ToleratedFailurePercentage"),
        *("ItemProcessor", "ResultWriter", "End"),
    },
    "Task": {"Resource", "Parameters", "OutputPath", "TimeoutSeconds", "Retry", "End"},
}


class InvalidStateMachine(Exception):  # noqa: N818 -- a verdict about the definition
    """The definition holds something that the local Step Functions does not know."""


class ExecutionFailed(Exception):  # noqa: N818
    """An execution failed as it would on AWS."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass(frozen=True)
class _Child:
    """What became of one batch."""

    given: Mapping[str, Any]
    output: Any = None
    failure: ExecutionFailed | None = None


class Runner:
    """Looks in moto for executions that were started, and runs each in a thread of its own.

    Args:
        definitions: of the state machines, by their ARNs.
        client: returns a boto3 client of moto by the name of the service.
        invoke: calls a function.

    Raises:
        InvalidStateMachine: a definition holds what is not known here.
    """

    def __init__(self, definitions: Mapping[str, Any], client: Client, invoke: Invoke) -> None:
        for definition in definitions.values():
            check(definition)
        self._definitions, self._client, self._invoke = definitions, client, invoke
        self._states = client("stepfunctions")
        self._begun: set[str] = set()
        self._stopped = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; executions under way are left to end with this process."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE):
            for machine in self._definitions:
                found = self._states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")
                for arn in {told["executionArn"] for told in found["executions"]} - self._begun:
                    self._begun.add(arn)
                    Thread(target=self._execute, args=[machine, arn], daemon=True).start()

    def _execute(self, machine: str, arn: str) -> None:
        def tell(**what: Any) -> None:
            self._states.send_task_success(taskToken=arn, output=json.dumps(what))  # see aws.py

        given = json.loads(self._states.describe_execution(executionArn=arn)["input"])
        try:
            output = execute(
                self._definitions[machine], given, self._client, self._invoke, lambda items: tell(items=items)
            )
        except ExecutionFailed as failure:
            tell(status="FAILED", error=failure.error, cause=failure.cause)
        except Exception as error:
            tell(status="FAILED", error="States.Runtime", cause=repr(error))
            raise
        else:
            tell(status="SUCCEEDED", output=json.dumps(output))


def execute(
    definition: Mapping[str, Any], given: Mapping[str, Any], client: Client, invoke: Invoke, tell: Tell
) -> Any:
    """Run a state machine to its end and return its output.

    Args:
        definition: in the Amazon States Language.
        given: the execution's input.
        client: returns a boto3 client by the name of the service.
        invoke: calls a function.
        tell: is told of progress.

    Raises:
        ExecutionFailed: with the error and the cause that Step Functions would tell.
        InvalidStateMachine: see its message.
    """
    check(definition)
    state = definition["States"][definition["StartAt"]]
    while state["Type"] == "Choice":
        met = (choice["Next"] for choice in state["Choices"] if _is_present(choice["Variable"], given))
        state = definition["States"][next(met, state["Default"])]
    return _map(state, given, client("s3"), invoke, tell)


def check(definition: Mapping[str, Any]) -> None:
    """Refuse what `execute` does not know.

    Raises:
        InvalidStateMachine: it says what.
    """
    for name, state in definition["States"].items():
        if unknown := state.keys() - {"Type"} - _STATE.get(state["Type"], set()):
            raise InvalidStateMachine(
                f"{name}: {', '.join(sorted(unknown))} of a {state['Type']} is not known here"
            )
        for choice in state.get("Choices", []):
            if choice.keys() != {"Variable", "IsPresent", "Next"} or choice["IsPresent"] is not True:
                raise InvalidStateMachine(f"{name}: only `IsPresent: true` is known here")
        if state["Type"] == "Map":
            if state["ResultWriter"].get("WriterConfig") != {
                "Transformation": "COMPACT",
                "OutputType": "JSON",
            }:
                raise InvalidStateMachine(f"{name}: this form of results is not known here")
            check(state["ItemProcessor"])


def _map(state: Mapping[str, Any], given: Mapping[str, Any], s3: Any, invoke: Invoke, tell: Tell) -> Any:
    items = list(_items(state["ItemReader"], given, s3))
    processor = state["ItemProcessor"]
    task = processor["States"][processor["StartAt"]]
    tolerated = state["ToleratedFailurePercentage"] / 100 * len(items)
    children: list[_Child] = []
    counts = {"total": len(items), "succeeded": 0, "failed": 0}
    with ThreadPoolExecutor(_at(state["MaxConcurrencyPath"], given)) as pool:
        futures = [
            pool.submit(_child, task, batch, invoke) for batch in _batches(items, state["ItemBatcher"], given)
        ]
        for future in as_completed(futures):
            child = future.result()
            children.append(child)
            counts["failed" if child.failure else "succeeded"] += len(child.given["Items"])
            tell(counts)
            if counts["failed"] > tolerated:
                pool.shutdown(wait=True, cancel_futures=True)
                break
    output = _write(state["ResultWriter"], given, children, s3)
    if counts["failed"] > tolerated:
        cause = f"{counts['failed']} of {len(items)} items failed; {output['ResultWriterDetails']['Key']} says why"
        raise ExecutionFailed("States.ExceedToleratedFailureThreshold", cause)
    return output


def _items(reader: Mapping[str, Any], given: Mapping[str, Any], s3: Any) -> Iterator[dict[str, Any]]:
    parameters = _filled(reader["Parameters"], given)
    match reader["Resource"].rpartition(":")[2], reader.get("ReaderConfig"):
        case "listObjectsV2", None:
            for page in s3.get_paginator("list_objects_v2").paginate(**parameters):
                for found in page.get("Contents", []):
                    told = {name: found[name] for name in ("Key", "Size", "StorageClass")}
                    yield {
                        "Etag": found["ETag"],
                        "LastModified": int(found["LastModified"].timestamp()),
                        **told,
                    }
        case "getObject", {"InputType": "MANIFEST"}:
            manifest = json.loads(_read(s3, parameters["Bucket"], parameters["Key"]))
            columns = [name.strip() for name in manifest["fileSchema"].split(",")]
            for file in manifest["files"]:
                rows = gzip.decompress(_read(s3, parameters["Bucket"], file["key"])).decode()
                yield from (dict(zip(columns, row, strict=True)) for row in csv.reader(rows.splitlines()))
        case other:
            raise InvalidStateMachine(f"no such reader here: {other}")


def _read(s3: Any, bucket: str, key: str) -> bytes:
    try:
        data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey as error:
        raise ExecutionFailed("States.ItemReaderFailed", f"s3://{bucket}/{key} is not there") from error
    return data


def _batches(
    items: Sequence[Any], batcher: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Give each child its input: as many items as both limits allow."""
    same = _filled(batcher["BatchInput"], given)
    batch: list[Any] = []
    room = batcher["MaxInputBytesPerBatch"]
    for item in items:
        size = len(json.dumps(item, ensure_ascii=False).encode())
        if batch and (len(batch) == batcher["MaxItemsPerBatch"] or size > room):
            yield {"BatchInput": same, "Items": batch}
            batch, room = [], batcher["MaxInputBytesPerBatch"]
        batch.append(item)
        room -= size
    if batch:
        yield {"BatchInput": same, "Items": batch}


def _child(task: Mapping[str, Any], given: dict[str, Any], invoke: Invoke) -> _Child:
    """Run the only state of an item processor, with its retries."""
    parameters = _filled(task["Parameters"], given)
    tries = [0] * len(task["Retry"])
    while True:
        try:
            answer = {"StatusCode": 200, "Payload": invoke(parameters["FunctionName"], parameters["Payload"])}
            return _Child(given, output=_at(task["OutputPath"], answer))
        except (FunctionFailed, NoneIdle, PayloadTooLarge) as error:
            name = "Lambda.TooManyRequestsException" if isinstance(error, NoneIdle) else type(error).__name__
            met = (
                n for n, retry in enumerate(task["Retry"]) if {name, "States.ALL"} & set(retry["ErrorEquals"])
            )
            retrier = next(met, None)
            if retrier is None or tries[retrier] == task["Retry"][retrier]["MaxAttempts"]:
                return _Child(given, failure=ExecutionFailed(name, str(error)))
            retry = task["Retry"][retrier]
            time.sleep(min(retry["IntervalSeconds"] * retry["BackoffRate"] ** tries[retrier], _MAX_WAIT))
            tries[retrier] += 1


def _write(
    writer: Mapping[str, Any], given: Mapping[str, Any], children: Sequence[_Child], s3: Any
) -> dict[str, Any]:
    where = _filled(writer["Parameters"], given)
    run = str(uuid.uuid4())
    told = {
        "SUCCEEDED": [child.output for child in children if not child.failure],
        "FAILED": [
            {
                "Input": json.dumps(child.given),
                "Status": "FAILED",
                "Error": child.failure.error,
                "Cause": child.failure.cause,
            }
            for child in children
            if child.failure
        ],
    }
    files: dict[str, list[dict[str, Any]]] = {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
    for status, results in told.items():
        if results:
            key, body = f"{where['Prefix']}/{run}/{status}_0.json", json.dumps(results).encode()
            s3.put_object(Bucket=where["Bucket"], Key=key, Body=body)
            files[status].append({"Key": key, "Size": len(body)})
    manifest = {"DestinationBucket": where["Bucket"], "MapRunArn": run, "ResultFiles": files}
    details = {"Bucket": where["Bucket"], "Key": f"{where['Prefix']}/{run}/manifest.json"}
    s3.put_object(**details, Body=json.dumps(manifest).encode())
    return {"MapRunArn": run, "ResultWriterDetails": details}


def _filled(template: Any, given: Any) -> Any:
    """Return a payload template with its paths looked up: `"name.$": "$.path"`."""
    if not isinstance(template, dict):
        return template
    return {
        key.removesuffix(".$"): _at(value, given) if key.endswith(".$") else _filled(value, given)
        for key, value in template.items()
    }


def _at(path: str, value: Any) -> Any:
    if path == "$":
        return value
    if not _is_present(path, value):
        raise ExecutionFailed("States.Runtime", f"{path} is not in the input")
    return value[path[2:]]


def _is_present(path: str, value: Mapping[str, Any]) -> bool:
    return path[2:] in value
