"""The whole system, as `make run` starts it, on ports of its own."""

import io
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import requests
from PIL import Image

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class System:
    """One that runs: where it is, and what it said when it started."""

    url: str
    moto: str
    said: str
    process: subprocess.Popen

    def predict(self, body, content_type, key="local", **options):
        """POST /predict; `key=None` sends none."""
        headers = {"content-type": content_type} if content_type else {}
        headers |= {"x-api-key": key} if key else {}
        return requests.post(f"{self.url}/predict", data=body, headers=headers, timeout=60, **options)

    def client(self, service):
        session = boto3.Session("local", "local", region_name="us-east-1")
        return session.client(service, endpoint_url=self.moto)


@contextmanager
def _running(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0", *arguments],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            said = ""
            while "Log groups:" not in said:
                line = process.stdout.readline()
                assert line, f"it ended with {process.wait()} before it ran: {said}"
                said += line
            url = re.search(r"runs at (\S+)/ ", said)[1]
            moto = re.search(r"AWS services are at (\S+) ", said)[1]
            yield System(url, moto, said, process)
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.fixture(scope="session")
def system():
    """One for all tests, that none stops."""
    with _running() as started:
        yield started


@pytest.fixture(scope="session")
def running():
    """Start another on a free port, wait until it says where it is, and stop it in the end: a context manager."""
    return _running


@pytest.fixture(scope="session")
def picture():
    """A JPEG of 160 x 120 pixels with something to see in it."""
    gradient = Image.linear_gradient("L").resize((160, 120))
    file = io.BytesIO()
    Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.ROTATE_180), gradient)).save(
        file, "JPEG"
    )
    return file.getvalue()
