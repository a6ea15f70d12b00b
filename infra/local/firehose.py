"""Firehose's processing of log events on their way to a bucket, which moto does not do.

CloudWatch Logs sends the events that match its subscription filter. The stream unwraps them, ends each with a line
feed, compresses them, and builds the key from its prefix and the time. moto neither filters nor unwraps, and takes
the prefix literally. Not implemented: buffering (each delivery is an object, at once) and failures. `check` refuses
everything else that a stream may be configured to do.
"""

from __future__ import annotations

import gzip
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from infra.local.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

_PATTERN: Final = re.compile(r'\{ \$\.(\w+) = "\*" \}')
_TIMESTAMP: Final = re.compile(r"!\{timestamp:([^}]*)\}")
_FORMATS: Final = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H"}  # Java's pattern letters to strftime's
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
    """Refuse a stream that `pack` would treat differently from Firehose.

    Args:
        destination: The stream's `ExtendedS3DestinationConfiguration`.

    Raises:
        StackError: It has a setting that is not supported.
    """
    if destination.get("ProcessingConfiguration") != {"Enabled": True, "Processors": _PROCESSORS}:
        raise StackError("only the processors that unwrap log events are supported here")
    if destination.get("CompressionFormat") != "GZIP":
        raise StackError("only GZIP is supported here")
    if not _TIMESTAMP.search(destination.get("Prefix", "")):
        raise StackError("only a prefix with !{timestamp:…} is supported here")


def filter_of(pattern: str) -> Callable[[str], bool]:
    """Return the predicate for a subscription filter's pattern.

    Raises:
        StackError: The pattern is not of the form `{ $.name = "*" }`.
    """
    match = _PATTERN.fullmatch(pattern)
    if not match:
        raise StackError(f'only filter patterns like {{ $.name = "*" }} are supported here, not {pattern}')

    def has_field(message: str) -> bool:
        try:
            return isinstance(json.loads(message)[match[1]], str)
        except (ValueError, TypeError, KeyError):
            return False

    return has_field


def pack(
    messages: Iterable[str], stream: str, destination: Mapping[str, Any], now: datetime
) -> tuple[str, bytes]:
    """Return the key and the content of the object for these messages."""
    prefix = _TIMESTAMP.sub(lambda match: now.strftime(_strftime(match[1])), destination["Prefix"])
    key = f"{prefix}{stream}-1-{now:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}.gz"
    return key, gzip.compress("".join(f"{message}\n" for message in messages).encode())


def _strftime(pattern: str) -> str:
    for letters, ours in _FORMATS.items():
        pattern = pattern.replace(letters, ours)
    return pattern
