"""Fixtures that several files share."""

import importlib

import boto3
import pytest
from moto import mock_aws

from functions.alerts.store import Store
from functions.portal.settings import read_settings
from maskwatch.cli import main
from tests.alerts import TABLE, create_table
from tests.service import prediction, serving

PORTAL = {
    "UPLOADS_BUCKET": "uploads",
    "RESULTS_BUCKET": "results",
    "INSIGHTS_BUCKET": "insights",
    "ALERTS_TABLE": "alerts",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def portal(monkeypatch):
    """The portal's handler module, freshly imported, without an S3 client."""
    for name, value in PORTAL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it may hold another test's credentials
    portal = importlib.import_module("functions.portal.app")
    monkeypatch.setattr(portal, "settings", read_settings())  # another test may have imported it before
    portal.buckets.s3.cache_clear()
    return portal


@pytest.fixture
def moto(aws):  # noqa: ARG001 -- sets the environment
    """An empty AWS account in this process."""
    with mock_aws():
        yield


@pytest.fixture
def insights(moto):  # noqa: ARG001 -- an AWS account
    """The empty bucket for feedback, reports and compliance counts."""
    return boto3.resource("s3").create_bucket(Bucket="insights")


@pytest.fixture
def store(moto):  # noqa: ARG001 -- an AWS account
    """The empty table of alerts."""
    return Store(create_table(), TABLE, 40)


@pytest.fixture
def service(monkeypatch):
    """A fake API that finds a mask, which the `maskwatch` command asks."""
    with serving() as service:
        monkeypatch.setenv("MASKWATCH_URL", service.url)
        monkeypatch.setenv("MASKWATCH_KEY", "secret")
        service.answer = lambda _: prediction("mask")
        yield service


@pytest.fixture
def command(capsys, service):  # noqa: ARG001 -- it is asked
    """Run the `maskwatch` command; return its exit status, its output and its messages."""

    def run(*arguments):
        try:
            status = main([*map(str, arguments)])
        except SystemExit as end:
            status = end.code
        output = capsys.readouterr()
        return status, output.out, output.err

    return run
