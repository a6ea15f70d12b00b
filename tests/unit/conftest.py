"""Fixtures that several files share."""

import importlib

import boto3
import pytest
from moto import mock_aws

from functions.portal.settings import read_settings

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
    portal.store.s3.cache_clear()
    return portal


@pytest.fixture
def insights(aws):  # noqa: ARG001 -- sets the environment
    """The empty bucket for feedback, reports and summaries."""
    with mock_aws():
        yield boto3.resource("s3", "us-east-1").create_bucket(Bucket="insights")
