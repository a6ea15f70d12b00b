"""The page's and the command line's copies of the functions' constants are equal to them."""

import re

import pytest
import yaml

from functions.drift.feedback_join import MIN_AUDITED
from functions.inference.decode import MAX_PIXELS, MIN_SIDE
from functions.inference.formats.sniff import accepted_format
from functions.portal import compliance
from functions.shared import contract
from functions.shared.problem import PROBLEMS, problem_json
from maskwatch import client, draw, output, pictures, score
from tests.system import ROOT

# Problems that the page finds without a request.
PAGE_PROBLEMS = {"changed", "no-pictures", "empty", "unexpected", "failed", "network"}
PAGE = ROOT / "functions" / "portal" / "page"


def constant(file, name):
    """Return a constant of one of the page's modules, whose JavaScript literal is valid YAML."""
    text = (PAGE / file).read_text()
    return yaml.safe_load(re.search(rf"const {name} = ([^;]+);", text)[1])


def test_the_command_line_knows_the_limit_types_and_labels():
    assert pictures.MAX_BYTES == contract.MAX_PREDICT_BYTES
    assert set(client.TYPES.values()) == contract.UPLOAD_TYPES.keys()
    assert contract.UPLOAD_TYPES.items() <= {(kind, ending) for ending, kind in client.TYPES.items()}
    assert (client.LABELS, client.ANSWER_LABELS) == (contract.LABELS, contract.ANSWER_LABELS)
    assert draw.COLOURS.keys() == draw.LETTERS.keys() == set(contract.ANSWER_LABELS)
    assert output.FORMULA == compliance.FORMULA
    assert {f"faces_{label}" for label in contract.ANSWER_LABELS} <= set(output.COLUMNS)


def test_the_command_line_sends_no_more_pixels_than_the_service_accepts():
    assert pictures.SENT_PIXELS <= MAX_PIXELS


def test_the_page_knows_the_limit_types_and_labels():
    assert constant("shrink.js", "MAX_BYTES") == contract.MAX_PREDICT_BYTES
    assert set(constant("dom.js", "LABELS")) == set(contract.LABELS)
    for file, name in (("dom.js", "WORDS"), ("dom.js", "SIGNS"), ("chart.js", "STACK")):
        assert set(constant(file, name)) == set(contract.ANSWER_LABELS)
    assert set(contract.LABELS) < set(constant("csv.js", "COLUMNS"))
    assert constant("trust.js", "MIN_AUDITED") == MIN_AUDITED
    advice = (PAGE / "api.js").read_text()
    assert f"at least {MIN_SIDE} pixels a side" in advice
    assert int(re.search(r"of less than (\d+) MB", advice)[1]) * 1e6 <= contract.MAX_PREDICT_BYTES


@pytest.mark.parametrize(
    ("start", "accepted"),
    [
        *(
            (start, True)
            for start in (
                b"\xff\xd8\xff\xe0\0\x10JFIF\0\1",
                b"\x89PNG\r\n\x1a\n\0\0\0\r",
                b"RIFF\n\0\0\0WEBP",
            )
        ),
        *(
            (start, False)
            for start in (b"GIF89a\1\0\1\0\0\0", b"RIFF\n\0\0\0AVI ", b"BM\n\0\0\0\0\0\0\0\0\0")
        ),
    ],
)
def test_the_page_and_the_service_accept_the_same_formats(start, accepted):
    pattern = re.search(r"const ACCEPTED = /(.+)/s;", (PAGE / "shrink.js").read_text())[1]

    assert bool(re.match(pattern, start.decode("latin-1"), re.DOTALL)) is accepted
    assert (accepted_format(start) is not None) is accepted


def test_the_page_and_the_command_line_accept_the_same_endings():
    (pattern,) = re.findall(r"const PICTURE = /(.+)/i;", (PAGE / "drop.js").read_text())

    assert all(re.search(pattern, f"face{ending.upper()}", re.IGNORECASE) for ending in client.TYPES)


def test_a_camera_on_the_page_does_not_exceed_the_limit_of_an_address():
    rate = re.search(r'"maxRate",.+ (\d+)\],', (PAGE / "settings.js").read_text())[1]  # frames a second
    prod = yaml.safe_load((ROOT / "infra" / "parameters" / "prod.yaml").read_text())

    assert 300 * int(rate) < int(prod["AddressRate"])  # in five minutes


def test_both_identify_a_problem_by_its_type():
    kind = problem_json(PROBLEMS[0], "detail")["type"]

    assert kind.startswith(client.PROBLEM)
    assert f'"{client.PROBLEM}"' in (PAGE / "api.js").read_text()


def test_the_problems_that_they_distinguish_are_in_the_table():
    identifiers = {problem.identifier for problem in PROBLEMS}
    meaning = re.search(r"const MEANING = {(.+?)\n};", (PAGE / "api.js").read_text(), re.DOTALL)[1]
    of_the_page = set(re.findall(r'^  "?([a-z0-9-]+)"?:', meaning, re.MULTILINE))

    assert identifiers >= score.FATAL | score.SIZE
    assert of_the_page - PAGE_PROBLEMS <= identifiers
