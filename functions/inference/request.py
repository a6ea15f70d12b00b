"""Parses requests: a body in any of its forms gives the bytes of a picture and its options."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from functions.inference.decode import MAX_SIDE
from functions.inference.multipart import parse_form
from functions.inference.prediction import MAX_FACES, PredictOptions
from functions.shared.contract import MAX_PREDICT_BYTES, read_source, read_track
from functions.shared.fields import decode_text, read_json, refuse_unknown, single
from functions.shared.problem import (
    INVALID_PARAMETER,
    MALFORMED_BASE64,
    MALFORMED_BODY,
    TOO_LARGE,
    UNSUPPORTED_TYPE,
    InputError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCEPTED_BODIES: Final = (
    'Send JSON {"image": "<base64>"} as application/json, the picture itself as image/jpeg, image/png or '
    "image/webp, or multipart/form-data with a part named file."
)
_PARAMETERS: Final = ("source", "track", "min_confidence", "detect", "max_faces", "min_face")
_PICTURES: Final = ("file", "image")  # names of the part or field with the picture
_URLENCODED: Final = "application/x-www-form-urlencoded"
# No type, and the types that tools like `curl --data-binary` send by default.
_UNTYPED: Final = {"", "application/octet-stream", _URLENCODED}
_REPLACED: Final = b"\xef\xbf\xbd"  # U+FFFD, with which the gateway replaces bytes that are not UTF-8
# The start of JSON, optionally after a byte order mark of UTF-8 or UTF-16, or after the gateway's replacement of one.
_JSON: Final = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff|(?:\xef\xbf\xbd){2})?[\0\s]*+\{")
_GZIP: Final = (b"\x1f\x8b", b"\x1f" + _REPLACED)
# Fields of a form, which may have wrapped base64 and UTF-8 that is not escaped. Pictures have control characters.
_FIELDS: Final = re.compile(rb"""&?[^\0-\x20"&'<=>\\{}\x7f-\xff]{1,200}+=[\s\x21-\x7e\x80-\xff]*+""")
_FORM_PART: Final = re.compile(
    rb"\s*+--[^\r\n]{1,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,5}content-disposition:\s*form-data", re.IGNORECASE
)
# Common mistakes with base64: Python's b'…', quotation marks, hexadecimal digits, an address.
_QUOTED: Final = re.compile(r"""b?(["'])(.*)\1\s*""", re.DOTALL)
# Blanks before a picture's first bytes, or before text that is not base64; elsewhere, blanks may have been pluses.
_IN_FRONT: Final = re.compile(r"""\A\s++(?=b?["']|[a-z]+:|\\?/9j|%2F9j|iVBOR|UklGR)""")
_HEXADECIMAL: Final = re.compile(r"(?:0x)?(?:ffd8ff|89504e47|52494646)[0-9a-f\s]*", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?:https?|file|blob|s3)://?|blob:|[A-Za-z]:\\", re.IGNORECASE)
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=_ -]|-----BEGIN ")
_BASE64: Final = re.compile(rb"(?:data:[^,]{,99},)?[A-Za-z0-9+/_=\-\s]{64,}+")


@dataclass(frozen=True)
class Request:
    """One picture to score.

    Attributes:
        image: The bytes of the file.
        source: The camera or site that it comes from, as named by the client.
        options: The options for scoring.
        track: The client's id of the person with the largest face.
    """

    image: bytes
    source: str | None
    options: PredictOptions
    track: str | None = None


def parse(body: bytes, content_type: str, query: Mapping[str, str], *, from_text: bool) -> Request:
    """Parse a request; a field of the body takes precedence over the same one in the query.

    `from_text` is whether the gateway treated the body as text, so that bytes that are not UTF-8 are lost.

    Raises:
        InputError: If the request is malformed; the detail says what to change.
    """
    if not body:
        raise InputError(MALFORMED_BODY, f"The body is empty. {_ACCEPTED_BODIES}")
    if body.startswith(_GZIP):
        detail = "The body is compressed by gzip. Send it as it is, or say so in the header Content-Encoding: gzip."
        raise InputError(UNSUPPORTED_TYPE, detail)
    media_type = content_type.partition(";")[0].strip().lower()
    image, fields = _read_body(body, media_type, content_type, from_text=from_text)
    if len(image) > MAX_PREDICT_BYTES:
        detail = (
            f"The picture has {len(image):,} bytes; at most {MAX_PREDICT_BYTES:,} are accepted here, however "
            "they are encoded. Scale it down, or ask POST /uploads where to upload it."
        )
        raise InputError(TOO_LARGE, detail)
    values = {name: _from_text(name, text) for name, text in query.items()}
    refuse_unknown([*values, *fields], _PARAMETERS)
    values |= {name: value for name, value in fields.items() if value is not None}
    source, track = read_source(values.get("source")), read_track(values.get("track"))
    return Request(image, source, _options(values), track)


