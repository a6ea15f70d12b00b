"""Measure what a challenger in shadow mode adds to time and memory: `python -m tests.benchmarks.challenger`.

A picture is scored by the live release alone, by the challenger alone, and by both as Predict does. The three
alternate, so that other load affects all equally. The overhead is the time of both minus the sum of the other two.
"""

import resource
import sys
import time
from statistics import median

from functions.inference.challenger import Challenger, score_both
from functions.inference.decode import decode
from functions.inference.fetch import BAKED, open_release
from functions.inference.prediction import PredictOptions
from functions.inference.score import load_models, score
from tests.pictures import draw_scene, encode

ROUNDS = 60


def timed(call):
    start = time.process_time()
    call()
    return (time.process_time() - start) * 1e3


def peak():
    """Return the peak memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    picture, options = decode(encode(draw_scene((110,)), quality=85)), PredictOptions()
    live = load_models(open_release(""), 1)
    score(picture, live, options)
    alone = peak()
    challenger = Challenger(str(BAKED), 0, 1, "Benchmark", timeout=60)
    challenged = challenger.load()
    score(picture, challenged, options)
    both = peak()
    ways = {
        "live alone": lambda: score(picture, live, options),
        "challenger alone": lambda: score(picture, challenged, options),
        "both": lambda: score_both(picture, live, challenger, options, "gate-1"),
    }
    times = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, call in ways.items():
            times[name].append(timed(call))
    beyond = median(
        shadow - (first + second)
        for first, second, shadow in zip(
            times["live alone"], times["challenger alone"], times["both"], strict=True
        )
    )
    for name, measured in times.items():
        sys.stdout.write(f"{name:20}{median(measured):8.2f} ms\n")
    sys.stdout.write(f"{'beyond both':20}{beyond:8.2f} ms\n")
    sys.stdout.write(f"{'memory':20}{alone:8.0f} MiB, with a challenger {both:.0f} MiB\n")


if __name__ == "__main__":
    main()
