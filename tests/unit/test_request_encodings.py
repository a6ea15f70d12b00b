"""Bodies in the encodings of clients, tools and gateways are scored as intended or refused for the right reason."""

import base64
import gzip
import json
import time
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.inference.request import Request, parse
from functions.shared.contract import MAX_PREDICT_BYTES, MAX_SOURCE
from functions.shared.problem import (
    INVALID_PARAMETER,
    MALFORMED_BASE64,
    MALFORMED_BODY,
    UNSUPPORTED_TYPE,
    InputError,
    Problem,
)
from tests.make_events import form
from tests.pictures import draw_face, encode

PICTURE = encode(draw_face())
URLENCODED = "application/x-www-form-urlencoded"
FORM = "multipart/form-data; boundary=b"
# The beginnings of files that people take for pictures.
HEADS = [
    b"GIF89a=\x01=\x01\xf7", b"BM=\xa0\x00",  # like the name of a field
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x3d\xa0\x00\x00WEBPVP8 ", b"GIF89a\xf0", b"BM\xf6\x00",
    b"\x00\x00\x00\x20ftypheic\xf0", b"II*\x00\xf0", b"\x00\x00\x00\x0cjP  \r\n\x87\n",
]  # fmt: skip
heads = st.sampled_from(HEADS)
names = st.text(
    st.characters(exclude_characters="\ufffd"), min_size=1, max_size=MAX_SOURCE
)  # U+FFFD is refused
sources = names.filter(lambda text: text.isprintable() and text.strip())


def read(
    body: bytes, content_type: str = "", query: dict[str, str] | None = None, *, from_text: bool = False
) -> Request:
    return parse(body, content_type, query or {}, from_text=from_text)


def refusal(
    body: bytes, content_type: str, *, from_text: bool = False, query: dict[str, str] | None = None
) -> tuple[Problem, str]:
    with pytest.raises(InputError) as caught:
        read(body, content_type, query, from_text=from_text)
    return caught.value.problem, caught.value.detail


@given(heads, st.binary(max_size=200), st.sampled_from(["image/jpg", "image/x-png", URLENCODED, ""]))
def test_the_bytes_of_a_file_arrive_with_any_content_type(head, rest, content_type):
    assert read(head + rest, content_type).image == head + rest


@given(heads, st.sampled_from(["image/jpg", "", "image/heic", "multipart/form-data; boundary=b"]))
def test_a_body_that_the_gateway_treated_as_text_is_refused_with_the_reason(head, content_type):
    body = form({"file": head + b"\xf0" * 40}, "b") if "boundary" in content_type else head + b"\xf0" * 40
    problem, detail = refusal(body.decode(errors="replace").encode(), content_type, from_text=True)
    assert problem == UNSUPPORTED_TYPE
    assert "as text, which destroys it" in detail
    assert content_type.partition(";")[0] in detail


def test_a_picture_in_json_may_contain_the_bytes_of_replacement_characters():
    image = b"\xff\xd8\xff" + "\ufffd".encode()
    body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
    assert read(body, "application/json", from_text=True).image == image


def outcome(body: bytes, content_type: str, query: dict[str, str] | None = None, *, from_text: bool = False):
    """Return the request of a body, or the problem."""
    try:
        return read(body, content_type, query, from_text=from_text)
    except InputError as error:
        return error.problem


@given(st.binary(min_size=1, max_size=300))
@example(b"\xfb\xef\xbe" * 30)
@example(b"abc\xf8")
def test_a_lost_plus_is_restored_or_refused_and_never_dropped(image):
    sent = base64.b64encode(image).decode().replace("+", " ")
    found = outcome(json.dumps({"image": sent}).encode(), "application/json")
    assert found == MALFORMED_BASE64 or found.image == image


def test_a_lost_plus_is_usually_restored():
    images = [bytes([n, 251, n ^ 85]) * 20 for n in range(256)]
    texts = [base64.b64encode(image).decode() for image in images]
    found = [outcome(json.dumps({"image": t.replace("+", " ")}).encode(), "application/json") for t in texts]
    assert sum(isinstance(one, Request) for one in found) > 200


