"""Predict's metrics are in CloudWatch, each once."""

import time

from tests.system import eventually


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
