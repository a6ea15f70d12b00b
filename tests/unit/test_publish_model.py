"""Publishing verifies a release first, uploads the manifest last, and never overwrites a release."""

import hashlib
import json

import boto3
import pytest
from botocore.exceptions import ClientError

from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError, load_release
from infra.ops.__main__ import main
from infra.ops.errors import OpsError
from infra.ops.publish_model import publish
from tests.releases import copy_release

BUCKET = "models-bucket"


@pytest.fixture
def s3(moto):  # noqa: ARG001 -- an AWS account
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def folder(tmp_path):
    return copy_release(tmp_path / "release")


def keys(s3):
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_a_published_release_verifies_after_download(s3, folder, tmp_path):
    uri = publish(folder, BUCKET, s3)

    release = load_release(folder)
    prefix = f"models/{release.version}/"
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert uri == f"s3://{BUCKET}/{prefix}#{digest}"
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for key in keys(s3):
        s3.download_file(BUCKET, key, str(fetched / key.removeprefix(prefix)))
    assert load_release(fetched) == release


def test_the_manifest_is_uploaded_last(s3, folder):
    sent = []
    s3.meta.events.register("before-call.s3.PutObject", lambda params, **_: sent.append(params["url_path"]))

    publish(folder, BUCKET, s3)

    assert len(sent) > 1
    assert [path.endswith("manifest.json") for path in sent] == [False] * (len(sent) - 1) + [True]


def test_a_published_version_is_not_overwritten(s3, folder):
    publish(folder, BUCKET, s3)
    before = {key: s3.head_object(Bucket=BUCKET, Key=key)["LastModified"] for key in keys(s3)}

    with pytest.raises(OpsError, match="give the release another version"):
        publish(folder, BUCKET, s3)

    assert before == {key: s3.head_object(Bucket=BUCKET, Key=key)["LastModified"] for key in keys(s3)}


def test_of_two_concurrent_publications_one_succeeds(s3, folder):
    def other(**_):
        s3.meta.events.unregister("before-call.s3.PutObject", other)
        s3.put_object(
            Bucket=BUCKET, Key=f"models/{load_release(folder).version}/manifest.json", Body=b"theirs"
        )

    s3.meta.events.register("before-call.s3.PutObject", other)

    with pytest.raises(OpsError, match=r"manifest\.json is of another release"):
        publish(folder, BUCKET, s3)


def test_an_upload_that_goes_on_late_does_not_damage_a_release_published_meanwhile(s3, folder, tmp_path):
    other = copy_release(tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "baseline.json").write_text((other / "baseline.json").read_text() + "\n")
    manifest["files"]["baseline.json"] = hashlib.sha256((other / "baseline.json").read_bytes()).hexdigest()
    (other / "manifest.json").write_text(json.dumps(manifest))
    uris = []

    def publish_meanwhile(**_):
        s3.meta.events.unregister("before-call.s3.PutObject", publish_meanwhile)
        uris.append(publish(folder, BUCKET, s3))

    s3.meta.events.register("before-call.s3.PutObject", publish_meanwhile)

    with pytest.raises(OpsError, match=r"baseline\.json is of another release"):
        publish(other, BUCKET, s3)

    assert open_release(uris[0]) == load_release(folder)


def test_a_manifest_whose_answer_was_lost_is_not_taken_for_another_publication(s3, folder):
    manifest = f"models/{load_release(folder).version}/manifest.json"

    def first_attempt(params, **_):
        if params["url_path"].endswith(manifest):
            s3.meta.events.unregister("before-call.s3.PutObject", first_attempt)
            s3.put_object(Bucket=BUCKET, Key=manifest, Body=(folder / "manifest.json").read_bytes())

    s3.meta.events.register("before-call.s3.PutObject", first_attempt)

    assert publish(folder, BUCKET, s3).startswith("s3://")


def test_an_interrupted_upload_can_be_repeated(s3, folder):
    def fail(model, **_):
        if model.name == "PutObject":
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")

    s3.meta.events.register("before-call.s3.PutObject", fail)
    with pytest.raises(Exception, match="SlowDown"):
        publish(folder, BUCKET, s3)
    s3.meta.events.unregister("before-call.s3.PutObject", fail)

    assert publish(folder, BUCKET, s3).startswith("s3://")


def test_a_bucket_that_may_not_be_written_to_is_reported_in_one_line(s3, folder, monkeypatch):
    def deny(model, **_):
        if model.name == "PutObject":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "PutObject")

    s3.meta.events.register("before-call.s3.PutObject", deny)
    monkeypatch.setattr("infra.ops.publish_model.boto3.client", lambda _: s3)

    with pytest.raises(SystemExit, match=r"^An error occurred \(AccessDenied\) .* not you$"):
        main(["publish-model", str(folder), "--bucket", BUCKET])


def test_a_release_that_does_not_verify_is_not_uploaded(s3, folder):
    (folder / "classifier.tflite").write_bytes(b"something else")

    with pytest.raises(ReleaseError):
        publish(folder, BUCKET, s3)

    assert keys(s3) == []
