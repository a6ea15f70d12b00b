"""Faces and people are counted by hour and source, and written as a file per day."""

import json
from datetime import UTC, date, datetime, timedelta

import boto3
import numpy as np
import pytest

from functions.drift import compliance
from functions.drift.compliance import Compliance, confusion_of, write
from functions.shared.contract import COMPLIANCE_COUNTS
from functions.shared.record import parse_record
from tests.records import drawn, parsed

DAY = datetime(2026, 11, 21, tzinfo=UTC)
RNG = np.random.default_rng(0)


def counted(*records):
    counted = Compliance()
    for minutes, options in records:
        counted.add(parse_record(parsed(drawn(RNG, DAY + timedelta(minutes=minutes), **options))))
    return counted.days()


def row(hour, source, pictures, faces, **labels):
    return {
        "hour": f"2026-11-21T{hour:02}:00:00Z",
        "source": source,
        "pictures": pictures,
        "faces": faces,
        **{name: labels.get(name, 0) for name in COMPLIANCE_COUNTS[2:]},
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
            row(0, "gate-2", 1, 1, mask=1, minutes=1),
            row(1, "", 1, 1, incorrect=1, minutes=1),
            row(1, "gate-1", 2, 5, mask=3, no_mask=2, minutes=2),
            row(2, "gate-1", 1, 1, uncertain=1, minutes=1),
        ]
    }


def test_a_picture_without_a_face_counts_as_a_picture():
    assert counted((0, {"faces": 0})) == {DAY.date(): [row(0, "gate-1", 1, 0)]}


def test_a_day_begins_at_midnight_utc():
    days = counted((-1, {}), (0, {}), (24 * 60 - 1, {}), (24 * 60, {}))
    assert {str(day): [row["hour"] for row in rows] for day, rows in days.items()} == {
        "2026-11-20": ["2026-11-20T23:00:00Z"],
        "2026-11-21": ["2026-11-21T00:00:00Z", "2026-11-21T23:00:00Z"],
        "2026-11-22": ["2026-11-22T00:00:00Z"],
    }


def test_junk_sources_are_pooled_and_do_not_displace_real_ones(monkeypatch):
    monkeypatch.setattr(compliance, "MAX_SOURCES", 10)
    real = [(0, {"source": source}) for source in ("a", "b") for _ in range(60)]
    junk = [(number % 60, {"source": f"junk-{number}"}) for number in range(100)]
    order = np.random.default_rng(1).permutation(220).tolist()
    rows = counted(*([*real, *junk][number] for number in order))[DAY.date()]
    pictures = {row["source"]: row["pictures"] for row in rows}
    assert (pictures["a"], pictures["b"]) == (60, 60)
    assert len(pictures) == 11
    assert sum(pictures.values()) == 220


def test_people_are_counted_once_per_stay_at_its_start_with_the_label_of_most_frames():
    labels = ["mask", "no_mask", "mask"]
    rows = counted(
        *((59 + number, {"label": label, "track": "1", "faces": 2}) for number, label in enumerate(labels)),
        (59, {"label": "no_mask", "track": "2"}),
        (59, {"label": "no_mask", "track": "1", "source": "gate-2"}),
        (58, {"label": "incorrect"}),
        (58, {"faces": 0, "track": "3"}),
    )[DAY.date()]
    people = {
        (row["hour"][11:13], row["source"]): (row["people"], row["people_mask"], row["people_no_mask"])
        for row in rows
    }
    assert people == {("00", "gate-1"): (2, 1, 1), ("01", "gate-1"): (0, 0, 0), ("00", "gate-2"): (1, 0, 1)}
    assert sum(row["faces"] for row in rows) == 9


def test_a_stay_goes_on_over_midnight_and_a_track_that_is_used_again_is_another():
    """Many cameras count people from 1 every morning, and after a failure."""
    days = counted(
        *((minute, {"track": "1"}) for minute in (8 * 60, 10 * 60, 23 * 60 + 50, 24 * 60 + 40, 32 * 60))
    )
    people = {row["hour"][8:13]: row["people"] for rows in days.values() for row in rows}
    assert people == {"21T08": 1, "21T10": 1, "21T23": 1, "22T00": 0, "22T08": 1}


def test_the_people_of_one_day_do_not_displace_those_of_another(monkeypatch):
    monkeypatch.setattr(compliance, "MAX_STAYS", 3)
    counted, yesterday = Compliance(), DAY - timedelta(days=1)
    for when, count in ((DAY, 5), (yesterday, 3)):  # the latest are read first
        for number in range(count):
            counted.add(parse_record(parsed(drawn(RNG, when, track=f"{when:%d}-{number}"))))
    people = {day: sum(row["people"] for row in rows) for day, rows in counted.days().items()}
    assert people == {DAY.date(): 3, yesterday.date(): 3}
    assert counted.crowded == {DAY.date()}


