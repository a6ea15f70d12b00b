"""A source as the metadata of an upload: S3 takes what is not ASCII as mail does (RFC 2047)."""

from __future__ import annotations

from email.errors import MessageError
from email.header import Header, decode_header, make_header
from typing import Final

from functions.shared.contract import read_source
from functions.shared.problem import INVALID_PARAMETER, InputError

_ONE_LINE: Final = 10_000  # characters; a source is shorter, however it is encoded


def encode_source(source: str) -> str:
    """Return the value of `x-amz-meta-source` that `decode_source` turns into this source."""
    is_plain = source.isascii() and "=?" not in source and source == " ".join(source.split())
    return Header(source, None if is_plain else "utf-8", _ONE_LINE).encode(maxlinelen=_ONE_LINE)


def decode_source(value: str) -> str | None:
    """Read the value of `x-amz-meta-source`; None where it names no source.

    Raises:
        InputError: It cannot be decoded, or is no source.
    """
    try:
        return read_source(str(make_header(decode_header(value))))
    except (
        MessageError,
        LookupError,
        ValueError,
    ) as error:  # UnicodeError and binascii.Error are ValueErrors
        detail = "`x-amz-meta-source` cannot be decoded. Send ASCII, or UTF-8 as RFC 2047 encodes it."
        raise InputError(INVALID_PARAMETER, detail) from error
