"""The record of a prediction, and the metrics in it."""

import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from functions.inference.prediction import Box, Classification, Face
from functions.inference.record import Recorder
from functions.shared.problem import TOO_LARGE
from tests.records import PREDICTION

BARE = Classification("no_mask", 0.91, {"mask": 0.05, "no_mask": 0.91, "incorrect": 0.04})
SEEN = replace(
    PREDICTION,
    classification=BARE,
    faces=(
        Face(Box(10, 20, 80, 100), 0.99, BARE),
        Face(
            Box(300, 40, 30, 28),
            0.8,
            Classification("uncertain", 0.5, {"mask": 0.5, "no_mask": 0.3, "incorrect": 0.2}),
        ),
    ),
)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder("MaskWatch", "/predict", "7")


def written(capsys: pytest.CaptureFixture[str]) -> dict:
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def metrics(line: dict) -> dict[str, float]:
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}


def test_a_prediction_is_one_line_of_json(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.write_prediction(SEEN, source="gate-3", request_id="r")
    line = written(capsys)
    expected = {
        "prediction_id": SEEN.id,
        "request_id": "r",
        "route": "/predict",
        "source": "gate-3",
        "model_version": "7",
        "label": "no_mask",
        "probabilities": BARE.probabilities,
        "faces": [
            {"side": 80, "detection_confidence": 0.99, "label": "no_mask", "confidence": 0.91},
            {"side": 28, "detection_confidence": 0.8, "label": "uncertain", "confidence": 0.5},
        ],
        "image": {"width": 640, "height": 480, **SEEN.statistics},
        "projection": [0.5] * 16,
    }
    assert expected.items() <= line.items()
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)


def test_its_metrics_are_in_the_embedded_metric_format(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.write_prediction(SEEN, source=None, request_id="r")
    line = written(capsys)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "MaskWatch"
    assert directive["Dimensions"] == [["route"]]
    assert all(isinstance(line[name], str) for names in directive["Dimensions"] for name in names)
    assert abs(line["_aws"]["Timestamp"] - datetime.fromisoformat(line["time"]).timestamp() * 1000) < 2
    assert metrics(line) == {
        "Pictures": 1,
        "Faces": 2,
        "FacesMask": 0,
        "FacesNoMask": 1,
        "FacesIncorrect": 0,
        "FacesUncertain": 1,
        "Confidence": 0.91,
        "DecodeTime": 3.1,
        "DetectTime": 5.3,
        "InferenceTime": 4.2,
        "ColdStart": 1,
    }
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units["DecodeTime"] == "Milliseconds"
    assert units["Confidence"] == "None"
    assert units["Pictures"] == "Count"


def test_a_refusal_is_counted_by_its_reason(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.write_refusal(TOO_LARGE, request_id="r", source="gate-3")
    line = written(capsys)
    assert (line["rejected"], line["source"]) == ("too-large", "gate-3")
    assert metrics(line) == {"Rejected": 1, "RejectedTooLarge": 1, "ColdStart": 1}


def test_a_line_is_written_in_one_call_so_that_no_other_thread_writes_into_it(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=calls.append))
    recorder.write_refusal(TOO_LARGE, request_id="r")
    (line,) = calls
    assert line.endswith("}\n")


def test_only_the_first_line_of_a_process_is_a_cold_start(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.write_prediction(SEEN, source=None, request_id="r")
    written(capsys)
    recorder.write_prediction(SEEN, source=None, request_id="r")
    assert "ColdStart" not in written(capsys)


def test_a_source_cannot_forge_a_line(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.write_prediction(SEEN, source='x"}\u2028\r\n{"_aws"', request_id="r")
    assert written(capsys)["source"] == 'x"}\u2028\r\n{"_aws"'


def test_only_predictions_with_a_track_record_it(recorder: Recorder, capsys: pytest.CaptureFixture[str]):
    recorder.write_prediction(SEEN, source="gate-3", request_id="1", track="person-7")
    recorder.write_prediction(SEEN, source="gate-3", request_id="2")

    tracked, other = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert tracked["track"] == "person-7"
    assert "track" not in other
