"""Measure a challenger's cost, and whether its share is right: `python -m tests.benchmarks.challenger`.

In shadow mode: the serving release alone, the challenger alone, and both as in Predict score a picture.
The overhead is the time of both minus the sum of the other two. At the start: fresh processes of Predict answer one
picture each, with and without a challenger. All contenders alternate, so that other load affects them equally.

Shares: Predict's handler answers 10,000 requests of as many sources.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from unittest.mock import patch

from scipy.stats import binomtest

from functions.inference.challenger import Challenger, predict_with_challenger
from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import PredictOptions
from functions.inference.score import load_models, score
from functions.inference.settings import read_settings
from functions.shared.release_files import IMAGE_RELEASE
from tests.benchmarks.__main__ import FRESH, ROOT, environment
from tests.make_events import api_event
from tests.pictures import draw_face, draw_scene, encode
from tests.releases import copy_release

ROUNDS = 60
STARTS = 15
REQUESTS, SHARE = 10_000, 20
AGAIN = 50  # one source in so many asks a second time
CHALLENGER = "challenger"  # the version that the shipped networks have as a challenger


def timed(call):
    start = time.process_time()
    call()
    return (time.process_time() - start) * 1e3


def peak():
    """Return the peak memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_shadow() -> None:
    picture, options = decode(encode(draw_scene((110,)), quality=85)), PredictOptions()
    serving = load_models(open_release(""), 1)
    score(picture, serving, options)
    alone = peak()
    challenger = Challenger(read_settings({"CHALLENGER_URI": str(IMAGE_RELEASE)}), timeout=60)
    challenged = challenger.load()
    score(picture, challenged, options)
    both = peak()
    ways = {
        "serving alone": lambda: score(picture, serving, options),
        "challenger alone": lambda: score(picture, challenged, options),
        "both": lambda: predict_with_challenger(picture, serving, challenger, options, "gate-1"),
    }
    times = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, call in ways.items():
            times[name].append(timed(call))
    beyond = median(
        shadow - (first + second)
        for first, second, shadow in zip(
            times["serving alone"], times["challenger alone"], times["both"], strict=True
        )
    )
    for name, measured in times.items():
        sys.stdout.write(f"{name:28}{median(measured):8.2f} ms of processor time\n")
    sys.stdout.write(f"{'beyond both':28}{beyond:8.2f} ms\n")
    sys.stdout.write(f"{'memory':28}{alone:8.0f} MiB, with a challenger {both:.0f} MiB\n")


def measure_starts(folder: Path, release: Path) -> None:
    (folder / "event.json").write_text(json.dumps(request(draw_scene((110,), 640, 480), source="gate-1")))
    named = {"CHALLENGER_URI": str(release)}
    ways = {
        "no challenger": {},
        "one for other sources": named | {"CHALLENGER_SHARE": "0.0001"},
        "one in shadow mode": named | {"CHALLENGER_SHARE": "0"},
        "one that answers": named | {"CHALLENGER_SHARE": "100"},
    }
    times, processor = ({name: [] for name in ways} for _ in range(2))
    for number in range(STARTS + 1):
        for name, variables in ways.items():
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", FRESH, folder / "event.json"],
                cwd=ROOT,
                env=environment(folder) | variables,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if number:  # the first start writes bytecode
                times[name].append((time.perf_counter() - started) * 1e3)
                used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                processor[name].append(used * 1e3)
    for name in ways:
        ratio = median(processor[name]) / median(processor["no challenger"])
        sys.stdout.write(
            f"{name:28}{median(times[name]):8.0f} ms to the end of a process that answers once, "
            f"{median(processor[name]):.0f} of processor time ({ratio:.2f} times)\n"
        )


def measure_shares(release: Path) -> None:
    picture = draw_face(48, 60)
    variables = {"CHALLENGER_URI": str(release), "CHALLENGER_SHARE": str(SHARE)}
    with patch.dict(os.environ, variables), Path(os.devnull).open("w", encoding="utf-8") as records:
        from functions.inference import predict  # noqa: PLC0415 -- reads the environment

        while predict.challenger.load() is None:
            time.sleep(0.1)

        def answered_by(number):
            with contextlib.redirect_stdout(records):
                answer = predict.handler(request(picture, source=f"camera-{number}", detect="false"), None)
            return json.loads(answer["body"])["model_version"]

        first = [answered_by(number) for number in range(REQUESTS)]
        again = [answered_by(number) for number in range(0, REQUESTS, AGAIN)]
    counts = Counter(first)
    chance = binomtest(counts[CHALLENGER], REQUESTS, SHARE / 100).pvalue
    sys.stdout.write(
        f"{SHARE}% of {REQUESTS:,} sources: {dict(counts)}, p = {chance:.2f}; of {len(again)} asked again, "
        f"{sum(a == b for a, b in zip(again, first[::AGAIN], strict=True))} were answered by the same release\n"
    )


def request(picture, **query):
    """Return API Gateway's event for a picture."""
    body = encode(picture, quality=85)
    return api_event("POST", "/predict", content_type="image/jpeg", body=body, query=query)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        release = copy_release(Path(name) / "release", version=CHALLENGER)
        measure_shadow()
        measure_starts(Path(name), release)
        measure_shares(release)


if __name__ == "__main__":
    main()
