"""How often Drift sees what has changed, and what has not: `python -m tests.benchmarks.drift_power --data DATA`.

Every validation and test picture is scored once as serving does it, and every test picture once more under each
corruption, which is applied to the file before it is decoded. What is kept of them are the prediction records, in
.cache/drift-power/. The baseline is made of the validation pictures, as that of a release is; windows are drawn at
random from the test pictures and compared with it. No picture is in both, and no limit was chosen by test pictures.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from functions.drift.baseline import Baseline, build
from functions.drift.compare import compare
from functions.drift.features import Sample
from functions.drift.sample import ROWS
from functions.inference.fetch import open_release
from functions.inference.score import load_models
from training.baseline import pictures, record_of, sample
from training.metrics import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CACHE: Final = Path(".cache/drift-power")
SAVED: Final = 95  # JPEG quality in which a changed picture is saved
WINDOW: Final = 500  # predictions
NEW: Final = 200  # test pictures that a set must have to be taken for a new source
Record = dict[str, Any]


def _jpeg(image: Image.Image, quality: int = SAVED) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


CORRUPTIONS: Final[dict[str, Callable[[Image.Image], bytes]]] = {
    "saved again": _jpeg,
    "brightness -40%": lambda image: _jpeg(image.point(lambda value: value * 0.6)),
    "blur of sigma 2": lambda image: _jpeg(image.filter(ImageFilter.GaussianBlur(2))),
    "JPEG quality 15": lambda image: _jpeg(image, 15),
}


@dataclass(frozen=True)
class Scored:
    """The pictures that were scored: where each came from, what it showed, and what was measured of it."""

    sources: tuple[str, ...]
    labels: tuple[str, ...]
    measured: Sample

    def __len__(self) -> int:
        return len(self.sources)

    def only(self, keep: Callable[[str, str], bool]) -> Scored:
        """Those whose source and label are to keep."""
        pairs = zip(self.sources, self.labels, strict=True)
        return self.at([place for place, one in enumerate(pairs) if keep(*one)])

    def at(self, places: Sequence[int]) -> Scored:
        """Those in these places."""
        return Scored(
            tuple(self.sources[place] for place in places),
            tuple(self.labels[place] for place in places),
            Sample(
                self.measured.values[list(places)],
                tuple(self.measured.labels[place] for place in places),
                len(places),
            ),
        )


def scored(data: Path, split: str, name: str = "") -> Scored:
    """Score the pictures of a split, each changed as `CORRUPTIONS` says, unless that was done before."""
    release = open_release("")
    models = load_models(release, threads=1)
    path = CACHE / f"{release.version}-{models_digest(release.manifest)}" / f"{split}-{name or 'clean'}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    files = pictures(data, split)
    done = len(path.read_text().splitlines()) if path.exists() else 0
    with path.open("a") as lines:
        for file in tqdm(
            files[done:], f"{split} {name}", len(files), initial=done, disable=done == len(files)
        ):
            picture = file.path.read_bytes()
            if name:
                picture = CORRUPTIONS[name](Image.open(io.BytesIO(picture)).convert("RGB"))
            lines.write(json.dumps(record_of(picture, models)) + "\n")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [(file, record) for file, record in zip(files, records, strict=True) if record]
    return Scored(
        tuple(file.source for file, _ in kept),
        tuple(file.label for file, _ in kept),
        sample([record for _, record in kept]),
    )


def models_digest(manifest: Mapping[str, Any]) -> str:
    """What tells the networks of one release from those of another with the same version."""
    return "-".join(manifest["files"][f"{kind}.tflite"][:6] for kind in ("classifier", "detector"))


@dataclass(frozen=True)
class Row:
    """How windows were judged.

    Attributes:
        what: What is in them.
        size: Predictions in each.
        alarms: In how many of them something was found.
        windows: How many there were.
        named: How often each feature was among what was found.
    """

    what: str
    size: int
    alarms: int
    windows: int
    named: Counter[str]

    def __str__(self) -> str:
        low, high = wilson_interval(self.alarms, self.windows)
        named = ", ".join(f"{name} {count / self.windows:.0%}" for name, count in self.named.most_common(4))
        return (
            f"| {self.what} | {self.size:,} | {self.alarms:,} of {self.windows:,} | "
            f"{self.alarms / self.windows:.1%} ({low:.1%} to {high:.1%}) | {named or 'nothing'} |"
        )


Window = dict[str, Sample]  # by source


def judged(what: str, size: int, windows: int, baseline: Baseline, draw: Callable[[], Window]) -> Row:
    """Draw windows and compare each with the baseline."""
    alarms, named = 0, Counter[str]()
    for _ in tqdm(range(windows), what, leave=False):
        window = draw()
        comparison = compare(window, _together(window), baseline)
        alarms += comparison.verdict == "drift"
        named.update({finding.feature for finding in comparison.findings})
    return Row(what, size, alarms, windows, named)


def _together(window: Window) -> Sample:
    return Sample(
        np.concatenate([part.values for part in window.values()]),
        tuple(label for part in window.values() for label in part.labels),
        sum(part.seen for part in window.values()),
    )


def simulate(data: Path, windows: int, rng: np.random.Generator) -> Iterator[Row]:
    """Give the rows of the table, one after the other."""
    val, test = scored(data, "val"), scored(data, "test")
    changed = {name: scored(data, "test", name) for name in CORRUPTIONS}

    def draw(of: Scored, size: int) -> Sample:
        again = size > len(of)  # more than there are pictures: some are in it twice
        drawn = of.at(rng.choice(len(of), min(size, ROWS), replace=again).tolist()).measured
        return Sample(drawn.values, drawn.labels, size)

    def one(of: Scored, size: int = WINDOW) -> Window:
        return {"gate": draw(of, size)}

    def four() -> Window:
        places = rng.permutation(len(test))[: 4 * WINDOW].reshape(4, WINDOW)
        return {f"gate-{number}": test.at(part.tolist()).measured for number, part in enumerate(places)}

    def mixed(of: Scored, size: int, masks: float) -> Sample:
        return _both(*(draw(of.only(_shows(label)), round(size * share)) for label, share in _mix(masks)))

    baseline = build(val.measured, "", {})
    for size, many in ((100, 3), (WINDOW, 3), (2_000, 1), (20_000, 1)):
        yield judged("nothing", size, windows * many, baseline, partial(one, test, size))
    yield judged("nothing, four sources of 500", 4 * WINDOW, windows, baseline, four)
    for name, pictures_ in changed.items():
        yield judged(name, WINDOW, windows, baseline, partial(one, pictures_))

    masked = mixed(val, 1900, 0.8)
    mix = build(masked, "", {})
    for what, share in (("nothing, 80/20 as before", 0.8), ("class mix 80/20 → 20/80", 0.2)):
        yield judged(what, WINDOW, windows, mix, lambda share=share: {"gate": mixed(test, WINDOW, share)})

    for new, count in sorted(Counter(test.sources).items()):
        if count >= NEW:
            others = build(val.only(lambda source, _, new=new: source != new).measured, "", {})
            theirs = test.only(lambda source, _, new=new: source == new)
            known = test.only(lambda source, _, new=new: source != new)
            yield judged(f"new source, {new}", WINDOW, windows // 3, others, partial(one, theirs))
            yield judged(
                f"100 of a new source, {new}, among 400 of a known",
                WINDOW,
                windows // 3,
                others,
                lambda theirs=theirs, known=known: {"new": draw(theirs, 100), "known": draw(known, 400)},
            )


def _shows(label: str) -> Callable[[str, str], bool]:
    return lambda _, shown: shown == label


def _mix(masks: float) -> tuple[tuple[str, float], ...]:
    return (("mask", masks), ("no_mask", 1 - masks))


def _both(a: Sample, b: Sample) -> Sample:
    return Sample(np.concatenate([a.values, b.values]), a.labels + b.labels, a.seen + b.seen)


def main() -> None:
    """Score, simulate, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--windows", type=int, default=300, help="of each kind (default: %(default)s)")
    options = parser.parse_args()
    rng = np.random.default_rng(2026)
    heads = "what is different", "predictions", "alarms", "share (95% interval)", "found most often"
    table = chain(
        (f"| {' | '.join(heads)} |", "|---|---:|---:|---:|---|"), simulate(options.data, options.windows, rng)
    )
    for line in table:
        print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
