"""Alerts in the running system: one alert with its end for a source without masks, none for another source."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import requests

from functions.alerts.counts import count_faces
from functions.alerts.store import Store
from tests.alerts import line, subscribed
from tests.schemas import closed
from tests.system import ROOT, eventually

SCHEMA = json.loads((ROOT / "docs" / "alert-event.schema.json").read_text())


@pytest.fixture(scope="module")
def rules(system, tmp_path_factory):
    """Set rules with the operator's command; all other sources have none."""

    def put(sources):
        file = Path(tmp_path_factory.mktemp("rules")) / "rules.json"
        file.write_text(json.dumps({"default": None, "sources": sources}))
        return system.operate("alerts", "set", str(file), "--stack", "maskwatch")

    yield put
    put({})


@pytest.fixture
def notified(system):
    """Messages in a queue that is subscribed to the topic and to the events on the bus."""
    with subscribed(system.client, system.outputs["AlertsTopic"]) as messages:
        yield messages


def alerts(system, source):
    answer = requests.get(
        f"{system.url}/alerts", params={"source": source}, headers={"x-api-key": "local"}, timeout=30
    )
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["alerts"]


def log(system, lines, stream):
    """Write lines into Predict's log, as the function does."""
    logs, group = system.client("logs"), system.outputs["PredictLogs"]
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": int(time.time() * 1000), "message": text} for text in lines]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def end_all(system):
    """Invoke the function as the schedule would in five minutes."""
    event = {"time": f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"}
    system.client("lambda").invoke(FunctionName=system.outputs["AlertsFunction"], Payload=json.dumps(event))


def test_one_alert_with_its_end_for_the_source_without_masks_and_none_for_the_other(system, rules, notified):
    bad, good = f"bad-{uuid.uuid4()}", f"good-{uuid.uuid4()}"
    rule = {"share": 0.4, "minutes": 5, "min_faces": 10, "over_minutes": 2}
    assert rules({bad: rule, good: rule}).returncode == 0
    now = time.time()
    violating = [line(now - n, "no_mask" if n % 2 else "mask", source=bad) for n in range(20)]
    fine = [line(now - n, "mask", "mask", source=good) for n in range(20)]
    log(system, [*violating[:10], *fine], "one")
    log(system, violating[::-1], "two")  # half of them for the second time, in reverse

    (alert,) = eventually(lambda: alerts(system, bad), 30)
    assert (alert["status"], alert["faces"] >= 10, alert["share"] >= 0.4) == ("open", True, True)
    end_all(system)
    log(system, violating, "three")

    (alert,) = alerts(system, bad)
    assert alert["status"] == "over"
    assert alerts(system, good) == []
    mails = [each for each in notified() if bad in each.get("Subject", "")]
    assert [mail["Subject"].partition(":")[0] for mail in mails] == ["Masks missing", "Alert over"]
    assert all(system.url in mail["Message"] for mail in mails)


def test_a_picture_raises_an_alert_whose_event_fits_its_schema(system, rules, notified, picture):
    """The detector finds no face in the drawn picture, so the test writes a record with faces itself."""
    source = f"ward-{uuid.uuid4()}"
    rules({source: {"any": True, "min_confidence": 0.9}})
    version = system.predict(picture, "image/jpeg", params={"source": source}).json()["model_version"]
    assert alerts(system, source) == []

    log(
        system, [line(time.time(), "incorrect", "no_mask", source=source, version=version)], str(uuid.uuid4())
    )

    def event():
        return [each["detail"] for each in notified() if each.get("detail-type") == "Mask alert"]

    (detail,) = eventually(event)
    jsonschema.Draft202012Validator(
        closed(SCHEMA), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(detail)
    assert set(detail["precision"]) == {"no_mask", "incorrect"}


def test_records_delivered_twice_at_once_are_counted_once(system, rules):
    source, now = f"busy-{uuid.uuid4()}", time.time()
    rules({source: {"share": 1, "minutes": 5, "min_faces": 5_000}})
    lines = [line(now - n / 20, "no_mask" if n % 5 else "mask", source=source) for n in range(300)]
    parts = [lines[start : start + 30] for start in range(0, 300, 30)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: log(system, part, str(uuid.uuid4())), [*parts, *reversed(parts)]))

    store = Store(system.client("dynamodb"), system.outputs["AlertsTable"], 1)
    labels = count_faces(store.buckets(source, now - 60, now), 0, others=False).labels
    assert (labels["mask"], labels["no_mask"]) == (60, 240)


def test_a_bad_edit_is_refused_with_the_field_and_changes_nothing(system, rules):
    rules({"kept": {"any": True}})

    refused = rules({"gate": {"share": 2, "minutes": 5, "min_faces": 1}})

    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        "The rules stay as they are: `sources.gate.share` must be a number from 0 to 1, not 2."
    )
    assert '"kept"' in system.operate("alerts", "show", "--stack", "maskwatch").stdout
