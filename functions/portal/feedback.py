"""Feedback: actual labels that people send. Drift reads them and estimates accuracy."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Final

from functions.portal import buckets
from functions.shared.contract import FEEDBACK, LABELS, day_prefix, in_audit_sample
from functions.shared.feedback import Feedback, read_feedback
from functions.shared.fields import read_json, refuse_unknown
from functions.shared.problem import INVALID_PARAMETER, InputError
from functions.shared.s3 import error_code

if TYPE_CHECKING:
    from datetime import datetime

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EXAMPLE: Final = 'Send JSON such as {"prediction_id": "<id of the prediction>", "label": "no_mask"}.'
_ATTEMPTS: Final = 5  # while other labels of the same prediction are written
_PAUSE: Final = 0.2  # seconds


def parse(body: bytes, received: datetime, api_key_id: str) -> Feedback:
    """Parse the body of a request with this API key that the API received at a time, in UTC.

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
    return Feedback(prediction_id.lower(), label, received, audit, api_key_id)


def store(feedback: Feedback, bucket: str) -> None:
    """Store feedback where Drift reads it; it replaces earlier feedback of its day and kind on the same prediction.

    Of labels that are stored concurrently, the latest stays. The audit sample has a folder of its own, so that later
    feedback does not remove a prediction from it.
    """
    folder = f"{FEEDBACK}{day_prefix(feedback.time.date())}{'audit/' * feedback.audit}"
    place = {"Bucket": bucket, "Key": f"{folder}{feedback.prediction_id}.json"}
    body = json.dumps(feedback.to_dict()).encode()
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
        other = read_feedback(stored["Body"].read())
        if other and other.time > feedback.time:
            return
        condition = {"IfMatch": stored["ETag"]}
