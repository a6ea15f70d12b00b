"""Training jobs on SageMaker, with the SDK's calls against moto."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import boto3
import pytest

from functions.inference.release import load_release
from infra.ops.errors import OpsError
from tests.training.drawn import moto_account
from tests.training.jobs import left_by, release
from training.aws import training_job
from training.aws.registry import GROUP, approve, register, registered
from training.aws.sessions import session
from training.aws.training_job import JobSpec
from training.commit import git_commit
from training.errors import TrainingError

BUCKET = "models-bucket"
SPEC = JobSpec(
    pictures="s3://pictures/2026/",
    version="1.1.0",
    bucket=BUCKET,
    role="arn:aws:iam::123456789012:role/training",
    serving=f"s3://{BUCKET}/models/1.0.0/#5e1f",
    weights="s3://pictures/weights/",
    hyperparameters={"seed": "3", "start": "imagenet"},
    instance_type="ml.c7i.4xlarge",
    instances=2,
    spot=True,
    hours=2,
    volume_gb=80,
    key="alias/pictures",
    subnets=("subnet-1", "subnet-2"),
    security_groups=("sg-1",),
    tags={"team": "safety"},
    mlflow="arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/ours",
)


@pytest.fixture(scope="module")
def sagemaker():
    with moto_account():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield session(BUCKET)


@pytest.fixture(scope="module")
def started(sagemaker):
    """A job that uses every option; moto's jobs are completed at once."""
    submitted = training_job.submit(SPEC, sagemaker)
    submitted.refresh()
    return submitted


@pytest.fixture
def described(started):
    """The job's description on AWS."""
    return boto3.client("sagemaker").describe_training_job(TrainingJobName=started.training_job_name)


def keys(prefix):
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


def status(registry, version):
    found = [p for p in registered(registry, GROUP) if p["CustomerMetadataProperties"]["version"] == version]
    return [package["ModelApprovalStatus"] for package in found]


def refused(folder):
    (folder / "gate.json").write_text(json.dumps({"passed": False, "reason": "worse: class mask: f1"}))


def test_instances_time_disk_and_network_are_as_specified(described):
    assert described["ResourceConfig"] == {
        "InstanceType": "ml.c7i.4xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 80,
        "VolumeKmsKeyId": "alias/pictures",
    }
    assert described["EnableManagedSpotTraining"] is True
    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}
    assert described["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
    assert described["RoleArn"] == SPEC.role
    tags = boto3.client("sagemaker").list_tags(ResourceArn=described["TrainingJobArn"])["Tags"]
    assert {"Key": "team", "Value": "safety"} in tags


def test_inputs_outputs_and_checkpoints_have_the_same_addresses_in_a_second_try(described):
    uris = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in described["InputDataConfig"]}
    assert uris["pictures"] == SPEC.pictures
    assert (uris["serving"], uris["weights"]) == (f"s3://{BUCKET}/models/1.0.0/", SPEC.weights)
    assert described["OutputDataConfig"]["S3OutputPath"] == f"s3://{BUCKET}/training/jobs"
    assert described["OutputDataConfig"]["KmsKeyId"] == "alias/pictures"
    assert described["CheckpointConfig"] == {
        "S3Uri": f"s3://{BUCKET}/training/checkpoints/1.1.0/",
        "LocalPath": "/opt/ml/checkpoints",
    }


