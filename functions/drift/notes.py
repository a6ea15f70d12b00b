"""Notes for the reader of a report: what was left out, what was compared, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.drift.compare import NEW
from functions.drift.compliance import MAX_STAYS
from functions.drift.feedback_join import low_accuracy
from functions.drift.sample import MAX_SOURCES
from functions.shared.contract import NO_SOURCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import date

    from functions.drift.feedback_join import FeedbackFigures
    from functions.drift.gather import Counts


def on_missing_baseline(uri: str) -> str:
    """Say that there is no baseline."""
    return (
        f"There is no baseline to compare with ({uri}). Train a release with this version's training code, or write "
        "a baseline of a good period with `make baseline`."
    )


def on_missing_challenger(uri: str) -> str:
    """Say that the challenger cannot be compared."""
    return f"The manifest of the challenger {uri} cannot be read, so it is not compared with the serving release."


def on_records(
    counts: Counts, incomplete: Collection[date], kept: Collection[date], crowded: Collection[date]
) -> Iterator[str]:
    """Say what was left out, and why.

    `incomplete` are arrival days, `kept` and `crowded` days of compliance counts.
    """
    if not counts.records:
        yield "There is no record in the window. If pictures were scored, check the delivery of records."
    if counts.unusable:
        yield f"{counts.unusable:,} records lack features that are compared, and were left out."
    if counts.corrupt or counts.damaged:
        yield (
            f"{counts.damaged:,} of {counts.objects:,} stored objects were truncated or corrupted, and "
            f"{counts.corrupt:,} pieces in them are not records; everything else was used."
        )
    if counts.vanished:
        yield f"{counts.vanished:,} stored objects were deleted before they were read."
    if incomplete:
        yield (
            f"Not all records that arrived on {_days(incomplete)} were read. The compliance counts of these days "
            "and of the days before and after them were not changed. If time ran out, reduce LookbackDays to 7, or "
            "raise the function's MemorySize in template.yaml, by which Lambda allots processors."
        )
    if kept:
        yield (
            f"The compliance counts of {_days(kept)} were not changed: they include more pictures than there are now."
        )
    if crowded:
        yield f"On {_days(crowded)}, only {MAX_STAYS:,} tracked people were counted; there were more."


def on_sources(
    statuses: Mapping[str, str],
    counts: Counts,
    baseline_version: str,
    serving_version: str | None,
    *,
    own: bool,
) -> Iterator[str]:
    """Say what is compared with what; `own` is whether the baseline is of the stack's own sources."""
    if serving_version not in {None, baseline_version}:
        yield (
            f"Release {serving_version} serves, but the baseline is of release {baseline_version}: "
            f"{counts.other_versions:,} of {counts.records:,} records cannot be compared. If the release's answers "
            "are right and it has served for a good period, write a baseline of that with `make baseline`, and set "
            "BaselineUri to it; or leave BaselineUri empty to use the release's own. If they are wrong, roll back "
            "instead: then the baseline applies again."
        )
    elif counts.other_versions:
        yield (
            f"{counts.other_versions:,} of {counts.records:,} records in the window are of another release than the "
            f"baseline ({baseline_version}) and were not compared with it."
        )
    new = sorted(source or NO_SOURCE for source, status in statuses.items() if status == NEW)
    if not own:
        yield (
            "The baseline consists of the release's validation pictures, not of this site's pictures, so all sources "
            "are pooled and compared with it. Give each source its own reference with `make baseline` over two good "
            "weeks."
        )
    elif new:
        named = ", ".join(new[:5]) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
        yield (
            f"New since the baseline, and not compared: {named}. They get a reference of their own with the next "
            f"`make baseline` over days on which they sent pictures, if they are among the {MAX_SOURCES} busiest."
        )


def on_accuracy(accuracy: FeedbackFigures, min_accuracy: float, serving_version: str | None) -> Iterator[str]:
    """Say which feedback does not count, and whether the accuracy is too low."""
    if accuracy.unknown:
        yield f"Labels about predictions that are not among the records: {accuracy.unknown:,}."
    if accuracy.corrupt:
        yield f"Objects under feedback/ that are not valid feedback: {accuracy.corrupt:,}."
    if accuracy.unread:
        yield (
            f"Labels that were left out at random, because there are too many for one run or from one API key: "
            f"{accuracy.unread:,}."
        )
    if low := low_accuracy(accuracy, min_accuracy, serving_version):
        yield (
            f"The accuracy of release {serving_version} on the audit sample is {low.value:.1%}: even the upper end "
            f"of its interval, {low.high:.1%}, is below the required {min_accuracy:.0%}. If the release is new, "
            "roll back; if not, see AccuracyAlarm in the runbook."
        )


def _days(days: Collection[date]) -> str:
    return ", ".join(map(str, sorted(days)))
