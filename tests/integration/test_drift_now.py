"""`make drift` on the stack of `make run`: predictions become records, and these a report and figures."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from infra.ops.stack import stack_outputs
from tests.conftest import ROOT

pytest.importorskip("evidently", reason="needs what make drift installs")


@pytest.fixture
def command(system):
    """Run one of infra's commands as make does, on the local stack."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": system.moto,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def run(name, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "infra.ops", name, "--stack", "maskwatch", *arguments],
            cwd=ROOT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_it_says_what_it_found_and_where_the_report_is(system, picture, command, tmp_path):
    answer = system.predict(picture, "image/jpeg", params={"source": "drift-gate"}).json()
    wait_for_record(system, answer["prediction_id"])
    report = tmp_path / "new" / "report.html"

    done = command("drift", "--out", str(report))

    assert done.returncode == 0, done.stderr
    outputs = stack_outputs("maskwatch", system.client("cloudformation"))
    assert " predictions from 20" in done.stdout.splitlines()[0]
    assert f"Report: {report} (s3://{outputs['InsightsBucket']}/drift/" in done.stdout
    assert report.read_text().startswith("<!")
    stored = system.client("s3").get_object(Bucket=outputs["InsightsBucket"], Key="drift/latest.json")
    assert json.loads(stored["Body"].read())["counts"]["records"] >= 1


def test_its_figures_are_in_cloudwatch_as_the_alarms_expect_them(system, command, tmp_path):
    assert command("drift", "--out", str(tmp_path / "report.html")).returncode == 0
    cloudwatch = system.client("cloudwatch")

    for _ in range(100):
        found = cloudwatch.list_metrics(Namespace="MaskWatch/maskwatch", MetricName="RunTime")["Metrics"]
        if found:
            break
        time.sleep(0.1)

    (watched,) = cloudwatch.describe_alarms(AlarmNames=["maskwatch-DriftMissingAlarm"])["MetricAlarms"]
    assert [metric["Dimensions"] for metric in found] == [watched["Dimensions"]]


def test_a_window_that_is_none_is_refused_with_the_reason(command):
    done = command("drift", "--hours", "-1")

    assert done.returncode == 1
    assert "`hours` must be a number above 0" in done.stderr


def test_too_few_records_make_no_baseline(command):
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    done = command("baseline", "--from", f"{tomorrow:%F}", "--to", f"{tomorrow + timedelta(days=1):%F}")

    assert done.returncode == 1
    assert "a baseline needs at least" in done.stderr


def wait_for_record(system, prediction_id):
    """Return when a prediction is in the log, from where it goes on to S3 at once."""
    logs = system.client("logs")
    group = stack_outputs("maskwatch", system.client("cloudformation"))["PredictLogs"]
    for _ in range(100):
        if any(
            prediction_id in event["message"]
            for event in logs.filter_log_events(logGroupName=group)["events"]
        ):
            return
        time.sleep(0.1)
    raise AssertionError("the prediction left no record")
