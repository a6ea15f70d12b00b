"""Requests as a picture, a form or JSON: valid ones are parsed, others are refused with the reason."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.inference.prediction import PredictOptions
from functions.inference.request import Request, parse
from functions.shared.contract import MAX_PREDICT_BYTES
from functions.shared.problem import (
    INVALID_PARAMETER,
    MALFORMED_BASE64,
    MALFORMED_BODY,
    TOO_LARGE,
    UNSUPPORTED_TYPE,
    InputError,
    Problem,
)
from tests.make_events import form

IMAGE = b"\xff\xd8\xff\xe0 any bytes \r\n-- \x00\xfb\xff\xbf"
TEXT = base64.b64encode(IMAGE).decode()


def read(body: bytes, content_type: str, query: dict[str, str] | None = None) -> Request:
    return parse(body, content_type, query or {}, from_text=False)


def from_json(fields: object, query: dict[str, str] | None = None) -> Request:
    return read(json.dumps(fields).encode(), "application/json", query)


def from_form(body: bytes) -> Request:
    return read(body, "multipart/form-data; boundary=b")


def refusal(
    body: bytes, content_type: str = "application/json", query: dict[str, str] | None = None
) -> InputError:
    with pytest.raises(InputError) as caught:
        read(body, content_type, query)
    return caught.value


def test_the_three_forms_give_the_same_request() -> None:
    expected = Request(IMAGE, "gate-3", PredictOptions(min_confidence=0.6))
    assert from_json({"image": TEXT, "source": "gate-3", "min_confidence": 0.6}) == expected
    assert read(IMAGE, "image/jpeg", {"source": "gate-3", "min_confidence": "0.6"}) == expected
    parts = {"file": IMAGE, "source": b"gate-3", "min_confidence": b"0.6"}
    assert from_form(form(parts, "b")) == expected


def test_only_the_picture_is_required() -> None:
    assert from_json({"image": TEXT}) == Request(IMAGE, None, PredictOptions())


def test_the_body_takes_precedence_over_the_query() -> None:
    request = from_json({"image": TEXT, "source": "body"}, {"source": "query", "min_confidence": "1"})
    assert request == Request(IMAGE, "body", PredictOptions(min_confidence=1.0))


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "", "application/x-www-form-urlencoded"],
)
def test_json_is_recognised_by_type_or_by_content(content_type: str) -> None:
    assert read(b' \n{"image": "' + TEXT.encode() + b'"}', content_type).image == IMAGE


@pytest.mark.parametrize(
    "content_type",
    ["image/jpeg", "IMAGE/PNG", "image/webp; q=1", "image/heic", "application/octet-stream", "",
     "application/x-www-form-urlencoded"],
)  # fmt: skip
def test_a_picture_is_recognised_by_type_or_without_one(content_type: str) -> None:
    assert read(IMAGE, content_type).image == IMAGE


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("="),
        TEXT.replace("+", "-").replace("/", "_"),
        "\r\n".join(TEXT[i : i + 8] for i in range(0, len(TEXT), 8)),
        f"data:image/jpeg;base64,{TEXT}",
        f"DATA:image/png;charset=x;BASE64,{TEXT}\n",
        f"data:;base64,{TEXT}",
    ],
)
def test_base64_is_accepted_in_common_variants(text: str) -> None:
    assert from_json({"image": text}).image == IMAGE


@pytest.mark.parametrize(
    "text",
    [
        "!!!!",
        TEXT[:-4] + "é===",
        "abcde",
        TEXT + "*",
        "ab=cd",
        "data:image/jpeg,abc",
        "data:image/jpeg;base64",
    ],
)
def test_invalid_base64_is_refused(text: str) -> None:
    rejected = refusal(json.dumps({"image": text}).encode())
    assert rejected.problem == MALFORMED_BASE64


@given(st.binary(max_size=200))
def test_any_bytes_survive_base64(image: bytes) -> None:
    assert from_json({"image": base64.b64encode(image).decode()}).image == image


@pytest.mark.parametrize(
    ("body", "problem", "result"),
    [
        (b"", MALFORMED_BODY, "empty"),
        (b'{"image": ', MALFORMED_BODY, "not JSON"),
        (b"\xff\xfe\x00", MALFORMED_BODY, "not JSON"),
        (b"[" * 100_000, MALFORMED_BODY, "not JSON"),
        (b'{"image": ' + b"9" * 10_000 + b"}", MALFORMED_BODY, "not JSON"),
        (b"[]", MALFORMED_BODY, "not an object"),
        (b"null", MALFORMED_BODY, "not an object"),
        (b"{}", INVALID_PARAMETER, "`image` is missing"),
        (b'{"image": 5}', INVALID_PARAMETER, "not a string"),
        (b'{"image": null}', INVALID_PARAMETER, "not a string"),
    ],
)
def test_invalid_json_is_refused_with_the_reason(body: bytes, problem: Problem, result: str) -> None:
    rejected = refusal(body)
    assert rejected.problem == problem
    assert result in rejected.detail


@pytest.mark.parametrize("value", [-0.1, 1.1, "0.5", True, [], {}, float("nan"), float("inf"), 10**400])
def test_min_confidence_in_json_is_a_number_from_0_to_1(value: object) -> None:
    rejected = refusal(json.dumps({"image": TEXT, "min_confidence": value}).encode())
    assert rejected.problem == INVALID_PARAMETER
    assert "min_confidence" in rejected.detail


@pytest.mark.parametrize("value", ["high", "nan", "inf", "-1", "1.01", "0,5"])
def test_min_confidence_in_the_query_is_a_number_from_0_to_1(value: str) -> None:
    assert refusal(IMAGE, "image/jpeg", {"min_confidence": value}).problem == INVALID_PARAMETER


def test_every_option_is_accepted_in_every_form() -> None:
    expected = Request(IMAGE, None, PredictOptions(0.6, detect=False, max_faces=3, min_face=24))
    fields = {"min_confidence": 0.6, "detect": False, "max_faces": 3, "min_face": 24}
    texts = {"min_confidence": "0.6", "detect": "false", "max_faces": "3", "min_face": "24"}
    assert from_json({"image": TEXT, **fields}) == expected
    assert read(IMAGE, "image/jpeg", texts) == expected
    parts = {name: text.encode() for name, text in texts.items()}
    assert from_form(form({"file": IMAGE, **parts}, "b")) == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("detect", [0, 1, "false", "yes", [], {}]),
        ("max_faces", [0, -1, 401, 2.5, "3", True, [], float("nan"), 10**400]),
        ("min_face", [-1, 65_536, 0.5, "24", False, {}, float("inf")]),
    ],
)
def test_an_option_in_json_must_have_its_type_and_range(name: str, values: list[object]) -> None:
    for value in values:
        rejected = refusal(json.dumps({"image": TEXT, name: value}).encode())
        assert rejected.problem == INVALID_PARAMETER
        assert f"`{name}` must be" in rejected.detail


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("detect", ["0", "no", "falsch"]),
        ("max_faces", ["0", "many", "nan", "401"]),
        ("min_face", ["-1", "big", "1e9"]),
    ],
)
def test_an_option_in_the_query_must_have_its_type_and_range(name: str, values: list[str]) -> None:
    for value in values:
        rejected = refusal(IMAGE, "image/jpeg", {name: value})
        assert rejected.problem == INVALID_PARAMETER
        assert f"`{name}` must be" in rejected.detail


@pytest.mark.parametrize("value", ["x" * 65, "a\nb", "\x00", "\ud800", "tab\t", 7, ["gate"], {"a": 1}])
def test_source_is_short_printable_text(value: object) -> None:
    rejected = refusal(json.dumps({"image": TEXT, "source": value}).encode())
    assert rejected.problem == INVALID_PARAMETER
    assert "source" in rejected.detail


@pytest.mark.parametrize("value", ["gate-3", "x" * 64, "Eingang Süd", "入口"])
def test_source_may_be_in_any_script(value: str) -> None:
    assert from_json({"image": TEXT, "source": value}).source == value


@pytest.mark.parametrize("space", ["\u3000", "\u00a0", "\u2009"])
def test_every_space_in_a_source_is_a_plain_one(space: str) -> None:
    assert from_json({"image": TEXT, "source": f"東門{space}1"}).source == "東門 1"
    assert from_json({"image": TEXT, "source": space}).source is None


@pytest.mark.parametrize("character", ["\u200f", "\u200c", "\n"])
def test_the_refusal_of_a_source_names_the_character(character: str) -> None:
    rejected = refusal(json.dumps({"image": TEXT, "source": f"gate{character}3"}).encode())
    assert rejected.detail.endswith(f"characters; U+{ord(character):04X} is not.")


def test_null_equals_absent() -> None:
    nothing = dict.fromkeys(("source", "min_confidence", "detect", "max_faces", "min_face"))
    assert from_json({"image": TEXT, **nothing}) == Request(IMAGE, None, PredictOptions())


def test_an_empty_source_equals_none() -> None:
    assert read(IMAGE, "image/jpeg", {"source": ""}).source is None


@pytest.mark.parametrize("content_type", ["text/plain", "text/html", "application/pdf", "video/mp4"])
def test_other_types_are_refused_with_the_accepted_ones(content_type: str) -> None:
    rejected = refusal(IMAGE, content_type)
    assert rejected.problem == UNSUPPORTED_TYPE
    assert content_type in rejected.detail
    assert "image/webp" in rejected.detail


def test_a_too_large_picture_is_refused_with_the_limit_and_the_alternative() -> None:
    image = bytes(MAX_PREDICT_BYTES + 1)
    text = base64.b64encode(image).decode()
    for rejected in (
        refusal(image, "image/jpeg"),
        refusal(json.dumps({"image": text}).encode()),
        refusal(form({"file": image}, "b"), "multipart/form-data; boundary=b"),
    ):
        assert rejected.problem == TOO_LARGE
        assert f"{MAX_PREDICT_BYTES + 1:,}" in rejected.detail
        assert f"{MAX_PREDICT_BYTES:,}" in rejected.detail
        assert "POST /uploads" in rejected.detail


def test_the_largest_picture_fits() -> None:
    image = bytes(MAX_PREDICT_BYTES)
    body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
    assert len(body) < 6 * 1024 * 1024 - 200_000
    assert read(body, "application/json").image == image


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=b",
        'Multipart/Form-Data; Boundary="b"',
        "multipart/form-data; charset=utf-8; boundary=b",
    ],
)
def test_the_boundary_is_read_in_every_notation(content_type: str) -> None:
    assert read(form({"file": IMAGE}, "b"), content_type).image == IMAGE


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="file"; filename="a; name=\\"x\\".jpg"',
        b"content-disposition:form-data;name=file",
        b'Content-Type: image/jpeg\r\nContent-Disposition: form-data; filename=""; name="file"',
        'Content-Disposition: form-data; name="file"; filename="gesicht-ä.jpg"'.encode(),
    ],
)
def test_part_headers_are_read_in_every_notation(head: bytes) -> None:
    body = b"preamble\r\n--b\r\n" + head + b"\r\n\r\n" + IMAGE + b"\r\n--b--\r\nepilogue"
    assert from_form(body).image == IMAGE


def test_an_empty_file_part_is_an_empty_picture() -> None:
    assert from_form(form({"file": b""}, "b")).image == b""


@pytest.mark.parametrize(
    ("body", "content_type", "problem", "result"),
    [
        (form({"file": IMAGE}, "b"), "multipart/form-data", MALFORMED_BODY, "boundary"),
        (form({"file": IMAGE}, "b"), "multipart/form-data; boundary=", MALFORMED_BODY, "boundary"),
        (form({"file": IMAGE}, "b"), "multipart/form-data; boundary=other", MALFORMED_BODY, "cut short"),
        (form({"file": IMAGE}, "b")[:-6], "multipart/form-data; boundary=b", MALFORMED_BODY, "cut short"),
        (form({"file": IMAGE}, "b").replace(b"\r\n--b--", b"--b--"), "multipart/form-data; boundary=b",
         MALFORMED_BODY, "on a line of its own"),
        (b"--b\r\n\r\n\r\n--b--\r\n", "multipart/form-data; boundary=b", MALFORMED_BODY, "Content-Disposition"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", INVALID_PARAMETER, "0 parts"),
        (form({"picture": IMAGE}, "b"), "multipart/form-data; boundary=b", INVALID_PARAMETER, "named `file`"),
        (form({"file": IMAGE, "File": b""}, "b").replace(b"File", b"file"), "multipart/form-data; boundary=b",
         INVALID_PARAMETER, "2 parts"),
    ],
)  # fmt: skip
def test_invalid_forms_are_refused_with_the_reason(
    body: bytes, content_type: str, problem: Problem, result: str
) -> None:
    rejected = refusal(body, content_type)
    assert rejected.problem == problem
    assert result in rejected.detail


@given(
    st.binary(max_size=300),
    st.sampled_from(["application/json", "multipart/form-data; boundary=b", "image/png", "", "text/x"]),
)
def test_any_body_is_parsed_or_refused(body: bytes, content_type: str) -> None:
    with suppress(InputError):
        read(body, content_type)


@given(
    st.lists(
        st.sampled_from(
            [b"--b", b"\r\n", b"--", b"Content-Disposition: form-data; name=", b'"file"', b";", b" "]
        )
    )
)
def test_any_form_is_parsed_or_refused(pieces: list[bytes]) -> None:
    with suppress(InputError):
        from_form(b"".join(pieces))
