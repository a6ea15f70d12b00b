"""The source in the metadata of an upload: Batch reads what the portal writes."""

from contextlib import suppress
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.shared.contract import MAX_SOURCE
from functions.shared.metadata import decode_source, encode_source
from functions.shared.problem import INVALID_PARAMETER, InputError

sources = st.text(min_size=1, max_size=MAX_SOURCE).filter(lambda text: text.isprintable() and text.strip(" "))


@given(sources)
@example("=?utf-8?q?x?=")
@example(" gate  3 ")
@example("Süd")
@example("摄" * 64)
def test_a_source_survives_a_round_trip(source):
    value = encode_source(source)
    assert value.isascii()
    assert "\n" not in value
    assert value == value.strip()  # S3 takes blanks off the ends
    assert decode_source(value) == normalize("NFC", source)


@pytest.mark.parametrize(
    "value",
    [
        "=?nope?b?!!!?=",
        "=?ü?q?x?=",
        "=?utf-8?b?gA==?=",
        "=?utf-8?b?A?=",
        "=?idna?q?xn--a?=",
        "x" * 65,
        "=?utf-8?q?=0A?=",
    ],
)
def test_an_undecodable_source_is_refused(value):
    with pytest.raises(InputError) as caught:
        decode_source(value)
    assert caught.value.problem == INVALID_PARAMETER


@given(
    st.text(max_size=80),
    st.sampled_from(["utf-8", "nope", "idna", "ü", "base64", "undefined"]),
    st.text(max_size=20),
)
def test_any_metadata_is_decoded_or_refused(text, charset, word):
    for value in (text, f"=?{charset}?b?{word}?=", f"=?{charset}?q?{word}?="):
        with suppress(InputError):
            decode_source(value)
