"""A body in any of its three forms to a picture's bytes and what was asked about it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.inference.decode import MAX_SIDE
from functions.inference.prediction import MAX_FACES, PredictOptions
from functions.shared.contract import MAX_PREDICT_BYTES, read_source
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

_FORMS = (
    'Send JSON {"image": "<base64>"} as application/json, the picture itself as image/jpeg, image/png or '
    "image/webp, or multipart/form-data with a part named file."
)
_AS_TEXT = b"\xef\xbf\xbd"  # what a byte that is no UTF-8 becomes where the gateway takes a body for text
_PARAMETER = re.compile(rb';\s*([\w-]+)=("(?:[^"\\]|\\.)*"|[^;\s]*)')


@dataclass(frozen=True)
class Request:
    """One picture to score.

    Attributes:
        image: The bytes of the file.
        source: The camera or site that it comes from, as the client calls it.
        options: How the picture is scored.
    """

    image: bytes
    source: str | None
    options: PredictOptions


def parse(body: bytes, content_type: str, query: Mapping[str, str]) -> Request:
    """Read a request; what the body says goes before what the query says.

    Raises:
        InputError: It is malformed; the detail says where and how to do it right.
    """
    if not body:
        raise InputError(MALFORMED_BODY, f"The body is empty. {_FORMS}")
    media_type = content_type.partition(";")[0].strip().lower()
    texts = dict(query)
    fields: dict[str, Any] = {}
    if media_type == "multipart/form-data":
        image, parts = _from_multipart(body, content_type)
        texts |= parts
    elif media_type == "application/json" or (_is_untold(media_type) and body.lstrip().startswith(b"{")):
        image, fields = _from_json(body)
    elif media_type.startswith("image/") or _is_untold(media_type):
        image = _from_bytes(body, media_type)
    else:
        raise InputError(UNSUPPORTED_TYPE, f"The body is {media_type}. {_FORMS}")
    if len(image) > MAX_PREDICT_BYTES:
        detail = (
            f"The picture has {len(image):,} bytes; at most {MAX_PREDICT_BYTES:,} are accepted here, however "
            "they are encoded. Scale it down, or ask POST /uploads where to upload it."
        )
        raise InputError(TOO_LARGE, detail)
    told = {**{name: _from_text(name, text) for name, text in texts.items()}, **fields}
    return Request(image, read_source(told.get("source")), _options(told))


def _is_untold(media_type: str) -> bool:
    """Whether the type is none, or what tools like `curl --data-binary` send when they are told none."""
    return media_type in {"", "application/octet-stream", "application/x-www-form-urlencoded"}


def _from_bytes(body: bytes, media_type: str) -> bytes:
    if body.startswith(_AS_TEXT):
        detail = f"A picture sent as {media_type or 'no type'} does not get through unharmed. {_FORMS}"
        raise InputError(UNSUPPORTED_TYPE, detail)
    return body


def _from_json(body: bytes) -> tuple[bytes, dict[str, Any]]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(MALFORMED_BODY, f"The body is not JSON: {error}. {_FORMS}") from error
    if not isinstance(fields, dict):
        raise InputError(MALFORMED_BODY, f"The body is JSON, but not an object. {_FORMS}")
    image = fields.get("image")
    if not isinstance(image, str):
        wrong = "is not a string" if "image" in fields else "is missing"
        raise InputError(
            INVALID_PARAMETER, f"`image` {wrong}: give the picture's bytes in base64, or as a data: URI."
        )
    return _from_base64(image), fields


def _from_base64(text: str) -> bytes:
    """Both alphabets, with or without line breaks and padding, and nothing else."""
    if text[:5].lower() == "data:":
        header, comma, text = text.partition(",")
        if not comma or not header.lower().endswith(";base64"):
            detail = "The data: URI in `image` is not in base64: let it start with data:image/jpeg;base64,"
            raise InputError(MALFORMED_BASE64, detail)
    text = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        detail = f"`image` is not base64 ({error}). Encode the bytes of the file, as `base64 face.jpg` does."
        raise InputError(MALFORMED_BASE64, detail) from error


def _from_multipart(body: bytes, content_type: str) -> tuple[bytes, dict[str, str]]:
    """RFC 7578, by hand: the standard library's parser takes bytes apart line by line, as text."""
    boundary = dict(_parameters(content_type.encode(errors="replace"))).get("boundary")
    if not boundary:
        raise InputError(MALFORMED_BODY, "The Content-Type names no boundary. Let your HTTP library set it.")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not parts or not parts[-1].startswith(b"--"):
        raise InputError(MALFORMED_BODY, "The form is cut short: its closing boundary is missing.")
    images, fields = [], {}
    for part in parts[:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        name = _part_name(head)
        if not blank or name is None:
            raise InputError(
                MALFORMED_BODY, "A part of the form has no Content-Disposition header with a name."
            )
        if name == "file":
            images.append(content)
        else:
            fields[name] = content.decode(errors="replace")
    if len(images) != 1:
        raise InputError(
            INVALID_PARAMETER, f"The form has {len(images)} parts named `file`; send one picture a request."
        )
    return images[0], fields


def _part_name(head: bytes) -> str | None:
    for line in head.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"content-disposition" and (name := dict(_parameters(value)).get("name")):
            return name.decode(errors="replace")
    return None


def _parameters(value: bytes) -> list[tuple[str, bytes]]:
    return [(name.decode().lower(), quoted.strip(b'"')) for name, quoted in _PARAMETER.findall(value)]


def _from_text(name: str, text: str) -> object:
    """A parameter of the query or a form as JSON would have it; what does not fit stays text, and is refused."""
    if name == "source":
        return text
    try:
        return {"true": True, "false": False}.get(text, text) if name == "detect" else float(text)
    except ValueError:
        return text


def _options(told: Mapping[str, object]) -> PredictOptions:
    default = PredictOptions()
    detect = default.detect if told.get("detect") is None else told["detect"]
    if not isinstance(detect, bool):
        raise InputError(
            INVALID_PARAMETER, "`detect` must be true, or false where the picture is a cut-out face."
        )
    return PredictOptions(
        min_confidence=_number(told, "min_confidence", default.min_confidence, 0, 1),
        detect=detect,
        max_faces=int(_number(told, "max_faces", default.max_faces, 1, MAX_FACES, whole=True)),
        min_face=int(_number(told, "min_face", default.min_face, 0, MAX_SIDE, whole=True)),
    )


def _number(
    told: Mapping[str, object], name: str, default: float, low: int, high: int, *, whole: bool = False
) -> float:
    value = told.get(name)
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
