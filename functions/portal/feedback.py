"""Feedback: actual labels that people send. Drift reads them and estimates accuracy."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Final

from functions.portal import buckets
from functions.shared.contract import FEEDBACK, LABELS, day_prefix, in_audit_sample
from functions.shared.fields import read_json, refuse_unknown
from functions.shared.problem import INVALID_PARAMETER, InputError
from functions.shared.s3 import error_code

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EXAMPLE: Final = 'Send JSON such as {"prediction_id": "<id of the prediction>", "label": "no_mask"}.'
_ATTEMPTS: Final = 5  # while other labels of the same prediction are written
_PAUSE: Final = 0.2  # seconds


@dataclass(frozen=True)
class Feedback:
    """The actual label of one prediction.

    Attributes:
        prediction_id: A UUID, in lower case.
        label: The actual label of the picture, one of the classes.
        time: When it reached the API, ISO 8601; if there are several for one prediction, the latest counts.
        audit: Whether the prediction belongs to the audit sample, rather than being chosen by a person.
    """

    prediction_id: str
    label: str
    time: str
    audit: bool


def parse(body: bytes, received: datetime) -> Feedback:
    """Parse the body of a request that the API received at a time, in UTC.

    Raises:
        InputError: It is malformed; the detail shows the right form.
    """
    fields = read_json(body, _EXAMPLE)
    refuse_unknown(fields, ("prediction_id", "label", "audit"))
    prediction_id, label, audit = fields.get("prediction_id"), fields.get("label"), fields.get("audit")
    audit = False if audit is None else audit
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
    return Feedback(prediction_id.lower(), label, received.isoformat(timespec="milliseconds"), audit)


def keep(feedback: Feedback, bucket: str, api_key_id: str) -> None:
    """Store feedback where Drift reads it; it replaces earlier feedback of its day and kind on the same prediction.

    Of labels that are stored concurrently, the latest stays. The audit sample has a folder of its own, so that later
    feedback does not remove a prediction from it.

    Args:
        feedback: The actual label.
        bucket: The insights bucket.
        api_key_id: The id of the sender's API key, never the key itself; empty if the API requires none. Drift takes
            only a limited number of labels from one key.
    """
    folder = f"{FEEDBACK}{day_prefix(date.fromisoformat(feedback.time[:10]))}{'audit/' * feedback.audit}"
    place = {"Bucket": bucket, "Key": f"{folder}{feedback.prediction_id}.json"}
    body = json.dumps(asdict(feedback) | {"api_key_id": api_key_id}).encode()
    s3, condition = buckets.s3(), {"IfNoneMatch": "*"}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            s3.put_object(**place, Body=body, ContentType="application/json", **condition)
        except s3.exceptions.ClientError as error:
            code = error_code(error)
            if code not in {"PreconditionFailed", "ConditionalRequestConflict"} or attempt == _ATTEMPTS:
                raise
        else:
            return
        if code == "ConditionalRequestConflict":  # another label is just being written
            time.sleep(_PAUSE)
            continue
        stored = s3.get_object(**place)
        if json.loads(stored["Body"].read())["time"] > feedback.time:
            return
        condition = {"IfMatch": stored["ETag"]}
