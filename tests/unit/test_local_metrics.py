"""Embedded metrics (EMF) become what PutMetricData would have sent."""

import json

import pytest

from infra.local.logs import Metric, embedded_metrics

RECORD = {
    "_aws": {
        "Timestamp": 1_700_000_000_500,
        "CloudWatchMetrics": [
            {
                "Namespace": "MaskWatch",
                "Dimensions": [["route"], ["route", "model"]],
                "Metrics": [{"Name": "Time", "Unit": "Milliseconds"}, {"Name": "Faces"}],
            }
        ],
    },
    "route": "/predict",
    "model": "1",
    "Time": 3.5,
    "Faces": [1, 2],
}


def test_every_value_is_counted_in_every_set_of_dimensions():
    found = embedded_metrics(json.dumps(RECORD))

    route, both = (("route", "/predict"),), (("route", "/predict"), ("model", "1"))
    second = 1_700_000_000
    assert found == [
        (Metric("MaskWatch", name, dimensions, unit, second), value)
        for dimensions in (route, both)
        for name, unit, value in [
            ("Time", "Milliseconds", 3.5),
            ("Faces", "None", 1.0),
            ("Faces", "None", 2.0),
        ]
    ]


@pytest.mark.parametrize(
    "line",
    [
        "a line",
        "",
        '{"level": "INFO"}',
        '{"_aws": {"CloudWatchMetrics": 5}}',
        '{"_aws": {"CloudWatchMetrics"',
        json.dumps({**RECORD, "Time": "fast"}),
        json.dumps({key: value for key, value in RECORD.items() if key != "route"}),
    ],
)
def test_other_lines_have_no_metrics(line):
    assert embedded_metrics(line) == []
