"""How faces are counted by hour and source, and what is written of it."""

import json
from datetime import UTC, date, datetime, timedelta

import boto3
import numpy as np
import pytest
from moto import mock_aws

from functions.drift import compliance
from functions.drift.compliance import Compliance, write
from functions.drift.records import OTHERS, as_record
from tests.records import drawn, parsed

DAY = datetime(2026, 11, 21, tzinfo=UTC)
RNG = np.random.default_rng(0)


def counted(*records):
    summary = Compliance()
    for minutes, options in records:
        summary.add(as_record(parsed(drawn(RNG, DAY + timedelta(minutes=minutes), **options))))
    return summary.days()


def row(hour, source, pictures, faces, **labels):
    return {
        "hour": f"2026-11-21T{hour:02}:00:00Z",
        "source": source,
        "pictures": pictures,
        "faces": faces,
        **{label: labels.get(label, 0) for label in ("mask", "no_mask", "incorrect", "uncertain")},
    }


def test_faces_are_counted_by_hour_and_source():
    days = counted(
        (61, {"label": "mask", "faces": 3}),
        (119, {"label": "no_mask", "faces": 2}),
        (119, {"label": "incorrect", "source": None}),
        (120, {"label": "mask", "min_confidence": 1.1}),
        (0, {"label": "mask", "source": "gate-2"}),
    )
    assert days == {
        DAY.date(): [
            row(0, "gate-2", 1, 1, mask=1),
            row(1, "", 1, 1, incorrect=1),
            row(1, "gate-1", 2, 5, mask=3, no_mask=2),
            row(2, "gate-1", 1, 1, uncertain=1),
        ]
    }


def test_a_picture_without_a_face_is_a_picture():
    assert counted((0, {"faces": 0})) == {DAY.date(): [row(0, "gate-1", 1, 0)]}


def test_a_day_begins_at_midnight_utc():
    days = counted((-1, {}), (0, {}), (24 * 60 - 1, {}), (24 * 60, {}))
    assert {str(day): [row["hour"] for row in rows] for day, rows in days.items()} == {
        "2026-11-20": ["2026-11-20T23:00:00Z"],
        "2026-11-21": ["2026-11-21T00:00:00Z", "2026-11-21T23:00:00Z"],
        "2026-11-22": ["2026-11-22T00:00:00Z"],
    }


def test_sources_without_number_are_pooled(monkeypatch):
    monkeypatch.setattr(compliance, "SOURCES", 2)
    sources = ["a", "b", "c", "d", "a", "c"]
    rows = counted(*((0, {"source": source}) for source in sources))[DAY.date()]
    assert {row["source"]: row["pictures"] for row in rows} == {"a": 2, "b": 1, OTHERS: 3}


@pytest.mark.usefixtures("insights")
def test_a_day_is_one_object():
    s3 = boto3.client("s3", "us-east-1")
    rows = counted((0, {"label": "mask", "source": "Tor 3 ü"}))[DAY.date()]
    key = write(s3, "insights", date(2026, 11, 21), rows, DAY + timedelta(hours=5, milliseconds=3))
    assert key == "compliance/dt=2026-11-21.json"
    answer = s3.get_object(Bucket="insights", Key=key)
    assert answer["ContentType"] == "application/json"
    assert json.loads(answer["Body"].read()) == {
        "date": "2026-11-21",
        "written": "2026-11-21T05:00:00Z",
        "rows": [row(0, "Tor 3 ü", 1, 1, mask=1)],
    }


@pytest.fixture
def insights(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.resource("s3", "us-east-1").create_bucket(Bucket="insights")
        yield