def _read_body(
    body: bytes, media_type: str, content_type: str, *, from_text: bool
) -> tuple[bytes, dict[str, Any]]:
    """Return the picture's bytes and the other fields."""
    is_form = media_type == "multipart/form-data"
    # JSON is recognised by type or content: many clients send it as text, and no picture begins like JSON. Without
    # the field, JSON sent as a picture is another service's answer, which decoding names.
    is_json = _JSON.match(body) and (b'"image"' in body or not media_type.startswith("image/"))
    if media_type == "application/json" or (is_json and not is_form):
        return _from_json(body)
    if media_type in _UNTYPED and _FIELDS.fullmatch(body):
        return _from_urlencoded(body)
    if not (is_form or media_type in _UNTYPED or media_type.startswith("image/")):
        raise InputError(UNSUPPORTED_TYPE, f"The body is {media_type}. {_ACCEPTED_BODIES}")
    # The picture in such a form could be found, but its other fields would be lost.
    if not is_form and _FORM_PART.match(body):
        typed = f"its Content-Type is {media_type}" if media_type else "it has no Content-Type"
        detail = f"The body is a form, but {typed}. Let your HTTP library set it, with the boundary."
        raise InputError(UNSUPPORTED_TYPE, detail)
    if from_text and _REPLACED in body:
        sent = f"sent as {media_type}" if media_type else "sent without a Content-Type"
        detail = f"API Gateway treats a picture {sent} as text, which destroys it. {_ACCEPTED_BODIES}"
        raise InputError(UNSUPPORTED_TYPE, detail)
    if is_form:
        return _from_form([(part.name, part.content) for part in parse_form(body, content_type)])
    if _BASE64.fullmatch(body):
        detail = f"The body is a picture in base64, not the picture itself. {_ACCEPTED_BODIES}"
        raise InputError(UNSUPPORTED_TYPE, detail)
    return body, {}


def _from_json(body: bytes) -> tuple[bytes, dict[str, Any]]:
    fields = read_json(body, _ACCEPTED_BODIES)
    image = fields.pop("image", None)
    if not isinstance(image, str):
        detail = "`image` is missing or not a string: give the picture's bytes in base64, or as a data: URI."
        raise InputError(INVALID_PARAMETER, detail)
    blank = {name: None for name, value in fields.items() if isinstance(value, str) and not value.strip()}
    return _from_base64(image), fields | blank


def _from_urlencoded(body: bytes) -> tuple[bytes, dict[str, Any]]:
    """Parse a form without files, whose picture is base64; a plus in it is a plus, escaped or not."""
    texts = []
    for pair in filter(None, body.strip().split(b"&")):
        name, _, value = pair.partition(b"=")
        key = _unescaped(name.replace(b"+", b" ")).decode(errors="replace")
        value = value if key == "image" else value.replace(b"+", b" ")
        texts.append((key, decode_text(_unescaped(value), key)))
    fields = single(texts)
    image = fields.pop("image", None)
    if image is None:
        raise InputError(INVALID_PARAMETER, f"The form has no field `image`. {_ACCEPTED_BODIES}")
    return _from_base64(image), {name: _from_text(name, text) for name, text in fields.items()}


def _from_form(parts: list[tuple[str, bytes]]) -> tuple[bytes, dict[str, Any]]:
    images = [content for name, content in parts if name in _PICTURES]
    if len(images) != 1:
        detail = f"The form has {len(images)} parts named `file`; send one picture a request."
        raise InputError(INVALID_PARAMETER, detail)
    texts = single((name, decode_text(content, name)) for name, content in parts if name not in _PICTURES)
    return images[0], {name: _from_text(name, text) for name, text in texts.items()}


