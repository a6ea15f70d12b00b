"""Reads prediction records from S3 (dt=YYYY-MM-DD/) as a stream, and skips whatever is damaged.

The day in a key is that on which an object's first record arrived; the time of a prediction is in its record.
"""

from __future__ import annotations

import json
import re
import zlib
from codecs import getincrementaldecoder
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.drift.objects import fetch
from functions.shared.contract import RECORD_START, day_prefix
from functions.shared.record import parse_record
from functions.shared.s3 import list_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from functions.shared.record import Record

OTHERS: Final = "(other)"  # the name for sources that are pooled because there are too many
_CONCURRENCY: Final = 4  # objects read ahead
_CHUNK: Final = 16_384  # bytes; a damaged chunk is lost as a whole
_MAX_RECORD: Final = 1_000_000  # characters
_SPACE: Final = re.compile(r"\s*")
_GZIP: Final = b"\x1f\x8b"
_decode: Final = json.JSONDecoder().raw_decode


class Reader:
    """Reads the records of a bucket, and counts what was damaged, see `gather.Counts`.

    Attributes:
        incomplete: The arrival days whose objects were not all read.
    """

    def __init__(self, s3: Any, bucket: str, time_left: Callable[[], float]) -> None:
        self._s3, self._bucket, self._time_left = s3, bucket, time_left
        self.objects = self.vanished = self.damaged = self.valid = self.corrupt = 0
        self.incomplete = set[date]()

    @property
    def counts(self) -> dict[str, int]:
        """The counts by attribute name."""
        return {name: getattr(self, name) for name in ("objects", "vanished", "damaged", "valid", "corrupt")}

    def read(self, days: Iterable[date]) -> Iterator[Record]:
        """Yield the records that arrived on some days, day by day, while there is time left."""
        for day in days:
            if self._time_left() <= 0:
                self.incomplete.add(day)
                continue
            keys = list_keys(self._s3, self._bucket, day_prefix(day))
            for _, data in fetch(self._s3, self._bucket, keys, _CONCURRENCY):
                if data is None:
                    self.vanished += 1
                    self.incomplete.add(day)
                elif self._time_left() <= 0:
                    self.incomplete.add(day)
                    break
                else:
                    yield from self._records(data)

    def _records(self, data: bytes) -> Iterator[Record]:
        self.objects += 1
        for value in values(self._inflate(data)):
            record = parse_record(value)
            if record is None:
                self.corrupt += 1
            else:
                self.valid += 1
                yield record

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        if not data.startswith(_GZIP):
            yield from _pieces(data)
            return
        try:
            yield from inflate(data)
        except (zlib.error, EOFError):
            self.damaged += 1


def inflate(data: bytes) -> Iterator[bytes]:
    """Yield the contents of gzip data with one or more members, up to where it is damaged.

    Raises:
        EOFError: The data is truncated.
        zlib.error: The data is corrupted.
    """
    member = zlib.decompressobj(wbits=31)
    for piece in _pieces(data):
        left = piece
        while left:
            if member.eof:
                member = zlib.decompressobj(wbits=31)
            yield member.decompress(left)
            left = member.unused_data
    if not member.eof:
        raise EOFError("truncated")


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))


def values(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    """Yield the JSON objects in chunks of text, whether newlines separate them or not.

    Yield None for every piece that is not an object, and continue at the next record or line.
    """
    decoder = getincrementaldecoder("utf-8")("replace")
    rest = ""
    for chunk in chunks:
        rest += decoder.decode(chunk)
        end = rest.rfind("\n") + 1 or max(rest.rfind(RECORD_START), 0)
        if not end and len(rest) > _MAX_RECORD:
            end = len(rest)
        yield from _values(rest[:end])
        rest = rest[end:]
    yield from _values(rest + decoder.decode(b"", final=True))


def _values(text: str) -> Iterator[dict[str, Any] | None]:
    position = 0
    while (position := _SPACE.match(text, position).end()) < len(text):  # type: ignore[union-attr]  # it matches ""
        try:
            value, end = _decode(text, position)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            position = end
            yield value
        else:
            starts = text.find("\n", position), text.find(RECORD_START, position + 1)
            position = min((start for start in starts if start >= 0), default=len(text))
            yield None


def day_of(time: float) -> date:
    """Return the day (UTC) of a Unix time."""
    return datetime.fromtimestamp(time, UTC).date()
