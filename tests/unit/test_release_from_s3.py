"""A release in S3 is fetched completely and verified, or refused with the reason."""

import hashlib
import json
from typing import Any

import boto3
import pytest

from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError, load_release
from functions.shared.release_files import IMAGE_RELEASE

URI = "s3://models/releases/7/"


@pytest.fixture
def bucket(moto: None) -> Any:  # noqa: ARG001 -- an AWS account
    bucket = boto3.resource("s3").create_bucket(Bucket="models")
    for file in IMAGE_RELEASE.iterdir():
        bucket.upload_file(str(file), f"releases/7/{file.name}")
    return bucket


@pytest.mark.usefixtures("bucket")
def test_a_release_is_fetched() -> None:
    assert open_release(URI) == load_release(IMAGE_RELEASE)
    assert open_release(URI.rstrip("/")) == load_release(IMAGE_RELEASE)


@pytest.mark.usefixtures("bucket")
def test_a_missing_release_is_refused() -> None:
    with pytest.raises(ReleaseError, match=r"s3://models/releases/8/manifest\.json cannot be fetched.*404"):
        open_release("s3://models/releases/8/")
    with pytest.raises(ReleaseError, match="s3://nowhere/"):
        open_release("s3://nowhere/releases/7/")


def test_a_missing_file_is_refused(bucket: Any) -> None:
    bucket.Object("releases/7/classifier.tflite").delete()
    with pytest.raises(ReleaseError, match=r"s3://models/releases/7/classifier\.tflite cannot be fetched"):
        open_release(URI)


def test_a_release_that_changed_after_its_address_was_set_is_refused(bucket: Any) -> None:
    manifest = (IMAGE_RELEASE / "manifest.json").read_bytes()
    address = f"{URI}#{hashlib.sha256(manifest).hexdigest()}"
    assert open_release(address) == load_release(IMAGE_RELEASE)
    other = json.dumps(json.loads(manifest) | {"version": "other"}).encode()
    bucket.put_object(Key="releases/7/manifest.json", Body=other)
    assert open_release(URI).version == "other"
    with pytest.raises(ReleaseError, match="the release's address says"):
        open_release(address)


def test_an_altered_file_is_refused(bucket: Any) -> None:
    bucket.put_object(Key="releases/7/classifier.tflite", Body=b"something else")
    with pytest.raises(ReleaseError, match="sha256"):
        open_release(URI)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff"])
def test_an_invalid_manifest_is_refused(bucket: Any, body: bytes) -> None:
    bucket.put_object(Key="releases/7/manifest.json", Body=body)
    with pytest.raises(ReleaseError, match="is not a release manifest"):
        open_release(URI)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "..", ""])
def test_a_manifest_cannot_reference_files_outside_its_release(bucket: Any, name: str) -> None:
    manifest = json.loads((IMAGE_RELEASE / "manifest.json").read_text()) | {"files": {name: "0" * 64}}
    bucket.put_object(Key="releases/7/manifest.json", Body=json.dumps(manifest).encode())
    with pytest.raises(ReleaseError, match="is not a plain file name"):
        open_release(URI)
