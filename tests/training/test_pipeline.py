"""The pipeline's definition, and its creation with moto."""

import json
import re

import boto3
import pytest

from functions.promote.errors import RefusedError
from functions.promote.registry import read_package
from functions.promote.verify import verify
from functions.shared.release_files import MANIFEST
from infra.ops.publish_model import publish
from tests.releases import copy_release
from tests.system import python
from tests.training.drawn import moto_account
from training.files import file_sha256

BUCKET = "models-bucket"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/maskwatch-training:1"
ROLE = "arn:aws:iam::123456789012:role/training"
MLFLOW = "https://mlflow.example.org"
ID = {"Get": "Execution.PipelineExecutionId"}


@pytest.fixture(scope="module")
def pipeline():
    with moto_account():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        from training.aws.definition import PipelineSpec, build, session_for  # noqa: PLC0415 -- asks for a region

        yield build(PipelineSpec("maskwatch-dev", BUCKET, ROLE, IMAGE, mlflow=MLFLOW), session_for(BUCKET))


@pytest.fixture(scope="module")
def definition(pipeline):
    return json.loads(pipeline.definition())


@pytest.fixture(scope="module")
def steps(definition):
    """Return the arguments of each step, including those in the condition."""
    found = {step["Name"]: step["Arguments"] for step in definition["Steps"]}
    for branch in ("IfSteps", "ElseSteps"):
        found |= {step["Name"]: step["Arguments"] for step in found["Passed"][branch]}
    return found


def joined(*values):
    return {"Std:Join": {"On": "/", "Values": list(values)}}


def command(step):
    application = step["AppSpecification"]
    return application["ContainerEntrypoint"] + application["ContainerArguments"]


def argument(step, name):
    result = command(step)
    return result[result.index(name) + 1]


def inputs(step):
    return {one["InputName"]: one["S3Input"] for one in step["ProcessingInputs"]}


def outputs(step):
    return {one["OutputName"]: one["S3Output"] for one in step["ProcessingOutputConfig"]["Outputs"]}


def test_steps_have_the_right_order(definition):
    assert [(step["Name"], step["Type"]) for step in definition["Steps"]] == [
        ("Prepare", "Processing"),
        ("Train", "Training"),
        ("Evaluate", "Processing"),
        ("Passed", "Condition"),
    ]


def test_an_execution_can_set_pictures_and_the_release_to_compare_with(definition):
    defaults = {one["Name"]: one["DefaultValue"] for one in definition["Parameters"]}
    assert defaults["InputData"] == f"s3://{BUCKET}/pictures/"
    assert defaults["Serving"] == "stack:maskwatch-dev"  # asked when it runs
    assert defaults["Start"] == "release"
    assert {"Stages", "Batch", "Seed", "InstanceType", "TrainingInstanceType"} <= defaults.keys()


def test_every_job_has_the_same_image_role_region_and_tracking(steps):
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "MLFLOW_TRACKING_URI": MLFLOW}
    for name in ("Prepare", "Evaluate"):
        assert steps[name]["AppSpecification"]["ImageUri"] == IMAGE
        assert steps[name]["RoleArn"] == ROLE
        assert steps[name]["Environment"] == environment
    assert steps["Train"]["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert steps["Train"]["Environment"] == environment


def test_preparation_reads_the_input_data(steps):
    assert command(steps["Prepare"])[:3] == ["python", "-m", "training.prepare"]
    assert inputs(steps["Prepare"])["pictures"]["S3Uri"] == {"Get": "Parameters.InputData"}
    assert argument(steps["Prepare"], "--data") == inputs(steps["Prepare"])["pictures"]["LocalPath"]
    written = outputs(steps["Prepare"])["prepared"]["LocalPath"]
    assert argument(steps["Prepare"], "--out") == f"{written}/pictures"


def test_training_and_evaluation_read_the_prepared_pictures(steps):
    prepared = joined(
        {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['prepared'].S3Output.S3Uri"}, "pictures"
    )
    (channel,) = steps["Train"]["InputDataConfig"]
    assert channel["ChannelName"] == "pictures"
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == prepared
    assert steps["Train"]["HyperParameters"] == {
        "network": "classifier",
        "steps": "fit",
        **{name.lower(): {"Get": f"Parameters.{name}"} for name in ("Start", "Stages", "Batch", "Seed")},
    }
    assert inputs(steps["Evaluate"])["prepared"]["S3Uri"] == prepared
    assert inputs(steps["Evaluate"])["run"]["S3Uri"] == {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}


def test_evaluation_writes_the_release_to_the_models_bucket(steps):
    evaluate = steps["Evaluate"]
    assert command(evaluate)[:3] == ["python", "-m", "training.judge"]
    assert outputs(evaluate)["release"]["S3Uri"] == joined(f"s3://{BUCKET}/models", ID, "")
    for name, key in (("--out", "release"), ("--report", "report")):
        assert argument(evaluate, name) == outputs(evaluate)[key]["LocalPath"]
    for name, key in (("--data", "prepared"), ("--run", "run")):
        assert argument(evaluate, name) == inputs(evaluate)[key]["LocalPath"]
    assert argument(evaluate, "--version") == ID
    assert argument(evaluate, "--serving") == {"Get": "Parameters.Serving"}


def test_the_condition_is_the_gate_s_verdict(definition, steps):
    (evaluate,) = [step for step in definition["Steps"] if step["Name"] == "Evaluate"]
    (file,) = evaluate["PropertyFiles"]
    assert file == {"PropertyFileName": "Gate", "OutputName": "report", "FilePath": "gate.json"}
    (condition,) = steps["Passed"]["Conditions"]
    assert condition == {
        "Type": "Equals",
        "LeftValue": {
            "Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Gate"}, "Path": "passed"}
        },
        "RightValue": True,
    }
    assert [step["Name"] for step in steps["Passed"]["IfSteps"]] == ["Register"]
    assert [step["Type"] for step in steps["Passed"]["ElseSteps"]] == ["Fail"]


