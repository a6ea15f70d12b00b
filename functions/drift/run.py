"""One run of Drift: reads records and feedback, compares, and writes compliance counts and the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.drift import baseline as baselines
from functions.drift import compliance, notes
from functions.drift.compare import DRIFT, compare
from functions.drift.gather import gather
from functions.drift.html import render
from functions.drift.report import NO_BASELINE, BaselineInfo, Report, SourceReport, verdict_of
from functions.shared.contract import report_key
from functions.shared.release_files import BASELINE, file_of_release, read_file, read_manifest
from functions.shared.s3 import read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import date

    from functions.drift.baseline import Baseline
    from functions.drift.gather import Gathered
    from functions.drift.settings import Settings
    from functions.drift.window import Window

_IMAGE_RELEASE_NAME: Final = "of the release in the image"  # in place of a URI


class BaselineError(RuntimeError):
    """The baseline cannot be read; the message says which, and why."""


@dataclass(frozen=True)
class _Release:
    """A release's version, and its confusion matrix on the served path."""

    version: str
    confusion: list[list[int]] | None


@dataclass(frozen=True)
class _Inputs:
    """What a run compares with.

    Attributes:
        baseline_uri: The baseline's location.
        baseline: The baseline; None if there is none, or it cannot be read.
        baseline_error: Why the baseline cannot be read; empty if it was read or there is none.
        serving: The serving release; None if its manifest is unreadable.
        challenger: Its challenger; None if there is none, or its manifest is unreadable.
    """

    baseline_uri: str
    baseline: Baseline | None
    baseline_error: str
    serving: _Release | None
    challenger: _Release | None


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        report: The report.
        new_findings: Drifts that the previous report did not have, if that one had others.
        written: The keys of the objects written.
        error: Why the baseline could not be read; empty if it was read or there is none.
    """

    report: Report
    new_findings: int
    written: tuple[str, ...]
    error: str


def run(s3: Any, settings: Settings, window: Window, time_left: Callable[[], float]) -> RunResult:
    """Read the records, and write the compliance counts of the days, and the report as HTML and JSON.

    If the baseline cannot be read, compliance and accuracy are written anyway; `RunResult.error` has the reason.
    `time_left` returns the seconds left for reading; when they are over, reading ends.

    Raises:
        ClientError: S3 refused the request.
        BotoCoreError: S3 was not reached.
    """
    inputs = _Inputs(
        *_find_baseline(s3, settings),
        serving=_read_release(s3, settings.model_uri),
        challenger=_read_release(s3, settings.challenger_uri) if settings.challenger_uri else None,
    )
    baseline, serving, challenger = inputs.baseline, inputs.serving, inputs.challenger
    serving_version = serving.version if serving else ""
    challenger_version = challenger.version if challenger else ""
    gathered = gather(s3, settings, window, baseline, serving_version, challenger_version, time_left)
    releases = [release for release in (serving, challenger) if release]
    written, kept = _write_compliance(s3, settings, gathered, releases)
    comparison, info = None, None
    if baseline:
        comparison = compare(gathered.window, gathered.days, baseline, gathered.active_sources)
        info = BaselineInfo(inputs.baseline_uri, baseline.model_version, own=bool(baseline.sources))
    statuses = comparison.sources if comparison else dict.fromkeys(gathered.window, NO_BASELINE)
    report = Report(
        window=window,
        verdict=verdict_of(comparison, info, gathered.serving_version),
        counts=gathered.counts,
        baseline=info,
        serving_version=gathered.serving_version,
        comparison=comparison,
        sources=_sources(gathered, statuses),
        accuracy=gathered.accuracy,
        labelled_since=gathered.labelled_since,
        min_accuracy=settings.min_accuracy,
        challenge=gathered.challenge,
        notes=tuple(_notes(settings, inputs, gathered, kept, statuses)),
    )
    latest = _read_latest(s3, settings.insights_bucket)
    html = render(report, gathered.window, baseline)
    written += _write_report(s3, settings.insights_bucket, report, html, latest)
    return RunResult(report, _new_findings(report, latest), tuple(written), inputs.baseline_error)


def _find_baseline(s3: Any, settings: Settings) -> tuple[str, Baseline | None, str]:
    """Return the baseline's location, the baseline (None if there is none), and why it cannot be read.

    A release need not have a baseline, but one that the settings name must exist.
    """
    address = settings.baseline_uri or file_of_release(settings.model_uri, BASELINE)
    name = address if settings.baseline_uri or settings.model_uri else _IMAGE_RELEASE_NAME
    try:
        text = read_file(s3, address)
        if text is None and settings.baseline_uri:
            return name, None, f"The baseline {name} does not exist; correct BaselineUri, or leave it empty."
        return name, None if text is None else baselines.read(text), ""
    except (ClientError, OSError, ValueError) as error:
        return name, None, f"The baseline {name} cannot be read: {error}"


def _read_release(s3: Any, uri: str) -> _Release | None:
    """Return what the manifest of a release says; None if it is unreadable."""
    try:
        manifest = read_manifest(s3, uri)
        return _Release(str(manifest["version"]), compliance.confusion_of(manifest))
    except (ClientError, LookupError, TypeError, ValueError):
        return None


def _write_compliance(
    s3: Any, settings: Settings, gathered: Gathered, releases: Sequence[_Release]
) -> tuple[list[str], list[date]]:
    """Write the compliance counts of completely read days; return their keys, and the days whose file was kept.

    A day without pictures has a file, too, if there are pictures before and after it. Otherwise, the delivery of
    records may have failed.
    """
    now, versions, days = datetime.now(UTC), gathered.compliance.versions(), gathered.compliance.days()
    confusions: dict[str | None, Any] = {release.version: release.confusion for release in releases}
    written, kept = [], []
    for day in sorted(gathered.complete_days):
        if not (days and min(days) <= day <= max(days)):
            continue
        counts = versions.get(day)
        version = counts.most_common(1)[0][0] if counts else None
        key = compliance.write(s3, settings.insights_bucket, day, days.get(day, []), now, version, confusions)
        if key:
            written.append(key)
        else:
            kept.append(day)
    return written, kept


def _notes(
    settings: Settings,
    inputs: _Inputs,
    gathered: Gathered,
    kept: Collection[date],
    statuses: Mapping[str, str],
) -> Iterator[str]:
    """Yield the report's notes; `kept` are the days whose file was kept, `statuses` those of the sources."""
    baseline = inputs.baseline
    if settings.challenger_uri and inputs.challenger is None:
        yield notes.on_missing_challenger(settings.challenger_uri.partition("#")[0])
    if inputs.baseline_error:
        yield inputs.baseline_error
    elif not baseline:
        yield notes.on_missing_baseline(inputs.baseline_uri)
    yield from notes.on_accuracy(gathered.accuracy, settings.min_accuracy, gathered.serving_version)
    crowded = gathered.compliance.crowded.intersection(gathered.complete_days)
    yield from notes.on_records(gathered.counts, gathered.incomplete, kept, crowded)
    if baseline:
        own = bool(baseline.sources)
        yield from notes.on_sources(
            statuses, gathered.counts, baseline.model_version, gathered.serving_version, own=own
        )


