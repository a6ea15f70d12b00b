"""Demonstrate drift: `python -m infra.ops demo-drift FOLDER`.

Scores the pictures of a folder unchanged, darkened, blurred, as bad JPEGs, and with another mix of labels. Five
simulated cameras see the unchanged pictures for two weeks, which become the baseline, and then changed ones for three
days. The report on these days is Drift's own. No stack is used.
"""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from functions.drift.accuracy import figures
from functions.drift.baseline import build
from functions.drift.compare import compare
from functions.drift.features import Sample, to_sample
from functions.drift.feedback_join import FeedbackFigures
from functions.drift.gather import Counts
from functions.drift.html import render
from functions.drift.report import BaselineInfo, Report, SourceReport, verdict_of
from functions.drift.window import Window
from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import PredictOptions
from functions.inference.record import to_record
from functions.inference.score import load_models, score
from functions.shared.contract import LABELS
from functions.shared.problem import InputError
from infra.ops.arguments import positive_count
from infra.ops.errors import OpsError
from infra.ops.files import require_writable, write_whole
from maskwatch.pictures import list_pictures, upright

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Sequence

    from functions.inference.score import Models

MIN_PICTURES: Final = 100
_TOO_FEW: Final = f"at least {MIN_PICTURES} are needed."
_QUALITY: Final = 95  # of a changed JPEG
_REFERENCE_DAYS, _CHANGED_DAYS = 14, 3
_DAILY_SHARE: Final = 0.5  # of the pictures, drawn at random for each day


def jpeg(file: bytes, change: Callable[[Image.Image], Image.Image], quality: int = _QUALITY) -> bytes:
    """Return a changed picture as a JPEG of the same width and height.

    Raises:
        InputError: Predict refuses the picture.
    """
    decode(file)  # to refuse it; the pixels are those of a smaller picture
    buffer = io.BytesIO()
    change(upright(file)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _blurred(image: Image.Image) -> Image.Image:
    scale = max(min(image.size) // 448, 1)  # by which Predict scales the picture down
    return image.filter(ImageFilter.GaussianBlur(2 * scale))


CHANGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "clean": lambda file: file,
    "darkened": lambda file: jpeg(file, lambda image: image.point(lambda value: value * 0.6)),
    "blurred": lambda file: jpeg(file, _blurred),
    "bad JPEG": lambda file: jpeg(file, lambda image: image, 15),
}
MIX: Final = "other mix"


def scored(files: Sequence[bytes], models: Models, name: str) -> Sample:
    """Score pictures with a change as Predict does, without those that it refuses."""
    records: list[dict[str, Any]] = []
    for file in tqdm(files, name, unit=" pictures"):
        try:
            picture = decode(CHANGES[name](file))
            records.append(to_record(score(picture, models, PredictOptions()), source=None))
        except (InputError, OSError):  # of Predict's decoder, or of Pillow
            continue
    return to_sample(records)


def drawn(sample: Sample, rng: np.random.Generator, shares: Sequence[float] | None = None) -> Sample:
    """Draw the pictures that a camera sees on a day; with `shares`, in these proportions of the labels."""
    count = int(len(sample.labels) * _DAILY_SHARE)
    weights = None
    if shares is not None:
        counts = np.bincount(sample.labels, minlength=len(LABELS))
        weights = (np.array(shares) / np.maximum(counts, 1))[sample.labels]
        weights /= weights.sum()
    rows = rng.choice(len(sample.labels), count, replace=shares is not None, p=weights)
    return Sample(sample.values[rows], sample.labels[rows], count, float(count))


def simulate(samples: dict[str, Sample], model_version: str) -> tuple[Report, str]:
    """Return the report on the changed days, as an object and as HTML.

    Args:
        samples: The scored pictures, by change.
        model_version: Version of the release that scored them.
    """
    rng = np.random.default_rng(0)
    clean = samples["clean"]
    counts = clean.label_counts()
    # The rarer label becomes the frequent one.
    other_mix = (0.2, 0.8, 0.0) if counts["no_mask"] < counts["mask"] else (0.8, 0.2, 0.0)
    names = [*samples, MIX]
    past = [{name: drawn(clean, rng) for name in names} for _ in range(_REFERENCE_DAYS)]
    changed = [
        {name: drawn(samples.get(name, clean), rng, other_mix if name == MIX else None) for name in names}
        for _ in range(_CHANGED_DAYS)
    ]
    baseline = build(model_version, past)
    comparison, window = compare(changed[-1], changed, baseline), changed[-1]
    none, end = figures([], 0), datetime.now(UTC)
    info = BaselineInfo("of this demonstration", model_version, own=True)
    report = Report(
        window=Window(end - timedelta(days=1), end),
        verdict=verdict_of(comparison, info, model_version),
        counts=Counts(records=sum(sample.predictions for sample in window.values())),
        baseline=info,
        serving_version=model_version,
        comparison=comparison,
        sources={
            name: SourceReport(
                comparison.sources[name], sample.predictions, sample.effective, sample.label_counts()
            )
            for name, sample in window.items()
        },
        accuracy=FeedbackFigures(none, none, {}, {}, 0, 0, 0),
        labelled_since=end.date(),
        min_accuracy=0.0,
        notes=(),
    )
    return report, render(report, window, baseline)


def table(report: Report) -> Iterator[str]:
    """Yield a table with the findings for each source."""
    yield f"{'source':12}{'pictures':>10}  {'status':12}what has changed"
    findings = report.comparison.findings if report.comparison else ()
    for name, source in report.sources.items():
        first, *more = [finding.words for finding in findings if finding.source == name] or [""]
        yield f"{name:12}{source.predictions:>10,}  {source.status:12}{first}"
        yield from (f"{'':36}{words}" for words in more)


def add_options(parser: ArgumentParser) -> None:
    """Add the folder of pictures, and their number."""
    parser.add_argument("folder", type=Path, help="folder of pictures, searched recursively")
    parser.add_argument(
        "--pictures", type=positive_count, default=400, help="number of pictures (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(".runs/drift/demo.html"), help="(default: %(default)s)"
    )


def command(options: Namespace) -> None:
    """Score the pictures, and print a table of the drift that is found.

    Raises:
        OpsError: There are too few pictures.
    """
    if options.pictures < MIN_PICTURES:
        raise OpsError(f"--pictures is {options.pictures}; {_TOO_FEW}")
    paths, _ = list_pictures(options.folder)
    if len(paths) < MIN_PICTURES:
        raise OpsError(f"{options.folder} has {len(paths)} pictures; {_TOO_FEW}")
    require_writable(options.out)
    random.Random(0).shuffle(paths)  # noqa: S311
    files = [path.read_bytes() for path in paths[: options.pictures]]
    release = open_release("")
    models = load_models(release, threads=1)
    samples = {}
    for name in CHANGES:
        samples[name] = scored(files, models, name)
        if samples[name].predictions < MIN_PICTURES:
            raise OpsError(f"Of {len(files)} pictures, {samples[name].predictions} can be scored; {_TOO_FEW}")
    report, page = simulate(samples, release.version)
    write_whole(options.out, page)
    print(*table(report), "", f"Report: {options.out}", sep="\n")
