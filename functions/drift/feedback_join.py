"""Joins predictions with feedback (actual labels) by the prediction's id."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from functions.drift.accuracy import Figures, LabelledPrediction, figures
from functions.drift.features import label_index
from functions.drift.objects import fetch
from functions.drift.sample import MINUTE
from functions.shared.contract import FEEDBACK, LABELS, UNCERTAIN, day_prefix, in_audit_sample
from functions.shared.feedback import read_feedback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from functions.shared.feedback import Feedback
    from functions.shared.record import Record
    from functions.shared.statistics import Share

MAX_LABELS: Final = 20_000  # read in one run
MAX_LABELS_OF_KEY: Final = 5_000  # counted from one API key
MIN_AUDITED: Final = 30  # labels of the audit sample, to conclude anything
MAX_SOURCES: Final = 20  # reported: those with the most labels
_CONCURRENCY: Final = 16  # the objects are tiny


@dataclass(frozen=True)
class FeedbackFigures:
    """The accuracy of predictions by feedback.

    Attributes:
        chosen: Figures by all labels; people chose most of the pictures.
        audit: Figures by the random audit sample, which is representative of all predictions.
        sources: Figures by all labels, for the sources with the most labels.
        model_versions: Figures by the audit sample for each release.
        unknown: Labels about predictions that are not among the records.
        corrupt: Objects that are not valid feedback.
        unread: Labels about known predictions that were left out: too many for one run or from one API key.
    """

    chosen: Figures
    audit: Figures
    sources: Mapping[str, Figures]
    model_versions: Mapping[str, Figures]
    unknown: int
    corrupt: int
    unread: int


def serving_audit(accuracy: FeedbackFigures, serving_version: str | None) -> Figures | None:
    """Return the audit figures of the serving release, if they have enough labels to conclude anything."""
    audit = accuracy.model_versions.get(serving_version or "")
    return audit if audit and audit.n >= MIN_AUDITED else None


def low_accuracy(accuracy: FeedbackFigures, min_accuracy: float, serving_version: str | None) -> Share | None:
    """Return the serving release's accuracy on the audit sample if it is significantly too low."""
    serving = serving_audit(accuracy, serving_version)
    share = serving.accuracy if serving else None
    return share if share and share.high < min_accuracy else None


class FeedbackJoin:
    """Collects the predictions that labels are about, and reads the labels of these predictions.

    A label whose prediction is not among the records is never read, so invented labels cannot displace real ones.
    """

    def __init__(self, s3: Any, bucket: str, keys: Iterable[str], last: date, challenger: str) -> None:
        """Take the labels with these keys in the insights bucket.

        A label given on the day `last` or before counts as unknown if its prediction is not among the records. Of the
        shadow predictions, those by the release `challenger` are compared; an earlier challenger's are not.
        """
        self._s3, self._bucket, self._challenger = s3, bucket, challenger
        self._after_last = FEEDBACK + day_prefix(last + timedelta(days=1))
        self._keys: dict[str, list[str]] = {}
        for key in keys:
            self._keys.setdefault(PurePosixPath(key).stem, []).append(key)
        self._known: dict[str, LabelledPrediction] = {}  # by id; `actual` is empty until `accuracy` reads it
        self._shadows: dict[str, str] = {}
        self._predictions, self._audits = Counter[str](), Counter[str]()  # by source, and by model version

    @property
    def pending(self) -> bool:
        """Whether there are labels whose prediction was not added yet."""
        return any(name not in self._known for name in self._keys)

    def add(self, record: Record) -> None:
        """Add a prediction or a shadow prediction; callers remove duplicates."""
        if record.is_refusal:
            return
        if record.shadow:
            name = record.body["shadow_of"]
            if name in self._keys and record.model_version == self._challenger:
                self._shadows[name] = LABELS[label_index(record.body["probabilities"])]
            return
        name = record.body["prediction_id"]
        self._predictions[record.source] += 1
        self._audits[record.model_version] += in_audit_sample(name)
        if name in self._keys:
            predicted = LABELS[label_index(record.body["probabilities"])]
            uncertain = record.body["label"] == UNCERTAIN
            minute = int(record.taken // MINUTE)
            self._known[name] = LabelledPrediction(
                record.source, minute, record.model_version, "", predicted, uncertain, audit=False
            )

    def accuracy(
        self, salt: str, time_left: Callable[[], float]
    ) -> tuple[FeedbackFigures, list[LabelledPrediction]]:
        """Read the labels; return the figures, and the labelled predictions of the audit sample.

        `salt` seeds the choice of labels that are left out if there are too many; `time_left` returns the seconds
        left for reading.
        """
        names = sorted(self._known, key=lambda name: _hash(salt, name))
        keys = [key for name in names[:MAX_LABELS] for key in self._keys[name]]
        newest: dict[str, Feedback] = {}
        audited = set[str]()  # later feedback, such as a report of a mistake, does not undo the random choice
        corrupt = 0
        for _, body in fetch(self._s3, self._bucket, keys, _CONCURRENCY):
            if time_left() <= 0:
                break
            feedback = None if body is None else read_feedback(body)
            corrupt += body is not None and feedback is None
            if feedback and feedback.prediction_id in self._known:
                if feedback.audit and in_audit_sample(feedback.prediction_id):
                    audited.add(feedback.prediction_id)
                kept = newest.setdefault(feedback.prediction_id, feedback)
                if feedback.time > kept.time:
                    newest[feedback.prediction_id] = feedback
        used, of_key = [], Counter[str]()
        for name in names:
            if feedback := newest.get(name):
                of_key[feedback.api_key_id] += 1
                if of_key[feedback.api_key_id] <= MAX_LABELS_OF_KEY or not feedback.api_key_id:
                    known, shadow = self._known[name], self._shadows.get(name)
                    used.append(replace(known, actual=feedback.label, audit=name in audited, shadow=shadow))
        return self._figures(used, corrupt, unread=len(names) - len(used) - corrupt)

    def _figures(
        self, labelled: Sequence[LabelledPrediction], corrupt: int, unread: int
    ) -> tuple[FeedbackFigures, list[LabelledPrediction]]:
        audited = [prediction for prediction in labelled if prediction.audit]
        by_source = defaultdict[str, list[LabelledPrediction]](list)
        for prediction in labelled:
            by_source[prediction.source].append(prediction)
        by_release = defaultdict[str, list[LabelledPrediction]](list)
        for prediction in audited:
            by_release[prediction.model_version].append(prediction)
        busiest = sorted(by_source, key=lambda source: (-len(by_source[source]), source))[:MAX_SOURCES]
        unknown = sum(
            any(key < self._after_last for key in keys)
            for name, keys in self._keys.items()
            if name not in self._known
        )
        accuracy = FeedbackFigures(
            chosen=figures(labelled, self._predictions.total()),
            audit=figures(audited, self._audits.total()),
            sources={name: figures(by_source[name], self._predictions[name]) for name in busiest},
            model_versions={name: figures(by_release[name], n) for name, n in sorted(self._audits.items())},
            unknown=unknown,
            corrupt=corrupt,
            unread=max(unread, 0),
        )
        return accuracy, audited


def _hash(salt: str, name: str) -> bytes:
    return blake2b(name.encode(), digest_size=8, key=salt.encode()[:64]).digest()
