"""The process of a local Lambda: imports a handler, then answers events from a pipe, one at a time.

`function.py` starts it with only the environment variables that Lambda would set.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Context:
    """The context object, a handler's second argument."""

    aws_request_id: str
    invoked_function_arn: str
    deadline: float  # seconds, Unix time
    function_name: str = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
    function_version: str = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
    memory_limit_in_mb: int = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"))
    log_group_name: str = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
    log_stream_name: str = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until this invocation times out."""
        return max(0, int((self.deadline - time.time()) * 1000))


def main() -> None:
    """Answer events until the other end of the pipe is closed."""
    pipe = Connection(int(sys.argv[1]))
    Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    sys.path.pop(0)  # the project's root, added by `-m`; a handler must see only its own code
    # As Lambda's runtime does: a line is in the log even if the process dies during the event.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is a TextIOWrapper
    logging.basicConfig(format="[%(levelname)s]\t%(message)s", stream=sys.stdout)
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    try:
        handler = getattr(importlib.import_module(module), name)
    except BaseException as error:  # noqa: BLE001 -- a handler module may do anything, sys.exit() too
        _answer(pipe, _failure(error))
        sys.exit(1)
    _answer(pipe, {"ready": True})
    while True:
        try:
            call = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        try:
            result = handler(call["event"], Context(**call["context"]))
            answer = json.dumps({"result": result}).encode()
        except Exception as error:  # noqa: BLE001 -- passed on to the caller
            answer = json.dumps(_failure(error)).encode()
        sys.stdout.flush()
        pipe.send_bytes(answer)


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, even during an event, which may wait for moto for minutes."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _failure(error: BaseException) -> dict[str, Any]:
    text = "".join(traceback.format_exception(error))
    print(f"[ERROR] {text}", file=sys.stderr, flush=True)
    return {"error": f"{type(error).__name__}: {error}"}


def _answer(pipe: Connection, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    main()
