"""Fixtures for all tests."""

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import boto3
import botocore.session
import pytest
from PIL import Image

from tests.pictures import encode
from tests.system import ROOT, running

# The groups that take longest start first, so that no process waits for another's last one. A process gets its next
# group when two tests are left: a long group needs more tests than that, or another one waits for it.
LONG_GROUPS = (
    "test_rehearsal",
    "test_batch_chaos",
    "system",
    "training",
    "browser",
    "emulator",
    "moto",
    "test_dvc",
    "test_shipped_detector",
    "test_kills",
    "test_run",
    "test_shipped_accuracy",
    "test_baseline",
)
FOLDERS = ("browser", "emulator")  # whose tests share what they start


# `make test` exports these, and a make that a test starts would read and report them.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)

# A session of boto3 reads megabytes of descriptions of services, and most tests need a session of their own.
botocore.session.create_loader = cache(botocore.session.create_loader)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Collect no garbage while tests are imported: nearly all that they create stays, and looking takes long."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests for pytest-xdist: by file, by folder, or all that share a system, a server or a model."""
    shared = {
        item.path: group
        for fixture, group in (("trained", "training"), ("system", "system"), ("moto_address", "moto"))
        for item in items
        if fixture in item.fixturenames
    }

    def group_of(item: pytest.Item) -> str:
        folder = item.path.parent.name
        return folder if folder in FOLDERS else shared.get(item.path, item.path.stem)

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    order = {group: number for number, group in enumerate(LONG_GROUPS)}
    items.sort(key=lambda item: order.get(group_of(item), len(order)))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long values by their parameter and a number.

    An encoder may write the time into a file, as those of PDF and gzip do: as an id it would differ between the
    processes of pytest-xdist, which then refuses to run.
    """
    return argname if isinstance(val, str | bytes) and len(val) > 60 else None


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real pictures: MASKWATCH_DATA, by default next to the checkout."""
    folder = Path(os.environ.get("MASKWATCH_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "crops" / "test").is_dir():
        pytest.skip(f"needs real pictures in {folder} (set MASKWATCH_DATA)")
    return folder


@pytest.fixture(scope="session")
def system():
    """The running system that all tests of a process share; no test may stop it."""
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def picture():
    """A JPEG of 160 x 120 pixels that is not blank."""
    gradient = Image.linear_gradient("L").resize((160, 120))
    return encode(Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.ROTATE_180), gradient)))


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """Fake credentials and a region, without the machine's own AWS configuration."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # drops the session of an earlier test