@given(st.binary(min_size=60, max_size=400), st.sampled_from([4, 60, 64, 76]))
def test_base64_wrapped_with_blanks_is_not_corrupted(image, width):
    text = base64.b64encode(image).decode()
    wrapped = " ".join(text[start : start + width] for start in range(0, len(text), width))
    found = outcome(json.dumps({"image": wrapped}).encode(), "application/json")
    assert found == MALFORMED_BASE64 or found.image == image


@given(
    st.binary(min_size=1, max_size=300),
    st.sampled_from(
        [
            lambda text: f"{text}".join(["b'", "'"]),
            lambda text: f'"{text}"',
            lambda text: f" \n{text}\n",
            lambda text: f"data:image/jpeg;base64, {text}",
            lambda text: f"data:image/jpeg;charset=utf-8;base64,\r\n{text}",
            lambda text: quote(text, safe=""),
            lambda text: text.replace("/", "\\/"),
            lambda text: "\\n".join(text[start : start + 76] for start in range(0, len(text), 76)),
            lambda text: repr(base64.encodebytes(base64.b64decode(text))),
            lambda text: text.replace("+", "-").replace("/", "_").rstrip("="),
        ]
    ),
)
def test_base64_is_read_in_quotes_prefixes_and_escapes(image, wrap):
    image = b"\xff\xd8\xff" + image
    text = base64.b64encode(image).decode()
    assert read(json.dumps({"image": wrap(text)}).encode(), "application/json").image == image


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("https://example.org/face.jpg", "an address"),
        ("blob:https://example.org/1", "an address"),
        ("C:\\fakepath\\face.jpg", "an address"),
        ("file:///tmp/face.jpg", "an address"),
        (b"\xff\xd8\xff\xe0".hex() * 9, "hexadecimal"),
        ("[object Object]", "not base64"),
        (PICTURE.decode("utf-8", "replace"), "not base64"),
        (PICTURE.decode("latin-1"), "not base64"),
        (str(PICTURE), "not base64"),
        ("-----BEGIN CERTIFICATE-----\n/9j/\n-----END CERTIFICATE-----\n", "not base64"),
    ],
)
def test_a_value_that_is_not_base64_is_named(text, detail):
    problem, refused = refusal(json.dumps({"image": text}).encode(), "application/json")
    assert problem == MALFORMED_BASE64
    assert detail in refused


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain;charset=UTF-8",
        "text/json",
        "application/vnd.api+json",
        "image/jpeg",
        "application/octet-stream",
    ],
)
def test_json_is_recognised_by_content_with_any_type(content_type):
    assert read(b'\r\n{"image": "AAAA", "source": "gate-3"}', content_type).source == "gate-3"


@pytest.mark.parametrize("content_type", ["application/json", "", URLENCODED])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_json_in_utf_16_is_read_if_the_gateway_left_it_intact(encoding, content_type):
    """As PowerShell writes it. A gateway that expects UTF-8 destroys only the byte order mark of ASCII text."""
    body = '{"image": "AAAA", "source": "gate-3"}'.encode(encoding)
    through = body.decode(errors="replace").encode()
    assert read(through, content_type, from_text=True).source == "gate-3"
    assert read(body, content_type).source == "gate-3"


def test_a_parameter_that_is_given_twice_is_refused():
    twice = form({"file": b"x", "source": b"a", "Source": b"b"}, "b").replace(b"Source", b"source")
    for body, content_type in (
        (twice, FORM),
        (b"image=AAAA&source=a&source=b", URLENCODED),
        (b'{"image": "AAAA", "source": "a", "source": "b"}', "application/json"),
    ):
        problem, detail = refusal(body, content_type)
        assert problem == INVALID_PARAMETER
        assert "`source` is given twice" in detail
    assert read(twice.replace(b"\r\n\r\nb\r\n", b"\r\n\r\na\r\n"), FORM).source == "a"


def test_sources_are_normalized_to_nfc():
    composed, apart = (normalize(form, "Süd-Ärzte 摄") for form in ("NFC", "NFD"))
    assert composed != apart
    for source in (composed, apart):
        assert read(json.dumps({"image": "AAAA", "source": source}).encode()).source == composed


