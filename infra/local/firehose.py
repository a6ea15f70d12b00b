"""What Firehose does to log events on their way into a bucket, and moto's does not.

CloudWatch Logs sends what its subscription filter lets through; the stream takes the events out of their envelope,
puts a line end behind each, compresses them, and names the object by its prefix and the time. moto lets everything
through, leaves the envelope on, and takes a prefix literally. Not here: buffering (each delivery of a log is an
object, at once), failures, and whatever else a stream can be asked for; `check` refuses that.
"""

from __future__ import annotations

import gzip
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

_PATTERN: Final = re.compile(r'\{ \$\.(\w+) = "\*" \}')
_TIMESTAMP: Final = re.compile(r"!\{timestamp:([^}]*)\}")
_FORMATS: Final = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H"}  # Java's letters, and ours
_PROCESSORS: Final = [
    {
        "Type": "Decompression",
        "Parameters": [{"ParameterName": "CompressionFormat", "ParameterValue": "GZIP"}],
    },
    {
        "Type": "CloudWatchLogProcessing",
        "Parameters": [{"ParameterName": "DataMessageExtraction", "ParameterValue": "true"}],
    },
    {
        "Type": "AppendDelimiterToRecord",
        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": r"\n"}],
    },
]


class UnknownDelivery(Exception):  # noqa: N818 -- a verdict about the template
    """A stream or a subscription is asked for what is not known here."""


def check(destination: Mapping[str, Any]) -> None:
    """Refuse a stream that `packed` would treat otherwise than Firehose.

    Args:
        destination: its `ExtendedS3DestinationConfiguration`.

    Raises:
        UnknownDelivery: it says what.
    """
    if destination.get("ProcessingConfiguration") != {"Enabled": True, "Processors": _PROCESSORS}:
        raise UnknownDelivery("only the processors that take messages out of log events are known here")
    if destination.get("CompressionFormat") != "GZIP":
        raise UnknownDelivery("only GZIP is known here")
    if not _TIMESTAMP.search(destination.get("Prefix", "")):
        raise UnknownDelivery("only a prefix with !{timestamp:…} is known here")


def lets_through(pattern: str) -> Callable[[str], bool]:
    """Return what a subscription filter's pattern says of a message.

    Raises:
        UnknownDelivery: the pattern is not of the form `{ $.name = "*" }`.
    """
    match = _PATTERN.fullmatch(pattern)
    if not match:
        raise UnknownDelivery(f'filter patterns are known here in the form {{ $.name = "*" }}, not {pattern}')

    def has_field(message: str) -> bool:
        try:
            return isinstance(json.loads(message)[match[1]], str)
        except (ValueError, TypeError, KeyError):
            return False

    return has_field


def packed(
    messages: Iterable[str], stream: str, destination: Mapping[str, Any], now: datetime
) -> tuple[str, bytes]:
    """Return key and content of the object that holds the messages."""
    prefix = _TIMESTAMP.sub(lambda match: now.strftime(_strftime(match[1])), destination["Prefix"])
    key = f"{prefix}{stream}-1-{now:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}.gz"
    return key, gzip.compress("".join(f"{message}\n" for message in messages).encode())


def _strftime(pattern: str) -> str:
    for letters, ours in _FORMATS.items():
        pattern = pattern.replace(letters, ours)
    return pattern
