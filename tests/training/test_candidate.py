"""Candidate releases with the networks of runs, the serving release, and answers on the served path."""

import json
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import PredictOptions
from functions.inference.score import load_models, score
from functions.shared.contract import LABELS
from tests.training.drawn import moto_account, write_crops
from training.answers import answer
from training.candidate import candidate_release, open_serving, serving_uri
from training.dataset import list_examples, load_examples
from training.errors import TrainingError
from training.files import CONVERSION, DETECTOR, SMALL

STACK = """
Parameters: {ModelUri: {Type: String, Default: ""}}
Resources: {Models: {Type: AWS::S3::Bucket}}
"""


@pytest.fixture
def stack():
    with moto_account():
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(StackName="maskwatch-dev", TemplateBody=STACK)
        yield cloudformation


def test_the_serving_release_is_read_from_the_stack(stack) -> None:
    assert serving_uri("maskwatch-dev") == ""
    assert open_serving("stack:maskwatch-dev") == open_release("")
    result = [{"ParameterKey": "ModelUri", "ParameterValue": "s3://models/models/1.1.0/"}]
    stack.update_stack(StackName="maskwatch-dev", TemplateBody=STACK, Parameters=result)
    assert serving_uri("maskwatch-dev") == "s3://models/models/1.1.0/"


@pytest.mark.usefixtures("stack")
def test_an_unknown_stack_is_reported() -> None:
    with pytest.raises(TrainingError, match="what the stack nowhere serves cannot be found out"):
        open_serving("stack:nowhere")


def test_a_run_of_one_network_keeps_the_other_of_the_serving_release(tmp_path: Path) -> None:
    serving = open_release("")
    conversion = {"shipped": "int8", "input_size": 96, "small": {"input_size": 64}, "min_score": 0.5}
    (tmp_path / CONVERSION).write_text(json.dumps(conversion))
    for name in ("int8.tflite", SMALL, DETECTOR):
        (tmp_path / name).write_bytes(name.encode())
    classifier = candidate_release(serving, tmp_path, None)
    assert (classifier.classifier.file, classifier.classifier.size) == (b"int8.tflite", 96)
    assert classifier.small_classifier
    assert classifier.small_classifier.size == 64
    assert (classifier.detector, classifier.min_score) == (serving.detector, serving.min_score)
    detector = candidate_release(serving, None, tmp_path)
    assert (detector.detector.file, detector.min_score) == (DETECTOR.encode(), 0.5)
    assert replace(detector, detector=serving.detector, min_score=serving.min_score) == serving


@pytest.mark.parametrize("network", ["classifier", "detector"])
def test_a_run_that_is_not_converted_is_refused(tmp_path: Path, network: str) -> None:
    runs = (tmp_path, None) if network == "classifier" else (None, tmp_path)
    with pytest.raises(TrainingError, match="convert the run first"):
        candidate_release(open_release(""), *runs)


def test_answers_are_those_of_the_served_path(tmp_path: Path) -> None:
    write_crops(tmp_path, {"test": 2})
    samples = load_examples(list_examples(tmp_path)).split("test")
    release = open_release("")
    answers = answer(release, samples, "test")
    models = load_models(release, threads=1)
    for number, sample in enumerate(samples):
        result = score(decode(sample.example.path.read_bytes()), models, PredictOptions())
        assert answers.face_found[number] == bool(result.faces)
        expected = [result.classification.probabilities[label] for label in LABELS]
        assert answers.probabilities[number] == pytest.approx(expected, abs=2e-3)