def test_only_the_code_of_this_checkout_is_staged(described):
    (code,) = [c for c in described["InputDataConfig"] if c["ChannelName"] == "code"]
    prefix = code["DataSource"]["S3DataSource"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    staged = {key.removeprefix(prefix).lstrip("/") for key in keys(prefix)}
    assert {"training/aws/entrypoint.py", "functions/inference/decode.py", "params.yaml"} <= staged
    assert {name.split("/")[0] for name in staged} == {"training", "functions", "params.yaml"}
    assert "training/weights/classifier.weights.h5" in staged


def test_the_script_gets_hyperparameters_as_arguments_and_missing_packages_installed(described):
    (drivers,) = [c for c in described["InputDataConfig"] if c["ChannelName"] == "sm_drivers"]
    prefix = drivers["DataSource"]["S3DataSource"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    script = boto3.client("s3").get_object(Bucket=BUCKET, Key=f"{prefix.rstrip('/')}/sm_train.sh")
    text = script["Body"].read().decode()
    assert "python -m training.aws.entrypoint --seed 3 --start imagenet --version 1.1.0" in text
    assert "training/requirements-dlc.txt" in text
    assert described["HyperParameters"]["seed"] == "3"
    assert described["AlgorithmSpecification"]["TrainingImage"].endswith("tensorflow-training:2.21-cpu-py312")


def test_the_container_gets_the_region_the_commit_and_the_tracking_uri(sagemaker, tmp_path):
    result = training_job.trainer(SPEC, training_job.staged_code(tmp_path), sagemaker).environment
    assert result["AWS_DEFAULT_REGION"] == "us-east-1"  # boto3 does not read AWS_REGION, which SageMaker sets
    assert result["MLFLOW_TRACKING_URI"] == SPEC.mlflow
    assert result["GIT_COMMIT"] == git_commit()


def test_the_metric_definitions_match_the_lines_of_training():
    row = {"stage": 0, "epoch": 1, "accuracy": 0.5, "loss": 0.25, "val_macro_f1": 0.75, "val_accuracy": 0.8}
    line = json.dumps({**row, "val_mask_or_not": 0.9, "val_loss": 1e-05, "val_recall": 0.7, "val_ap50": 0.6})
    assert {
        name: float(re.search(regex, line)[1]) for name, regex in training_job.METRIC_PATTERNS.items()
    } == {
        "train:loss": 0.25,
        "validation:loss": 1e-05,
        "validation:macro_f1": 0.75,
        "validation:accuracy": 0.8,
        "validation:mask_or_not": 0.9,
        "validation:recall": 0.7,
        "validation:average_precision": 0.6,
    }


def test_the_project_s_image_needs_no_installation(sagemaker):
    spec = JobSpec(
        "s3://p/", "1.1.0", BUCKET, SPEC.role, image="123456789012.dkr.ecr.us-east-1.amazonaws.com/m:1"
    )
    name = training_job.submit(spec, sagemaker).training_job_name
    result = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert result["AlgorithmSpecification"]["TrainingImage"] == spec.image
    assert not result.get("VpcConfig")
    assert result["EnableManagedSpotTraining"] is False
    assert result["ResourceConfig"]["InstanceCount"] == 1


def test_the_release_of_a_job_is_published_registered_listed_and_approved(sagemaker, started, tmp_path):
    left_by(tmp_path / "model", started, one=release("1.1.0"))

    package = training_job.publish_job(started, BUCKET, sagemaker, GROUP)

    about = package["CustomerMetadataProperties"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert about["release"] == f"s3://{BUCKET}/models/1.1.0/"
    manifest = boto3.client("s3").get_object(Bucket=BUCKET, Key="models/1.1.0/manifest.json")["Body"].read()
    assert about["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert (about["gate"], about["compared_with"]) == ("nowhere worse", "1.0.0")
    assert about["training_job"] == started.training_job_name
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for key in keys("models/1.1.0/"):
        boto3.client("s3").download_file(BUCKET, key, str(fetched / Path(key).name))
    assert load_release(fetched).version == "1.1.0"

    registry = boto3.client("sagemaker")
    assert status(registry, "1.1.0") == ["PendingManualApproval"]
    approve("1.1.0", registry, GROUP)
    assert status(registry, "1.1.0") == ["Approved"]


def test_a_version_is_published_once(sagemaker, started, tmp_path):
    left_by(tmp_path / "model", started, one=release("1.2.0"))
    training_job.publish_job(started, BUCKET, sagemaker, GROUP)
    with pytest.raises(OpsError, match="is published"):
        training_job.publish_job(started, BUCKET, sagemaker, GROUP)


def test_of_several_instances_the_best_by_validation_is_published(sagemaker, started, tmp_path):
    left_by(
        tmp_path / "model",
        started,
        **{"seed-1": release("1.3.0-a", (0.9, 0.8)), "seed-2": release("1.3.0-b", (0.7, 0.98))},
        **{"seed-3": refused},
    )
    assert (
        training_job.publish_job(started, BUCKET, sagemaker, GROUP)["CustomerMetadataProperties"]["version"]
        == "1.3.0-b"
    )


def test_a_run_that_the_gate_refused_is_not_published(sagemaker, started, tmp_path):
    before = len(keys("models/"))
    left_by(tmp_path / "model", started, one=refused)
    with pytest.raises(TrainingError, match="worse: class mask: f1"):
        training_job.publish_job(started, BUCKET, sagemaker, GROUP)
    assert len(keys("models/")) == before


@pytest.mark.usefixtures("sagemaker")
def test_an_unknown_version_is_not_approved():
    registry = boto3.client("sagemaker")
    register("s3://b/models/1/", "image", {"version": "1.0.0"}, registry, GROUP)
    with pytest.raises(TrainingError, match=r"no release 9\.9 is registered"):
        approve("9.9", registry, GROUP)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": "1.1_beta"}, "'1.1_beta' cannot name a job"),
        ({"version": "1.1."}, "cannot name a job"),
        ({"version": "1" * 40}, "cannot name a job"),
        ({"instance_type": "c7i.2xlarge"}, "'c7i.2xlarge' is not a SageMaker instance type"),
        ({"security_groups": ()}, "a VPC needs both --subnets and --security-groups"),
        ({"instances": 0}, "must be positive"),
    ],
)
def test_invalid_specifications_are_refused_before_the_start(sagemaker, changed, reason):
    before = len(keys("training/"))
    with pytest.raises(TrainingError, match=reason):
        training_job.submit(dataclasses.replace(SPEC, **changed), sagemaker)
    assert len(keys("training/")) == before


@pytest.mark.parametrize(
    ("instance_type", "has_key"), [("ml.c7i.2xlarge", True), ("ml.g5.xlarge", False), ("ml.m5d.large", False)]
)
def test_local_storage_gets_no_key_which_sagemaker_would_refuse(sagemaker, tmp_path, instance_type, has_key):
    spec = dataclasses.replace(SPEC, instance_type=instance_type)
    trainer = training_job.trainer(spec, training_job.staged_code(tmp_path), sagemaker)
    assert trainer.compute.volume_kms_key_id == (SPEC.key if has_key else None)
    assert trainer.output_data_config.kms_key_id == SPEC.key


def test_a_gpu_instance_gets_the_gpu_image(sagemaker, tmp_path):
    spec = dataclasses.replace(SPEC, instance_type="ml.g5.xlarge")
    image = training_job.trainer(spec, training_job.staged_code(tmp_path), sagemaker).training_image
    assert re.search(r"tensorflow-training:2\.\d+-gpu", image)
