"""What Firehose does to log events on their way into a bucket, and moto's does not.

CloudWatch Logs sends what matches its subscription filter; the stream takes the events out of their envelope, ends
each with a line feed, compresses them, and names the object by its prefix and the time. moto filters nothing, leaves
the envelope on, and takes a prefix literally. Not here: buffering (each delivery is an object, at once) and failures;
`check` refuses whatever else a stream may be configured to do.
"""

from __future__ import annotations

import gzip
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from infra.local.errors import DeliveryError

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


def check(destination: Mapping[str, Any]) -> None:
    """Refuse a stream that `packed` would treat differently from Firehose.

    Args:
        destination: its `ExtendedS3DestinationConfiguration`.

    Raises:
        DeliveryError: The message says what is not known.
    """
    if destination.get("ProcessingConfiguration") != {"Enabled": True, "Processors": _PROCESSORS}:
        raise DeliveryError("only the processors that take messages out of log events are known here")
    if destination.get("CompressionFormat") != "GZIP":
        raise DeliveryError("only GZIP is known here")
    if not _TIMESTAMP.search(destination.get("Prefix", "")):
        raise DeliveryError("only a prefix with !{timestamp:…} is known here")


def filter_of(pattern: str) -> Callable[[str], bool]:
    """Return the test that a subscription filter's pattern is.

    Raises:
        DeliveryError: the pattern is not of the form `{ $.name = "*" }`.
    """
    match = _PATTERN.fullmatch(pattern)
    if not match:
        raise DeliveryError(f'filter patterns are known here in the form {{ $.name = "*" }}, not {pattern}')

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
