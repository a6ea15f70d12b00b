"""The local stack starts, also twice, prints what to do, restarts processes, and ends without remains."""

import os
import re
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system import processes_of, python, running, stop


def test_the_printed_curl_line_works_as_pasted(system):
    (line,) = re.findall(r"^ +(python3 .*\n +curl .*)$", system.printed, re.MULTILINE)

    done = subprocess.run(line, shell=True, check=True, capture_output=True, text=True)  # noqa: S602

    assert '"probabilities"' in done.stdout


def test_it_prints_urls_and_buckets(system):
    (bucket,) = [b["Name"] for b in system.client("s3").list_buckets()["Buckets"] if "models" in b["Name"]]

    assert bucket in system.printed
    assert f"export AWS_ENDPOINT_URL={system.moto}" in system.printed


@pytest.fixture(scope="module")
def other():
    """A second system, which an interrupt ends; SIGTERM ends the first, and SIGKILL that of the rehearsal."""
    with running() as started:
        yield started
        assert stop(started, signal.SIGINT) == 0


def test_two_run_side_by_side(system, other, picture):
    assert other.url != system.url
    assert other.predict(picture, "image/jpeg").status_code == 200
    other.client("s3").create_bucket(Bucket="only-in-the-other")
    names = {bucket["Name"] for bucket in system.client("s3").list_buckets()["Buckets"]}
    assert "only-in-the-other" not in names


def test_a_function_whose_process_dies_gets_a_new_one(other, picture):
    for pid, args in processes_of(other.process).items():
        if "infra.local.worker" in args:
            os.kill(pid, signal.SIGKILL)

    statuses = [other.predict(picture, "image/jpeg").status_code for _ in range(5)]

    assert statuses[1:] == [200] * 4


def test_concurrent_requests_are_all_answered(system, picture):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: system.predict(picture, "image/jpeg"), range(64)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["prediction_id"] for answer in answers}) == 64


def start(*arguments):
    return python("-m", "infra.local", *arguments)


def test_a_port_in_use_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start("--port", str(port))

    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "make run PORT=3001" in done.stderr


def test_an_unknown_parameter_is_reported():
    done = start("--port", "0", "--parameter", "Typo=1")

    assert done.returncode == 1
    assert "no such parameter: Typo" in done.stderr


def test_a_missing_release_is_reported():
    done = start("--port", "0", "--parameter", "ModelUri=s3://no-such-bucket/models/1/")

    assert done.returncode == 1
    assert "cannot start: maskwatch-PredictFunction" in done.stderr
