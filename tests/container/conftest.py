"""The images of `sam build`, built once for all tests of this folder."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from tests.container.images import IMAGES
from tests.system import CREDENTIALS, ROOT

BUILD_TIMEOUT = (
    3000  # seconds; without a cache, and beside the other tests, a build takes a quarter of an hour
)


@dataclass(frozen=True)
class Invocation:
    """The output of `sam local invoke`: the function's answer and its log."""

    stdout: str
    log: str

    @property
    def answer(self):
        return json.loads(self.stdout)


class Sam:
    """The SAM CLI on this project, which builds into `build`, a temporary folder."""

    def __init__(self, command, build):
        self._command = command
        self.template = build / "template.yaml"

    def run(self, *arguments, timeout=300):
        done = subprocess.run(
            [self._command, *arguments],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def invoke(self, function, event, *parameters, template=None):
        """Run a function on an event's file; `parameters` are Name=Value.

        `sam local invoke` exits 0 even where the function fails: look at what comes back.
        """
        overrides = ["--parameter-overrides", *parameters] if parameters else []
        template = template or self.template
        done = self.run(
            "local", "invoke", function, "--template", str(template), "--event", str(event), *overrides
        )
        return Invocation(done.stdout, done.stderr)

    @contextmanager
    def serve(self, what, path):
        """Run `sam local start-api` or `start-lambda`, and yield its URL once it answers at `path`."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [
                *(self._command, "local", what, "--template", str(self.template)),
                *("--port", str(port), "--warm-containers", "LAZY"),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(120):
                assert process.poll() is None, f"sam local {what} ended"
                try:
                    if requests.get(f"{url}{path}", timeout=30).status_code < 500:
                        break
                except requests.ConnectionError:
                    time.sleep(0.5)
            else:
                pytest.fail(f"sam local {what} does not answer")
            yield url
        finally:
            process.terminate()  # it does not take its containers along on SIGINT
            process.wait(timeout=60)


@pytest.fixture(scope="session")
def sam(tmp_path_factory):
    """The SAM CLI after building the images."""
    command = shutil.which(os.environ.get("SAM", "sam"))
    if not command:
        pytest.skip("container tests need the SAM CLI: make test-container")
    if subprocess.run(["docker", "info"], check=False, capture_output=True).returncode:
        pytest.skip("container tests need a Docker engine")
    build = tmp_path_factory.mktemp("build")
    sam = Sam(str(Path(command).absolute()), build)
    base = os.environ.get("BASE_IMAGE")
    overrides = ["--parameter-overrides", f"BaseImage={base}"] if base else []
    sam.run("build", "--build-dir", str(build), *overrides, timeout=BUILD_TIMEOUT)
    return sam


@pytest.fixture(scope="session")
def docker(sam):  # noqa: ARG001 -- what is asked about is what was built
    """Run `docker …` and return its output."""

    def run(*arguments, check=True):
        done = subprocess.run(
            ["docker", *arguments], check=False, capture_output=True, text=True, timeout=120
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout + ("" if check else done.stderr)

    return run


@pytest.fixture(scope="session")
def moto():
    """A moto server that containers can reach: its port, and a client of its S3."""
    server = ThreadedMotoServer(ip_address="0.0.0.0", port=0, verbose=False)  # noqa: S104 -- of a test
    server.start()
    _, port = server.get_host_and_port()
    session = boto3.Session("local", "local", region_name="us-east-1")
    yield port, session.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    server.stop()


@pytest.fixture(scope="module")
def start(docker, moto):
    """Start a function in a read-only container, as on Lambda; yield a function that invokes it."""
    containers = []

    def start_one(function, handler, memory, timeout, **environment):
        environment |= {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": f"http://host.docker.internal:{moto[0]}",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
        }
        container = docker(
            *("run", "--detach", "--publish=127.0.0.1::8080", "--read-only", "--tmpfs=/tmp"),
            *(f"--memory={memory}m", "--add-host=host.docker.internal:host-gateway"),
            *(f"--env={name}={value}" for name, value in environment.items()),
            *(IMAGES[function], handler),
        ).strip()
        containers.append(container)
        address = docker("port", container, "8080/tcp").split()[0]

        def call(event):
            for _ in range(40):
                try:
                    return requests.post(
                        f"http://{address}/2015-03-31/functions/function/invocations",
                        data=json.dumps(event),
                        timeout=300,
                    ).json()
                except requests.ConnectionError:  # not up yet
                    time.sleep(0.25)
            raise AssertionError(docker("logs", container, check=False))

        return call

    yield start_one
    for container in containers:
        docker("rm", "--force", container)


@pytest.fixture(scope="session")
def routes():
    """Return the function that serves a path, from functions/portal/openapi.yaml."""
    text = (ROOT / "functions" / "portal" / "openapi.yaml").read_text()
    found = {}
    for path in re.split(r"(?m)^  (?=/)", text)[1:]:
        found[path.partition(":")[0]] = re.search(r"\$\{(\w+)\.Alias\}", path)[1]
    return found