def _from_base64(text: str) -> bytes:
    """Decode base64 of either alphabet, with or without line breaks, padding, quotation marks and escapes."""
    text = _IN_FRONT.sub("", text, 1)
    if _ADDRESS.match(text):
        detail = "`image` is an address, which is not fetched: send the bytes of the picture, in base64."
        raise InputError(MALFORMED_BASE64, detail)
    if quoted := _QUOTED.fullmatch(text):
        text = quoted[2]
    if "\\" in text:
        text = text.replace("\\n", "").replace("\\r", "").replace("\\/", "/")
    if "%" in text:
        text = _unescaped(text.encode(errors="replace")).decode(errors="replace")
    if text[:5].lower() == "data:":
        header, comma, text = text.partition(",")
        if not comma or not header.lower().endswith(";base64"):
            detail = "The data: URI in `image` is not in base64: let it start with data:image/jpeg;base64,"
            raise InputError(MALFORMED_BASE64, detail)
    if _HEXADECIMAL.fullmatch(text):
        raise InputError(MALFORMED_BASE64, "`image` is in hexadecimal digits. Send its bytes in base64.")
    text = "".join(_IN_FRONT.sub("", text, 1).splitlines())
    if " " in text and not _NOT_BASE64.search(text):
        text = _restore_pluses(text)
    text = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        detail = f"`image` is not base64 ({error}). Encode the bytes of the file, as `base64 face.jpg` does."
        raise InputError(MALFORMED_BASE64, detail) from error


def _unescaped(value: bytes) -> bytes:
    """Undo percent-encoding, unless there are too many percent signs for it, which would take seconds."""
    return unquote_to_bytes(value) if 3 * value.count(b"%") <= len(value) else value


def _restore_pluses(text: str) -> str:
    """Restore the pluses that the decoding of a form turned into blanks, if the blanks were pluses.

    Then all pluses are lost, and the length is still that of base64. If the blanks divide the text into equal pieces,
    they may also be line breaks. Such a text is refused, because a wrong guess would give a garbled picture.
    """
    pieces = [len(piece) for piece in text.split(" ")][:-1]
    wrapped = len(set(pieces)) == 1 and pieces[0] % 4 == 0
    if (
        wrapped
        or re.search(r"[+\-_]", text)
        or len(text.rstrip("=")) % 4 == 1
        or ("=" in text and len(text) % 4)
    ):
        detail = (
            "`image` has blanks in its base64. Send it without; if they were pluses, encode those as %2B."
        )
        raise InputError(MALFORMED_BASE64, detail)
    return text.replace(" ", "+")


def _from_text(name: str, text: str) -> object:
    """Return a query parameter as a JSON value, None if empty; an invalid one stays text, and is refused later."""
    if not text.strip():
        return None
    try:
        match name:
            case "source" | "track":
                return text
            case "detect":
                return {"true": True, "false": False}.get(text.strip().lower(), text)
            case _:
                return float(text)
    except ValueError:
        return text


def _options(values: Mapping[str, object]) -> PredictOptions:
    default = PredictOptions()
    detect = default.detect if values.get("detect") is None else values["detect"]
    if not isinstance(detect, bool):
        raise InputError(
            INVALID_PARAMETER, "`detect` must be true, or false where the picture is a cut-out face."
        )
    return PredictOptions(
        min_confidence=_number(values, "min_confidence", default.min_confidence, 0, 1),
        detect=detect,
        max_faces=int(_number(values, "max_faces", default.max_faces, 1, MAX_FACES, whole=True)),
        min_face=int(_number(values, "min_face", default.min_face, 0, MAX_SIDE, whole=True)),
    )


def _number(
    values: Mapping[str, object], name: str, default: float, low: int, high: int, *, whole: bool = False
) -> float:
    value = values.get(name)
    if value is None:
        return default
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and low <= value <= high
        and (not whole or value == int(value))
    ):
        return float(value)
    kind = "whole number" if whole else "number"
    raise InputError(INVALID_PARAMETER, f"`{name}` must be a {kind} from {low} to {high}.")
