"""The source in an upload's metadata. S3 takes non-ASCII values encoded as in e-mail headers (RFC 2047)."""

from __future__ import annotations

from email.errors import MessageError
from email.header import Header, decode_header, make_header
from typing import Final

from functions.shared.contract import read_source
from functions.shared.problem import INVALID_PARAMETER, InputError

_MAX_LINE: Final = 10_000  # characters, more than any encoded source has, so that no header is folded


def encode_source(source: str) -> str:
    """Return the value of `x-amz-meta-source` for a source; `decode_source` is the inverse."""
    is_plain = source.isascii() and "=?" not in source and source == " ".join(source.split())
    return Header(source, None if is_plain else "utf-8", _MAX_LINE).encode(maxlinelen=_MAX_LINE)


def decode_source(value: str) -> str | None:
    """Decode the value of `x-amz-meta-source`; return None if it is blank.

    Raises:
        InputError: It cannot be decoded, or is not a valid source.
    """
    try:
        return read_source(str(make_header(decode_header(value))))
    # UnicodeError and binascii.Error are ValueErrors.
    except (MessageError, LookupError, ValueError) as error:
        detail = "`x-amz-meta-source` cannot be decoded. Send ASCII, or UTF-8 as RFC 2047 encodes it."
        raise InputError(INVALID_PARAMETER, detail) from error
