"""The rehearsal runs to its end, and each step has its effect."""

import signal
from types import SimpleNamespace

import pytest

from tests.rehearsal import steps
from tests.rehearsal.environment import CAMERAS, OPTIONS
from tests.rehearsal.steps import CHANGED, rehearse
from tests.system import running, stop
from training.classifier import compare, evaluate

EVERYBODY = len(CAMERAS)
STEPS = (
    *("traffic", "past", "drift", "alarm", "collected", "refused", "passed", "shadow", "challenge"),
    *("approved", "altered", "failing", "rolled_back", "promoted"),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report; tests/training/test_gate_of_runs.py has the training that is refused here."""
    with running(*OPTIONS) as system, pytest.MonkeyPatch.context() as quick:
        refusal = {"passed": False, "reason": "worse than the serving release: accuracy"}
        quick.setattr(steps, "retrain_too_little", lambda *_: refusal)
        # The verdict is clear, and no step reads the figures of changed pictures.
        quick.setattr(compare, "DRAWS", 2_000)
        quick.setattr(compare, "TIMED", 40)
        first = {kind: dict([*levels.items()][:1]) for kind, levels in evaluate.CORRUPTIONS.items()}
        quick.setattr(evaluate, "CORRUPTIONS", first)
        finished = rehearse(system, tmp_path_factory.mktemp("releases"))
        stop(system, signal.SIGKILL)  # which leaves no process behind, either
        return finished


def correct(evidence):
    """Return the number of correctly labelled people from text like "26 of 36"."""
    return int(evidence["correct"].partition(" ")[0])


@pytest.fixture(scope="module")
def evidence(report):
    """The evidence of each step by the name of the step."""
    return SimpleNamespace(**dict(zip(STEPS, (step.evidence for step in report.steps), strict=True)))


def test_predictions_are_recorded(evidence):
    assert evidence.traffic["records"] >= EVERYBODY


def test_replaced_cameras_are_drift_that_starts_retraining_once(evidence):
    past, drift, alarm = evidence.past, evidence.drift, evidence.alarm
    assert past["baseline"].endswith(".json")
    assert all(camera in past["command"] for camera in CAMERAS)
    assert [state for state, _ in drift["alarm"]] == ["OK", "ALARM"]
    assert correct(past) > correct(drift) + 5
    assert drift["before"][0].startswith("No drift, ")
    assert sorted(line.partition(":")[0] for line in drift["after"][1:]) == sorted(CHANGED)
    assert alarm["executions"] == 1
    assert alarm["started"][0] in alarm["second_alarm"]


def test_uploads_with_feedback_become_training_pictures(evidence):
    collected = evidence.collected
    opinions = collected["model_and_person"].values()
    agreed = [person for model, person in opinions if model == person]
    assert collected["collected"] == sorted(f"train/{label}" for label in agreed)
    contradicted = len(opinions) - len(agreed)
    assert f"{contradicted} left out: the model confidently predicts another label" in collected["command"]


def test_a_refused_network_gives_no_release_and_a_better_one_passes(evidence):
    refused, passed = evidence.refused, evidence.passed
    assert not refused["passed"]
    assert not refused["release"]
    assert passed["passed"]
    assert passed["candidate"] > passed["serving"]


def test_a_candidate_is_tried_in_shadow_mode_and_as_a_challenger(evidence):
    shadow, challenge, before = evidence.shadow, evidence.challenge, evidence.traffic["release"]
    assert set(shadow["notifications"]) == {"maskwatch: model candidate waits for your approval"}
    assert shadow["answered_by"] == {before: EVERYBODY}
    assert shadow["shadows"] >= EVERYBODY
    assert shadow["health"] == {"status": "ok", "model_version": "candidate", "share": 0.0, "shadow": True}
    assert set(challenge["answered_by"].values()) == {before, "candidate"}
    assert challenge["same_again"]
    assert f"Release candidate challenges release {before}" in challenge["report"]


def test_an_approved_candidate_serves(evidence):
    approved, shadow = evidence.approved, evidence.shadow
    assert approved["package"].startswith("Approved: promoted: ")
    assert approved["updates"] == 1
    # A message may come twice.
    assert set(approved["notifications"]) == {"maskwatch: model candidate promoted"}
    assert approved["answered_by"] == {"candidate": EVERYBODY}
    assert approved["model_uri"]
    assert correct(approved) > correct(shadow) + 5  # people in front of a new camera
    assert approved["challenger"] == "none"


def test_bad_candidates_do_not_serve(evidence):
    altered, failing = evidence.altered, evidence.failing
    assert altered["package"].startswith("Rejected: refused: ")
    assert "sha256" in altered["package"]
    assert (altered["updates"], altered["answered_by"]) == (0, {"candidate": EVERYBODY})
    assert failing["package"].startswith("Rejected: rolled-back: ")
    assert "answered 500" in failing["package"]
    assert failing["answers_meanwhile"][200] > failing["answers_meanwhile"][500] > 0
    assert failing["answered_by"] == {"candidate": EVERYBODY}


def test_an_operator_rolls_back_and_promotes(evidence):
    rolled_back, promoted = evidence.rolled_back, evidence.promoted
    assert "The release in the image serves" in rolled_back["command"]
    assert rolled_back["answered_by"] == {evidence.traffic["release"]: EVERYBODY}
    assert "candidate serves" in promoted["command"]
    assert promoted["answered_by"] == {"candidate": EVERYBODY}


def test_the_page_shows_the_pictures_and_the_evidence(report):
    page = report.to_html()

    assert page.count("<section>") == len(report.steps)
    assert page.count("<img") == sum(len(step.pictures) for step in report.steps) > len(CHANGED)
    assert "canary" in page
