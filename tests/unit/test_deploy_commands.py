"""Images are referenced by digest and kept while they run; what a deleted stack left is deleted only on request."""

import json
from types import SimpleNamespace

import boto3
import pytest

from infra.ops import destroy, images, purge
from infra.ops.errors import OpsError

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/maskwatch"

pytestmark = pytest.mark.usefixtures("moto")


@pytest.fixture
def pushed(moto):  # noqa: ARG001 -- an AWS account
    """Push an image; return its digest."""
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName="maskwatch")
    layer = {
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "size": 1,
        "digest": "sha256:" + 64 * "0",
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {**layer, "mediaType": "application/vnd.docker.container.image.v1+json"},
        "layers": [layer],
    }
    text = json.dumps(manifest)
    image = ecr.put_image(repositoryName="maskwatch", imageManifest=text, imageTag="predict-1")["image"]
    return image["imageId"]["imageDigest"]


def test_a_package_names_images_by_digest(pushed):
    template = {
        "Resources": {
            "Predict": {"Properties": {"PackageType": "Image", "ImageUri": f"{REPOSITORY}:predict-1"}},
            "Hook": {"Properties": {"CodeUri": "s3://artifacts/hook"}},
        }
    }
    images.pin(template, boto3.client("ecr"))

    assert template["Resources"]["Predict"]["Properties"]["ImageUri"] == f"{REPOSITORY}@{pushed}"
    images.pin(template, boto3.client("ecr"))  # once more changes nothing


def test_images_that_a_stack_runs_are_tagged_and_the_tag_moves(pushed):
    stack = [
        {
            "ResourceType": "AWS::Lambda::Function",
            "LogicalResourceId": "Predict",
            "PhysicalResourceId": "predict",
        },
        {"ResourceType": "AWS::S3::Bucket", "LogicalResourceId": "Models", "PhysicalResourceId": "models"},
        {"ResourceType": "AWS::Lambda::Function", "LogicalResourceId": "Hook", "PhysicalResourceId": "hook"},
    ]
    code = {"predict": {"ResolvedImageUri": f"{REPOSITORY}@{pushed}"}, "hook": {"Location": "https://…"}}
    pages = SimpleNamespace(paginate=lambda **_: [{"StackResourceSummaries": stack}])
    cloudformation = SimpleNamespace(get_paginator=lambda _: pages)
    functions = SimpleNamespace(get_function=lambda FunctionName: {"Code": code[FunctionName]})  # noqa: N803

    for _ in range(2):
        assert images.keep("maskwatch-dev", cloudformation, functions, boto3.client("ecr")) == [
            "live-maskwatch-dev-Predict"
        ]

    (image,) = boto3.client("ecr").describe_images(repositoryName="maskwatch")["imageDetails"]
    assert sorted(image["imageTags"]) == ["live-maskwatch-dev-Predict", "predict-1"]


@pytest.fixture
def left(moto, monkeypatch):  # noqa: ARG001 -- an AWS account
    """Create the buckets of a deleted stack, one with two versions of an object, and enter the stack's name.

    A stack of the same name in another region has a bucket, too.
    """
    s3 = boto3.resource("s3")
    stacks = {"maskwatch-dev-uploads-1": "maskwatch-dev", "maskwatch-dev-2-uploads-1": "maskwatch-dev-2"}
    for name in (*stacks, "maskwatch-dev-mine"):
        s3.create_bucket(Bucket=name)
    elsewhere = "maskwatch-dev-uploads-2"
    s3.create_bucket(Bucket=elsewhere, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    stacks[elsewhere] = "maskwatch-dev"
    # Tags of CloudFormation's own, which nobody else may put, nor moto.
    monkeypatch.setattr(
        purge,
        "_tags",
        lambda name, _: {"aws:cloudformation:stack-name": stacks[name]} if name in stacks else {},
    )
    uploads = s3.Bucket("maskwatch-dev-uploads-1")
    uploads.Versioning().enable()
    for body in (b"1", b"2"):
        uploads.put_object(Key="a.jpg", Body=body)
    uploads.Object("a.jpg").delete()
    monkeypatch.setattr("builtins.input", lambda _: "maskwatch-dev")
    return lambda: {bucket.name for bucket in s3.buckets.all()}


OPTIONS = SimpleNamespace(stack="maskwatch-dev")


def test_purge_deletes_every_version_in_the_stack_s_own_buckets_of_this_region(left, capsys):
    purge.command(OPTIONS)

    assert left() == {"maskwatch-dev-2-uploads-1", "maskwatch-dev-mine", "maskwatch-dev-uploads-2"}
    assert "in us-east-1:" in capsys.readouterr().out


def test_purge_finds_buckets_with_a_shortened_name(moto, monkeypatch):  # noqa: ARG001 -- an AWS account
    stack, bucket = "maskwatch-of-the-hospital-at-the-river", "maskwatch-of-the-hospital-at-the-r-uploads-1"
    boto3.client("s3").create_bucket(Bucket=bucket)
    monkeypatch.setattr(purge, "_tags", lambda *_: {"aws:cloudformation:stack-name": stack})

    assert purge.buckets_of(stack, boto3.client("s3")) == [bucket]


def test_purge_deletes_nothing_unless_the_name_is_typed(left, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _: "yes")

    with pytest.raises(OpsError, match="nothing was deleted"):
        purge.command(OPTIONS)
    assert "maskwatch-dev-uploads-1" in left()


@pytest.mark.usefixtures("left")
def test_purge_deletes_the_table_of_the_stack_s_alerts(capsys):
    dynamodb = boto3.client("dynamodb")
    for stack in ("maskwatch-dev", "maskwatch-dev-2"):
        dynamodb.create_table(
            TableName=f"{stack}-AlertsTable-1A",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    purge.command(OPTIONS)

    assert "    maskwatch-dev-AlertsTable-1A\n" in capsys.readouterr().out
    assert dynamodb.list_tables()["TableNames"] == ["maskwatch-dev-2-AlertsTable-1A"]


def test_purge_reports_that_there_is_nothing():
    with pytest.raises(OpsError, match="maskwatch-dev left no buckets and no table in us-east-1"):
        purge.command(OPTIONS)


@pytest.mark.usefixtures("left")
def test_purge_refuses_an_existing_stack():
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    boto3.client("cloudformation").create_stack(StackName="maskwatch-dev", TemplateBody=json.dumps(template))

    with pytest.raises(OpsError, match="make destroy first"):
        purge.command(OPTIONS)


def test_destroy_lists_what_remains(capsys):
    template = {
        "Parameters": {"ModelUri": {"Type": "String", "Default": ""}},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {
            "UploadsBucket": {"Value": "maskwatch-dev-uploads-1"},
            "AlertsTable": {"Value": "maskwatch-dev-AlertsTable-1A"},
            "RecordsTable": {"Value": "maskwatch_dev.records"},
            "ApiUrl": {"Value": "https://…"},
        },
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="maskwatch-dev", TemplateBody=json.dumps(template))

    destroy.command(OPTIONS)

    assert capsys.readouterr().out == (
        "maskwatch-dev is deleted. These stay until make purge: "
        "maskwatch-dev-AlertsTable-1A, maskwatch-dev-uploads-1\n"
    )
    with pytest.raises(OpsError, match="no stack named"):
        destroy.command(OPTIONS)