@given(st.binary(min_size=1, max_size=200), sources, st.booleans(), st.sampled_from(["", "\n", "\r\n"]))
def test_a_form_without_files_may_have_a_picture_in_base64(image, source, escaped, wrap):
    text = base64.encodebytes(image).decode().replace("\n", wrap)  # as `base64 face.jpg` writes it
    picture = f"image={quote(text, safe='') if escaped else text}"
    unescaped = source.replace("%", "%25").replace("&", "%26").replace("+", "%2B")  # as `curl -d` sends it
    for body in (f"{picture}&source={quote_plus(source)}", f"source={unescaped}&{picture}"):
        request = read(body.encode(), URLENCODED)
        assert (request.image, request.source) == (image, normalize("NFC", source))


@pytest.mark.parametrize("as_sent", [bytes, lambda body: body.decode(errors="replace").encode()])
def test_a_form_in_another_encoding_is_refused_and_not_taken_for_a_picture(as_sent):
    problem, detail = refusal(as_sent("source=Süd&image=AAAA".encode("cp1252")), URLENCODED, from_text=True)
    assert problem == INVALID_PARAMETER
    assert "`source` must be text in UTF-8" in detail


def test_an_ampersand_at_the_end_of_a_form_is_ignored():
    assert read(b"image=AAAA&source=gate-3&", URLENCODED).source == "gate-3"


def test_an_invalid_number_is_refused():
    problem, detail = refusal(b'{"image": "AAAA", "min_confidence": NaN}', "application/json")
    assert problem == INVALID_PARAMETER
    assert "must be a number from 0 to 1" in detail


@pytest.mark.parametrize("name", [b"imageFile", b"image[]", b"image%5B0%5D", b"files[0].data"])
def test_a_form_without_a_picture_says_what_is_missing(name):
    problem, detail = refusal(name + b"=data%3Aimage%2Fjpeg%3Bbase64%2C%2F9j%2F", URLENCODED)
    assert problem == INVALID_PARAMETER
    assert "`image`" in detail


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", URLENCODED])
@pytest.mark.parametrize("first", ["", "&", "ctl00$x=&", "my+field=&", "*x=&"])
def test_a_form_without_files_is_recognised_by_its_content(content_type, first):
    """requests.post(url, data="…") sends no type."""
    body = f"{first}source=gate-3&image=AAAA".encode()
    if "=" in first:
        problem, detail = refusal(body, content_type)
        assert problem == INVALID_PARAMETER
        assert "no parameter" in detail
    else:
        assert read(body, content_type).source == "gate-3"


@pytest.mark.parametrize("content_type", ["image/jpeg", "", URLENCODED, "application/octet-stream"])
@pytest.mark.parametrize(
    "parts", [{"file": PICTURE, "source": b"gate-3"}, {"source": b"gate-3", "file": PICTURE}]
)
def test_a_form_with_another_type_is_refused_with_the_reason(content_type, parts):
    problem, detail = refusal(form(parts, "b"), content_type)
    assert problem == UNSUPPORTED_TYPE
    assert detail.startswith("The body is a form, but")


def test_json_without_the_field_that_is_sent_as_a_picture_is_left_to_decoding():
    assert read(b'{"status": "error"}', "image/jpeg").image == b'{"status": "error"}'


@pytest.mark.parametrize("content_type", ["image/jpeg", "", URLENCODED, "application/octet-stream"])
def test_base64_instead_of_a_picture_is_named(content_type):
    text = base64.b64encode(bytes(range(256)) * 2)
    for body in (text, b"data:image/jpeg;base64," + text, text.replace(b"A", b"A\n")):
        problem, detail = refusal(body, content_type)
        assert problem == UNSUPPORTED_TYPE
        assert "base64" in detail


