"""The smoke test of a deployment, run on the local stack."""

from infra.ops.smoke import problems
from tests.service import prediction, problem, serving

ANSWER = prediction("mask") | {"status": "ok", "openapi": "3.0.3", "rows": []}  # to any request


def test_the_smoke_test_passes(system):
    assert problems(f"{system.url}/", "local") == []


def test_a_refused_key_is_reported(system):
    found = problems(f"{system.url}/", "other")

    assert [line.partition(":")[0] for line in found] == ["/predict refused", "/compliance refused"]


def test_an_unreachable_system_is_reported_once():
    (found,) = problems("http://127.0.0.1:9/", "local")

    assert found.startswith("http://127.0.0.1:9/health cannot be reached")


def test_an_api_that_answers_without_a_key_is_reported():
    with serving() as service:
        service.answer = lambda _: ANSWER
        assert problems(service.url, "local") == ["/predict answered without a key"]


def test_a_refusal_for_another_reason_than_the_key_is_reported():
    with serving() as service:
        service.answer = lambda asked: (
            ANSWER if "x-api-key" in asked.headers else problem("too-small", 422, "Send a larger one.")
        )
        assert problems(service.url, "local") == [
            "/predict without a key was not forbidden, but: Send a larger one."
        ]
