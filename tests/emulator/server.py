"""MiniStack in a process group of its own, which always ends with the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
import requests
from botocore.config import Config

from infra.local.template import ACCOUNT, REGION
from tests.emulator.template import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM: Final = PROJECT / ".venv-emulator" / "bin" / "ministack"
TIMEOUT: Final = 120.0  # seconds, for a busy machine
# The shell ends its whole group when MiniStack ends, or when the tests do, which closes their end of its input.
_SCRIPT: Final = '("$0"; kill -9 0) & read -r _; kill -9 0'


@dataclass(frozen=True)
class Emulator:
    """A running MiniStack: its address, and the certificate to trust."""

    url: str
    certificate: str

    def client(self, service: str) -> Any:
        """Return a boto3 client with administrator permissions."""
        return _client(service, self.url, self.certificate)

    def post_form(self, url: str, fields: dict[str, str], file: bytes) -> int:
        """Send the form of a presigned upload, and return the status of the answer."""
        answer = requests.post(
            url, data=fields, files={"file": file}, verify=self.certificate, timeout=TIMEOUT
        )
        return answer.status_code


@cache  # making one takes longer than most calls
def _client(service: str, url: str, certificate: str) -> Any:
    session = boto3.Session(ACCOUNT, "test", region_name=REGION)
    config = Config(read_timeout=TIMEOUT, retries={"total_max_attempts": 1}, max_pool_connections=20)
    return session.client(service, endpoint_url=url, verify=certificate, config=config)


@contextmanager
def running(folder: Path) -> Iterator[Emulator]:
    """Run MiniStack with roles enforced; it writes into `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": "10",  # what a new account has
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "SFTP_ENABLED": "0",
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder),
        "USE_SSL": "1",
    }
    log = folder / "ministack.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["sh", "-c", _SCRIPT, PROGRAM],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        deadline = time.monotonic() + TIMEOUT
        while not _is_open(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MiniStack did not start: {log.read_text()}")
            time.sleep(0.1)
        yield Emulator(f"https://127.0.0.1:{port}", str(folder / "ministack-tls" / "server.crt"))


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
