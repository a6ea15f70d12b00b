"""The image of docs/watch runs the command with PyAV as an unprivileged user, and stops cleanly."""

import os
import subprocess
import time

import pytest

from tests.container.conftest import BUILD_TIMEOUT
from tests.system import ROOT

IMAGE = "maskwatch-watch:test"


def docker(*arguments):
    return subprocess.run(
        ["docker", *map(str, arguments)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
    )


@pytest.fixture(scope="module")
def image():
    if docker("info").returncode:
        pytest.skip("container tests need a Docker engine")
    base = os.environ.get("TRAINING_BASE_IMAGE")  # any with Python
    arguments = ["--build-arg", f"BASE_IMAGE={base}"] if base else []
    built = docker("build", "--quiet", "--tag", IMAGE, "--file", "docs/watch/Dockerfile", *arguments, ".")
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return IMAGE


def test_a_file_that_is_no_video_is_reported(image):
    done = docker("run", "--rm", image, "watch", "/etc/passwd")

    assert done.returncode == 1
    assert done.stderr == "maskwatch: /etc/passwd cannot be opened: it is not a readable video\n"


@pytest.mark.parametrize("source", ["/video", "/video/video.mp4"])
def test_an_unreadable_file_is_reported(image, tmp_path, source):
    tmp_path.chmod(0o700)  # nobody but its owner, who is not the image's user
    done = docker("run", "--rm", "--volume", f"{tmp_path}:/video:ro", image, "watch", source)

    assert done.returncode == 2
    assert done.stderr.endswith(f"maskwatch: error: {source} cannot be read: Permission denied\n")


def test_it_stops_cleanly(image):
    name = docker("run", "--detach", "--read-only", "--tmpfs=/tmp", image, "watch", "/tmp").stdout.strip()  # noqa: S108
    try:
        # As process 1 it ignores signals until it handles them, which is when it watches.
        for _ in range(120):
            handled = docker("exec", name, "grep", "SigCgt", "/proc/1/status").stdout
            if int(handled.partition(":")[2] or "0", 16) & 1 << 14:  # SIGTERM
                break
            time.sleep(0.5)
        docker("stop", "--time", "60", name)
        assert (
            docker("inspect", "--format", "{{.State.ExitCode}} {{.Config.User}}", name).stdout
            == "0 65532:65532\n"
        )
    finally:
        docker("rm", "--force", name)
