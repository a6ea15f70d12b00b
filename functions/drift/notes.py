"""What a reader of the report has to know about what it rests on, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import date

    from functions.drift.gather import Counts


def on_baseline(uri: str, reason: str) -> str:
    """Say that there is none."""
    return (
        f"There is no baseline to compare with ({uri}: {reason}). Train a release with this version's training code, "
        "or write a baseline from a period that was fine with `make baseline`."
    )


def on_records(counts: Counts, model_version: str | None, incomplete: Collection[date]) -> Iterator[str]:
    """Say what was left out, and why.

    Args:
        counts: What was met while reading.
        model_version: Of the baseline, if there is one.
        incomplete: Days of arrival of which records were not read.
    """
    if not counts.records:
        yield "There is no record in the window. If pictures were scored, look at the delivery of records."
    if counts.other_versions:
        yield (
            f"{counts.other_versions:,} of {counts.records:,} records in the window are of another model version "
            f"than the baseline ({model_version}) and were not compared with it."
        )
    if counts.unusable:
        yield (
            f"{counts.unusable:,} of {counts.records:,} records in the window lack figures that are compared, and "
            "were left out."
        )
    if counts.corrupt or counts.damaged:
        yield (
            f"{counts.damaged:,} of {counts.objects:,} stored objects were cut short or garbled, and "
            f"{counts.corrupt:,} pieces in them are no record; everything else was used."
        )
    if counts.vanished:
        yield f"{counts.vanished:,} stored objects were deleted before they were read."
    if incomplete:
        yield (
            f"Not all records that arrived on {', '.join(map(str, sorted(incomplete)))} were read. The summaries of "
            "these days and their neighbours stay as they were. If time ran out, give the function more of it, or "
            "fewer days to look back."
        )


def on_truth(truth: Mapping[str, Any], min_accuracy: float) -> Iterator[str]:
    """Say which feedback does not count, and whether what counts is bad news.

    Args:
        truth: See `Join.as_json`.
        min_accuracy: The share of right answers that is wanted.
    """
    if truth["unmatched"]:
        yield f"Labels from feedback about predictions that are not among the records: {truth['unmatched']:,}."
    if truth["corrupt"]:
        yield f"Objects under feedback/ that are no feedback: {truth['corrupt']:,}."
    if truth["unread"]:
        yield f"Labels from feedback that were left out, the oldest of too many for one run: {truth['unread']:,}."
    accuracy = truth["overall"]["accuracy"]
    if accuracy and accuracy["high"] < min_accuracy:
        yield (
            f"{accuracy['value']:.1%} of the predictions that people judged were right: even the upper end of the "
            f"interval, {accuracy['high']:.1%}, is less than the {min_accuracy:.0%} that are wanted."
        )