def test_pictures_of_a_day_are_counted_by_release():
    counted = Compliance()
    for version in ("1", "2", "2"):
        counted.add(parse_record(parsed(drawn(RNG, DAY, version=version))))
    assert counted.versions() == {DAY.date(): {"1": 1, "2": 2}}


MATRIX = [[9, 1, 0], [0, 8, 0], [1, 0, 7]]
OTHER = [[5, 1, 0], [0, 5, 0], [1, 0, 5]]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"served": {"confusion": MATRIX}, "confusion": OTHER}, MATRIX),
        ({"confusion": MATRIX}, None),  # of the classifier alone
        ({"served": [MATRIX]}, None),
        *(
            ({"served": {"confusion": wrong}}, None)
            for wrong in (
                None,
                {},
                [],
                [[1]],
                [[1], [2], [3]],
                [1, 2, 3],
                [[1, 2, "3"]] * 3,
                [[1, 2, -3]] * 3,
            )
        ),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_only_a_confusion_matrix_of_all_labels_corrects_shares(metrics, expected):
    assert confusion_of({"version": "1.0.0", "metrics": metrics}) == expected


@pytest.mark.usefixtures("insights")
def test_a_day_is_written_as_one_object():
    s3 = boto3.client("s3", "us-east-1")
    rows = counted((0, {"label": "mask", "source": "Tor 3 ü"}))[DAY.date()]
    key = write(
        s3, "insights", date(2026, 11, 21), rows, DAY + timedelta(hours=5, milliseconds=3), "2.1.0", {}
    )
    assert key == "compliance/dt=2026-11-21.json"
    answer = s3.get_object(Bucket="insights", Key=key)
    assert answer["ContentType"] == "application/json"
    assert json.loads(answer["Body"].read()) == {
        "date": "2026-11-21",
        "written": "2026-11-21T05:00:00Z",
        "model_version": "2.1.0",
        "confusion": None,
        "rows": [row(0, "Tor 3 ü", 1, 1, mask=1, minutes=1)],
    }


@pytest.mark.usefixtures("insights")
@pytest.mark.parametrize("existing", [b"", b"[]", b'{"rows": [{}]}', b"\xff"])
def test_only_a_file_of_more_pictures_is_kept(existing):
    s3, day = boto3.client("s3", "us-east-1"), DAY.date()
    s3.put_object(Bucket="insights", Key=f"compliance/dt={day}.json", Body=existing)
    few, more = (counted(*[(0, {"label": "mask"})] * count)[day] for count in (1, 2))
    assert write(s3, "insights", day, few, DAY, None, {})
    assert write(s3, "insights", day, more, DAY, None, {})
    assert write(s3, "insights", day, few, DAY, None, {}) is None
    assert write(s3, "insights", day, more, DAY, None, {})


@pytest.mark.usefixtures("insights")
@pytest.mark.parametrize(
    ("version", "known", "expected"),
    [
        ("1", {"2": OTHER}, MATRIX),
        ("1", {"1": OTHER}, OTHER),
        ("2", {"2": OTHER}, OTHER),
        ("3", {"2": OTHER}, None),
    ],
)
def test_a_day_keeps_the_confusion_matrix_of_a_release_that_serves_no_longer(version, known, expected):
    s3, day = boto3.client("s3", "us-east-1"), DAY.date()
    rows = counted((0, {}))[day]
    for release, confusions in (("1", {"1": MATRIX}), (version, known)):
        key = write(s3, "insights", day, rows, DAY, release, confusions)
    assert json.loads(s3.get_object(Bucket="insights", Key=key)["Body"].read())["confusion"] == expected


@pytest.mark.usefixtures("insights")
def test_the_confusion_matrix_of_an_older_file_without_a_release_is_kept():
    s3, day = boto3.client("s3", "us-east-1"), DAY.date()
    key, rows = f"compliance/dt={day}.json", counted((0, {}))[day]
    s3.put_object(Bucket="insights", Key=key, Body=json.dumps({"confusion": MATRIX, "rows": rows}).encode())
    write(s3, "insights", day, rows, DAY, "1", {"2": OTHER})
    assert json.loads(s3.get_object(Bucket="insights", Key=key)["Body"].read())["confusion"] == MATRIX