def test_recognising_base64_is_fast():
    started = time.process_time()
    for body in (b" " * 4_000_000 + b"!", b"A" * 4_000_000 + b"!", b"a=" + b"A" * 4_000_000 + b"\0"):
        read(body, URLENCODED)
    for text in (b"%" * 5_900_000, b" " * 5_900_000, b"' " * 2_900_000):
        assert outcome(b'{"image": "' + text + b'"}', "application/json") == MALFORMED_BASE64
        outcome(b"image=" + text, URLENCODED)
    # Seconds of a processor; growing with the square it took minutes.
    assert time.process_time() - started < 2


@pytest.mark.parametrize("from_text", [False, True])
def test_a_compressed_body_is_named(from_text):
    body = gzip.compress(b'{"image": ""}')
    problem, detail = refusal(
        body.decode(errors="replace").encode() if from_text else body, "application/json", from_text=from_text
    )
    assert problem == UNSUPPORTED_TYPE
    assert "gzip" in detail


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("content_type", ["application/json", ""])
def test_json_may_begin_with_a_byte_order_mark(encoding, content_type):
    if encoding == "utf-8-sig" or content_type:
        body = '{"image": "AAAA", "source": "Süd"}'.encode(encoding)
        assert read(body, content_type).source == "Süd"


@given(st.binary(max_size=200).filter(lambda image: b"--b" not in image), st.sampled_from([b"\r\n", b"\n"]))
def test_lines_of_a_form_may_end_in_lf(image, line_end):
    head = b'--b\nContent-Disposition: form-data; name="file"\n\n'.replace(b"\n", line_end)
    assert read(head + image + line_end + b"--b--" + line_end, FORM).image == image


def test_lines_of_a_part_may_end_otherwise_than_those_of_the_boundary():
    head = b'--b\r\nContent-Disposition: form-data; name="file"\nContent-Type: image/jpeg\n\n'
    assert read(head + b"x\r\n--b--\r\n", FORM).image == b"x"


@pytest.mark.parametrize(("first", "second"), [(b"", b"\r\n"), (b"\n", b"\r\n"), (b"\r\n", b"\n")])
def test_a_field_behind_a_boundary_that_is_not_recognised_is_not_dropped(first, second):
    file = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + PICTURE + first
    source = b"--b" + second + b'Content-Disposition: form-data; name="source"\r\n\r\ngate-3\r\n--b--\r\n'
    problem, detail = refusal(file + source, FORM)
    assert problem == MALFORMED_BODY
    assert "on a line of its own" in detail


@pytest.mark.parametrize("written", ["boundary = b", 'boundary= "b"', 'charset=utf-8 ;boundary="b" '])
def test_blanks_around_the_boundary_are_ignored(written):
    assert read(form({"file": b"x"}, "b"), f"multipart/form-data; {written}").image == b"x"


def test_a_longer_boundary_does_not_separate_parts():
    image = b"\xff\xd8\r\n--bz and more\r\n--bx"
    assert read(form({"file": image}, "b"), FORM).image == image


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_header_of_a_part_may_be_folded(line_end):
    """Python's email package folds headers with long file names."""
    head = b'--b\nContent-Disposition: form-data;\n name="file";\n\tfilename="face.jpg"\n\n'
    body = head.replace(b"\n", line_end) + b"x" + line_end + b"--b--" + line_end
    assert read(body, FORM).image == b"x"


@given(st.binary(max_size=200))
def test_a_part_may_have_a_content_transfer_encoding(image):
    wrapped = base64.encodebytes(image).replace(b"\n", b"\r\n")
    head = b"--b\r\nContent-Disposition: form-data; name=file\r\nContent-Transfer-Encoding: Base64\r\n\r\n"
    assert read(head + wrapped + b"\r\n--b--\r\n", FORM).image == image


