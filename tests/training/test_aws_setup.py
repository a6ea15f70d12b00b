"""The setup command creates the role, repository and package group for training (moto)."""

import json

import boto3
import pytest
from sagemaker.core.helper.iam_policies import IAM_POLICY_CONFIG

from tests.system import recipe
from tests.training.drawn import moto_account
from training.aws import job, pipeline, setup

ACCESS = setup.Access(["pictures"])
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"


@pytest.fixture
def made():
    with moto_account():
        setup.set_up("maskwatch-dev", "models", ACCESS, boto3.Session())
        yield setup.set_up("maskwatch-dev", "models", ACCESS, boto3.Session())  # a second time, too


def allowed():
    """Return the statements of the role's policy by their names."""
    document = boto3.client("iam").get_role_policy(RoleName="maskwatch-dev-training", PolicyName="training")
    return {one["Sid"]: one for one in document["PolicyDocument"]["Statement"]}


@pytest.mark.usefixtures("made")
def test_the_role_can_read_pictures_write_models_and_read_the_serving_release():
    rights = allowed()
    assert "arn:aws:s3:::pictures/*" in rights["Read"]["Resource"]
    assert rights["Write"]["Resource"] == ["arn:aws:s3:::models/*"]
    assert rights["WhatServes"]["Resource"][0].endswith(":stack/maskwatch-dev/*")
    wide = {name for name, one in rights.items() if one["Resource"] == ["*"]}
    assert wide == {"Login", "Metrics"}  # which AWS does not narrow down


def test_rights_in_govcloud_name_its_partition():
    document = setup.policy("models", ACCESS, "maskwatch-dev", "123456789012", "us-gov-west-1")
    resources = {name for statement in document["Statement"] for name in statement["Resource"]} - {"*"}
    assert resources
    assert {name.split(":")[1] for name in resources} == {"aws-us-gov"}


def test_only_sagemaker_of_this_account_can_assume_the_role(made):
    role = boto3.client("iam").get_role(RoleName="maskwatch-dev-training")["Role"]
    assert made.role == role["Arn"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"


def test_the_repository_and_the_package_group_exist(made):
    (repository,) = boto3.client("ecr").describe_repositories()["repositories"]
    assert made.image == repository["repositoryUri"]
    groups = boto3.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"] for group in groups] == ["maskwatch-dev"]


@pytest.mark.usefixtures("made")
def test_images_without_a_tag_expire():
    policy = boto3.client("ecr").get_lifecycle_policy(repositoryName="maskwatch-dev-training")
    (rule,) = json.loads(policy["lifecyclePolicyText"])["rules"]
    assert rule["action"] == {"type": "expire"}
    assert rule["selection"]["tagStatus"] == "untagged"
    assert (rule["selection"]["countNumber"], rule["selection"]["countUnit"]) == (30, "days")


@pytest.mark.usefixtures("made")
def test_an_unknown_stack_is_reported_in_one_line(command):
    assert "error: There is no stack named nowhere" in command(setup, "--stack", "nowhere")


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("module", "arguments"),
    [(job, ["publish", "a-job"]), (pipeline, ["--role", "r", "--image", "i"]), (setup, [])],
)
def test_the_region_of_every_command_is_that_of_the_aws_cli(module, arguments, command, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    output = command(module, *arguments, "--stack", "nowhere")
    assert "There is no stack named nowhere in eu-west-1" in output


def test_the_command_prints_role_and_image(made, command, monkeypatch, capsys):
    monkeypatch.setattr(setup, "outputs_of", lambda _: {"ModelsBucket": "models"})
    assert command(setup, "--stack", "maskwatch-dev") == 0
    assert capsys.readouterr().out == f"ROLE={made.role}\nIMAGE={made.image}:latest\n"


@pytest.mark.usefixtures("made")
def test_a_key_a_vpc_and_other_buckets_are_allowed_if_named(command, monkeypatch):
    before = allowed()
    monkeypatch.setattr(setup, "outputs_of", lambda _: {"ModelsBucket": "models"})
    options = ["--pictures", "others", "--key", KEY, "--vpc"]
    assert command(setup, "--stack", "maskwatch-dev", *options) == 0
    rights = allowed()
    assert rights.keys() - before.keys() == {"Key", "Vpc"}
    assert "arn:aws:s3:::others/*" in rights["Read"]["Resource"]
    assert rights["Key"]["Resource"] == [KEY]
    assert {"kms:CreateGrant", "kms:Encrypt"} <= set(rights["Key"]["Action"])
    sdk = IAM_POLICY_CONFIG["training"]["policies"]["ec2_policy"]["Statement"]
    assert set(rights["Vpc"]["Action"]) == {action for one in sdk for action in one["Action"]}


def test_the_target_passes_its_options():
    commands = recipe("training-setup", "SETUP_OPTIONS=--vpc")
    assert "training.aws.setup --stack maskwatch-dev --vpc" in commands
