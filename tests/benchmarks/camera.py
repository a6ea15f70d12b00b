"""Measure the page's frames per second with `make run`: `python -m tests.benchmarks.camera`.

A frame goes from the camera to the boxes drawn over it: grab, JPEG, HTTP, decode, detect, classify, track, draw.
Chromium's fake camera shows a video of drawn faces, 640 x 480, at 30 frames per second; the page may send as many.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.pictures import draw_mjpeg
from tests.system import ROOT

COUNT = """() => {
  window.frames = [];
  new MutationObserver(() => window.frames.push(performance.now()))
    .observe(document.querySelector("#people"), { childList: true });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="of each round, after two to warm up")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, system() as url, sync_playwright() as driver:
        video = Path(folder) / "video.mjpeg"
        video.write_bytes(draw_mjpeg(60))
        browser = driver.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={video}",
            ],
        )
        rates = []
        for number in range(options.rounds):
            rate, wait = measure(browser, url, options.seconds)
            rates.append(rate)
            load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            log(f"round {number + 1}: {rate:.1f} frames/s, answers after {wait:.0f} ms, load {load}")
        log(f"median {statistics.median(rates):.1f} frames/s, lowest {min(rates):.1f}")


def log(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def measure(browser: Browser, url: str, seconds: int) -> tuple[float, float]:
    """Return frames drawn per second, and milliseconds from grab to answer (median)."""
    context = browser.new_context(permissions=["camera"])
    context.add_init_script("sessionStorage.setItem('maskwatch-key', 'local')")
    page = context.new_page()
    page.goto(f"{url}#camera")
    page.get_by_role("slider", name=re.compile("Frames a second")).fill("30")
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector("#marks .box")
    page.wait_for_timeout(2000)
    page.evaluate(COUNT)
    waits = []
    for _ in range(seconds * 2):
        page.wait_for_timeout(500)
        waits.append(float(page.locator("#took").inner_text().removesuffix(" ms")))
    times = page.evaluate("() => window.frames")
    context.close()
    return (len(times) - 1) / (times[-1] - times[0]) * 1000, statistics.median(waits)


@contextmanager
def system() -> Iterator[str]:
    """Run the local stack on a free port, and yield its URL."""
    command = [sys.executable, "-m", "infra.local", "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = next(filter(None, (re.search(r"runs at (\S+/) ", line) for line in process.stdout)))
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    main()