@pytest.mark.parametrize(
    ("encoding", "content", "detail"), [("base64", "?", "base64"), ("x-zip", "", "Content-Transfer-Encoding")]
)
def test_a_part_with_an_unknown_encoding_is_refused(encoding, content, detail):
    head = (
        f"--b\r\nContent-Disposition: form-data; name=file\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    problem, refused = refusal(f"{head}{content}\r\n--b--\r\n".encode(), FORM)
    assert problem == MALFORMED_BODY
    assert detail in refused


@given(sources, st.sampled_from(["cp1252", "latin-1", "shift_jis", "utf-16-le"]))
@example("Süd", "cp1252")
def test_a_source_in_another_encoding_is_refused_and_not_changed(source, encoding):
    sent = source.encode(encoding, errors="ignore")
    bodies = [
        (form({"file": b"x", "source": sent}, "b"), FORM, {}, False),
        ((b"image=AAAA&source=" + quote(sent).encode()), URLENCODED, {}, False),
        (b"x", "image/jpeg", {"source": sent.decode(errors="replace")}, False),
        (
            b'{"image": "AAAA", "source": ' + json.dumps(sent.decode(errors="replace")).encode() + b"}",
            "application/json", {}, True,
        ),
    ]  # fmt: skip
    for body, content_type, query, from_text in bodies:
        found = outcome(body, content_type, query, from_text=from_text)
        if isinstance(found, Request):
            assert found.source == (normalize("NFC", sent.decode()) if sent.strip() else None)
        else:
            assert found in {INVALID_PARAMETER, MALFORMED_BODY}


@pytest.mark.parametrize("text", ["False", "FALSE", "false", " false "])
def test_booleans_are_accepted_as_python_and_forms_write_them(text):
    assert not read(b"x", "image/jpeg", {"detect": text}).options.detect
    assert not read(form({"file": b"x", "detect": text.encode()}, "b"), FORM).options.detect


@pytest.mark.parametrize("name", ["source", "track"])
@pytest.mark.parametrize("text", ["17", "12345e-3", "nan", "infinity", "12_3", "true"])
def test_a_name_may_look_like_a_number(name, text):
    requests = [
        read(b"x", "image/jpeg", {name: text}),
        read(form({"file": b"x", name: text.encode()}, "b"), FORM),
        read(f"image=AAAA&{name}={text}".encode(), URLENCODED),
        read(json.dumps({"image": "AAAA", name: text}).encode(), "application/json"),
    ]
    assert [getattr(request, name) for request in requests] == [text] * 4


@pytest.mark.parametrize("name", ["source", "track", "min_confidence", "detect", "max_faces", "min_face"])
@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_an_empty_field_equals_none(name, empty):
    nothing = read(b"\0\0\0", "image/jpeg")
    assert read(b"\0\0\0", "image/jpeg", {name: empty}) == nothing
    assert read(form({"file": b"\0\0\0", name: empty.encode()}, "b"), FORM) == nothing
    assert read(f"image=AAAA&{name}={quote(empty)}".encode(), URLENCODED) == nothing
    assert read(json.dumps({"image": "AAAA", name: empty}).encode(), "application/json") == nothing


def test_an_empty_field_of_the_body_leaves_that_of_the_query():
    bodies = [
        (form({"file": b"\0", "source": b""}, "b"), FORM),
        (b"image=AAAA&source=", URLENCODED),
        (b'{"image": "AAAA", "source": ""}', "application/json"),
    ]
    assert {read(*body, {"source": "gate-3"}).source for body in bodies} == {"gate-3"}


def test_an_empty_field_is_still_refused_if_it_is_unknown():
    problem, _ = refusal(b'{"image": "AAAA", "min_confidance": ""}', "application/json")
    assert problem == INVALID_PARAMETER


@pytest.mark.parametrize(
    ("body", "content_type", "query"),
    [
        (b'{"image": "AAAA", "min_confidance": 0.9}', "application/json", {}),
        (b"x", "image/jpeg", {"min_confidance": "0.9"}),
        (form({"file": b"x", "min_confidance": b"0.9"}, "b"), FORM, {}),
        (b"image=AAAA&min_confidance=0.9", URLENCODED, {}),
    ],
)
def test_an_unknown_parameter_is_refused_by_name(body, content_type, query):
    problem, detail = refusal(body, content_type, query=query)
    assert problem == INVALID_PARAMETER
    assert "min_confidance" in detail
    assert "`min_confidence`" in detail


def test_an_unknown_parameter_with_a_long_name_is_refused():
    problem, _ = refusal(b"x", "image/jpeg", query={"x" * MAX_PREDICT_BYTES: "1"})
    assert problem == INVALID_PARAMETER
