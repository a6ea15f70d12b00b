"""Keys are enforced, and throttle and quota answer with problem documents."""

from concurrent.futures import ThreadPoolExecutor

from tests.emulator.stack import wait_for

PROBLEM = "application/problem+json"


def test_routes_that_score_require_a_key(stack):
    answer = stack.request("POST", "/feedback", key=False, json={})

    assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM)
    assert answer.json()["type"] == "urn:maskwatch:problem:forbidden"


def test_a_wrong_key_is_refused(stack):
    assert stack.request("GET", "/drift", key=False, headers={"x-api-key": "wrong"}).status_code == 403


def test_pages_require_no_key(stack):
    assert {stack.request("GET", path, key=False).status_code for path in ("/", "/docs")} == {200}


def test_throttle_and_quota_answer_429(limited):
    """Some of the concurrent requests are throttled, even on a slow machine; the others use up the quota."""

    def refused():
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda _: limited.request("GET", "/drift"), range(8))
        found.update((answer.json()["type"], answer) for answer in answers if answer.status_code == 429)
        return len(found) == 2

    found = {}
    wait_for(refused)
    assert found.keys() == {f"urn:maskwatch:problem:{kind}" for kind in ("throttled", "quota-exceeded")}
    assert {answer.headers["content-type"] for answer in found.values()} == {PROBLEM}
