"""A local Lambda: runs a function's handler in its own processes, with the environment of the template.

As in Lambda, a process serves one event at a time, a new process is a cold start, and a process that times out is
killed. The memory size is passed on, since functions size their thread pools by it, but it is not enforced.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from infra.local.errors import FunctionError, RequestTooLargeError, TooManyRequestsError
from infra.local.template import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROJECT: Final = Path(__file__).parents[2]
CONCURRENCY: Final = 2  # processes per function
MAX_PAYLOAD: Final = 6 * 1024 * 1024  # bytes, Lambda's limit for an event and for an answer
CANARY_EVERY: Final = 10  # events per event for the canary, as in Canary10Percent…
CANARY_SECONDS: Final = 5.0  # instead of the strategy's minutes
WAIT_SECONDS: Final = 29.0  # for a free process; API Gateway waits as long for an answer
INIT_SECONDS: Final = 60.0  # Lambda allows 10, but this machine may be busy


@dataclass(frozen=True)
class FunctionConfig:
    """A function as the template describes it, with all references resolved."""

    name: str
    arn: str
    handler: str
    code: Path
    environment: Mapping[str, str]
    timeout: float  # seconds
    memory: int  # MB
    log_group: str


class Version:
    """A version of a function, and its processes.

    Args:
        config: The function.
        log: Called with log group, log stream and line for every line that the function writes.
    """

    def __init__(self, config: FunctionConfig, log: Callable[[str, str, str], None]) -> None:
        self.config = config
        self._log = log
        # Its threads take events in their order. If callers waited for a process themselves, a new one could overtake
        # a waiting one again and again.
        self._events = ThreadPoolExecutor(CONCURRENCY)
        self._processes: list[_Process | None] = [None] * CONCURRENCY
        self._idle = list(range(CONCURRENCY))  # used from its end, so that a warm process is used first

    def start(self) -> None:
        """Start one process before the first event.

        Raises:
            FunctionError: The handler's module cannot be imported, or took too long.
        """
        self._alive(self._idle[-1])

    def invoke(self, event: Any) -> Any:
        """Run the handler on an event, and return its answer; both are JSON values.

        Raises:
            RequestTooLargeError: The event exceeds Lambda's limit.
            TooManyRequestsError: No process became free in `WAIT_SECONDS`.
            FunctionError: The handler raised, crashed or timed out, its answer exceeds Lambda's limit, or the version
                is stopped.
        """
        payload = json.dumps(event)
        if len(payload) > MAX_PAYLOAD:
            raise RequestTooLargeError
        try:
            answer = self._events.submit(self._call, payload)
            try:
                return answer.result(WAIT_SECONDS)
            except TimeoutError:
                if answer.cancel():  # no process has begun with it
                    raise TooManyRequestsError from None
                return answer.result()
        except (CancelledError, RuntimeError) as error:
            raise FunctionError(f"{self.config.name}: stopped") from error

    def drain(self) -> None:
        """Wait for all events, then end the processes."""
        self._events.shutdown()
        self.stop()

    def stop(self) -> None:
        """Kill all processes; events in progress are lost."""
        self._events.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            if process:
                process.stop()

    def _call(self, payload: str) -> Any:
        index = self._idle.pop()
        try:
            return self._alive(index).call(payload)
        finally:
            self._idle.append(index)

    def _alive(self, index: int) -> _Process:
        process = self._processes[index]
        if process is None or not process.alive():
            process = self._processes[index] = _Process(self.config, self._log)
            process.wait_for_init()
        return process


class Function:
    """A function: its live version and, during a deployment, the new version as a canary.

    As with CodeDeploy, the canary gets every tenth event for some seconds, and is rolled back as soon as it crashes
    or answers 5xx. Not implemented: the hook before it, and other alarms.

    Args:
        config: The function.
        log: Called with log group, log stream and line for every line that a version writes.
    """

    def __init__(self, config: FunctionConfig, log: Callable[[str, str, str], None]) -> None:
        self._live, self._log = Version(config, log), log
        self._canary: Version | None = None
        self._events = itertools.count()
        self._failed, self._reason = Event(), ""

    @property
    def config(self) -> FunctionConfig:
        """The configuration of the live version."""
        return self._live.config

    def start(self) -> None:
        """Start one process before the first event; see `Version.start`."""
        self._live.start()

    def stop(self) -> None:
        """Kill all processes; events in progress are lost."""
        self._live.stop()

    def invoke(self, event: Any) -> Any:
        """Invoke one of the versions; see `Version.invoke`."""
        canary = self._canary
        if canary is None or next(self._events) % CANARY_EVERY:
            return self._live.invoke(event)
        try:
            answer = canary.invoke(event)
        except FunctionError as error:
            self._fail(str(error))
            raise
        if isinstance(answer, dict) and answer.get("statusCode", 0) >= 500:
            self._fail(f"{canary.config.name}: answered {answer['statusCode']}")
        return answer

    def deploy(self, config: FunctionConfig, seconds: float = CANARY_SECONDS) -> None:
        """Deploy a new version with a canary.

        Args:
            config: The new version.
            seconds: Duration of the canary.

        Raises:
            FunctionError: The new version did not start, or failed as a canary; the old one stays live.
        """
        canary = Version(config, self._log)
        canary.start()
        self._failed.clear()
        self._events, self._canary = itertools.count(), canary
        if self._failed.wait(seconds):
            self._canary = None
            canary.stop()
            raise FunctionError(self._reason)
        previous, self._live, self._canary = self._live, canary, None
        time.sleep(1)  # so that an event on its way to the previous version arrives
        previous.drain()

    def _fail(self, reason: str) -> None:
        self._reason = reason
        self._failed.set()


class _Process:
    def __init__(self, config: FunctionConfig, log: Callable[[str, str, str], None]) -> None:
        self._config = config
        self._stream = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{uuid.uuid4().hex}"
        self._pipe, theirs = Pipe()
        self._child = subprocess.Popen(  # noqa: S603 -- our own worker
            [sys.executable, "-m", "infra.local.worker", str(theirs.fileno())],
            cwd=PROJECT,
            env=self._environment(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must reach only the parent, which stops its processes itself
        )
        theirs.close()
        self._log = partial(log, config.log_group, self._stream)
        Thread(target=self._forward_output, daemon=True).start()

    def wait_for_init(self) -> None:
        try:
            self._receive(max(INIT_SECONDS, self._config.timeout))
        except FunctionError:
            self.stop()
            raise

    def call(self, payload: str) -> Any:
        deadline = time.time() + self._config.timeout
        context = {
            "aws_request_id": str(uuid.uuid4()),
            "invoked_function_arn": self._config.arn,
            "deadline": deadline,
        }
        with suppress(BrokenPipeError):  # the process has died; _receive raises the reason
            self._pipe.send_bytes(f'{{"context": {json.dumps(context)}, "event": {payload}}}'.encode())
        return self._receive(self._config.timeout)["result"]

    def alive(self) -> bool:
        return self._child.poll() is None

    def stop(self) -> None:
        self._child.kill()
        self._child.wait()

    def _receive(self, seconds: float) -> dict[str, Any]:
        name = self._config.name
        try:
            if not self._pipe.poll(seconds):
                self.stop()
                self._log(f"Task timed out after {seconds:.2f} seconds")
                raise FunctionError(f"{name}: timed out after {seconds:.2f} seconds")
            answer = self._pipe.recv_bytes()
        except (EOFError, ConnectionResetError):
            self.stop()
            self._log(f"Runtime exited with error: exit status {self._child.returncode}")
            raise FunctionError(f"{name}: exited with status {self._child.returncode}") from None
        if len(answer) > MAX_PAYLOAD:
            raise FunctionError(f"{name}: answered {len(answer)} bytes, which exceeds Lambda's limit")
        message: dict[str, Any] = json.loads(answer)
        if "error" in message:
            raise FunctionError(f"{name}: {message['error']}")
        return message

    def _forward_output(self) -> None:
        assert self._child.stdout is not None  # noqa: S101 -- by PIPE above
        for line in self._child.stdout:
            self._log(line.decode(errors="replace").rstrip("\n"))

    def _environment(self) -> dict[str, str]:
        """Return the template's variables and those that Lambda sets, but none of this process."""
        config = self._config
        return {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
            "AWS_LAMBDA_FUNCTION_NAME": config.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": config.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self._stream,
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "local",
            "LAMBDA_TASK_ROOT": str(config.code),
            "LANG": "en_US.UTF-8",
            "NO_PROXY": "*",  # macOS has a proxy without variables
            "PATH": os.defpath,
            "PYTHONPATH": str(config.code),
            "TZ": ":UTC",
            "_HANDLER": config.handler,
            **config.environment,
        }