def _sources(gathered: Gathered, statuses: Mapping[str, str]) -> dict[str, SourceReport]:
    sources = {}
    for name in (*gathered.window, *(name for name in statuses if name not in gathered.window)):
        sample = gathered.window.get(name)
        sources[name] = (
            SourceReport(statuses[name], sample.predictions, sample.effective, sample.label_counts())
            if sample
            else SourceReport(statuses[name], 0, 0.0, {})
        )
    return sources


def _read_latest(s3: Any, bucket: str) -> Mapping[str, Any]:
    """Return the newest report's JSON document; an empty object if it cannot be read."""
    try:
        latest = json.loads(read(s3, bucket, report_key("latest", "json")) or b"{}")
    except ValueError:
        return {}
    return latest if isinstance(latest, dict) else {}


def _write_report(s3: Any, bucket: str, report: Report, html: str, latest: Mapping[str, Any]) -> list[str]:
    """Write the report, also as the latest unless that is of a later window; return the keys."""
    names = [f"{report.window.end:%Y%m%dT%H%M%SZ}/report"]
    if not _is_later(latest, report):
        names.append("latest")
    documents = {
        "html": (html, "text/html; charset=utf-8"),
        "json": (json.dumps(report.to_dict(), allow_nan=False), "application/json"),
    }
    keys = []
    for name in names:
        for ending, (text, media_type) in documents.items():
            key = report_key(name, ending)
            s3.put_object(Bucket=bucket, Key=key, Body=text.encode(errors="replace"), ContentType=media_type)
            keys.append(key)
    return keys


def _is_later(latest: Mapping[str, Any], report: Report) -> bool:
    try:
        return datetime.fromisoformat(latest["window"]["to"]) > report.window.end
    except (KeyError, TypeError, ValueError):
        return False


def _new_findings(report: Report, latest: Mapping[str, Any]) -> int:
    """Return the number of confirmed findings that the newest report lacks, if that one has drift already."""
    if latest.get("verdict") != DRIFT or not report.comparison or _is_later(latest, report):
        return 0
    earlier = [finding for finding in latest.get("findings", []) if finding.get("confirmed")]
    known = {(finding.get("source"), finding.get("feature")) for finding in earlier}
    confirmed = [finding for finding in report.comparison.findings if finding.confirmed]
    return sum((finding.source, finding.feature) not in known for finding in confirmed)
