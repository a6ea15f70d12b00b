"""The questions that a deployment is asked after it, put to the running system."""

from infra.smoke import problems


def test_all_is_well(system):
    assert problems(f"{system.url}/", "local") == []


def test_a_key_that_is_not_taken_is_named(system):
    assert any("answered 403 instead of 200" in problem for problem in problems(f"{system.url}/", "other"))


def test_a_system_that_is_not_there_is_named():
    assert len(problems("http://127.0.0.1:9/", "local")) == 4
