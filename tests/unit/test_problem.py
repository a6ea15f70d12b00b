"""The table of problems, and their serialization."""

from functions.shared import problem
from functions.shared.problem import PROBLEMS, TOO_LARGE, Problem, problem_json


def test_the_table_is_complete_and_its_identifiers_are_unique() -> None:
    declared = {value for value in vars(problem).values() if isinstance(value, Problem)}
    assert declared == set(PROBLEMS)
    assert len({row.identifier for row in PROBLEMS}) == len(PROBLEMS)


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    assert problem_json(TOO_LARGE, "Scale it down.", instance="urn:maskwatch:request:r") == {
        "type": "urn:maskwatch:problem:too-large",
        "title": "The picture is too large",
        "status": 413,
        "detail": "Scale it down.",
        "instance": "urn:maskwatch:request:r",
    }


def test_without_an_instance_the_member_is_left_out() -> None:
    assert "instance" not in problem_json(TOO_LARGE, "Scale it down.")
