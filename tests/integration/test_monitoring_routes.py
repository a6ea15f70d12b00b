"""`/feedback`, `/compliance` and `/drift` in the running system."""

import csv
import io
import json
from datetime import datetime

import pytest
import requests

from tests.system import ORIGIN

KEY = {"x-api-key": "local"}


@pytest.fixture
def insights(system):
    s3 = system.client("s3")
    (name,) = [b["Name"] for b in s3.list_buckets()["Buckets"] if "insights" in b["Name"]]

    class Bucket:
        def put(self, key, document):
            s3.put_object(Bucket=name, Key=key, Body=json.dumps(document).encode())

        def delete(self, key):
            s3.delete_object(Bucket=name, Key=key)

        def objects(self, prefix):
            found = s3.list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", [])
            return {o["Key"]: json.load(s3.get_object(Bucket=name, Key=o["Key"])["Body"]) for o in found}

    return Bucket()


def test_feedback_is_stored_by_day(system, insights, picture):
    answer = system.predict(picture, "image/jpeg").json()
    payload = {"prediction_id": answer["prediction_id"], "label": "incorrect"}

    answers = [
        requests.post(f"{system.url}/feedback", json=payload, headers=KEY, timeout=60) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    kept = [f for key, f in insights.objects("feedback/").items() if payload["prediction_id"] in key]
    assert kept == [answers[1].json() | {"api_key_id": "local"}]
    assert kept[0].items() > payload.items()
    today = f"{datetime.fromisoformat(kept[0]['time']):%Y-%m-%d}"
    assert f"feedback/dt={today}/{payload['prediction_id']}.json" in insights.objects("feedback/")


def test_compliance_is_counted_from_the_daily_counts_as_json_and_as_csv(system, insights):
    counts = {"pictures": 3, "faces": 4, "mask": 2, "no_mask": 1, "incorrect": 1, "uncertain": 0}
    row = {"hour": "2026-10-01T09:00:00Z", "source": "=Tür; 3", **counts}
    document = {"date": "2026-10-01", "written": "2026-10-02T00:10:00Z", "rows": [row]}
    insights.put("compliance/dt=2026-10-01.json", document)
    address = f"{system.url}/compliance?from=2026-09-30&to=2026-10-02"

    found = requests.get(address, headers=KEY, timeout=60)
    table = requests.get(address, headers=KEY | {"accept": "text/csv"}, timeout=60)
    of_another = requests.get(f"{address}&source=gate-4", headers=KEY, timeout=60)

    assert found.headers["content-type"] == "application/json"
    assert found.json()["as_of"] == "2026-10-02T00:10:00Z"
    assert found.json()["rows"][0]["source"] == "=Tür; 3"
    shares = {"share_mask": 0.5, "share_no_mask": 0.25, "share_incorrect": 0.25, "share_uncertain": 0.0}
    assert found.json()["total"].items() >= (counts | shares).items()
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert next(csv.DictReader(io.StringIO(table.text)))["source"] == "'=Tür; 3"
    assert of_another.json()["rows"] == []


def test_the_drift_report_is_the_latest_or_a_problem(system, insights):
    before = insights.objects("drift/latest.json")  # another test may need it
    insights.delete("drift/latest.json")
    nothing = requests.get(f"{system.url}/drift", headers=KEY, timeout=60)
    latest = {"window": {}, "verdict": "ok", "findings": [], "sources": {}, "counts": {"records": 7}}
    insights.put("drift/latest.json", latest)
    report = requests.get(f"{system.url}/drift", headers=KEY, timeout=60)
    insights.delete("drift/latest.json")
    for key, document in before.items():
        insights.put(key, document)

    assert (nothing.status_code, nothing.json()["type"]) == (404, "urn:maskwatch:problem:no-report")
    assert (report.status_code, report.json()) == (200, latest)


@pytest.mark.parametrize(("method", "path"), [("POST", "feedback"), ("GET", "compliance"), ("GET", "drift")])
def test_each_route_requires_a_key_and_a_method_and_allows_other_origins(system, method, path):
    address = f"{system.url}/{path}"

    without = requests.request(method, address, timeout=60)
    wrong = requests.delete(address, headers=KEY, timeout=60)
    asked = requests.options(address, headers=ORIGIN, timeout=60)
    answer = requests.request(method, address, headers=KEY | ORIGIN, timeout=60)

    assert (without.status_code, wrong.status_code) == (403, 405)
    assert wrong.headers["allow"].partition(",")[0] == method
    assert asked.ok
    assert answer.headers["access-control-allow-origin"] == "*"
