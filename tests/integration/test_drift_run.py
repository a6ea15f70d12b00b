"""A whole run of Drift: from records, feedback and a baseline in S3 to compliance counts, a report and metrics."""

import gzip
import importlib
import itertools
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError

from functions.drift import baseline, html, run
from functions.drift.sample import Sampler
from functions.drift.settings import read_settings
from functions.shared import release_files
from functions.shared import s3 as objects
from functions.shared.contract import LABELS
from functions.shared.record import parse_record
from infra.local.logs import embedded_metrics
from tests.make_events import sample_event
from tests.records import drawn, parsed, refused
from tests.system import CREDENTIALS

END = datetime(2026, 11, 21, 9, tzinfo=UTC)  # of the sample event
BASELINE = "baseline/usual.json"
ENVIRONMENT = {
    "RECORDS_BUCKET": "records",
    "INSIGHTS_BUCKET": "insights",
    "BASELINE_URI": f"s3://insights/{BASELINE}",
    "POWERTOOLS_METRICS_NAMESPACE": "MaskWatch/dev",
    "POWERTOOLS_SERVICE_NAME": "drift",
    **CREDENTIALS,
}
USUAL = [0.6, 0.3, 0.1]


@pytest.fixture
def s3(moto):
    client = boto3.Session("local", "local", region_name="us-east-1").client("s3", endpoint_url=moto)
    for bucket in ("records", "insights"):
        client.create_bucket(Bucket=bucket)
    yield client
    for bucket in ("records", "insights"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=found["Key"])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def store(s3):
    """Store records as Firehose does: under the day of arrival, by default the day of the record."""

    def put(lines, name="stream-1", arrived=None):
        by_day = {}
        for line in lines:
            by_day.setdefault(arrived or parsed(line)["time"][:10], []).append(line)
        for day, of_day in by_day.items():
            body = gzip.compress("".join(of_day).encode())
            s3.put_object(Bucket="records", Key=f"dt={day}/{name}.gz", Body=body)

    return put


@pytest.fixture
def say(s3):
    def put(name, label, day="2026-11-21", **more):
        body = {"prediction_id": name, "label": label, "time": f"{day}T08:00:00.000+00:00"} | more
        s3.put_object(Bucket="insights", Key=f"feedback/dt={day}/{name}.json", Body=json.dumps(body).encode())

    return put


@pytest.fixture(scope="module")
def usual():
    """A baseline with references of two sources."""
    rng, sampler = np.random.default_rng(0), Sampler()
    for day in range(30, 36):
        for source in ("gate-1", "gate-2"):
            for line in pictures(rng, 150, END - timedelta(days=day), source=source):
                sampler.add(parse_record(parsed(line)))
    return baseline.build("1.0.0", list(sampler.days().values())).to_json().encode()


@pytest.fixture(autouse=True)
def stored_baseline(s3, usual):
    s3.put_object(Bucket="insights", Key=BASELINE, Body=usual)


