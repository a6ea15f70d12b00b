"""Compare a detector's run with what serves: `python -m training.detector.gate --data FOLDER --run RUN`.

Both look at the same test scenes, and each figure's difference gets a paired bootstrap interval over scenes, as in
`training.classifier.gate`. The run is refused where an interval lies wholly on the worse side: recall and false
detections at the threshold that each serves with, average precision, and the recall of any label or source.
`detector-gate.json` in the run's folder says all of it; the exit status is 1 for a refused run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.inference.detect import Detector
from functions.inference.fetch import open_release
from functions.inference.release import Network, ReleaseError
from functions.shared.contract import LABELS
from training.classifier.dataset import DataError
from training.classifier.gate import DOUBT, FEWEST, SERVING_HELP, Comparison, as_text, verdict
from training.detector.evaluate import CONVERSION, DETECTOR, LOWEST_SCORE, certain
from training.detector.metrics import ON_FACE, Matches, average_precision, match
from training.detector.scenes import MIN_FACE, Scene, fingerprint, load_scenes, to_find

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from functions.inference.detect import Detections
    from functions.inference.release import Release

GATE: Final = "detector-gate.json"
DRAWS: Final = 2_000


def _compared(
    figure: str,
    n: int,
    candidate: Sequence[Matches],
    serving: Sequence[Matches],
    of: Callable[..., NDArray[np.float64]],
    *,
    less_is_better: bool = False,
) -> Comparison:
    counts = np.array(
        [[_counts(one) for one in some] for some in (candidate, serving)], float
    )  # (2, scenes, 3)
    scenes = counts.shape[1]
    drawn = np.random.default_rng(0).multinomial(scenes, np.full(scenes, 1 / scenes), DRAWS) / scenes
    first, second = (of(*(drawn @ some).T) for some in counts)
    ours, theirs = (float(of(*some.mean(axis=0)[:, np.newaxis])[0]) for some in counts)
    low, high = np.quantile(first - second, [DOUBT / 2, 1 - DOUBT / 2])
    worse = low > 0 if less_is_better else high < 0
    told = "too few" if n < FEWEST else "worse" if worse else "ok"
    return Comparison(figure, n, ours, theirs, float(low), float(high), told)


def _recall(right: NDArray[np.float64], _: NDArray[np.float64], faces: NDArray[np.float64]) -> Any:
    return right / faces.clip(1e-9)


def _wrong(_: NDArray[np.float64], wrong: NDArray[np.float64], __: NDArray[np.float64]) -> Any:
    return wrong


def _counts(matches: Matches) -> tuple[int, int, int]:
    right = int(matches.right.sum())
    return right, len(matches.right) - right, matches.faces


def _precision(
    candidate: Sequence[Detections], serving: Sequence[Detections], scenes: Sequence[Scene]
) -> Comparison:
    """Average precision over all thresholds; fewer draws, as each sorts every detection anew."""
    sought = [to_find(scene) for scene in scenes]

    def of(found: Sequence[Detections], chosen: NDArray[np.int64]) -> float:
        some = [found[i] for i in chosen], [scenes[i].boxes for i in chosen], [sought[i] for i in chosen]
        return average_precision(match(*some, MIN_FACE))

    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(scenes), len(scenes)) for _ in range(DRAWS // 10)]
    low, high = np.quantile(
        [of(candidate, drawn) - of(serving, drawn) for drawn in draws], [DOUBT / 2, 1 - DOUBT / 2]
    )
    every, n = np.arange(len(scenes)), int(sum(one.sum() for one in sought))
    told = "too few" if n < FEWEST else "worse" if high < 0 else "ok"
    return Comparison(
        "face: ap50", n, of(candidate, every), of(serving, every), float(low), float(high), told
    )


def judge(
    candidate: tuple[Network, float], serving: tuple[Network, float], scenes: Sequence[Scene]
) -> list[Comparison]:
    """Every figure of two detectors, each a network and the score from which it takes a face for one."""
    everything = []
    for network, _ in (candidate, serving):
        detector = Detector(network, LOWEST_SCORE, threads=2)
        everything.append([detector.detect(scene.pixels) for scene in scenes])
    told = [
        [certain(faces, score) for faces in found]
        for found, (_, score) in zip(everything, (candidate, serving), strict=True)
    ]
    groups = {"face": [np.ones(len(scene.labels), bool) for scene in scenes]}
    groups |= {f"class {label}": [s.labels == number for s in scenes] for number, label in enumerate(LABELS)}
    for source in sorted({scene.source for scene in scenes}):
        groups[f"source {source}"] = [np.full(len(s.labels), s.source == source) for s in scenes]
    comparisons = [_precision(everything[0], everything[1], scenes)]
    for name, members in groups.items():
        sought = [to_find(s) & own for s, own in zip(scenes, members, strict=True)]
        first, second = (
            [
                match([faces], [scene.boxes], [wanted], MIN_FACE, ON_FACE)
                for faces, scene, wanted in zip(found, scenes, sought, strict=True)
            ]
            for found in told
        )
        n = int(sum(one.sum() for one in sought))
        comparisons.append(_compared(f"{name}: recall", n, first, second, _recall))
        if name == "face":
            wrong = _compared("face: false detections a scene", n, first, second, _wrong, less_is_better=True)
            comparisons.append(wrong)
    return comparisons


def judge_run(run: Path, data: Path, serving: Release) -> dict[str, Any]:
    """Compare a run's detector with a release's on the test scenes of `data`; write and return `detector-gate.json`.

    Raises:
        DataError: There are no test scenes.
    """
    scenes = load_scenes(data, ("test",))
    if not scenes:
        raise DataError(f"{data} has no scenes of the split test")
    conversion = json.loads((run / CONVERSION).read_text())
    candidate = Network((run / DETECTOR).read_bytes(), conversion["input_size"]), conversion["min_score"]
    told = judge(candidate, (serving.detector, serving.min_detection), scenes)
    said = verdict(told, {"serving_version": serving.version, "data_fingerprint": fingerprint(scenes)})
    (run / GATE).write_text(json.dumps(said, indent=1) + "\n")
    return said


def main() -> None:
    """Judge a run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with frames.csv (see scenes.py)")
    parser.add_argument("--run", type=Path, required=True, help="folder of a converted run")
    parser.add_argument("--serving", default="", help=SERVING_HELP)
    options = parser.parse_args()
    try:
        told = judge_run(options.run, options.data, open_release(options.serving))
    except (DataError, ReleaseError) as error:
        parser.error(str(error))
    print(as_text(told))
    sys.exit(not told["passed"])


if __name__ == "__main__":
    main()
