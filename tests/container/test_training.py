"""The training image runs by the bare container contract, as a local SageMaker job, and step by step as the pipeline.

The pictures are drawn and few, the training is one short stage: what is tried is that each container finds its
inputs, leaves what the next one needs, and that serving takes the release.
"""

import json
import os
import shutil
import subprocess

import boto3
import pytest
from moto import mock_aws

from functions.inference.release import load_release
from functions.shared.release_files import MANIFEST
from tests.container.conftest import BUILD_TIMEOUT
from tests.system import ROOT, python
from tests.training.drawn import write_crops, write_tables
from training.aws.training_job import JobSpec, run_locally
from training.errors import TrainingError

IMAGE = "maskwatch-training:test"
STAGE = {"size": 96, "freeze_until_block": 16, "epochs": 1, "learning_rate": 5e-4, "train_samples": 90}
STAGES = json.dumps([STAGE])


@pytest.fixture(scope="module")
def image():
    """The training image, built; skips where there is no Docker engine or Compose."""
    if subprocess.run(["docker", "info"], check=False, capture_output=True).returncode:
        pytest.skip("container tests need a Docker engine")
    base = os.environ.get("TRAINING_BASE_IMAGE")
    command = ["docker", "build", "--quiet", "--tag", IMAGE, "--file", "training/Dockerfile", "."]
    command += ["--build-arg", f"BASE_IMAGE={base}"] if base else []
    built = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=BUILD_TIMEOUT
    )
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return IMAGE


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_crops(folder / "crops", {"train": 30, "val": 8, "test": 10})
    write_tables(folder, ("train", "val", "test"))
    return folder


