"""A function's output is in CloudWatch Logs, and its metrics are in CloudWatch."""

import json
import time

from tests.system import eventually


def log_lines(system, name):
    logs = system.client("logs")
    (group,) = [
        group["logGroupName"]
        for group in logs.describe_log_groups()["logGroups"]
        if name in group["logGroupName"]
    ]
    return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]


def test_a_prediction_writes_one_record(system, picture):
    answer = system.predict(picture, "image/jpeg", params={"source": "gate-of-this-test"}).json()

    (line,) = eventually(
        lambda: [line for line in log_lines(system, "PredictLogs") if answer["prediction_id"] in line]
    )

    record = json.loads(line)
    assert record["source"] == "gate-of-this-test"
    assert record["label"] == answer["label"]


def test_a_prediction_is_counted_in_the_metrics(system, picture):
    system.predict(picture, "image/jpeg")
    cloudwatch = system.client("cloudwatch")

    metrics = eventually(lambda: cloudwatch.list_metrics(Namespace="MaskWatch/maskwatch")["Metrics"])

    assert {"Pictures", "Confidence"} <= {metric["MetricName"] for metric in metrics}
    dimensions = next(metric["Dimensions"] for metric in metrics if metric["MetricName"] == "Pictures")
    now = int(time.time())
    points = cloudwatch.get_metric_statistics(
        Namespace="MaskWatch/maskwatch",
        MetricName="Pictures",
        Dimensions=dimensions,
        StartTime=now - 3600,
        EndTime=now + 3600,
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    assert sum(point["Sum"] for point in points) >= 1


def test_each_metric_is_listed_once(system, picture):
    for _ in range(2):
        system.predict(picture, "image/jpeg")
    cloudwatch = system.client("cloudwatch")

    metrics = eventually(lambda: cloudwatch.list_metrics(Namespace="MaskWatch/maskwatch")["Metrics"])

    listed = [(m["MetricName"], str(m["Dimensions"])) for m in metrics]
    assert sorted(listed) == sorted(set(listed))


def test_neither_picture_nor_key_is_logged(system, picture):
    system.predict(picture, "image/jpeg")
    lines = eventually(lambda: log_lines(system, "PredictLogs"))

    assert not [line for line in lines if "x-api-key" in line.lower() or "/9j/" in line]
