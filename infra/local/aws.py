"""A moto server in its own process, which ends with the process that started it."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any, Final

import requests

from infra.local.firehose import filter_of, pack
from infra.local.invocations import UPDATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Client = Callable[[str], Any]  # from the name of a service to moto's boto3 client for it

_DELIVERIES: Final = 3  # attempts: Lambda retries an event twice
_lock: Final = RLock()


@contextmanager
def moto_server(functions: str = "") -> Iterator[str]:
    """Run moto on a free local port, and yield its URL.

    Args:
        functions: URL at which the local functions are invoked (see invocations.py); empty for none.
    """
    with subprocess.Popen(  # noqa: S603 -- our own
        [sys.executable, "-m", "infra.local.aws", functions],
        stdin=subprocess.PIPE,  # closed when this process ends, however it ends
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the parent
    ) as child:
        assert child.stdout is not None  # noqa: S101 -- by PIPE above
        try:
            yield child.stdout.readline().strip()
        finally:
            child.kill()


def main() -> None:
    """Serve until standard input is closed."""
    from moto.awslambda.models import LambdaBackend  # noqa: PLC0415 -- seconds to import, not needed by the parent
    from moto.cloudformation import models as cloudformation  # noqa: PLC0415
    from moto.cloudwatch.models import CloudWatchBackend  # noqa: PLC0415
    from moto.dynamodb.responses import DynamoHandler  # noqa: PLC0415
    from moto.events.models import Rule  # noqa: PLC0415
    from moto.firehose.models import FirehoseBackend  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415
    from moto.sqs import models as sqs  # noqa: PLC0415
    from moto.stepfunctions.models import StepFunctionBackend  # noqa: PLC0415

    for owner, name, replacement in (
        # For every message, moto checks the age of all waiting messages, which is slow with thousands.
        (sqs, "unix_time_millis", lambda: time.time() * 1000),
        (sqs.SQSBackend, "is_message_valid_based_on_retention_period", lambda *_: True),
        # moto compares each value with every metric found so far.
        (CloudWatchBackend, "get_filtered_metrics", _each_metric_once),
        # moto only stores the parameters; see update.py for the deployment.
        (cloudformation.CloudFormationBackend, "update_stack", _update_stack),
        # moto draws a random id; the functions have that of template.py.
        (cloudformation, "generate_stack_id", _stack_id),
        # moto starts no function, and sends every event to the targets of schedules.
        (Rule, "send_to_targets", _send_to_targets),
        # moto forwards the whole events, under another key; see firehose.py.
        (FirehoseBackend, "send_log_event", _send_log_event),
        # An item of DynamoDB is written and read as a whole; moto's threads copy items while others change them.
        (DynamoHandler, "call_action", serialized(DynamoHandler.call_action)),
        # moto starts a container for each function, and does not filter.
        (LambdaBackend, "send_log_event", _send_to_function),
        # moto starts a container for each function; see invocations.py.
        (LambdaBackend, "invoke", _invoke),
        # moto does not run executions; backfill.py does, and reports progress by `send_task_success`, which moto
        # ignores: the token is the execution's ARN, the output the fields to set.
        (StepFunctionBackend, "send_task_success", _update_execution),
        (StepFunctionBackend, "list_map_runs", _map_runs),
        (StepFunctionBackend, "describe_map_run", _map_run),
    ):
        setattr(owner, name, replacement)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


def _each_metric_once(backend: Any, name: str, namespace: str, dimensions: Sequence[Any]) -> list[Any]:
    metrics: dict[Any, Any] = {}
    for metric in backend.get_all_metrics():
        if metric.filter(namespace=namespace, name=name, dimensions=dimensions):
            pairs = tuple((dimension.name, dimension.value) for dimension in metric.dimensions)
            metrics.setdefault((metric.namespace, metric.name, pairs), metric)
    return list(metrics.values())


def serialized(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of moto that only one thread runs at a time."""

    @wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        with _lock:
            return method(*arguments, **named)

    return call


def _send_to_function(
    backend: Any, arn: str, subscription: str, group: str, stream: str, events: Sequence[Mapping[str, Any]]
) -> None:
    """Invoke a function with the events that match its subscription, and wait, so that deliveries do not pile up."""
    matching = _matching(backend, subscription, group, events)
    if not matching:
        return
    delivery = {
        "messageType": "DATA_MESSAGE",
        "owner": backend.account_id,
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [subscription],
        "logEvents": matching,
    }
    data = base64.b64encode(gzip.compress(json.dumps(delivery).encode())).decode()
    event = json.dumps({"awslogs": {"data": data}})
    for _ in range(_DELIVERIES):
        answer: dict[str, str] = {}
        _invoke(backend, arn, None, event, {}, answer)
        if "x-amz-function-error" not in answer:
            return


def _send_to_targets(rule: Any, event: dict[str, Any], **_: Any) -> None:
    if rule.scheduled_expression or not rule.event_pattern.matches_event(event):
        return
    for arn in (target["Arn"] for target in rule.targets):
        if ":function:" in arn:
            _invoke(rule, arn, None, json.dumps(event), {"x-amz-invocation-type": "Event"}, {})
        else:
            rule._send_to_sqs_queue(arn.rpartition(":")[2], dict(event))  # noqa: SLF001 -- moto has no other way


