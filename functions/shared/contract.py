"""What functions, training and the operator's commands agree on: labels, limits, sources, times and keys in S3."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from unicodedata import category, normalize

from functions.shared.problem import INVALID_PARAMETER, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

LABELS: Final = ("mask", "no_mask", "incorrect")  # the classifier's classes, in its order
UNCERTAIN: Final = "uncertain"  # no class: the top probability is below `min_confidence`
ANSWER_LABELS: Final = (*LABELS, UNCERTAIN)  # what the label of an answer may be

# Columns of a compliance row: pictures, faces, faces by label, minutes in which faces were seen, and people, who are
# counted once per stay where the records carry tracks.
COMPLIANCE_COUNTS: Final = (
    "pictures", "faces", *ANSWER_LABELS, "minutes", "people", *(f"people_{label}" for label in ANSWER_LABELS)
)  # fmt: skip

RECORD_TIME: Final = "time"  # the first field of every prediction record
RECORD_START: Final = f'{{"{RECORD_TIME}"'  # Drift uses it to find the next record in a damaged file

MAX_PREDICT_BYTES: Final = 4_400_000  # in base64 it fits into the 6 MB that Lambda takes, and leaves room
MAX_UPLOAD_BYTES: Final = 25_000_000
MAX_KEY_BYTES: Final = 1024  # S3's own limit
MAX_SOURCE: Final = 64  # characters
MAX_TRACK: Final = 64  # characters
_REPLACED: Final = "\ufffd"  # replaces bytes that are not UTF-8

UPLOAD_TYPES: Final = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}

INTERNAL_RESULTS: Final = ("backfill/", "inventory/")  # prefixes in the results bucket that hold no results
PREFLIGHT: Final = "preflight"  # source of a deployment's own pictures; repeated in functions/preflight
PRIVATE_RESULTS: Final = (*INTERNAL_RESULTS, f"{PREFLIGHT}/")  # prefixes whose results no client may read
NO_SOURCE: Final = "(no source)"  # what people read in place of an empty source
AUDIT_SHARE: Final = 0.01  # of all predictions; people are asked to label these

API_UPLOADS: Final = "api/"  # prefix of the keys of presigned uploads, in the uploads bucket
FEEDBACK: Final = "feedback/"  # prefixes in the insights bucket
COMPLIANCE: Final = "compliance/"
DRIFT_REPORTS: Final = "drift/"

ALERTS_PARTITION: Final = "alerts"  # partition key of the list of alerts, in the table of Alerts


def read_source(value: object) -> str | None:
    """Validate the name of a camera or site; return None for None or blanks.

    Raises:
        InputError: It is not text, is too long or is not printable.
    """
    return _read_name(value, "source", MAX_SOURCE)


def read_track(value: object) -> str | None:
    """Validate the caller's id for the stay of the person whose face is the largest in the picture.

    Raises:
        InputError: It is not text, is too long or is not printable.
    """
    return _read_name(value, "track", MAX_TRACK)


def _read_name(value: object, field: str, longest: int) -> str | None:
    if isinstance(value, str):  # macOS decomposes umlauts into two characters
        value = normalize("NFC", value)
        if not value.isprintable():  # a Japanese keyboard types a wide space
            value = "".join(" " if category(character) == "Zs" else character for character in value)
    if value is None or (isinstance(value, str) and not value.strip(" ")):
        return None
    if isinstance(value, str) and _REPLACED in value:
        raise InputError(INVALID_PARAMETER, f"`{field}` must be text in UTF-8; some of its bytes are not.")
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        bad = next((c for c in value if not c.isprintable()), "") if isinstance(value, str) else ""
        which = f"; U+{ord(bad):04X} is not" if bad else ""
        detail = f"`{field}` must be text of at most {longest} printable characters{which}."
        raise InputError(INVALID_PARAMETER, detail)
    return value


def in_audit_sample(prediction_id: str) -> bool:
    """Return whether a prediction belongs to the audit sample: `AUDIT_SHARE` of all, by the random bits of its id."""
    try:
        return int(prediction_id[:8], 16) < AUDIT_SHARE * 2**32
    except ValueError:
        return False


def label_of_stay(frames: Mapping[str, int]) -> str:
    """Return the label of most frames of a stay; `frames` counts them by label."""
    return max(ANSWER_LABELS, key=lambda label: frames.get(label, 0))


def result_key(upload: str) -> str:
    """Return the key in the results bucket for the upload with this key."""
    return f"{upload}.json"


def key_fault(key: str, reserved: tuple[str, ...]) -> str:
    """Return why an upload with this key never gets a result; empty if it may. `reserved` are prefixes."""
    if key.startswith(reserved):
        return f"Keys under {', '.join(reserved)} are reserved."
    if len(result_key(key).encode()) > MAX_KEY_BYTES:
        return f"The key with .json appended is longer than S3's limit of {MAX_KEY_BYTES:,} bytes."
    return ""


def day_prefix(day: date) -> str:
    """Return the prefix of a day's (UTC) prediction records, and after `FEEDBACK` of its labels."""
    return f"dt={day}/"


def compliance_key(day: date) -> str:
    """Return the key of a day's (UTC) compliance counts."""
    return f"{COMPLIANCE}dt={day}.json"


def report_key(name: str, ending: str) -> str:
    """Return the key of a drift report; `latest` is the name of the newest."""
    return f"{DRIFT_REPORTS}{name}.{ending}"


def iso(time: float) -> str:
    """Return a Unix time as ISO 8601, UTC, to the second."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"


def alert_sort_key(started: str, alert_id: str = "") -> str:
    """Return the sort key of an alert, which sorts by time; `started` is ISO 8601 in UTC, to the second."""
    return f"{started}#{alert_id}"
