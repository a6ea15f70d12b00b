"""What pictures really showed, as people tell it; Drift reads it and says how often predictions were right."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Final

from functions.portal import store
from functions.shared.contract import FEEDBACK, LABELS, day_prefix, in_audit_sample
from functions.shared.fields import read_json, refuse_unknown
from functions.shared.problem import INVALID_PARAMETER, InputError

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EXAMPLE: Final = 'Send JSON such as {"prediction_id": "<as it was answered>", "label": "no_mask"}.'


@dataclass(frozen=True)
class Feedback:
    """What one prediction should have said.

    Attributes:
        prediction_id: A UUID, in lower case.
        label: What the picture shows, one of the classes.
        time: When it was told, ISO 8601; of several about one prediction the latest counts.
        audit: Whether the prediction was offered as one of the audit sample, rather than chosen by a person.
    """

    prediction_id: str
    label: str
    time: str
    audit: bool


def parse(body: bytes) -> Feedback:
    """Read the body of a request that comes now.

    Raises:
        InputError: It is malformed; the detail says how to do it right.
    """
    fields = read_json(body, _EXAMPLE)
    refuse_unknown(fields, ("prediction_id", "label", "audit"))
    prediction_id, label, audit = fields.get("prediction_id"), fields.get("label"), fields.get("audit", False)
    if not (isinstance(prediction_id, str) and _UUID.fullmatch(prediction_id.lower())):
        detail = f"`prediction_id` must be the UUID that the prediction was answered with. {_EXAMPLE}"
        raise InputError(INVALID_PARAMETER, detail)
    if label not in LABELS:
        detail = "`label` must be mask, no_mask or incorrect: what the picture really shows."
        raise InputError(INVALID_PARAMETER, detail)
    if not isinstance(audit, bool):
        raise InputError(INVALID_PARAMETER, "`audit` must be true or false.")
    if audit and not in_audit_sample(prediction_id):
        detail = "This prediction is not in the audit sample; leave `audit` out."
        raise InputError(INVALID_PARAMETER, detail)
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Feedback(prediction_id.lower(), label, time, audit)


def keep(feedback: Feedback, bucket: str, api_key_id: str) -> None:
    """Put it where Drift looks, in the place of what was told about this prediction on the same day.

    Args:
        feedback: What was told.
        bucket: Of insights.
        api_key_id: Of the API key that told it, never the key itself; empty where the API asks for none. Drift takes
            only so many labels of one key.
    """
    key = f"{FEEDBACK}{day_prefix(date.fromisoformat(feedback.time[:10]))}{feedback.prediction_id}.json"
    body = json.dumps(asdict(feedback) | {"api_key_id": api_key_id}).encode()
    store.s3().put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
