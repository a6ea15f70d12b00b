"""One pass over the records, which collects samples, compliance counts, accuracy and the challenger's comparison."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.drift.challenge import AnswerCounts
from functions.drift.compliance import Compliance
from functions.drift.feedback_join import FeedbackJoin
from functions.drift.records import OTHERS, Reader, day_of
from functions.drift.sample import HashSet, Sampler
from functions.shared.contract import PREFLIGHT, iso
from functions.shared.feedback import feedback_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from functions.drift.baseline import Baseline
    from functions.drift.challenge import Challenge
    from functions.drift.features import Sample
    from functions.drift.feedback_join import FeedbackFigures
    from functions.drift.settings import Settings
    from functions.drift.window import Window
    from functions.shared.record import Record

LABEL_DAYS: Final = 30  # how long after a prediction its label counts
_MAX_DELAY: Final = timedelta(days=3)  # between a record's time and its arrival
_MAX_SCORING_DELAY: Final = timedelta(days=30)  # between an upload and its record, as from a backfill
_LATE_LABELS_TIMEOUT: Final = 60.0  # seconds for reading older records that only late labels are about
_DAY: Final = timedelta(days=1)
_HOUR: Final = 3600  # seconds


@dataclass(frozen=True)
class Counts:
    """Counts of what was read.

    Attributes:
        records: Predictions in the window.
        rejected: Refused requests in the window.
        duplicates: Records that were read before.
        outside: Records outside the window.
        other_versions: Predictions in the window by another release than the baseline's.
        unusable: Predictions that lack a feature.
        valid: All records read, inside the window or not.
        corrupt: Pieces of text that are not records.
        objects: Objects read.
        damaged: Objects that were truncated or corrupted, so that records at their end are missing.
        vanished: Objects that were deleted between listing and reading.
    """

    records: int = 0
    rejected: int = 0
    duplicates: int = 0
    outside: int = 0
    other_versions: int = 0
    unusable: int = 0
    valid: int = 0
    corrupt: int = 0
    objects: int = 0
    damaged: int = 0
    vanished: int = 0


@dataclass(frozen=True)
class Gathered:
    """The result of reading the records.

    Attributes:
        counts: Counts of what was read.
        accuracy: Accuracy by feedback.
        labelled_since: The first day whose predictions `accuracy` is about.
        window: Samples of the window by source, of predictions by the baseline's release.
        days: The same for every complete day of the lookback, the latest last.
        active_sources: The baseline's sources that sent pictures on each of `days` and, last, in the window,
            whichever release answered; `OTHERS` stands for all other named sources but that of deployments.
        serving_version: The release that made most predictions of the last hour; None if there are none.
        compliance: Compliance counts of the lookback.
        complete_days: The days of `compliance` whose records were all read.
        incomplete: The arrival days whose records were not all read.
        challenge: The challenger's comparison; None if there is no challenger.
    """

    counts: Counts
    accuracy: FeedbackFigures
    labelled_since: date
    window: Mapping[str, Sample]
    days: Sequence[Mapping[str, Sample]]
    active_sources: Sequence[Collection[str]]
    serving_version: str | None
    compliance: Compliance
    complete_days: Collection[date]
    incomplete: Collection[date]
    challenge: Challenge | None


class _ActiveSources:
    """The sources that sent pictures, by day and in the window; see `Gathered.active_sources`."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self.days: dict[date, set[str]] = defaultdict(set)
        self.in_window = set[str]()

    def add(self, record: Record, *, inside: bool) -> None:
        # Pictures of a deployment, or of a test without a source, do not show that a site is open.
        if record.source not in self._known and record.source in {"", PREFLIGHT}:
            return
        source = record.source if record.source in self._known else OTHERS
        self.days[day_of(record.taken)].add(source)
        if inside:
            self.in_window.add(source)


