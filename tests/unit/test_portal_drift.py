"""The latest report on drift, handed on as it was written."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from moto import mock_aws

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ask(portal):
    """Let API Gateway hand the sample event on."""
    event = json.loads((ROOT / "events" / "drift-report.json").read_text())
    return lambda: portal.handler(event, SimpleNamespace(aws_request_id="1"))


def test_the_report_is_that_of_the_bucket(ask, insights):
    report = '{"verdict":"drift", "words": "Die Bilder sind 40 % dunkler für mich."}'
    insights.put_object(Key="drift/latest.json", Body=report.encode())

    answer = ask()

    assert (answer["statusCode"], answer["body"]) == (200, report)
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]


@pytest.mark.usefixtures("insights")
def test_before_there_is_one_a_problem_says_when_it_comes(ask):
    answer = ask()

    assert answer["statusCode"] == 404
    result = json.loads(answer["body"])
    assert result["type"] == "urn:maskwatch:problem:no-report"
    assert "first comes when" in result["detail"]


@mock_aws
def test_a_bucket_that_cannot_be_read_is_no_missing_report(ask):
    assert ask()["statusCode"] == 500
