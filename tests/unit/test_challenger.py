"""A challenger answers its share of the sources, or none in shadow mode, and its failures affect no answer."""

import json
import time
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from functions.inference import challenger as module
from functions.inference.challenger import Challenger, predict_with_challenger
from functions.inference.decode import decode
from functions.inference.prediction import PredictOptions
from functions.inference.record import Recorder
from functions.inference.release import ReleaseError
from functions.inference.score import Models
from functions.inference.settings import read_settings
from tests.pictures import draw_face, encode
from tests.releases import copy_release
from tests.system import eventually
from tests.unit.test_upload import PREDICTION

REQUESTS = 10_000
PICTURE = decode(encode(draw_face()))
SERVING, OTHER = (Models(None, None, version) for version in ("1", "2"))
TIMEOUT = 30.0  # seconds; a busy machine takes its time


@pytest.fixture
def loads(monkeypatch):
    """Fakes the loading and scoring of releases, and counts how often one was loaded."""
    loaded = []

    def load(release, threads):
        loaded.append((release, threads))
        return OTHER

    monkeypatch.setattr(module, "open_release", lambda uri: uri)
    monkeypatch.setattr(module, "load_models", load)
    monkeypatch.setattr(
        module, "score", lambda _, models, __: replace(PREDICTION, model_version=models.version)
    )
    return loaded


def challenger(share, uri="s3://bucket/models/2/#ab", timeout=TIMEOUT):
    return Challenger(read_settings({"CHALLENGER_URI": uri, "CHALLENGER_SHARE": str(share)}), timeout)


def ask(tested, key="gate-1"):
    answer, shadow = predict_with_challenger(PICTURE, SERVING, tested, PredictOptions(), key)
    return answer.model_version, shadow and shadow.model_version


def failures(out):
    return sum(line.get("ChallengerFailures", 0) for line in map(json.loads, out.splitlines()))


@pytest.mark.parametrize("share", [0.5, 5, 20, 50, 99])
def test_a_challenger_answers_its_share_of_the_sources(share):
    tested = challenger(share)

    answered = sum(tested.answers(f"request-{number}") for number in range(REQUESTS))

    assert binomtest(answered, REQUESTS, share / 100).pvalue > 1e-6


def test_a_source_is_always_answered_by_the_same_release(loads):
    tested = challenger(30)
    first = {f"gate-{number}": ask(tested, f"gate-{number}") for number in range(50)}

    assert {version for version, _ in first.values()} == {"1", "2"}
    for source, answer in first.items():
        assert {ask(tested, source) for _ in range(3)} == {answer}
    assert len(loads) == 1


def test_with_a_larger_share_it_keeps_its_sources():
    some, more = challenger(10), challenger(40)

    assert all(more.answers(str(key)) for key in range(1000) if some.answers(str(key)))


def test_another_challenger_answers_other_sources():
    one, other = challenger(50), challenger(50, "s3://bucket/models/3/#cd")

    both = sum(one.answers(str(key)) == other.answers(str(key)) for key in range(REQUESTS))

    assert binomtest(both, REQUESTS, 0.5).pvalue > 1e-6


@pytest.mark.parametrize(("share", "expected"), [(0, 0), (100, REQUESTS)])
def test_shares_of_0_and_100_percent_are_exact(share, expected):
    tested = challenger(share)

    assert sum(tested.answers(str(number)) for number in range(REQUESTS)) == expected


def test_in_shadow_mode_it_scores_every_picture_and_answers_none(loads):
    tested = challenger(0)

    assert {ask(tested, f"gate-{number}") for number in range(200)} == {("1", "2")}
    assert len(loads) == 1


def test_it_is_loaded_when_first_needed(loads):
    tested = challenger(1)
    key = next(str(number) for number in range(1000) if not tested.answers(str(number)))

    assert ask(tested, key) == ("1", None)
    assert loads == []


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize("share", [0, 100])
@pytest.mark.parametrize("error", [ReleaseError("altered"), MemoryError(), SystemExit(1)])
def test_a_failed_load_affects_no_answer_and_is_repeated_later(share, error, monkeypatch, capsys, caplog):
    def fail(_):
        raise error

    monkeypatch.setattr(module, "open_release", fail)
    tested = challenger(share)

    assert {ask(tested) for _ in range(20)} == {("1", None)}
    assert failures(capsys.readouterr().out) == 1
    assert repr(error) in caplog.text or repr(error) in str([vars(r) for r in caplog.records])

    monkeypatch.setattr(module, "open_release", lambda uri: uri)
    monkeypatch.setattr(tested, "_retry_at", 0.0)
    assert ask(tested) == (("2", None) if share else ("1", "2"))


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize("share", [0, 100])
def test_an_error_of_the_challenger_affects_no_answer(share, monkeypatch, capsys):
    def fail(_, models, __):
        if models is OTHER:
            raise RuntimeError("no")
        return replace(PREDICTION, model_version=models.version)

    monkeypatch.setattr(module, "score", fail)

    assert ask(challenger(share)) == ("1", None)
    assert failures(capsys.readouterr().out) == 1


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize("share", [0, 100])
def test_a_challenger_that_hangs_is_waited_for_once(share, monkeypatch, capsys):
    asked = []

    def hang(_, models, __):
        if models is OTHER:
            asked.append(models)
            time.sleep(5)
        return replace(PREDICTION, model_version=models.version)

    monkeypatch.setattr(module, "score", hang)
    tested = challenger(share, timeout=0.5)

    assert {ask(tested) for _ in range(3)} == {("1", None)}
    assert len(asked) == 1
    # Each picture, or the alarm would end before the trial does.
    assert failures(capsys.readouterr().out) == 3
    assert tested.describe()["status"] == "failed"


@pytest.mark.usefixtures("loads")
def test_a_slow_load_is_waited_for_once_and_used_when_done(monkeypatch):
    go_on = []

    def load(uri):
        while not go_on:
            time.sleep(0.01)
        return uri

    monkeypatch.setattr(module, "open_release", load)
    tested = challenger(100, timeout=0.05)
    assert ask(tested) == ("1", None)
    go_on.append(True)

    eventually(lambda: ask(tested) == ("2", None))


@pytest.mark.usefixtures("loads")
def test_health_reports_the_challenger():
    assert challenger(0).describe() == {"status": "ok", "model_version": "2", "share": 0, "shadow": True}


def test_a_real_release_can_be_a_challenger(tmp_path):
    tested = challenger(100, str(copy_release(tmp_path / "release", version="other")))

    answer, _ = predict_with_challenger(PICTURE, SERVING, tested, PredictOptions(), "gate-1")

    assert answer.model_version == "other"


def test_a_shadow_answer_is_not_recorded_as_a_prediction(capsys):
    shadow = replace(PREDICTION, id="its own", model_version="2")

    Recorder("Test", "/predict", "1").write_shadow(shadow, PREDICTION, source="gate-1", request_id="r")

    record = json.loads(capsys.readouterr().out)
    assert next(iter(record)) == "time"
    assert "prediction_id" not in record
    assert record["shadow_of"] == PREDICTION.id
    assert record["model_version"] == "2"
    assert record["live"] == {"model_version": "7", "label": "mask"}
    assert record["source"] == "gate-1"
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} == {"Shadows", "ShadowsAgreeing", "ColdStart"}