def docker(*arguments):
    return subprocess.run(
        ["docker", "run", "--rm", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
    )


def serve(release):
    """Return Predict's answer with the release."""
    program = (
        "import json, sys; from functions.inference.predict import handler;"
        "event = json.load(open('events/predict-json.json'));"
        "context = type('Context', (), {'aws_request_id': '1', 'function_name': 'f', 'memory_limit_in_mb': 1,"
        " 'invoked_function_arn': 'a', 'get_remaining_time_in_millis': lambda self: 9999})();"
        "print(json.dumps(handler(event, context)))"
    )
    done = python("-c", program, MODEL_URI=str(release), POWERTOOLS_TRACE_DISABLED="true")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["statusCode"] == 200, answer
    return json.loads(answer["body"])


def bare(image, ml, pictures, **hyperparameters):
    """Run a job as SageMaker does, with /opt/ml in the folder `ml`."""
    config = ml / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    shutil.copytree(pictures, ml / "input" / "data" / "pictures")
    return docker("--network", "none", "--volume", f"{ml}:/opt/ml", image, "train")


def is_right(gate, release, version):
    """Check that a candidate that passed serves under its version, and a refused one has a reason and no release.

    Thirty drawn pictures do not decide which it is.
    """
    if gate["passed"]:
        return load_release(release).version == serve(release)["model_version"] == version
    return bool(gate["reason"]) and not (release / MANIFEST).exists()


def test_the_container_contract_gives_a_serving_release_or_a_reason(image, pictures, tmp_path):
    done = bare(image, tmp_path, pictures, version="9.1.0", stages=STAGES, batch="24")

    assert done.returncode == 0, done.stderr[-3000:]
    assert not (tmp_path / "output" / "failure").exists()
    gate = json.loads((tmp_path / "output" / "data" / "report" / "gate.json").read_text())
    assert is_right(gate, tmp_path / "model", "9.1.0")
    kept = {path.name for path in (tmp_path / "output" / "data").iterdir()}
    assert {"report", "metrics.json", "prepared.json", "doubtful.csv", "mlflow.db"} <= kept


def test_a_job_that_fails_says_why_in_the_failure_file(image, tmp_path):
    (tmp_path / "empty").mkdir()
    done = bare(image, tmp_path / "ml", tmp_path / "empty", version="9.1.0")

    assert done.returncode == 1
    failure = (tmp_path / "ml" / "output" / "failure").read_text()
    assert "expected <split>/<label>/*.jpg" in failure
    assert "Traceback" not in failure


def test_local_mode_trains_one_seed_per_instance_and_judges_the_best(image, pictures, tmp_path):
    composed = (
        subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode == 0
    )
    if not composed and not shutil.which("docker-compose"):
        pytest.skip("local mode needs Docker Compose")
    spec = JobSpec(
        str(pictures),
        "9.2.0",
        image=image,
        hyperparameters={"stages": STAGES, "batch": "24", "seed": "5"},
        instances=2,
    )

    try:
        best = run_locally(spec, tmp_path / "job")
    except TrainingError as refused:
        assert "there is no release" in str(refused)  # noqa: PT017 -- thirty drawn pictures do not decide it
        best = None

    models = sorted((tmp_path / "job" / "artifacts" / "model").iterdir())
    assert [path.name for path in models] == ["seed-5", "seed-6"]
    assert best is None or best in models
    for model in models:
        recipe = json.loads((model / "state.json").read_text())["recipe"]
        assert (recipe["batch"], recipe["stages"][0]["size"]) == (24, 96)
        assert is_right(json.loads((model / "gate.json").read_text()), model, "9.2.0")


@pytest.fixture(params=["classifier", "detector"])
def network(request):
    return request.param


@pytest.fixture
def definition(image, network, monkeypatch):
    """The definition of a network's pipeline, for this image."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="models-bucket")
        from training.aws.definition import PipelineSpec, build, session_for  # noqa: PLC0415 -- asks for a region

        role = "arn:aws:iam::123456789012:role/training"
        spec = PipelineSpec("maskwatch-dev", "models-bucket", role, image, network)
        return json.loads(build(spec, session_for("models-bucket")).definition())


def test_every_step_of_the_pipeline_finds_the_output_of_the_previous_one(
    definition, network, pictures, tmp_path
):
    """Each S3 address of the definition is a folder, mounted where the definition says."""
    steps = {step["Name"]: step["Arguments"] for step in definition["Steps"]}
    values = {f"Parameters.{one['Name']}": one["DefaultValue"] for one in definition["Parameters"]}
    values |= {"Execution.PipelineExecutionId": "abc123", "Parameters.InputData": "s3://pictures"}
    values |= {"Parameters.Serving": "functions/inference/model"}  # there is no stack to ask
    values |= {"Steps.Train.ModelArtifacts.S3ModelArtifacts": "s3://artifacts"}
    shutil.copytree(pictures, tmp_path / "pictures")

    def resolved(result):
        if isinstance(result, str):
            return result
        if "Std:Join" in result:
            return result["Std:Join"]["On"].join(map(resolved, result["Std:Join"]["Values"]))
        return values[result["Get"]]

    def folder(uri):
        path = tmp_path / resolved(uri).removeprefix("s3://")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def processing(name):
        step = steps[name]
        places = [(one["S3Input"]["S3Uri"], one["S3Input"]["LocalPath"]) for one in step["ProcessingInputs"]]
        for one in step["ProcessingOutputConfig"]["Outputs"]:
            target = one["S3Output"]
            places.append((target["S3Uri"], target["LocalPath"]))
            key = f"Steps.{name}.ProcessingOutputConfig.Outputs['{one['OutputName']}'].S3Output.S3Uri"
            values[key] = resolved(target["S3Uri"])
        application = step["AppSpecification"]
        command = [resolved(part) for part in application["ContainerEntrypoint"]]
        arguments = [resolved(part) for part in application["ContainerArguments"]]
        mounts = [part for uri, path in places for part in ("--volume", f"{folder(uri)}:{path}")]
        done = docker(*mounts, "--entrypoint", command[0], application["ImageUri"], *command[1:], *arguments)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]

    processing("Prepare")

    train = steps["Train"]
    (channel,) = train["InputDataConfig"]
    result = {key: resolved(value) for key, value in train["HyperParameters"].items()}
    done = bare(
        train["AlgorithmSpecification"]["TrainingImage"],
        tmp_path / "ml",
        folder(channel["DataSource"]["S3DataSource"]["S3Uri"]),
        **result | {"stages": STAGES, "batch": "24"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    shutil.make_archive(str(folder("s3://artifacts") / "model"), "gztar", tmp_path / "ml" / "model")

    processing("Evaluate")

    report = tmp_path / "models-bucket" / "training" / "reports" / "abc123"
    gate = json.loads((report / "gate.json").read_text())
    assert {"reason", "data_fingerprint", "git_commit", "serving_version"} <= gate.keys()
    assert (report / "report.json").is_file()
    if network == "detector":  # three faces to judge by
        assert (gate["passed"], gate["reason"]) == (
            False,
            "3 faces in test scenes are too few to tell, 25 are needed",
        )
        return
    assert is_right(gate, tmp_path / "models-bucket" / "models" / "abc123", "abc123")