@pytest.fixture
def drift(s3, moto, monkeypatch, capsys):
    """Invoke the handler; return its answer, its metrics and the files that it wrote."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": moto}.items():
        monkeypatch.setenv(name, value)
    app = importlib.import_module("functions.drift.app")
    monkeypatch.setattr(app, "s3", s3)

    def invoke(event=None, seconds=900.0, *, evidently=False, **environment):
        if not evidently:  # its report takes seconds
            monkeypatch.setattr(html, "_evidently", lambda *_: [])
        settings = read_settings({**ENVIRONMENT, **environment})
        monkeypatch.setattr(app, "settings", settings)
        capsys.readouterr()
        event = sample_event("drift") if event is None else event
        left = (
            itertools.chain(seconds, itertools.repeat(0))
            if isinstance(seconds, list)
            else itertools.repeat(seconds)
        )
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: int(next(left) * 1000))
        answer = app.handler(event, context)
        metrics = {}
        for line in capsys.readouterr().out.splitlines():
            for metric, value in embedded_metrics(line):
                metrics.setdefault(metric.dimensions, {})[metric.name] = value
        return SimpleNamespace(answer=json.loads(json.dumps(answer)), metrics=metrics, files=files(s3))

    return invoke


def files(s3):
    """Return the reports and compliance files in the insights bucket by key."""
    listed = s3.list_objects_v2(Bucket="insights").get("Contents", [])
    return {
        found["Key"]: s3.get_object(Bucket="insights", Key=found["Key"])["Body"].read().decode()
        for found in listed
        if not found["Key"].startswith(("feedback/", "baseline/"))
    }


def pictures(rng, count, end=END, hours=24, chances=USUAL, **options):
    """Return records at regular intervals in the hours before `end`."""
    step = timedelta(hours=hours) / count
    times = (end - step * (number + 1) for number in range(count))
    return [drawn(rng, time, label=str(rng.choice(LABELS, p=chances)), **options) for time in times]


def result(line):
    record = parsed(line)
    return record["prediction_id"], record["label"]


def test_a_usual_day_is_ok(drift, store, say, rng):
    lines = pictures(rng, 600) + pictures(rng, 400, source="gate-2")
    store(lines)
    for line in lines[:100]:
        say(*result(line))
    name, label = result(lines[0])
    say(name, LABELS[LABELS.index(label) - 1])
    found = drift(evidently=True)
    assert found.answer["verdict"] == "ok"
    assert set(found.files) == {
        "compliance/dt=2026-11-20.json",
        "compliance/dt=2026-11-21.json",
        "drift/20261121T090000Z/report.html",
        "drift/20261121T090000Z/report.json",
        "drift/latest.html",
        "drift/latest.json",
    }
    assert set(found.answer["written"]) == set(found.files)
    latest = json.loads(found.files["drift/latest.json"])
    assert latest["window"] == {"from": "2026-11-20T09:00:00Z", "to": "2026-11-21T09:00:00Z"}
    assert latest["verdict"] == "ok"
    assert latest["counts"]["records"] == 1000
    assert latest["baseline"] == {"uri": f"s3://insights/{BASELINE}", "model_version": "1.0.0", "own": True}
    assert latest["notes"] == []
    assert (latest["accuracy"]["chosen"]["n"], latest["accuracy"]["chosen"]["of"]) == (100, 1000)
    assert latest["accuracy"]["chosen"]["accuracy"]["value"] == 0.99
    assert latest["accuracy"]["chosen"]["bounds"] == [0.099, 0.999]
    assert set(latest["sources"]) >= {"gate-1", "gate-2"}
    assert found.files["drift/20261121T090000Z/report.json"] == found.files["drift/latest.json"]
    assert found.files["drift/20261121T090000Z/report.html"] == found.files["drift/latest.html"]
    page = found.files["drift/latest.html"]
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "Evidently" in page
    for address in ('src="http', "src='http", 'rel="stylesheet" href="http'):
        assert address not in page
    overall = found.metrics[("service", "drift"),]
    assert overall["DriftVerdict"] == 0
    assert (overall["Records"], overall["CorruptRecords"]) == (1000, 0)
    assert "Accuracy" not in overall  # labels that people chose raise no alarm
    assert {"InputDrift", "EmbeddingDrift", "PredictionDrift", "ConfidenceDrop", "RunTime"} <= set(overall)
    assert found.metrics[("source", "gate-1"),]["DriftVerdict"] == 0


def compliance_rows(files):
    """Return the rows of all compliance files among the files that a run wrote."""
    return [
        row
        for key, text in files.items()
        if key.startswith("compliance/")
        for row in json.loads(text)["rows"]
    ]


def test_compliance_counts_every_face_once(drift, store, rng):
    lines = pictures(rng, 200, hours=48) + pictures(rng, 50, source=None, faces=3) + pictures(rng, 5, faces=0)
    store(lines)
    store(lines[:100], "again")
    found = drift()
    rows = compliance_rows(found.files)
    faces = Counter(face["label"] for line in lines for face in parsed(line)["faces"])
    assert {label: sum(row[label] for row in rows) for label in LABELS} == dict(faces)
    assert sum(row["pictures"] for row in rows) == len(lines)
    hours = Counter((parsed(line)["time"][:13], parsed(line)["source"] or "") for line in lines)
    assert {(row["hour"][:13], row["source"]): row["pictures"] for row in rows} == dict(hours)


def test_a_stay_that_began_before_the_first_day_does_not_count_again(drift, store, rng):
    midnight = datetime(2026, 11, 14, tzinfo=UTC)  # of the first day
    store([drawn(rng, midnight + timedelta(minutes=minute), track="1") for minute in (-1, 0, 1)])
    store([drawn(rng, midnight, track="2")], "another person")

    (row,) = compliance_rows(drift().files)
    assert (row["pictures"], row["people"]) == (3, 1)


def test_changed_pictures_and_labels_are_drift(drift, store, rng):
    store(pictures(rng, 600) + pictures(rng, 500, source="gate-2", shift=3.0, chances=[0.1, 0.8, 0.1]))
    found = drift()
    assert found.answer["verdict"] == "ok"
    latest = json.loads(found.files["drift/latest.json"])
    assert {(one["source"], one["confirmed"]) for one in latest["findings"]} == {("gate-2", False)}
    assert latest["sources"]["gate-2"]["status"] == "suspected"
    store(
        pictures(rng, 200, END - timedelta(days=1), source="gate-2", shift=3.0, chances=[0.1, 0.8, 0.1])
        + pictures(rng, 200, END - timedelta(days=2), source="gate-2", shift=3.0, chances=[0.1, 0.8, 0.1]),
        "before",
    )
    found = drift()
    assert found.answer["verdict"] == "drift"
    assert found.metrics[("service", "drift"),]["DriftVerdict"] == 1
    assert found.metrics[("source", "gate-1"),]["DriftVerdict"] == 0
    assert found.metrics[("source", "gate-2"),]["DriftVerdict"] == 1


def test_the_same_window_twice_gives_the_same_files(drift, store, say, rng):
    lines = pictures(rng, 300)
    store(lines)
    for line in lines[:50]:
        say(*result(line))

    def comparable(found):
        kept = {}
        for key, text in found.files.items():
            if key.endswith(".json"):
                kept[key] = json.loads(text)
                kept[key].pop("written", None)
        return kept

    first = drift()
    second = drift()
    assert comparable(first) == comparable(second)
    assert set(first.files) == set(second.files)


def test_a_window_without_records_is_reported(drift):
    found = drift()
    assert found.answer["verdict"] == "not enough"
    assert found.answer["counts"]["records"] == 0
    assert "no record in the window" in found.answer["notes"][0]
    assert not any(key.startswith("compliance/") for key in found.files)
    assert "no record in the window" in found.files["drift/latest.html"]
    assert found.metrics == {
        (("service", "drift"),): {
            "Records": 0,
            "CorruptRecords": 0,
            **{
                name: value
                for name, value in found.metrics[("service", "drift"),].items()
                if name != "DriftVerdict"
            },
        }
    }


@pytest.mark.parametrize("existing", [None, b"", b"[]", b"{}"])
def test_an_unreadable_baseline_fails_the_run_after_the_rest_is_done(s3, drift, store, say, rng, existing):
    if existing is not None:
        s3.put_object(Bucket="insights", Key="baseline/other.json", Body=existing)
    lines = pictures(rng, 200)
    store(lines)
    for line in lines[:30]:
        say(*result(line))
    with pytest.raises(
        run.BaselineError, match=r"s3://insights/baseline/other\.json (does not exist|cannot be read)"
    ):
        drift(BASELINE_URI="s3://insights/baseline/other.json")
    found = files(s3)
    assert "compliance/dt=2026-11-21.json" in found
    latest = json.loads(found["drift/latest.json"])
    assert (latest["verdict"], latest["baseline"]) == ("no baseline", None)
    assert latest["accuracy"]["chosen"]["n"] == 30
    assert "no baseline" in found["drift/latest.html"].lower()


def test_a_baseline_to_which_access_is_denied_fails_the_run(s3, drift, store, rng, monkeypatch):
    store(pictures(rng, 100))

    def refuse(client, bucket, key):
        if key.startswith("models/"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")
        return objects.read(client, bucket, key)

    monkeypatch.setattr(release_files, "read", refuse)
    with pytest.raises(run.BaselineError, match="AccessDenied"):
        drift(BASELINE_URI="", MODEL_URI="s3://records/models/2/")
    assert "compliance/dt=2026-11-21.json" in files(s3)


def test_the_baseline_is_that_of_the_release_unless_the_settings_name_another(
    s3, drift, store, rng, tmp_path, monkeypatch
):
    text = s3.get_object(Bucket="insights", Key=BASELINE)["Body"].read()
    store(pictures(rng, 200) + pictures(rng, 200, source="gate-2"))
    s3.put_object(Bucket="records", Key="models/2/baseline.json", Body=text)
    (tmp_path / "baseline.json").write_bytes(text)
    monkeypatch.setattr(release_files, "IMAGE_RELEASE", tmp_path)
    for environment, uri in (
        ({"BASELINE_URI": "", "MODEL_URI": "s3://records/models/2/"}, "s3://records/models/2/baseline.json"),
        ({"BASELINE_URI": "", "MODEL_URI": str(tmp_path)}, f"{tmp_path}/baseline.json"),
        ({"BASELINE_URI": ""}, "of the release in the image"),
        ({"MODEL_URI": "s3://records/models/2/"}, f"s3://insights/{BASELINE}"),
    ):
        found = drift(**environment)
        assert found.answer["verdict"] == "ok"
        assert json.loads(found.files["drift/latest.json"])["baseline"]["uri"] == uri
    (tmp_path / "baseline.json").unlink()
    found = drift(BASELINE_URI="")
    assert found.answer["verdict"] == "no baseline"
    assert "There is no baseline to compare with" in found.answer["notes"][0]
    with pytest.raises(run.BaselineError, match="NoSuchBucket"):
        drift(BASELINE_URI="s3://nowhere/baseline.json")


def test_another_release_than_the_baseline_s_gives_the_verdict_other_version(drift, store, rng):
    old = pictures(rng, 300, END - timedelta(hours=12), hours=12)
    store(old + pictures(rng, 300, hours=12, version="2.0.0", shift=3.0))
    found = drift()
    assert found.answer["verdict"] == "other version"
    assert found.answer["counts"]["other_versions"] == 300
    assert (
        "Release 2.0.0 serves, but the baseline is of release 1.0.0: 300 of 600" in found.answer["notes"][0]
    )
    assert found.metrics[("service", "drift"),]["OtherVersion"] == 1
    assert "DriftVerdict" not in found.metrics[("service", "drift"),]


def test_records_of_an_older_release_are_left_out_and_reported(drift, store, rng):
    old = pictures(rng, 300, END - timedelta(hours=12), hours=12, version="0.9.0", shift=3.0)
    store(old + pictures(rng, 300, hours=12) + pictures(rng, 300, source="gate-2", hours=12))
    found = drift()
    assert found.answer["verdict"] == "ok"
    assert "300 of 900 records in the window are of another release" in found.answer["notes"][0]
    assert found.metrics[("service", "drift"),]["OtherVersion"] == 0


def test_records_count_by_their_time_and_not_by_their_arrival(drift, store, rng):
    store(pictures(rng, 50, END - timedelta(hours=20), hours=3), arrived="2026-11-21")  # a day late
    store(pictures(rng, 10, END - timedelta(hours=32), hours=1), "other", arrived="2026-11-20")
    store(pictures(rng, 7, END + timedelta(hours=5), hours=4), "after", arrived="2026-11-21")
    found = drift()
    assert (found.answer["counts"]["records"], found.answer["counts"]["outside"]) == (50, 17)
    rows = {
        day: json.loads(found.files[f"compliance/dt={day}.json"])["rows"]
        for day in ("2026-11-20", "2026-11-21")
    }
    assert {day: sum(row["pictures"] for row in of_day) for day, of_day in rows.items()} == {
        "2026-11-20": 60,
        "2026-11-21": 7,  # a file has all records of the day, also after the window's end
    }


def test_records_that_are_copied_from_the_log_count_on_their_days_and_once(s3, drift, store, rng):
    """As the runbook does it, for RecordsMissingAlarm: lines under the last day of the gap."""
    lines = pictures(rng, 48, datetime(2026, 11, 21, tzinfo=UTC), hours=48)
    store(lines[:10])
    s3.put_object(
        Bucket="records", Key="dt=2026-11-20/recovered-PredictLogs.json", Body="".join(lines).encode()
    )

    found = drift({"to": "2026-11-21T00:00:00Z"})

    for day in ("2026-11-19", "2026-11-20"):
        rows = json.loads(found.files[f"compliance/dt={day}.json"])["rows"]
        assert sum(row["pictures"] for row in rows) == 24


def uploaded(lines, ago, **more):
    """Yield records of pictures that were uploaded some time before they were scored."""
    for line in lines:
        record = parsed(line)
        upload_time = datetime.fromisoformat(record["time"]) - ago
        yield json.dumps(record | {"uploaded": upload_time.isoformat()} | more) + "\n"


def test_pictures_of_a_backfill_count_at_the_time_of_their_upload(drift, store, rng):
    store(pictures(rng, 100) + list(uploaded(pictures(rng, 60, hours=1, shift=9.0), timedelta(days=365))))
    store(list(uploaded(pictures(rng, 30, hours=1), timedelta(days=2))), "of two days before")

    found = drift()

    assert json.loads(found.files["drift/latest.json"])["counts"]["records"] == 100
    rows = json.loads(found.files["compliance/dt=2026-11-19.json"])["rows"]
    assert sum(row["pictures"] for row in rows) == 30
    assert sorted(key for key in found.files if key.startswith("compliance/")) == [
        "compliance/dt=2026-11-19.json",
        "compliance/dt=2026-11-20.json",
        "compliance/dt=2026-11-21.json",
    ]


def test_a_run_on_an_older_window_counts_pictures_that_were_scored_weeks_after_their_upload(
    drift, store, rng
):
    store(list(uploaded(pictures(rng, 30, hours=1), timedelta(days=600))), arrived="2025-04-29")

    found = drift({"to": "2025-04-01", "hours": 24})

    rows = json.loads(found.files["compliance/dt=2025-03-31.json"])["rows"]
    assert sum(row["pictures"] for row in rows) == 30


def test_rescored_pictures_count_once(drift, store, rng):
    lines = pictures(rng, 80)
    again = [
        json.dumps(parsed(line) | {"prediction_id": f"{number:08x}-again", "model_version": "2.0.0"}) + "\n"
        for number, line in enumerate(lines)
    ]
    store(list(uploaded(lines, timedelta(0))))
    store(list(uploaded(again, timedelta(0), rescored=True)), "again")

    found = drift()

    rows = compliance_rows(found.files)
    assert sum(row["pictures"] for row in rows) == 80


def test_damage_is_compared_with_the_records_of_the_same_days(drift, store, rng):
    store([*pictures(rng, 100, END - timedelta(days=3)), "nonsense\n"], arrived="2026-11-18")
    measured = drift().metrics[("service", "drift"),]
    assert (measured["Records"], measured["CorruptRecords"]) == (100, 1)


def test_damage_is_reported(s3, drift, store, rng):
    lines = pictures(rng, 400)
    bad = ["nonsense\n", lines[200][:300] + "\n", refused(END - timedelta(hours=1))]
    store([*lines[:200], *bad], arrived="2026-11-20")
    body = gzip.compress("".join(lines[201:]).encode())
    s3.put_object(Bucket="records", Key="dt=2026-11-21/torn.gz", Body=body[: len(body) // 2])
    found = drift()
    counts = found.answer["counts"]
    assert (counts["corrupt"], counts["damaged"], counts["rejected"]) == (3, 1, 1)
    assert 250 < counts["records"] < 399
    assert any("1 of 2 stored objects were truncated or corrupted" in note for note in found.answer["notes"])
    measured = found.metrics[("service", "drift"),]
    assert measured["CorruptRecords"] == 3 + round(measured["Records"] / 2)


def test_records_without_features_are_reported(drift, store, rng):
    lines = [json.dumps(dict(parsed(line), projection=[])) + "\n" for line in pictures(rng, 100)]
    store(lines)
    found = drift()
    assert found.answer["verdict"] == "not enough"
    assert found.answer["counts"]["unusable"] == 100
    assert (
        sum(row["pictures"] for row in json.loads(found.files["compliance/dt=2026-11-21.json"])["rows"]) > 30
    )


def test_if_time_runs_out_the_latest_records_are_read_and_compliance_is_kept(drift, store, rng):
    lines = pictures(rng, 300)  # nine hours of them on the 21st
    store(lines)
    whole = drift()
    store(pictures(rng, 80, hours=8), "stream-2")
    found = drift(seconds=[900.0] * 6)  # enough for the 24th to 22nd, and the 21st with its two objects
    today = sum(parsed(line)["time"] >= "2026-11-21" for line in lines)
    assert found.answer["counts"]["records"] == today + 80
    (note,) = [note for note in found.answer["notes"] if "If time ran out" in note]
    assert "2026-11-20" in note
    assert "2026-11-21" not in note
    for day in ("2026-11-20", "2026-11-21"):
        assert found.files[f"compliance/dt={day}.json"] == whole.files[f"compliance/dt={day}.json"]
    found = drift(seconds=100.0)
    assert found.answer["verdict"] == "not enough"
    assert found.answer["counts"]["objects"] == 0


def test_a_run_on_an_older_window_keeps_the_latest_report(drift, store, rng):
    store(pictures(rng, 300))
    newest = drift().files["drift/latest.json"]
    found = drift({"to": "2026-11-21T03:00:00Z", "hours": 6})
    assert found.files["drift/latest.json"] == newest
    assert json.loads(found.files["drift/20261121T030000Z/report.json"])["counts"]["records"] == 75
    assert drift({"to": "2026-11-21T10:00:00Z"}).files["drift/latest.json"] != newest


def test_labels_count_up_to_thirty_days_after_the_prediction(drift, store, say, rng):
    before = pictures(rng, 10, END - timedelta(days=7, hours=12), hours=1)  # the day before the first
    old = pictures(rng, 10, END - timedelta(days=20), hours=1)
    older = pictures(rng, 20, END - timedelta(days=31), hours=1)
    store(before + old + older)
    for line in before + old + older:
        say(*result(line))
    say("5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11", "mask")
    accuracy = json.loads(drift().files["drift/latest.json"])["accuracy"]
    assert (accuracy["chosen"]["n"], accuracy["unknown"]) == (20, 21)
    assert accuracy["from"] < "2026-11-02"


def test_a_past_window_does_not_call_later_labels_unknown(drift, store, say, rng):
    before, after = pictures(rng, 20), pictures(rng, 20, END + timedelta(days=2), hours=1)
    store(before + after)
    for line in before + after:
        say(*result(line), day="2026-11-23")
    accuracy = json.loads(drift().files["drift/latest.json"])["accuracy"]
    assert (accuracy["chosen"]["n"], accuracy["unknown"]) == (20, 0)


def test_low_accuracy_on_the_audit_sample_is_reported(drift, store, say, rng):
    lines = [
        drawn(
            rng,
            END - timedelta(minutes=10 * (number + 1)),
            prediction_id=f"00{number:06x}-0000-4000-8000-000000000000",
        )
        for number in range(40)
    ]
    store(lines)
    for line in lines:
        name, label = result(line)
        say(name, LABELS[LABELS.index(label) - 1], audit=True)
    found = drift()
    assert any(
        "The accuracy of release 1.0.0 on the audit sample is 0.0%" in note for note in found.answer["notes"]
    )
    assert found.metrics[("service", "drift"),]["AccuracyHigh"] < 0.1


def test_a_compliance_file_is_not_replaced_by_one_of_fewer_pictures(drift, store, rng):
    lines = pictures(rng, 300)
    store(lines)
    whole = drift().files["compliance/dt=2026-11-21.json"]
    store(lines[100:])
    found = drift()
    assert found.files["compliance/dt=2026-11-21.json"] == whole
    assert any("include more pictures" in note for note in found.answer["notes"])


def test_a_day_without_pictures_between_others_has_a_compliance_file(drift, store, rng):
    for days in (0, 3):
        store(pictures(rng, 30, END - timedelta(days=days), hours=1), f"stream-{days}")
    written = {key: body for key, body in drift().files.items() if key.startswith("compliance/")}
    counted = {key: bool(json.loads(body)["rows"]) for key, body in written.items()}
    assert counted == {
        "compliance/dt=2026-11-18.json": True,
        "compliance/dt=2026-11-19.json": False,
        "compliance/dt=2026-11-20.json": False,
        "compliance/dt=2026-11-21.json": True,
    }


def test_a_second_drift_during_an_earlier_one_is_counted_as_new(drift, store, rng):
    days = [END - timedelta(days=day) for day in range(3)]
    for source in ("gate-1", "gate-2"):
        store([line for day in days for line in pictures(rng, 200, day, source=source, shift=3.0)], source)
        metrics = drift().metrics
        expected = 0 if source == "gate-1" else 1
        assert metrics[("service", "drift"),]["DriftVerdict"] == 1
        assert (metrics[("service", "drift"),]["NewFindings"] > 0) == expected
    assert drift().metrics[("service", "drift"),]["NewFindings"] == 0


CONFUSIONS = {"1.0.0": [[9, 1, 0], [0, 8, 0], [1, 0, 7]], "2.0.0": [[8, 0, 0], [0, 8, 0], [0, 0, 8]]}


@pytest.fixture
def challenged(s3):
    """Publish two releases; return the settings of the serving one and its challenger."""
    s3.create_bucket(Bucket="models")
    for version, confusion in CONFUSIONS.items():
        manifest = json.dumps({"version": version, "metrics": {"served": {"confusion": confusion}}})
        s3.put_object(Bucket="models", Key=f"models/{version}/manifest.json", Body=manifest)
    uris = {
        name: f"s3://models/models/{version}/#ab"
        for name, version in (("MODEL_URI", "1.0.0"), ("CHALLENGER_URI", "2.0.0"))
    }
    yield uris
    for version in ("1.0.0", "2.0.0"):
        s3.delete_object(Bucket="models", Key=f"models/{version}/manifest.json")


def report_of(found):
    return json.loads(found.files["drift/latest.json"])


def pictures_counted(found):
    return sum(row["pictures"] for row in compliance_rows(found.files))


def shadow_of(line, label):
    answer = parsed(line)
    kept = ("time", "request_id", "route", "source", "faces", "probabilities")
    return (
        json.dumps(
            {name: answer[name] for name in kept}
            | {"model_version": "2.0.0", "shadow_of": answer["prediction_id"], "label": label}
            | {"live": {"model_version": "1.0.0", "label": answer["label"]}}
        )
        + "\n"
    )


def test_shadow_predictions_are_compared_and_counted_nowhere_else(store, drift, rng, challenged):
    lines = [drawn(rng, END - timedelta(minutes=number), label="mask") for number in range(1, 51)]
    store(lines, "answers")
    without = drift(**challenged)
    store(
        [shadow_of(line, "no_mask" if number < 20 else "mask") for number, line in enumerate(lines)],
        "shadows",
    )

    found = drift(**challenged)
    report, before = report_of(found), report_of(without)

    challenge = report["challenge"]
    assert challenge["shadow"]
    assert challenge["agreement"]["value"] == 0.6
    assert challenge["challenger"]["labels"] == {"no_mask": 20, "mask": 30}
    for name in ("verdict", "sources", "serving_version", "accuracy"):
        assert report[name] == before[name]
    assert (report["counts"]["records"], report["counts"]["corrupt"]) == (50, 0)
    assert pictures_counted(found) == pictures_counted(without) == 50
    assert "no mask instead of mask: 20" in found.files["drift/latest.html"]


def test_a_challenger_with_most_answers_is_not_the_serving_release(store, drift, rng, challenged):
    lines = [drawn(rng, END - timedelta(minutes=number), version="2.0.0") for number in range(1, 41)]
    store([*lines, *(drawn(rng, END - timedelta(minutes=number)) for number in range(1, 11))])

    found = drift(**challenged)
    report = report_of(found)

    assert report["serving_version"] == "1.0.0"
    assert [report["challenge"][side]["pictures"] for side in ("live", "challenger")] == [10, 40]
    assert pictures_counted(found) == 50


def test_an_unreadable_challenger_is_reported(store, drift, rng, challenged):
    store([drawn(rng, END - timedelta(minutes=1))])

    report = report_of(drift(**challenged | {"CHALLENGER_URI": "s3://models/models/3.0.0/#ab"}))

    assert report["challenge"] is None
    assert any("challenger s3://models/models/3.0.0/ cannot be read" in note for note in report["notes"])


def test_a_compliance_file_has_the_confusion_matrix_of_the_release_that_scored_the_day(
    store, drift, rng, challenged
):
    store(pictures(rng, 30, END - timedelta(days=2), hours=8))
    store(pictures(rng, 30, END - timedelta(days=1), hours=8, version="2.0.0"))
    trial = drift(**challenged)
    promoted = drift(MODEL_URI=challenged["CHALLENGER_URI"])

    for found in (trial, promoted):
        assert {
            key: json.loads(text)["confusion"]
            for key, text in found.files.items()
            if key.startswith("compliance/")
        } == {
            "compliance/dt=2026-11-19.json": CONFUSIONS["1.0.0"],
            "compliance/dt=2026-11-20.json": CONFUSIONS["2.0.0"],
        }


@pytest.mark.parametrize("source", [None, "preflight"])
def test_pictures_of_a_deployment_do_not_make_the_cameras_of_a_closed_site_silent(store, drift, rng, source):
    for camera in ("gate-1", "gate-2"):
        store(pictures(rng, 150, END - timedelta(days=4), source=camera), camera)
    store(pictures(rng, 150, hours=90, source=source), "tests")

    assert report_of(drift())["findings"] == []


def test_sources_that_the_challenger_answers_are_not_silent(store, drift, rng, challenged):
    for number, (source, version) in enumerate((("gate-1", "1.0.0"), ("gate-2", "2.0.0"))):
        store(pictures(rng, 150, hours=96, source=source, version=version), f"stream-{number}")

    found = drift(**challenged)

    assert report_of(found)["findings"] == []
