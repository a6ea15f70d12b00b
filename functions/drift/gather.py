"""One pass over the records: what is compared, what is summed up, and what people say about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.drift.compliance import Compliance
from functions.drift.records import Reader
from functions.drift.sample import Sampler, Seen
from functions.drift.truth import Join, read_feedback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from functions.drift.features import Sample
    from functions.drift.settings import Settings
    from functions.drift.window import Window

_DAY: Final = timedelta(days=1)


@dataclass
class Counts:
    """What was met while reading.

    Attributes:
        records: Predictions in the window.
        rejected: Refused requests in the window.
        duplicates: Records that had been read before.
        outside: Records that are not in the window.
        other_versions: Predictions in the window by another release than the baseline's.
        unusable: Predictions in the window that lack what is compared.
        corrupt: Pieces that are no record.
        objects: Objects that were read.
        damaged: Objects that were cut short or garbled.
        vanished: Objects that were gone when they were to be read.
    """

    records: int = 0
    rejected: int = 0
    duplicates: int = 0
    outside: int = 0
    other_versions: int = 0
    unusable: int = 0
    corrupt: int = 0
    objects: int = 0
    damaged: int = 0
    vanished: int = 0


@dataclass(frozen=True)
class Gathered:
    """What came of reading the records.

    Attributes:
        counts: What was met.
        truth: How predictions and what people say go together, see `Join.as_json`.
        samples: Of the window's predictions by the baseline's release, by source.
        overall: Of all of these.
        days: The rows of the summary of every day whose records were all read.
        incomplete: Days of arrival of which records were not read.
    """

    counts: Counts
    truth: Mapping[str, Any]
    samples: Mapping[str, Sample]
    overall: Sample
    days: Mapping[date, list[dict[str, Any]]]
    incomplete: set[date]


def gather(
    s3: Any, settings: Settings, window: Window, model_version: str | None, time_left: Callable[[], float]
) -> Gathered:
    """Read the records and the feedback of the window and of the days that are looked back to.

    Args:
        s3: A boto3 client.
        settings: Where everything is.
        window: Of which there are samples.
        model_version: Of the baseline; without one there are no samples.
        time_left: Seconds for reading; when they are over, what was read so far has to do.
    """
    start, end = window.start.timestamp(), window.end.timestamp()
    first = first_day(settings, window)
    earliest, looked_from = min(first, window.start), first.timestamp()
    feedback = read_feedback(s3, settings.insights_bucket, _backwards(datetime.now(UTC), earliest), time_left)
    counts, seen, join, sampler, summary = Counts(), Seen(), Join(feedback), Sampler(), Compliance()
    reader = Reader(s3, settings.records_bucket, time_left)
    # The latest first, so that what is left out for want of time is what matters least.
    for record in reader.read(_backwards(window.end + _DAY, earliest - _DAY)):
        inside = start <= record.time < end
        counts.outside += not inside
        if not seen.add(record.key):
            counts.duplicates += 1
        elif record.body is None:
            counts.rejected += inside
        else:
            summary.add(record)
            if looked_from <= record.time < end:
                join.add(record)
            if inside:
                counts.records += 1
                if record.model_version == model_version:
                    sampler.add(record)
                else:
                    counts.other_versions += model_version is not None
    counts.unusable, counts.corrupt = sampler.unusable, reader.corrupt
    counts.objects, counts.damaged, counts.vanished = reader.objects, reader.damaged, reader.vanished
    # A day whose records were not all read keeps the summary that it has.
    whole = {
        day: rows
        for day, rows in summary.days().items()
        if first.date() <= day <= window.end.date()
        and reader.incomplete.isdisjoint({day - _DAY, day, day + _DAY})
    }
    return Gathered(counts, join.as_json(), *sampler.samples(), whole, reader.incomplete)


def sample_window(
    s3: Any, bucket: str, window: Window, model_version: str
) -> tuple[Mapping[str, Sample], Sample]:
    """Return a sample of each source's predictions in a window, and of all, by one release: what makes a baseline."""
    seen, sampler = Seen(), Sampler()
    start, end = window.start.timestamp(), window.end.timestamp()
    days = _backwards(window.end + _DAY, window.start - _DAY)
    for record in Reader(s3, bucket, lambda: 1.0).read(days):
        wanted = start <= record.time < end and record.model_version == model_version
        if wanted and record.body is not None and seen.add(record.key):
            sampler.add(record)
    return sampler.samples()


def first_day(settings: Settings, window: Window) -> datetime:
    """Return the beginning of the first day that is looked back to."""
    day = (window.end - timedelta(days=settings.lookback_days)).date()
    return datetime.combine(day, time(), UTC)


def _backwards(latest: datetime, earliest: datetime) -> list[date]:
    days = (latest.date() - earliest.date()).days
    return [latest.date() - number * _DAY for number in range(days + 1)]
