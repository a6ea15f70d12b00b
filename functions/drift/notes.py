"""What a reader of the report has to know about what it rests on, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.drift.compare import NEW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import date

    from functions.drift.accuracy import Figures
    from functions.drift.feedback_join import Accuracy
    from functions.drift.gather import Counts

MIN_AUDITED: Final = 30  # labels of the audit sample, of fewer of which nothing is concluded


def on_missing_baseline(uri: str) -> str:
    """Say that there is none."""
    return (
        f"There is no baseline to compare with ({uri}). Train a release with this version's training code, or write "
        "a baseline from a period that was fine with `make baseline`."
    )


def on_missing_challenger(uri: str) -> str:
    """Say that it cannot be compared."""
    return f"The manifest of the challenger {uri} cannot be read, so it is not compared with the release that serves."


def on_records(counts: Counts, incomplete: Collection[date], kept: Collection[date]) -> Iterator[str]:
    """Say what was left out, and why.

    Args:
        counts: What was met while reading.
        incomplete: Days of arrival of which records were not read.
        kept: Days whose summaries were not replaced, since they count more pictures.
    """
    if not counts.records:
        yield "There is no record in the window. If pictures were scored, look at the delivery of records."
    if counts.unusable:
        yield f"{counts.unusable:,} records lack figures that are compared, and were left out."
    if counts.corrupt or counts.damaged:
        yield (
            f"{counts.damaged:,} of {counts.objects:,} stored objects were cut short or garbled, and "
            f"{counts.corrupt:,} pieces in them are no record; everything else was used."
        )
    if counts.vanished:
        yield f"{counts.vanished:,} stored objects were deleted before they were read."
    if incomplete:
        yield (
            f"Not all records that arrived on {_days(incomplete)} were read. The summaries of these days and their "
            "neighbours stay as they were. If time ran out, give the function more of it, or fewer days to look back."
        )
    if kept:
        yield f"The summaries of {_days(kept)} stay as they were: they count more pictures than are left now."


def on_sources(
    statuses: Mapping[str, str],
    counts: Counts,
    baseline_version: str,
    serving_version: str | None,
    *,
    own: bool,
) -> Iterator[str]:
    """Say what is compared with what.

    Args:
        statuses: Of the sources.
        counts: What was met while reading.
        baseline_version: Of the release that made the baseline.
        serving_version: Of the release that serves.
        own: Whether the baseline is of the stack's own sources.
    """
    if serving_version not in {None, baseline_version}:
        yield (
            f"Release {serving_version} serves, and the baseline is of release {baseline_version}: "
            f"{counts.other_versions:,} of {counts.records:,} records cannot be compared. If its answers are right "
            "and it has run through a time that was fine, write a baseline of it with `make baseline`, and set "
            "BaselineUri to it; or leave BaselineUri empty to use the release's own. If they are wrong, go back "
            "first: the baseline holds again."
        )
    elif counts.other_versions:
        yield (
            f"{counts.other_versions:,} of {counts.records:,} records in the window are of another release than the "
            f"baseline ({baseline_version}) and were not compared with it."
        )
    new = sorted(source or "(no source told)" for source, status in statuses.items() if status == NEW)
    if not own:
        yield (
            "The baseline is made of the pictures that the release was validated on, not of this site's: all sources "
            "together are compared with them. Give each source its own past with `make baseline` over two weeks that "
            "were fine."
        )
    elif new:
        named = ", ".join(new[:5]) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
        yield (
            f"New since the baseline, and compared with nothing: {named}. They get a past of their own with the next "
            "`make baseline` over days on which they were there."
        )


def on_accuracy(accuracy: Accuracy, min_accuracy: float, serving_version: str | None) -> Iterator[str]:
    """Say which feedback does not count, and whether what counts is bad news.

    Args:
        accuracy: What people say.
        min_accuracy: The share of right answers that is wanted.
        serving_version: Of the release that serves.
    """
    if accuracy.unknown:
        yield f"Labels about predictions that are not among the records: {accuracy.unknown:,}."
    if accuracy.corrupt:
        yield f"Objects under feedback/ that are no feedback: {accuracy.corrupt:,}."
    if accuracy.unread:
        yield (
            f"Labels that were left out, drawn at random, as too many for one run or from one API key: "
            f"{accuracy.unread:,}."
        )
    serving = serving_audit(accuracy, serving_version)
    if serving and serving.accuracy and serving.accuracy.high < min_accuracy:
        yield (
            f"{serving.accuracy.value:.1%} of the audit sample of release {serving_version} were right "
            f"({serving.n} judged): even the upper end of the interval, {serving.accuracy.high:.1%}, is less than "
            f"the {min_accuracy:.0%} that are wanted. If the release is new, go back to the one before; if not, see "
            "AccuracyAlarm in the runbook."
        )


def serving_audit(accuracy: Accuracy, serving_version: str | None) -> Figures | None:
    """Return the audit figures of the release that serves, if they have enough labels to conclude from."""
    found = accuracy.model_versions.get(serving_version or "")
    return found if found and found.n >= MIN_AUDITED else None


def _days(days: Collection[date]) -> str:
    return ", ".join(map(str, sorted(days)))
