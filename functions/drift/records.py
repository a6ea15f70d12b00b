"""Prediction records as they lie in S3, under dt=YYYY-MM-DD/: read as a stream, in whatever state they are.

The day in a key is that of the arrival of the first record of many; when a prediction was made, its record says.
"""

from __future__ import annotations

import json
import re
import zlib
from codecs import getincrementaldecoder
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from functions.drift.objects import fetch
from functions.shared.contract import day_prefix
from functions.shared.emf import RECORD_START
from functions.shared.record import as_record
from functions.shared.s3 import list_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from functions.shared.record import Record

OTHERS: Final = "(other)"  # what sources are called together that are too many to tell apart
_AT_ONCE: Final = 4  # objects that are fetched ahead
_PIECE: Final = 16_384  # bytes of an object that are unpacked, and where it is damaged lost, together
_LONGEST: Final = 1_000_000  # characters that may follow each other without the end of a record among them
_SPACE: Final = re.compile(r"\s*")
_GZIP: Final = b"\x1f\x8b"
_decode: Final = json.JSONDecoder().raw_decode


class Reader:
    """Reads the records of a bucket, and counts what it met.

    Attributes:
        objects: How many were read.
        vanished: How many were gone between being listed and being read.
        damaged: How many were cut short or garbled, so that records at their end are missing.
        corrupt: Pieces in them that are no record.
        incomplete: The days of arrival from which objects were not read.
    """

    def __init__(self, s3: Any, bucket: str, time_left: Callable[[], float]) -> None:
        self._s3, self._bucket, self._time_left = s3, bucket, time_left
        self.objects = self.vanished = self.damaged = self.corrupt = 0
        self.incomplete = set[date]()

    @property
    def counts(self) -> dict[str, int]:
        """What was met, by the names of the attributes."""
        return {name: getattr(self, name) for name in ("objects", "vanished", "damaged", "corrupt")}

    def read(self, days: Iterable[date]) -> Iterator[Record]:
        """Give the records that arrived on some days, one day after the other, for as long as there is time."""
        for day in days:
            if self._time_left() <= 0:
                self.incomplete.add(day)
                continue
            keys = list_keys(self._s3, self._bucket, day_prefix(day))
            for _, data in fetch(self._s3, self._bucket, keys, _AT_ONCE):
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
        for value in values(self._inflated(data)):
            record = as_record(value)
            if record is None:
                self.corrupt += 1
            else:
                yield record

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        if not data.startswith(_GZIP):
            yield from _pieces(data)
            return
        try:
            yield from inflate(data)
        except (zlib.error, EOFError):
            self.damaged += 1


def inflate(data: bytes) -> Iterator[bytes]:
    """Give what gzip has packed, in one member or several, as far as it goes.

    Raises:
        EOFError: It is cut short.
        zlib.error: It is garbled.
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
        raise EOFError("cut short")


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


def values(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    """Give the JSON objects in a text that comes in chunks, with newlines between them or without.

    For every piece that is none it gives None, and goes on where the next record or line begins.
    """
    decoder = getincrementaldecoder("utf-8")("replace")
    rest = ""
    for chunk in chunks:
        rest += decoder.decode(chunk)
        end = rest.rfind("\n") + 1 or max(rest.rfind(RECORD_START), 0)
        if not end and len(rest) > _LONGEST:
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
    """Return the day of a Unix time, UTC."""
    return datetime.fromtimestamp(time, UTC).date()
