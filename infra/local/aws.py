"""A moto server in a process of its own, that ends with whoever started it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto on a free port of this machine and give its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "infra.local.aws"],
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
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- a second to import, not needed by the parent
    from moto.sqs import models as sqs  # noqa: PLC0415
    from moto.stepfunctions.models import StepFunctionBackend  # noqa: PLC0415

    for name, replacement in _OF_EXECUTIONS.items():
        setattr(StepFunctionBackend, name, replacement)
    for owner, name, replacement in (
        # At every message, moto asks of all that wait how late it is: slow, with thousands.
        (sqs, "unix_time_millis", lambda: time.time() * 1000),
        (sqs.SQSBackend, "is_message_valid_based_on_retention_period", lambda *_: True),
    ):
        setattr(owner, name, replacement)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


# moto runs no executions. states.py does, and tells of them by a call that moto does nothing at: the token is the
# execution's ARN, the output what is to be known of it. The only map run of an execution goes by that ARN, too.


def _told_of_execution(backend: Any, arn: str, output: str) -> None:
    vars(backend.describe_execution(arn)).update(json.loads(output), stop_date=datetime.now(UTC))


def _map_runs(backend: Any, arn: str) -> dict[str, Any]:
    execution = backend.describe_execution(arn)
    return {"mapRuns": [_map_run(backend, arn)] if hasattr(execution, "items") else []}


def _map_run(backend: Any, arn: str) -> dict[str, Any]:
    execution = backend.describe_execution(arn)
    return {
        "mapRunArn": arn,
        "executionArn": arn,
        "stateMachineArn": execution.state_machine_arn,
        "startDate": execution.start_date,
        "itemCounts": execution.items,
    }


_OF_EXECUTIONS = {
    "send_task_success": _told_of_execution,
    "list_map_runs": _map_runs,
    "describe_map_run": _map_run,
}

if __name__ == "__main__":
    main()
