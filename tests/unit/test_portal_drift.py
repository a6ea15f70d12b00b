"""`GET /drift` returns the latest drift report unchanged."""

import json

import pytest
from moto import mock_aws

from tests.make_events import CONTEXT, sample_event


@pytest.fixture
def ask(portal):
    """Send the sample event to the handler."""
    event = sample_event("drift-report")
    return lambda: portal.handler(event, CONTEXT)


def test_the_report_is_read_from_the_bucket(ask, insights):
    report = '{"verdict":"drift", "words": "Die Bilder sind 40 % dunkler für mich."}'
    insights.put_object(Key="drift/latest.json", Body=report.encode())

    answer = ask()

    assert (answer["statusCode"], answer["body"]) == (200, report)
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]


@pytest.mark.usefixtures("insights")
def test_without_a_report_the_problem_says_when_there_will_be_one(ask):
    answer = ask()

    assert answer["statusCode"] == 404
    result = json.loads(answer["body"])
    assert result["type"] == "urn:maskwatch:problem:no-report"
    assert "after the first run of Drift" in result["detail"]


@mock_aws
def test_an_unreadable_bucket_is_an_error_and_not_a_missing_report(ask):
    assert ask()["statusCode"] == 500