def test_a_refusal_has_the_reason(steps):
    assert "'Path': 'reason'" in str(steps["Refused"]["ErrorMessage"])


def test_a_release_that_passes_is_registered_pending_approval_with_the_verdict(steps):
    register = steps["Register"]
    assert register["ModelPackageGroupName"] == "maskwatch-dev"
    assert register["ModelApprovalStatus"] == "PendingManualApproval"
    (container,) = register["InferenceSpecification"]["Containers"]
    assert container["ModelDataSource"]["S3DataSource"]["S3Uri"] == joined(f"s3://{BUCKET}/models", ID, "")
    about = register["CustomerMetadataProperties"]
    assert about["version"] == ID
    assert {key: value["Std:JsonGet"]["Path"] for key, value in about.items() if "Std:JsonGet" in value} == {
        "gate": "reason",
        "dataset": "data_fingerprint",
        "compared_with": "serving_version",
        "git_commit": "git_commit",
        "manifest_sha256": "manifest_sha256",
    }


def filled_in(value, known):
    """Return a step's arguments with references resolved."""
    match value:
        case {"Std:JsonGet": {"Path": path}}:
            return known[path]
        case {"Std:Join": {"On": separator, "Values": values}}:
            return separator.join(filled_in(one, known) for one in values)
        case {"Get": name}:
            return known[name]
        case dict():
            return {key: filled_in(item, known) for key, item in value.items()}
        case list():
            return [filled_in(item, known) for item in value]
    return value


def test_the_registered_package_has_the_digest_of_the_release_that_passed(steps, tmp_path):
    """A package approved in the console is promoted exactly as the gate passed it, or refused."""
    s3, registry = boto3.client("s3"), boto3.client("sagemaker")
    folder = copy_release(tmp_path / "release", version="p1q2r3s4t5u6")
    manifest = json.loads((folder / MANIFEST).read_text())
    address = publish(folder, BUCKET, s3)
    known = {
        ID["Get"]: manifest["version"],
        "Steps.Train.TrainingJobName": "pipelines-p1q2r3s4t5u6-Train",
        "data_fingerprint": "5e1f",
        "git_commit": "c0ffee",
        "reason": "not worse than the serving release in any figure",
        "serving_version": "2.1.0",
        "manifest_sha256": file_sha256(folder / MANIFEST),
    }
    registry.create_model_package_group(ModelPackageGroupName="maskwatch-dev")

    arn = registry.create_model_package(**filled_in(steps["Register"], known))["ModelPackageArn"]

    package = read_package(arn, registry)
    # As AWS takes them.
    assert all(re.fullmatch(r"[\w\s.:/=+\-@]{1,256}", text) for text in package.metadata.values())
    version = package.metadata["version"]
    assert verify(package.release, version, package.digest, s3) == address
    s3.put_object(
        Bucket=BUCKET, Key=f"models/{version}/{MANIFEST}", Body=json.dumps(manifest | {"metrics": {}})
    )
    with pytest.raises(RefusedError, match="the release's address says"):
        verify(package.release, version, package.digest, s3)


def test_training_resumes_from_checkpoints_is_cached_and_retried(definition, steps):
    assert steps["Train"]["CheckpointConfig"]["S3Uri"] == joined(f"s3://{BUCKET}/training", "checkpoints", ID)
    (train,) = [step for step in definition["Steps"] if step["Name"] == "Train"]
    assert train["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}
    faults = {fault for policy in train["RetryPolicies"] for fault in policy["ExceptionType"]}
    assert {"Step.THROTTLING", "SageMaker.CAPACITY_ERROR"} <= faults


def test_the_detector_has_its_own_pipeline_and_optional_spot_instances(pipeline):
    from training.aws.definition import PipelineSpec, build, session_for  # noqa: PLC0415

    spec = PipelineSpec("maskwatch-dev", BUCKET, ROLE, IMAGE, network="detector", spot=True)
    other = build(spec, session_for(BUCKET))
    assert (pipeline.name, other.name) == ("maskwatch-dev-classifier", "maskwatch-dev-detector")
    steps = {step["Name"]: step["Arguments"] for step in json.loads(other.definition())["Steps"]}
    assert steps["Train"]["HyperParameters"]["network"] == "detector"
    assert steps["Train"]["EnableManagedSpotTraining"] is True
    assert argument(steps["Evaluate"], "--detector") == inputs(steps["Evaluate"])["run"]["LocalPath"]


def test_it_is_created_updated_and_started(pipeline):
    first = pipeline.upsert(role_arn=ROLE)["PipelineArn"]
    assert pipeline.upsert(role_arn=ROLE)["PipelineArn"] == first
    execution = pipeline.start(parameters={"InputData": "s3://pictures/2026/"})
    sagemaker = boto3.client("sagemaker")
    described = sagemaker.describe_pipeline(PipelineName="maskwatch-dev-classifier")
    assert json.loads(described["PipelineDefinition"])["Steps"]
    result = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution.arn)
    assert result["PipelineParameters"] == [{"Name": "InputData", "Value": "s3://pictures/2026/"}]


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["--help"], 0, "usage: "),
        (["--stack", "s", "--role", ROLE, "--image", IMAGE], 1, "error: No AWS region is set"),
    ],
)
def test_without_a_region_it_says_so_in_one_line(arguments, status, output, monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    done = python("-m", "training.aws.pipeline", *arguments)
    assert done.returncode == status
    assert (done.stdout + done.stderr).startswith(output)
