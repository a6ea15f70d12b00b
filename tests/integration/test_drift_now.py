"""`make drift` on the local stack reads the records of predictions, and writes a report and metrics."""

import json
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import pytest

from tests.system import eventually

pytestmark = pytest.mark.skipif(not find_spec("evidently"), reason="needs what make drift installs")


@pytest.fixture
def command(system):
    """Run an operator's command on the local stack."""
    return lambda name, *arguments: system.operate(name, "--stack", "maskwatch", *arguments)


def test_it_prints_the_findings_and_the_report_s_location(system, picture, command, tmp_path):
    answer = system.predict(picture, "image/jpeg", params={"source": "drift-gate"}).json()
    wait_for_record(system, answer["prediction_id"])
    report = tmp_path / "new" / "report.html"

    done = command("drift", "--out", str(report))

    assert done.returncode == 0, done.stderr
    outputs = system.outputs
    assert " predictions from 20" in done.stdout.splitlines()[0]
    assert f"Report: {report} (s3://{outputs['InsightsBucket']}/drift/" in done.stdout
    assert report.read_text().startswith("<!")
    stored = system.client("s3").get_object(Bucket=outputs["InsightsBucket"], Key="drift/latest.json")
    assert json.loads(stored["Body"].read())["counts"]["records"] >= 1


def test_its_metrics_are_in_cloudwatch_as_the_alarms_expect(system, command, tmp_path):
    assert command("drift", "--out", str(tmp_path / "report.html")).returncode == 0
    cloudwatch = system.client("cloudwatch")

    found = eventually(
        lambda: cloudwatch.list_metrics(Namespace="MaskWatch/maskwatch", MetricName="RunTime")["Metrics"]
    )

    (watched,) = cloudwatch.describe_alarms(AlarmNames=["maskwatch-DriftMissingAlarm"])["MetricAlarms"]
    assert [metric["Dimensions"] for metric in found] == [watched["Dimensions"]]


def test_an_invalid_window_is_refused_with_the_reason(command):
    done = command("drift", "--hours", "-1")

    assert done.returncode == 1
    assert "`hours` must be a number above 0" in done.stderr


def test_too_few_records_give_no_baseline(command):
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    done = command("baseline", "--from", f"{tomorrow:%F}", "--to", f"{tomorrow + timedelta(days=1):%F}")

    assert done.returncode == 1
    assert "a baseline needs at least" in done.stderr


def wait_for_record(system, prediction_id):
    """Wait until a prediction is in the log, from which it is delivered to S3 at once."""
    logs = system.client("logs")
    group = system.outputs["PredictLogs"]
    eventually(
        lambda: any(
            prediction_id in event["message"]
            for event in logs.filter_log_events(logGroupName=group)["events"]
        )
    )
