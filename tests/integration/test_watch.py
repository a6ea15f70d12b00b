"""`maskwatch watch` with the running system counts people, reconnects to cameras, and stops cleanly."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.pictures import draw_face, encode
from tests.system import eventually
from tests.videos import draw_bare_face, room, write_video

SERVER = Path(__file__).with_name("rtsp_server.py")
PASSWORD = "hidden"  # noqa: S105 -- of the test's server
DEBIAN_PYTHON = "/usr/bin/python3"  # has the bindings of GStreamer


class Watching:
    """A running command, and its output so far."""

    def __init__(self, process):
        self.process, self.events, self.output = process, [], []
        self._readers = [
            Thread(target=lambda: self.events.extend(map(json.loads, process.stdout))),
            Thread(target=lambda: self.output.extend(process.stderr)),
        ]
        for reader in self._readers:
            reader.start()

    def stop(self, how=signal.SIGTERM):
        """Send a signal, read the rest of the output, and return the exit status."""
        self.process.send_signal(how)
        return self.end()

    def end(self):
        status = self.process.wait(120)
        for reader in self._readers:
            reader.join()
        return status

    def happened(self):
        return [event["event"] for event in self.events]


@pytest.fixture
def watching(system):
    """Return a function that runs the command with arguments."""
    started = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "maskwatch.cli", "watch", *map(str, arguments)],
            env=os.environ | {"MASKWATCH_URL": system.url, "MASKWATCH_KEY": "local", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Watching(process)

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_people_in_a_video_are_counted_correctly(watching, tmp_path):
    masked, bare = draw_face(96, 120), draw_bare_face()

    def frame(number):
        sway = abs(20 - number % 40)
        people = [(masked, 80 + sway, 200)] * (number < 80) + [(bare, 420 - sway, 220)] * (30 <= number < 110)
        return room(*people, *([(masked, 80, 180)] * (number >= 110)))

    video = write_video(tmp_path / "video.mp4", map(frame, range(150)))
    watched = watching(video, "--source", "gate-3", "--alert-after", "2", "--draw", tmp_path / "stills")

    assert watched.end() == 0
    assert [(event["event"], event["person"], event["label"]) for event in watched.events] == [
        ("came", 1, "mask"),
        ("came", 2, "no_mask"),
        ("alert_on", 2, "no_mask"),
        ("left", 1, "mask"),
        ("came", 3, "mask"),
        ("alert_off", 2, "no_mask"),
        ("left", 2, "no_mask"),
        ("left", 3, "mask"),
    ]
    assert watched.events[-1]["so_far"] == {"people": 3, "mask": 2, "incorrect": 0, "no_mask": 1}
    assert len(list((tmp_path / "stills").iterdir())) == 4
    assert watched.output == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_folder_is_watched_until_a_signal(watching, tmp_path, how):
    watched = watching(tmp_path, "--rate", "20")
    pictures = []

    def fill():
        """Write another picture in pieces, as some cameras do."""
        pictures.append(tmp_path / f"{len(pictures)}.jpg")
        content = encode(room((draw_face(96, 120), 80, 200)))
        with pictures[-1].open("wb") as file:
            file.write(content[:999])
            file.flush()
            time.sleep(0.02)
            file.write(content[999:])
        return watched.events

    eventually(fill)
    (tmp_path / "broken.jpg").write_bytes(b"JPEG")
    eventually(lambda: any("broken.jpg is skipped" in line for line in watched.output))

    assert watched.stop(how) == 0
    assert watched.happened() == ["came", "left"]


@contextmanager
def camera(port, video):
    """An RTSP server, killed at the end like a disconnection."""
    with subprocess.Popen([DEBIAN_PYTHON, SERVER, str(port), video]) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def rtsp_port():
    needed = "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good python3-gi"
    found = (
        subprocess.run(
            [DEBIAN_PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"],
            check=False,
            capture_output=True,
        )
        if Path(DEBIAN_PYTHON).exists()
        else None
    )
    if found is None or found.returncode:
        pytest.skip(f"needs an RTSP server: apt-get install {needed}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_camera_is_watched_through_five_disconnections(watching, tmp_path, rtsp_port):
    face = draw_face(96, 120)
    video = write_video(tmp_path / "video.mp4", (room((face, 80 + i % 20, 200)) for i in range(900)))
    address = f"rtsp://viewer:{PASSWORD}@127.0.0.1:{rtsp_port}/camera"

    def was_back(times):
        return sum("is back" in line for line in watched.output) == times

    with camera(rtsp_port, video):
        eventually(lambda: listens(rtsp_port))
        watched = watching(MASKWATCH_CAMERA=address)
        eventually(lambda: watched.events or watched.process.poll() is not None)
    for cut in range(1, 6):
        eventually(lambda cut=cut: sum("trying again" in line for line in watched.output) >= cut)
        with camera(rtsp_port, video):
            eventually(lambda cut=cut: was_back(cut))
            time.sleep(1)  # time for some frames

    assert watched.stop() == 0
    assert watched.happened() == ["came", "left"]  # one person, who was in view all the time
    assert watched.events[-1]["stayed"] > 4
    assert PASSWORD not in "".join(watched.output) + json.dumps(watched.events)


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
