"""Feedback as it is stored: Portal writes it, Drift and the operator's commands read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from functions.shared.contract import FEEDBACK, LABELS, day_prefix
from functions.shared.s3 import list_keys


@dataclass(frozen=True, slots=True)
class Feedback:
    """The actual label of one prediction.

    Attributes:
        prediction_id: A UUID, in lower case.
        label: The actual label of the picture, one of the classes.
        time: When it was sent; if there are several for one prediction, the latest counts.
        audit: Whether the prediction belongs to the audit sample, rather than being chosen by a person.
        api_key_id: The id of the sender's API key, never the key itself; empty if the API requires none. Drift takes
            only a limited number of labels from one key.
    """

    prediction_id: str
    label: str
    time: datetime
    audit: bool
    api_key_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return the feedback as it is stored."""
        return asdict(self) | {"time": self.time.isoformat(timespec="milliseconds")}


def feedback_keys(s3: Any, bucket: str, first: date, last: date) -> list[str]:
    """Return the keys of the feedback that was sent from one day (UTC) to another, both included."""
    keys = list_keys(s3, bucket, FEEDBACK, after=FEEDBACK + day_prefix(first))
    return [key for key in keys if key < FEEDBACK + day_prefix(last + timedelta(days=1))]


def read_feedback(body: bytes) -> Feedback | None:
    """Return stored feedback; None if it is not valid."""
    try:
        payload = json.loads(body)
        name, time = payload["prediction_id"], datetime.fromisoformat(payload["time"])
        label, api_key_id = payload["label"], payload.get("api_key_id") or ""
        if isinstance(name, str) and isinstance(api_key_id, str) and label in LABELS:
            return Feedback(name, label, time.astimezone(UTC), payload.get("audit") is True, api_key_id)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        pass
    return None
