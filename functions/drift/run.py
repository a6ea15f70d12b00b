"""One run of Drift: the records of a window against the baseline, and of some days against what people say."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.drift import baseline as baselines
from functions.drift import compare, compliance, notes, report
from functions.drift.gather import first_day, gather
from functions.drift.window import iso
from functions.shared import s3 as objects
from functions.shared.contract import report_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from functions.drift.baseline import Baseline
    from functions.drift.compare import Comparison
    from functions.drift.settings import Settings
    from functions.drift.window import Window

BASELINE: Final = "baseline.json"
BAKED: Final = Path(__file__).parents[1] / "inference" / "model"


@dataclass(frozen=True)
class Outcome:
    """What a run found: `facts` and the keys of what it wrote; no comparison, where there is no baseline."""

    facts: Mapping[str, Any]
    comparison: Comparison | None
    verdict: str
    written: tuple[str, ...]


@dataclass(frozen=True)
class _Reference:
    """The baseline, or None with the reason, and where it is from."""

    uri: str
    baseline: Baseline | None
    reason: str = ""


def run(s3: Any, settings: Settings, window: Window, time_left: Callable[[], float]) -> Outcome:
    """Read what there is, and write the summaries of the days, the report and its JSON.

    Args:
        s3: A boto3 client.
        settings: Where everything is.
        window: What is compared with the baseline.
        time_left: Seconds for reading; when they are over, what was read so far has to do.

    Raises:
        ClientError: S3 refused.
        BotoCoreError: S3 was not reached.
    """
    reference = _reference(s3, settings)
    baseline = reference.baseline
    version = baseline.model_version if baseline else None
    found = gather(s3, settings, window, version, time_left)
    now = datetime.now(UTC)
    written = [
        compliance.write(s3, settings.insights_bucket, day, rows, now) for day, rows in found.days.items()
    ]
    facts = {
        "window": {"from": iso(window.start), "to": iso(window.end)},
        "counts": asdict(found.counts),
        "truth": {
            "from": iso(first_day(settings, window)),
            "min_accuracy": settings.min_accuracy,
            **found.truth,
        },
        "baseline": {"uri": reference.uri, "model_version": version} if baseline else None,
        "notes": [
            *([] if baseline else [notes.on_baseline(reference.uri, reference.reason)]),
            *notes.on_records(found.counts, version, found.incomplete),
            *notes.on_truth(found.truth, settings.min_accuracy),
        ],
    }
    comparison = compare.compare(found.samples, found.overall, baseline) if baseline else None
    html, told = report.render(facts, found.samples, found.overall, baseline, comparison)
    written += _write_report(s3, settings.insights_bucket, window, html, told)
    return Outcome(facts, comparison, told["verdict"], tuple(written))


def _reference(s3: Any, settings: Settings) -> _Reference:
    uri = settings.baseline_uri or (settings.model_uri and f"{settings.model_uri.rstrip('/')}/{BASELINE}")
    try:
        if location := objects.parse_uri(uri):
            text = objects.read(s3, *location)
        else:
            path = Path(uri) if uri else BAKED / BASELINE
            text = path.read_bytes() if path.exists() else None
        uri = uri or "of the release in the image"
        if text is None:
            return _Reference(uri, None, "there is none")
        return _Reference(uri, baselines.read(text))
    except (ClientError, OSError, ValueError) as error:
        return _Reference(uri, None, str(error))


def _write_report(s3: Any, bucket: str, window: Window, html: str, told: Mapping[str, Any]) -> Iterator[str]:
    names = [f"{window.end:%Y%m%dT%H%M%SZ}/report"]
    if _is_latest(s3, bucket, window):
        names.append("latest")
    documents = {
        "html": (html, "text/html; charset=utf-8"),
        "json": (json.dumps(told, allow_nan=False), "application/json"),
    }
    for name in names:
        for ending, (text, media_type) in documents.items():
            key = report_key(name, ending)
            s3.put_object(Bucket=bucket, Key=key, Body=text.encode(errors="replace"), ContentType=media_type)
            yield key


def _is_latest(s3: Any, bucket: str, window: Window) -> bool:
    """Whether no report is about a later window."""
    try:
        latest = json.loads(objects.read(s3, bucket, report_key("latest", "json")) or b"")
        return datetime.fromisoformat(latest["window"]["to"]) <= window.end
    except (KeyError, TypeError, ValueError):
        return True
