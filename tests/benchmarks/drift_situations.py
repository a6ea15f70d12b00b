"""Write drift reports on five simulated situations: `python -m tests.benchmarks.drift_situations FOLDER`.

Each is simulated (see `drift_worlds`) and processed by Drift's own `run`, which writes the report into the folder;
the output of `make drift` is printed. docs/monitoring.md says what readers concluded from them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

import boto3
import numpy as np
from moto import mock_aws

from functions.drift import html
from functions.drift.accuracy import LabelledPrediction, figures
from functions.drift.baseline import build
from functions.drift.compare import DAYS
from functions.drift.compliance import Compliance
from functions.drift.features import PROJECTIONS
from functions.drift.feedback_join import FeedbackFigures
from functions.drift.gather import Counts, Gathered
from functions.drift.run import run
from functions.drift.settings import read_settings
from functions.drift.window import Window
from infra.ops.drift import describe
from tests.benchmarks.drift_power import BASELINE_DAYS, RELEASE, USUAL, samples
from tests.benchmarks.drift_worlds import Change, World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ONSET: Final = BASELINE_DAYS + 7  # the day on which something changes
END: Final = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
BUCKETS: Final = {"RECORDS_BUCKET": "records", "INSIGHTS_BUCKET": "insights"}


@dataclass(frozen=True)
class Situation:
    """A change at a site, and people's labels.

    Attributes:
        name: The report's file name.
        change: What changes on the day `ONSET`, if anything.
        days: From the change to the report.
        audit: How many predictions of the audit sample of the serving release were labelled, and how many were right.
        chosen: The same for predictions that people chose to label.
        world: The site.
    """

    name: str
    change: Change | None
    days: int
    audit: tuple[int, int] = (60, 58)
    chosen: tuple[int, int] = (0, 0)
    world: World = USUAL


SITUATIONS: Final = (
    Situation(
        "a camera that was knocked aside",
        Change(by={"brightness": -2.0, "contrast": -1.5, **dict.fromkeys(PROJECTIONS, 1.0)}, sources=1),
        days=3,
    ),
    Situation("a Sunday", None, days=7, world=World(weather=0.05, night=1.0, weekend=(0.3, 1.3))),
    Situation("people who drop their masks", Change(labels=(0.5, 0.46, 0.04)), days=4),
    Situation(
        "a new release that is mostly wrong", Change(release=True), days=4, audit=(45, 16), chosen=(20, 2)
    ),
    Situation("a person who labels only mistakes", None, days=7, chosen=(160, 12)),
)


def report(situation: Situation, folder: Path) -> Iterator[str]:
    """Write the report of a situation, and yield the lines that `make drift` prints."""
    settings = read_settings(BUCKETS | {"BASELINE_URI": "s3://insights/baseline/own.json"})
    found, baseline = gathered(situation)
    with mock_aws(), patch("functions.drift.run.gather", return_value=found):
        s3 = boto3.client("s3", "us-east-1")
        s3.create_bucket(Bucket="insights")
        s3.put_object(Bucket="insights", Key="baseline/own.json", Body=baseline.encode())
        run(s3, settings, Window(END - timedelta(hours=24), END), lambda: 600.0)
        for kind in ("html", "json"):
            body = s3.get_object(Bucket="insights", Key=f"drift/latest.{kind}")["Body"].read()
            (folder / f"{situation.name}.{kind}").write_bytes(body)
    yield from describe(json.loads(body))


def gathered(situation: Situation) -> tuple[Gathered, str]:
    """Return the data that Drift would read from the records of a situation, and the site's baseline."""
    days = list(samples(situation.world, situation.change, ONSET, np.random.default_rng(3)))
    last = ONSET + situation.days
    window = days[last - 1]
    replaced = bool(situation.change and situation.change.release)
    version = "2" if replaced else RELEASE
    seen = sum(sample.predictions for sample in window.values())
    total = 1_900 * situation.days if replaced else 1_900 * 30
    audit = labelled(*situation.audit, version, audit=True)
    counts = Counts(records=1_900 if replaced else seen, other_versions=1_900 if replaced else 0)
    accuracy = FeedbackFigures(
        chosen=figures([*audit, *labelled(*situation.chosen, version, audit=False)], total),
        audit=figures(audit, total // 100),
        sources={},
        model_versions={version: figures(audit, total // 100)},
        unknown=0,
        corrupt=0,
        unread=0,
    )
    found = Gathered(
        counts=counts,
        accuracy=accuracy,
        labelled_since=date(2026, 10, 24),
        window=window,
        days=days[last - DAYS : last],
        active_sources=[*days[last - DAYS : last], window],
        serving_version=version,
        compliance=Compliance(),
        complete_days=(),
        incomplete=(),
        challenge=None,
    )
    return found, build(RELEASE, days[:BASELINE_DAYS]).to_json()


def labelled(n: int, right: int, version: str, *, audit: bool) -> Sequence[LabelledPrediction]:
    """Return `n` labelled predictions, each of another person, of which `right` were right."""
    return [
        LabelledPrediction(
            "gate-000",
            minute,
            version,
            "mask",
            "mask" if minute < right else "no_mask",
            uncertain=False,
            audit=audit,
        )
        for minute in range(n)
    ]


def main() -> None:
    """Write the reports, and print the summaries."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with patch.object(html, "_evidently", lambda *_: []):
        for situation in SITUATIONS:
            print(f"== {situation.name}", *report(situation, folder), "", sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
