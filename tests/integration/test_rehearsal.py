"""The rehearsal runs to its end, and each step has its effect."""

import pytest

from tests.rehearsal.environment import CAMERAS, OPTIONS
from tests.rehearsal.steps import CHANGED, rehearse
from tests.system import running


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with running(*OPTIONS) as system:
        return rehearse(system, tmp_path_factory.mktemp("releases"))


def correct(evidence):
    """Return the number of correctly labelled people from text like "26 of 36"."""
    return int(evidence["correct"].partition(" ")[0])


def test_each_step_has_its_effect(report):
    traffic, past, drift, alarm, collected, refused, passed, *rest = [step.evidence for step in report.steps]
    shadow, challenge, approved, altered, rolled_back_release, rolled_back = rest
    before, everybody = traffic["release"], len(CAMERAS)

    assert traffic["records"] >= everybody
    assert past["baseline"].endswith(".json")
    assert all(camera in past["command"] for camera in CAMERAS)
    assert [state for state, _ in drift["alarm"]] == ["OK", "ALARM"]
    assert correct(past) > correct(drift) + 5
    assert drift["before"][0].startswith("No drift, ")
    assert sorted(line.partition(":")[0] for line in drift["after"][1:]) == sorted(CHANGED)
    assert alarm["executions"] == 1
    assert alarm["started"][0] in alarm["second_alarm"]

    opinions = collected["model_and_person"].values()
    agreed = [person for model, person in opinions if model == person]
    assert collected["collected"] == sorted(f"train/{label}" for label in agreed)
    contradicted = len(opinions) - len(agreed)
    assert f"{contradicted} left out: the model confidently predicts another label" in collected["command"]
    assert not refused["passed"]
    assert "worse than what serves" in refused["reason"]
    assert not refused["release"]
    assert passed["passed"]
    assert passed["candidate"] > passed["serving"]

    assert set(shadow["notifications"]) == {"maskwatch: model candidate waits for your approval"}
    assert shadow["answered_by"] == {before: everybody}
    assert shadow["shadows"] >= everybody
    assert set(challenge["answered_by"].values()) == {before, "candidate"}
    assert challenge["same_again"]
    assert f"Release candidate challenges release {before}" in challenge["report"]

    assert approved["package"].startswith("Approved: promoted: ")
    assert approved["updates"] == 1
    assert set(approved["notifications"]) == {
        "maskwatch: model candidate promoted"
    }  # a message may come twice
    assert approved["answered_by"] == {"candidate": everybody}
    assert approved["model_uri"]
    assert correct(approved) > correct(shadow) + 5  # people in front of a new camera
    assert approved["challenger"] == "none"
    assert altered["package"].startswith("Rejected: refused: ")
    assert "sha256" in altered["package"]
    assert (altered["updates"], altered["answered_by"]) == (0, {"candidate": everybody})
    assert rolled_back_release["package"].startswith("Rejected: rolled-back: ")
    assert "answered 500" in rolled_back_release["package"]
    assert rolled_back_release["answers_meanwhile"][200] > rolled_back_release["answers_meanwhile"][500] > 0
    assert rolled_back_release["answered_by"] == {"candidate": everybody}
    assert rolled_back["answered_by"] == {before: everybody}


def test_the_page_shows_the_pictures_and_the_evidence(report):
    page = report.to_html()

    assert page.count("<section>") == len(report.steps)
    assert page.count("<img") == sum(len(step.pictures) for step in report.steps) > len(CHANGED)
    assert "canary" in page
