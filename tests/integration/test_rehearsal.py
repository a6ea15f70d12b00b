"""The rehearsal plays to its end, and each step has had its effect."""

import pytest

from tests.rehearsal.play import CAMERAS, play
from tests.system import running


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    with running() as system:
        return play(system, tmp_path_factory.mktemp("releases"))


def test_each_step_has_its_effect(story):
    told = [step.evidence for step in story.steps]
    before = told[0]["release"]
    _, shadow, challenge, camera, drift, collected, gate, approved, refused, taken_back, rolled_back = told

    assert shadow["answered_by"] == {before: len(CAMERAS)}
    assert shadow["shadows"] >= shadow["agreeing"] >= len(CAMERAS)  # it is the same networks
    assert set(challenge["answered_by"].values()) == {before, "candidate"}
    assert challenge["same_again"]
    assert camera["brightness"]["gate-new"] < camera["brightness"]["gate-1"] / 2
    assert f"Release candidate challenges {before}" in drift["says"]
    assert collected["collected"] == sorted(f"train/{label}" for label in collected["judged"])
    assert not gate["passed"]
    assert "worse than what serves" in gate["reason"]
    assert not gate["release"]
    assert approved["package"].startswith("Approved: ")
    assert approved["updates"] == 1
    assert approved["answered_by"] == {"candidate": len(CAMERAS)}
    assert approved["challenger"] == "none"
    assert refused["package"].startswith("Rejected: refused: ")
    assert "sha256" in refused["package"]
    assert (refused["updates"], refused["answered_by"]) == (0, {"candidate": len(CAMERAS)})
    assert taken_back["package"].startswith("Rejected: rolled-back: ")
    assert "answered 500" in taken_back["package"]
    assert taken_back["answers_meanwhile"][200] > taken_back["answers_meanwhile"][500] > 0
    assert taken_back["answered_by"] == {"candidate": len(CAMERAS)}
    assert rolled_back["answered_by"] == {before: len(CAMERAS)}


def test_the_page_shows_the_pictures_and_the_evidence(story):
    page = story.page()

    assert page.count("<section>") == len(story.steps)
    assert page.count("<img") == 5
    assert "canary" in page
