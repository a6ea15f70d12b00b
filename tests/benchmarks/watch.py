"""Measure memory and counts of `maskwatch watch` over an hour of video: `python -m tests.benchmarks.watch`.

In each minute of the video, which is drawn here, three people come and go: two with a mask, one without.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image

from tests.benchmarks.camera import log, system
from tests.pictures import draw_face
from tests.videos import draw_bare_face, room, write_video

RATE = 5  # frames a second
STAYS = (  # start and end in seconds, whether with a mask, left, top
    (2, 22, True, 80, 200),
    (12, 32, False, 420, 220),
    (40, 55, True, 250, 180),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60, help="of video")
    parser.add_argument("--speed", type=float, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, system() as url:
        video = repeat(
            write_video(Path(folder) / "minute.mp4", frames(), RATE),
            Path(folder) / "hour.mp4",
            options.minutes,
        )
        log(f"{options.minutes} minutes of video are drawn; they are played {options.speed:g} times as fast")
        watch(url, video, options)


def frames() -> Iterator[Image.Image]:
    """Yield the frames of one minute, in which people sway where they stand."""
    masked, bare = draw_face(96, 120), draw_bare_face(96, 120)
    for number in range(60 * RATE):
        second, sway = number / RATE, abs(20 - number % 40)
        yield room(
            *(
                (masked if has_mask else bare, left + sway, top)
                for start, end, has_mask, left, top in STAYS
                if start <= second < end
            )
        )


def repeat(minute: Path, video: Path, times: int) -> Path:
    """Repeat a video of one minute without encoding it again."""
    with av.open(str(video), "w") as out:
        stream = None
        for number in range(times):
            with av.open(str(minute)) as once:
                stream = stream or out.add_stream_from_template(once.streams.video[0])
                later = int(number * 60 / once.streams.video[0].time_base)
                for packet in once.demux(video=0):
                    if packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
                        out.mux(packet)
    return video


def watch(url: str, video: Path, options: argparse.Namespace) -> None:
    """Run the command, and report its memory and its counts."""
    command = [sys.executable, "-m", "maskwatch.cli", "watch", str(video), "--url", url, "--key", "local"]
    started = time.monotonic()
    with subprocess.Popen(
        [*command, "--speed", str(options.speed), "--rate", str(RATE), "--source", "benchmark"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        memory: list[float] = []
        events: list[dict[str, object]] = []
        assert process.stdout is not None
        for line in process.stdout:
            events.append(json.loads(line))
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            memory.append(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024)  # type: ignore[index]
            if events[-1]["event"] == "left" and events[-1]["person"] % 15 == 0:  # type: ignore[operator]
                log(f"after {events[-1]['at']:6} s of video: {memory[-1]:.1f} MB, {events[-1]['so_far']}")
    fifth = max(len(memory) // 5, 1)
    ends = [statistics.median(part) for part in (memory[fifth : 2 * fifth], memory[-fifth:])]
    log(f"exit status {process.returncode} after {time.monotonic() - started:.0f} s, {os.cpu_count()} cores")
    log(
        f"memory in the second fifth {ends[0]:.1f} MB, in the last {ends[1]:.1f} MB, at most {max(memory):.1f} MB"
    )
    log(
        f"counted {events[-1]['so_far']}, expected {3 * options.minutes}, of whom {options.minutes} without a mask"
    )


if __name__ == "__main__":
    main()