def _matching(
    backend: Any, subscription: str, group: str, events: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the events that match a subscription's filter, which moto ignores."""
    from moto.logs.models import logs_backends  # noqa: PLC0415

    logs = logs_backends[backend.account_id][backend.region_name]
    matches = filter_of(logs.groups[group].subscription_filters[subscription].filter_pattern)
    return [event for event in events if matches(event["message"])]


def _send_log_event(
    backend: Any, arn: str, subscription: str, group: str, _stream: str, events: Sequence[Mapping[str, Any]]
) -> None:
    from moto.s3.models import s3_backends  # noqa: PLC0415

    messages = [event["message"] for event in _matching(backend, subscription, group, events)]
    if messages:
        stream = backend.lookup_name_from_arn(arn)
        destination = stream.destinations[0]["ExtendedS3"]
        key, body = pack(messages, stream.delivery_stream_name, destination, datetime.now(UTC))
        bucket = destination["BucketARN"].rpartition(":")[2]
        s3_backends[backend.account_id][backend.partition].put_object(bucket, key, body)


def _stack_id(name: str, region: str, account: str) -> str:
    return f"arn:aws:cloudformation:{region}:{account}:stack/{name}/local"


def _update_stack(
    backend: Any,
    name: str,
    template: str,
    role_arn: str | None,
    parameters: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str] | None,
) -> Any:
    from flask import request  # noqa: PLC0415
    from moto.cloudformation.exceptions import ValidationError  # noqa: PLC0415

    stack = backend.get_stack(name)
    if stack.status.endswith("_IN_PROGRESS"):
        raise ValidationError(
            message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
        )
    values = {
        parameter["ParameterKey"]: stack.parameters[parameter["ParameterKey"]]
        if parameter.get("UsePreviousValue")
        else parameter["ParameterValue"]
        for parameter in parameters
    }
    token = request.values.get("ClientRequestToken")

    def record_event(status: str, reason: str | None = None) -> None:
        stack._add_stack_event(status, reason)  # noqa: SLF001 -- moto has no other way
        stack.events[-1].client_request_token = token

    def deploy() -> None:
        try:  # without a timeout, because a canary takes minutes
            reason = requests.post(f"{sys.argv[1]}/{UPDATE}", json=values, timeout=None).json()  # noqa: S113
        except (OSError, ValueError) as error:
            reason = repr(error)
        if reason:
            record_event("UPDATE_FAILED", reason)
            record_event("UPDATE_ROLLBACK_COMPLETE")
            stack.status = "UPDATE_ROLLBACK_COMPLETE"
            return
        record_event("UPDATE_COMPLETE")  # before the status changes: pollers of the status then look for it
        stack.update(template, role_arn, parameters=values, tags=tags)

    stack.status = "UPDATE_IN_PROGRESS"
    record_event("UPDATE_IN_PROGRESS")
    Thread(target=deploy, daemon=True).start()
    return stack


def _invoke(
    _backend: Any,
    function: str,
    _qualifier: str | None,
    body: str | bytes,
    headers: Any,
    response_headers: Any,
) -> bytes:
    from moto.awslambda.exceptions import LambdaClientError, UnknownFunctionException  # noqa: PLC0415

    name = function.partition(":function:")[2] or function  # an ARN, or `name:alias`; one version runs here
    kind = {"x-amz-invocation-type": headers.get("x-amz-invocation-type", "RequestResponse")}
    url = f"{sys.argv[1]}/{name.partition(':')[0]}"
    answer = requests.post(url, body or "{}", headers=kind, timeout=None)  # noqa: S113 -- a function has its own
    if answer.status_code == 404:
        raise UnknownFunctionException(function)
    if not answer.ok:
        kinds = {413: "RequestTooLargeException", 429: "TooManyRequestsException"}
        refusal = LambdaClientError(kinds.get(answer.status_code, "ServiceException"), answer.text)
        refusal.code = answer.status_code
        raise refusal
    if error := answer.headers.get("x-amz-function-error"):
        response_headers["x-amz-function-error"] = error
    response_headers["Content-Length"] = str(len(answer.content))
    return answer.content


def _update_execution(backend: Any, arn: str, output: str) -> None:
    vars(backend.describe_execution(arn)).update(json.loads(output), stop_date=datetime.now(UTC))


def _map_runs(backend: Any, arn: str) -> dict[str, Any]:
    execution = backend.describe_execution(arn)
    return {"mapRuns": [_map_run(backend, arn)] if hasattr(execution, "items") else []}


def _map_run(backend: Any, arn: str) -> dict[str, Any]:
    """Return the description of an execution's only map run, which has the same ARN."""
    execution = backend.describe_execution(arn)
    return {
        "mapRunArn": arn,
        "executionArn": arn,
        "stateMachineArn": execution.state_machine_arn,
        "startDate": execution.start_date,
        "itemCounts": execution.items,
    }


if __name__ == "__main__":
    main()
