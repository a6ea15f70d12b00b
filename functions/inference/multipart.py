"""Parses multipart/form-data (RFC 7578); the standard library's parser works on lines of text."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from functions.shared.problem import MALFORMED_BODY, InputError

_PARAMETER = re.compile(rb';\s*([\w-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')
_FOLD = re.compile(rb"\r?\n[ \t]+")  # mail libraries fold long header lines
_PLAIN = {"", "7bit", "8bit", "binary"}  # transfer encodings without effect


@dataclass(frozen=True)
class Part:
    """One part of a form."""

    name: str
    content: bytes


def parse_form(body: bytes, content_type: str) -> list[Part]:
    """Split a form into its parts; lines may end in LF.

    Raises:
        InputError: If the form is malformed.
    """
    boundary = _parameters(content_type.encode(errors="replace")).get("boundary")
    if not boundary:
        raise InputError(MALFORMED_BODY, "The Content-Type names no boundary. Let your HTTP library set it.")
    delimiter = re.escape(b"--" + boundary)
    opening = re.search(rb"(?:\A|\n)" + delimiter + rb"(?:--|[ \t]*(\r?\n))", body)
    if opening is None:
        detail = "The form does not have the boundary that its Content-Type names, or is cut short."
        raise InputError(MALFORMED_BODY, detail)
    line_end = opening[1] or b"\r\n"
    pieces = re.split(line_end + delimiter + rb"(?=--|[ \t]*" + line_end + b")", line_end + body)
    closing = next((number for number, piece in enumerate(pieces) if piece.startswith(b"--")), None)
    # A boundary inside a part would make the fields behind it part of the picture, and silently lose them.
    if any(re.search(delimiter + rb"(?:--|[ \t]*\r?\n)", piece) for piece in pieces[1:closing]):
        detail = "Each boundary of the form must be on a line of its own, and these lines must end alike."
        raise InputError(MALFORMED_BODY, detail)
    if closing is None:
        detail = "The form's closing boundary is missing: the form is cut short."
        raise InputError(MALFORMED_BODY, detail)
    return [_part(piece.lstrip(b" \t")) for piece in pieces[1:closing]]


def _part(piece: bytes) -> Part:
    head, *content = re.split(rb"\r?\n\r?\n", piece, maxsplit=1)
    headers = {}
    for line in _FOLD.sub(b" ", head).splitlines():
        field, _, value = line.partition(b":")
        headers[field.strip().lower()] = value
    name = _parameters(headers.get(b"content-disposition", b"")).get("name")
    if not content or name is None:
        detail = "A part of the form has no Content-Disposition header with a name."
        raise InputError(MALFORMED_BODY, detail)
    encoding = headers.get(b"content-transfer-encoding", b"").strip().lower().decode(errors="replace")
    return Part(name.decode(errors="replace"), _decoded(content[0], encoding))


def _decoded(content: bytes, encoding: str) -> bytes:
    if encoding in _PLAIN:
        return content
    if encoding == "quoted-printable":
        return binascii.a2b_qp(content)
    if encoding != "base64":
        detail = f"A part has the Content-Transfer-Encoding {encoding[:32]!r}. Send it as it is, without any."
        raise InputError(MALFORMED_BODY, detail)
    try:
        return binascii.a2b_base64(b"".join(content.split()), strict_mode=True)
    except binascii.Error as error:
        detail = f"A part has the Content-Transfer-Encoding base64 but is not base64 ({error}). Send it without any."
        raise InputError(MALFORMED_BODY, detail) from error


def _parameters(value: bytes) -> dict[str, bytes]:
    return {name.decode().lower(): quoted.strip(b'"') for name, quoted in _PARAMETER.findall(value)}
