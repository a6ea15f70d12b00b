"""`python -m training.aws.job`, from the command line to the Model Registry, against moto."""

import boto3
import pytest
from sagemaker.core.resources import TrainingJob

from tests.training.drawn import moto_account
from tests.training.jobs import left_by, release
from training.aws import job

STACK = """
Parameters: {ModelUri: {Type: String, Default: ""}}
Resources: {Models: {Type: AWS::S3::Bucket, Properties: {BucketName: models-of-the-stack}}}
Outputs: {ModelsBucket: {Value: !Ref Models}}
"""
ROLE = "arn:aws:iam::123456789012:role/training"
SUBMIT = ["submit", "--stack", "maskwatch-dev", "--role", ROLE, "--pictures", "s3://pictures/"]


@pytest.fixture(scope="module", autouse=True)
def aws():
    with moto_account() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        result = [{"ParameterKey": "ModelUri", "ParameterValue": "s3://models-of-the-stack/models/1.0.0/"}]
        boto3.client("cloudformation").create_stack(
            StackName="maskwatch-dev", TemplateBody=STACK, Parameters=result
        )
        yield


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command, and return its output or its error."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["job", *arguments])
        try:
            job.main()
        except SystemExit as ended:
            return str(ended.code)
        return capsys.readouterr().out

    return run


def test_one_command_ends_with_a_release_that_waits_for_approval(command, monkeypatch, tmp_path):
    wait = TrainingJob.wait

    def waiting(started, **options):
        started.refresh()
        left_by(tmp_path / "left", started, **{".": release("1.1.0")})
        wait(started, **options)

    monkeypatch.setattr(TrainingJob, "wait", waiting)
    boto3.client("logs").create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")

    output = command(*SUBMIT, "--version", "1.1.0")

    assert "published s3://models-of-the-stack/models/1.1.0/; nowhere worse" in output
    approve = ".venv/bin/python -m training.aws.job approve 1.1.0 --stack maskwatch-dev"
    assert f"registered, PendingManualApproval; then: {approve}" in output
    assert "PendingManualApproval" in command("list", "--stack", "maskwatch-dev")
    assert "Approved" in command("approve", "1.1.0", "--stack", "maskwatch-dev")
    assert command("list", "--stack", "maskwatch-dev").split()[:3] == [
        "1.1.0",
        "Approved",
        "s3://models-of-the-stack/models/1.1.0/",
    ]


def test_a_job_that_is_not_waited_for_is_described_and_published_later(command, tmp_path):
    output = command(*SUBMIT, "--version", "1.2.0", "--no-wait", "--spot", "--hyperparameter", "seed=7")
    name = output.split()[1]
    assert f"then: .venv/bin/python -m training.aws.job publish {name} --stack maskwatch-dev" in output
    assert command("describe", name).startswith(f"{name}: Completed, ")
    left_by(tmp_path / "left", TrainingJob.get(name), **{".": release("1.2.0")})
    assert "published s3://models-of-the-stack/models/1.2.0/" in command(
        "publish", name, "--stack", "maskwatch-dev"
    )


def test_the_stack_s_serving_release_is_the_reference(command):
    name = command(*SUBMIT, "--version", "1.3.0", "--no-wait").split()[1]
    result = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)["InputDataConfig"]
    uris = {one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in result}
    assert uris["serving"] == "s3://models-of-the-stack/models/1.0.0/"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["submit", "--pictures", "s3://p/", "--role", ROLE], "give --stack or --bucket"),
        (["submit", "--pictures", "s3://p/", "--bucket", "b"], "give --role"),
        ([*SUBMIT, "--hyperparameter", "seed"], "'seed' is not of the form name=value"),
        (["approve", "9.9", "--stack", "maskwatch-dev"], "no release 9.9 is registered"),
        ([*SUBMIT, "--stack", "nowhere"], "error: There is no stack named nowhere"),
        ([*SUBMIT, "--version", "a_b"], "error: the version 'a_b' cannot name a job"),
        (["describe", "no-such-job"], "error: "),
    ],
)
def test_missing_arguments_are_reported_in_one_line(command, arguments, reason):
    output = command(*arguments)
    assert reason in output
    assert len(output.splitlines()) == 1


def test_a_missing_region_is_reported(command, monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert "error: No AWS region is set" in command("list")
