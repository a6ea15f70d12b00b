"""One pass over the records: what is compared, what is summed up, and what people say about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.drift.challenge import Tally
from functions.drift.compliance import Compliance
from functions.drift.feedback_join import FeedbackJoin
from functions.drift.records import Reader
from functions.drift.sample import Sampler, Seen
from functions.drift.window import Window, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from functions.drift.challenge import Challenge
    from functions.drift.features import Sample
    from functions.drift.feedback_join import Accuracy
    from functions.drift.settings import Settings
    from functions.shared.record import Record

LABEL_DAYS: Final = 30  # after a prediction that a label about it counts
_LATE: Final = timedelta(days=3)  # that a record may arrive after it was made
_FOR_LATE_LABELS: Final = 60.0  # seconds for the records that only late labels are about
_DAY: Final = timedelta(days=1)
_HOUR: Final = 3600  # seconds


@dataclass(frozen=True)
class Counts:
    """What was met while reading.

    Attributes:
        records: Predictions in the window.
        rejected: Refused requests in the window.
        duplicates: Records that had been read before.
        outside: Records that are not in the window.
        other_versions: Predictions in the window by another release than the baseline's.
        unusable: Predictions that lack what is compared.
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
        accuracy: How predictions and what people say go together.
        judged_since: The first day whose predictions `accuracy` is about.
        window: The window's predictions by the baseline's release, by source.
        days: The same of every complete day that is looked back to, the latest last.
        serving_version: Of the release that made most predictions of the last hour; None where there are none.
        summary: Of the days that are looked back to.
        whole: The days of `summary` whose records were all read.
        incomplete: Days of arrival of which records were not read.
        challenge: How a challenger does; None where there is none.
    """

    counts: Counts
    accuracy: Accuracy
    judged_since: date
    window: Mapping[str, Sample]
    days: Sequence[Mapping[str, Sample]]
    serving_version: str | None
    summary: Compliance
    whole: Collection[date]
    incomplete: Collection[date]
    challenge: Challenge | None


def gather(
    s3: Any,
    settings: Settings,
    window: Window,
    model_version: str | None,
    known: Collection[str],
    versions: tuple[str, str],
    time_left: Callable[[], float],
) -> Gathered:
    """Read the records and the feedback of the window and of the days that are looked back to.

    Args:
        s3: A boto3 client.
        settings: Where everything is.
        window: Of which there are samples.
        model_version: Of the baseline; without one there are no samples.
        known: The sources of the baseline, which are kept whatever others there are.
        versions: Of the live release and of its challenger; the latter is empty where there is none.
        time_left: Seconds for reading; when they are over, what was read so far has to do.
    """
    start, end = window.start.timestamp(), window.end.timestamp()
    first = first_day(settings, window)
    earliest, oldest = min(first, window.start), window.end - timedelta(days=LABEL_DAYS)
    latest = min(datetime.now(UTC), window.end + timedelta(days=LABEL_DAYS))
    join = FeedbackJoin(s3, settings.insights_bucket, _backwards(latest, oldest), window.end)
    tally, seen, sampler, summary = Counter[str](), Seen(), Sampler(known), Compliance()
    hours = Counter[tuple[int, str]]()
    challenge = Tally(*versions)
    reader = Reader(s3, settings.records_bucket, time_left)
    # The latest first, so that what is left out for want of time is what matters least.
    records = reader.read(_backwards(window.end + _LATE, earliest - _DAY))
    for record in _answers(records, seen, join, challenge, window):
        inside = start <= record.taken < end
        tally["outside"] += not inside
        if not seen.add(record.key):
            tally["duplicates"] += 1
        elif record.body is None:
            tally["rejected"] += inside
        else:
            if oldest.timestamp() <= record.time < end:
                join.add(record)
            if record.taken < earliest.timestamp():
                continue  # of a backfill, say
            if not record.rescored:
                summary.add(record)
            if record.taken >= end:
                continue
            if record.model_version == model_version:
                sampler.add(record)
            if inside:
                tally["records"] += 1
                challenge.add(record)
                hours[int(record.taken // _HOUR), record.model_version] += 1
                tally["other_versions"] += model_version not in {None, record.model_version}
    judged_since = _late_labels(join, reader, seen, (earliest - _DAY).date(), oldest, time_left)
    found = reader.counts
    days = sampler.days()
    whole = {
        day
        for day in _backwards(window.end, first)
        if reader.incomplete.isdisjoint({day - _DAY, day, day + _DAY})
    }
    complete = [day for day in sorted(whole) if datetime.combine(day + _DAY, time(), UTC) <= window.end]
    accuracy = join.accuracy(f"{settings.insights_bucket} {iso(window.end)}", time_left)
    return Gathered(
        counts=Counts(**tally, unusable=sampler.unusable, **found),
        accuracy=accuracy,
        judged_since=judged_since,
        window=sampler.between(start, end),
        days=[days.get(day, {}) for day in complete],
        serving_version=_serving(hours, challenge.challenger),
        summary=summary,
        whole=whole,
        incomplete=frozenset(reader.incomplete),
        challenge=challenge.result(join.audited),
    )


def _answers(
    records: Iterable[Record], seen: Seen, join: FeedbackJoin, challenge: Tally, window: Window
) -> Iterator[Record]:
    """Give the records of answers and refusals, and count those of a challenger in the shadow by the way."""
    for record in records:
        if not record.shadow:
            yield record
        elif seen.add(record.key):
            if record.time < window.end.timestamp():
                join.add(record)
            if window.start.timestamp() <= record.taken < window.end.timestamp():
                challenge.add(record)


def _late_labels(
    join: FeedbackJoin,
    reader: Reader,
    seen: Seen,
    since: date,
    oldest: datetime,
    time_left: Callable[[], float],
) -> date:
    """Read days before `since`, as long as labels are left whose prediction was not met; return the first day."""
    until = time_left() - _FOR_LATE_LABELS
    while join.pending and since > oldest.date() and time_left() > max(until, 0):
        since -= _DAY
        for record in reader.read([since]):
            if record.time >= oldest.timestamp() and seen.add(record.key):
                join.add(record)
    return since


def _serving(hours: Mapping[tuple[int, str], int], challenger: str) -> str | None:
    """Return the release that made most predictions of the last hour, whatever share its challenger has."""
    hours = {of: count for of, count in hours.items() if of[1] != challenger}
    if not hours:
        return None
    latest = max(hour for hour, _ in hours)
    return max((count, version) for (hour, version), count in hours.items() if hour == latest)[1]


def sample_days(s3: Any, bucket: str, window: Window, model_version: str) -> Sequence[Mapping[str, Sample]]:
    """Return a sample of each source's predictions by one release, day by day: what makes a baseline."""
    sampler, seen = Sampler(), Seen()
    start, end = window.start.timestamp(), window.end.timestamp()
    for record in Reader(s3, bucket, lambda: 1.0).read(_backwards(window.end + _LATE, window.start - _DAY)):
        wanted = start <= record.taken < end and record.model_version == model_version
        if wanted and record.body is not None and not record.shadow and seen.add(record.key):
            sampler.add(record)
    days = sampler.days()
    return [days.get(day, {}) for day in reversed(_backwards(window.end - _DAY / 86_400, window.start))]


def first_day(settings: Settings, window: Window) -> datetime:
    """Return the beginning of the first day that is looked back to."""
    day = (window.end - timedelta(days=settings.lookback_days)).date()
    return datetime.combine(day, time(), UTC)


def _backwards(latest: datetime, earliest: datetime) -> list[date]:
    days = (latest.date() - earliest.date()).days
    return [latest.date() - number * _DAY for number in range(days + 1)]