def gather(
    s3: Any,
    settings: Settings,
    window: Window,
    baseline: Baseline | None,
    serving: str,
    challenger: str,
    time_left: Callable[[], float],
) -> Gathered:
    """Read the records and the feedback of the window and of the lookback.

    Args:
        s3: A boto3 client.
        settings: The configuration.
        window: The window.
        baseline: The baseline, whose sources are kept however many others there are; None for no samples.
        serving: The version of the serving release; empty if it is not known.
        challenger: The version of its challenger; empty if there is none.
        time_left: Returns the seconds left for reading; when they are over, reading ends.
    """
    start, end = window.start.timestamp(), window.end.timestamp()
    first = _midnight(window.end - timedelta(days=settings.lookback_days))
    earliest = min(first, window.start)
    oldest_labelled = window.end - timedelta(days=LABEL_DAYS)
    latest = min(datetime.now(UTC), window.end + timedelta(days=LABEL_DAYS))
    labels = feedback_keys(s3, settings.insights_bucket, oldest_labelled.date(), latest.date())
    join = FeedbackJoin(s3, settings.insights_bucket, labels, window.end.date(), challenger)
    model_version, references = (baseline.model_version, baseline.sources) if baseline else (None, {})
    counts = Counter[str]()
    hours = Counter[tuple[int, str]]()
    seen_keys = HashSet()
    sampler = Sampler(references)
    active_sources = _ActiveSources(references)
    compliance = Compliance()
    challenge = AnswerCounts(serving, challenger)
    reader = Reader(s3, settings.records_bucket, time_left)
    records = reader.read(_arrival_days(window, earliest))
    for record in _without_shadows(records, seen_keys, join, challenge, window):
        inside = start <= record.taken < end
        if not inside:
            counts["outside"] += 1
        if not seen_keys.add(record.key):
            counts["duplicates"] += 1
        elif record.is_refusal:
            counts["rejected"] += inside
        else:
            if oldest_labelled.timestamp() <= record.time < end:
                join.add(record)
            _count(record, compliance, first, window.end + _DAY)
            if not earliest.timestamp() <= record.taken < end:
                continue  # for example, from a backfill
            active_sources.add(record, inside=inside)
            if record.model_version == model_version:
                sampler.add(record)
            if inside:
                counts["records"] += 1
                challenge.add(record)
                hours[int(record.taken // _HOUR), record.model_version] += 1
                counts["other_versions"] += model_version not in {None, record.model_version}
    labelled_since = _read_late_labels(
        join, reader, seen_keys, (earliest - _DAY).date(), oldest_labelled, time_left
    )
    samples = sampler.days()
    complete_days = {
        day
        for day in _days_backwards(window.end, first)
        if reader.incomplete.isdisjoint({day - _DAY, day, day + _DAY})
    }
    compared_days = [day for day in sorted(complete_days) if _midnight(day + _DAY) <= window.end]
    accuracy, audited = join.accuracy(f"{settings.insights_bucket} {iso(window.end.timestamp())}", time_left)
    return Gathered(
        counts=Counts(**counts, unusable=sampler.unusable, **reader.counts),
        accuracy=accuracy,
        labelled_since=labelled_since,
        window=sampler.between(start, end),
        days=[samples.get(day, {}) for day in compared_days],
        active_sources=[*(active_sources.days[day] for day in compared_days), active_sources.in_window],
        serving_version=_serving_version(hours, challenge.challenger),
        compliance=compliance,
        complete_days=complete_days,
        incomplete=frozenset(reader.incomplete),
        challenge=challenge.result(audited),
    )


def _count(record: Record, compliance: Compliance, first: datetime, end: datetime) -> None:
    """Count a prediction for compliance; on the day before the first only people, whose stays may go on."""
    if record.rescored or record.taken >= end.timestamp():
        return
    if record.taken >= first.timestamp():
        compliance.add(record)
    elif record.taken >= (first - _DAY).timestamp():
        compliance.add_person(record)


def _without_shadows(
    records: Iterable[Record], seen_keys: HashSet, join: FeedbackJoin, challenge: AnswerCounts, window: Window
) -> Iterator[Record]:
    """Yield the records of answers and refusals; count shadow predictions instead of yielding them."""
    for record in records:
        if not record.shadow:
            yield record
        elif seen_keys.add(record.key):
            if record.time < window.end.timestamp():
                join.add(record)
            if window.start.timestamp() <= record.taken < window.end.timestamp():
                challenge.add(record)


def _read_late_labels(
    join: FeedbackJoin,
    reader: Reader,
    seen_keys: HashSet,
    since: date,
    oldest_labelled: datetime,
    time_left: Callable[[], float],
) -> date:
    """Read earlier days while there are labels whose prediction was not found; return the first day read."""
    until = time_left() - _LATE_LABELS_TIMEOUT
    while join.pending and since > oldest_labelled.date() and time_left() > max(until, 0):
        since -= _DAY
        for record in reader.read([since]):
            if record.time >= oldest_labelled.timestamp() and seen_keys.add(record.key):
                join.add(record)
    return since


def _serving_version(hours: Mapping[tuple[int, str], int], challenger: str) -> str | None:
    """Return the release other than the challenger that made most predictions of the last hour."""
    hours = {(hour, version): count for (hour, version), count in hours.items() if version != challenger}
    if not hours:
        return None
    latest = max(hour for hour, _ in hours)
    return max((count, version) for (hour, version), count in hours.items() if hour == latest)[1]


def sample_days(s3: Any, bucket: str, window: Window, model_version: str) -> Sequence[Mapping[str, Sample]]:
    """Return, for each day of a window, samples by source of one release's predictions, to build a baseline."""
    sampler, seen_keys = Sampler(), HashSet()
    start, end = window.start.timestamp(), window.end.timestamp()
    for record in Reader(s3, bucket, lambda: 1.0).read(_arrival_days(window, window.start)):
        matches = start <= record.taken < end and record.model_version == model_version
        if matches and not (record.is_refusal or record.shadow) and seen_keys.add(record.key):
            sampler.add(record)
    days = sampler.days()
    return [days.get(day, {}) for day in reversed(_days_backwards(window.end - _DAY / 86_400, window.start))]


def _arrival_days(window: Window, earliest: datetime) -> list[date]:
    """Return the days on which records since `earliest` may have arrived.

    The latest first, because older records matter less if time runs out; days after the window last, because few
    records of the window arrive then.
    """
    usual, last = window.end + _MAX_DELAY, min(datetime.now(UTC), window.end + _MAX_SCORING_DELAY)
    return [*_days_backwards(usual, earliest - _DAY), *_days_backwards(last, usual + _DAY)]


def _midnight(day: date) -> datetime:
    """Return the start of a day (UTC), or of the day of a time."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _days_backwards(latest: datetime, earliest: datetime) -> list[date]:
    days = (latest.date() - earliest.date()).days
    return [latest.date() - number * _DAY for number in range(days + 1)]
