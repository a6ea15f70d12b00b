"""The local stack of `make run`, on free ports."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
import requests

from infra.ops.__main__ import main

ROOT = Path(__file__).parents[1]
ORIGIN = {"origin": "https://example.org"}
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True)
class System:
    """A running local stack: the URLs of its API and of moto, and its output at the start."""

    url: str
    moto: str
    printed: str
    process: subprocess.Popen

    def predict(self, body, content_type, key="local", **options):
        """Send POST /predict, as a page of another site would; `key=None` sends no key."""
        headers = ORIGIN | ({"content-type": content_type} if content_type else {})
        headers |= {"x-api-key": key} if key else {}
        return requests.post(f"{self.url}/predict", data=body, headers=headers, timeout=60, **options)

    def client(self, service):
        session = boto3.Session("local", "local", region_name="us-east-1")
        return session.client(service, endpoint_url=self.moto)

    @cached_property
    def outputs(self):
        """The outputs of the stack by name."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName="maskwatch")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def operate(self, command, *arguments):
        """Run an operator's command on it, and return what its process would; not for threads."""
        environment = own_environment() | CREDENTIALS | {"AWS_ENDPOINT_URL": self.moto}
        stdout, stderr, status = io.StringIO(), io.StringIO(), 0
        with (
            patch.dict(os.environ, environment, clear=True),
            patch.object(boto3, "DEFAULT_SESSION", None),
            redirect_stdout(stdout),
            redirect_stderr(stderr),
        ):
            try:
                main([command, *arguments])
            except SystemExit as ended:
                status = ended.code
                if isinstance(status, str):
                    print(status, file=stderr)
                    status = 1
        return subprocess.CompletedProcess(arguments, status, stdout.getvalue(), stderr.getvalue())


def python(*arguments, **environment):
    """Run this Python in the project's folder with additional environment variables."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def recipe(*arguments):
    """Return the commands that `make` would run."""
    command = ["make", "--dry-run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def own_environment():
    """Return this process's environment without variables that select another account or endpoint."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@contextmanager
def running(*arguments):
    """Start a local stack on a free port, wait until it prints its URL, and stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0", *arguments],
        cwd=ROOT,
        # Nothing leaves this machine, so that a company's proxy does not matter.
        env=own_environment() | {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            printed = ""
            while "Log groups:" not in printed:
                line = process.stdout.readline()
                assert line, f"it ended with {process.wait()} before it ran: {printed}"
                printed += line
            url = re.search(r"runs at (\S+)/ ", printed)[1]
            moto = re.search(r"AWS services are at (\S+) ", printed)[1]
            started = System(url, moto, printed, process)
            yield started
            if process.poll() is None:  # no test stopped it with another signal
                assert stop(started, signal.SIGTERM) == 0
        finally:
            process.send_signal(signal.SIGTERM)


def stop(system, number):
    """Send a signal, check that no process is left and the port is closed, and return the exit status."""
    children = processes_of(system.process)
    assert len(children) >= 3, children
    system.process.send_signal(number)
    status = system.process.wait(timeout=60)
    eventually(lambda: not any(children.get(pid) == command for pid, _, command in processes()))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{system.url}/health", timeout=5)
    return status


def processes_of(parent):
    """Return the commands of a process's children by their ids."""
    return {pid: command for pid, parent_id, command in processes() if parent_id == parent.pid}


def processes():
    """Return process id, parent's id and command of every process that is not a zombie."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], check=True, capture_output=True, text=True
    )
    rows = [line.split(None, 3) for line in listing.stdout.splitlines()]
    return [(int(row[0]), int(row[1]), row[3]) for row in rows if not row[2].startswith("Z")]


def eventually(look, seconds=60):
    """Poll `look` until it returns a truthy value, and return that."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"nothing after {seconds} s"
        time.sleep(0.1)
    return found
