"""The questions that a deployment is asked after it, put to the running system."""

from infra.ops.smoke import problems
from tests.service import prediction, problem, serving


def test_all_is_well(system):
    assert problems(f"{system.url}/", "local") == []


def test_a_key_that_is_not_taken_is_named(system):
    found = problems(f"{system.url}/", "other")

    assert [line.partition(":")[0] for line in found] == ["/predict refused", "/compliance refused"]


def test_a_system_that_is_not_there_is_named_once():
    (found,) = problems("http://127.0.0.1:9/", "local")

    assert found.startswith("http://127.0.0.1:9/health cannot be reached")


def test_an_api_that_answers_without_a_key_is_named():
    with serving() as service:
        service.answer = lambda _: prediction("mask")
        assert problems(service.url, "local") == ["/predict answered without a key"]


def test_a_refusal_for_another_reason_than_the_key_is_named():
    with serving() as service:
        service.answer = lambda asked: (
            {} if "x-api-key" in asked.headers else problem("too-small", 422, "Send a larger one.")
        )
        assert problems(service.url, "local") == [
            "/predict without a key was not forbidden, but: Send a larger one."
        ]
