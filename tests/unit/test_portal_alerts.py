"""`GET /alerts` returns the alerts of a time range, newest first, as JSON that is not cached."""

import json
from datetime import UTC, datetime

import pytest

from functions.alerts.alert import begin, end
from functions.alerts.counts import FaceCounts
from functions.alerts.precision import Precision
from functions.alerts.rules import DEFAULT, parse
from functions.portal import alerts
from functions.shared.problem import InputError
from tests.alerts import START
from tests.make_events import CONTEXT, sample_event

COUNTS = FaceCounts(24, 0, {"mask": 15, "no_mask": 7, "incorrect": 2, "uncertain": 0}, {}, "2.0.0")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def ask(portal, store):
    """Send requests to a handler with alerts of three sources on two days; one alert is over."""
    rules = parse(DEFAULT)
    for number, (source, hours) in enumerate((("gate-3", 0), ("", 2), ("ward", 24))):
        precision = {"no_mask": Precision(0.97, 891, 0.8)}
        started = START + 3600 * hours
        alert = begin(
            str(number),
            source,
            window_end=started,
            counts=COUNTS,
            rule=rules.default,
            precision=precision,
            zone=rules.zone,
            page="https://p/",
        )
        store.replace_alert(alert, None, START, ())
        if source == "gate-3":
            store.replace_alert(
                end(alert, started + 600, rules.zone, "masks are worn again"), alert, START, ()
            )
    alerts._dynamodb.cache_clear()  # noqa: SLF001 -- another test's client

    def send(**query):
        event = sample_event("alerts")
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
        answer = portal.handler(event, CONTEXT)
        return answer, json.loads(answer["body"])

    return send


def test_alerts_of_a_range_are_returned_newest_first(ask):
    answer, body = ask(**{"from": "2026-11-24", "to": "2026-11-25"})

    assert answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]
    assert [(alert["source"], alert["status"]) for alert in body["alerts"]] == [
        ("ward", "open"),
        ("", "open"),
        ("gate-3", "over"),
    ]
    assert body["alerts"][2]["ended"] == "2026-11-24T09:10:00Z"
    assert body["truncated"] is False


@pytest.mark.parametrize(
    ("query", "sources"),
    [
        ({"from": "2026-11-24", "to": "2026-11-24"}, ["", "gate-3"]),
        ({"from": "2026-11-24T10", "to": "2026-11-24T11"}, [""]),
        ({"from": "2026-11-24T09:00:00Z", "to": "2026-11-24T09:00:00Z"}, ["gate-3"]),
        ({"from": "2026-11-24T10:00:00+01:00", "to": "2026-11-24 09:00"}, ["gate-3"]),
        ({"from": "2026-11-24T09:00:00.000Z", "to": "2026-11-24T10:00:00 01:00"}, ["gate-3"]),
        ({"from": "2026-11-20", "to": "2026-11-26", "source": "ward"}, ["ward"]),
        ({"from": "2026-11-20", "to": "2026-11-26", "source": ""}, [""]),
        ({"from": "2026-11-20", "to": "2026-11-22"}, []),
    ],
)
def test_days_hours_and_sources_select_alerts(ask, query, sources):
    assert [alert["source"] for alert in ask(**query)[1]["alerts"]] == sources


def test_the_range_of_an_answer_can_be_requested_again(ask):
    _, body = ask(**{"from": "2026-11-24", "to": "2026-11-25T10"})
    assert ask(**{"from": body["from"], "to": body["to"]})[1] == body


def test_a_list_that_is_too_long_is_truncated(ask, monkeypatch):
    monkeypatch.setattr(alerts, "MAX_ALERTS", 2)

    _, body = ask(**{"from": "2026-11-24", "to": "2026-11-25"})

    assert (len(body["alerts"]), body["truncated"]) == (2, True)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"from": "yesterday"}, "must be days such as"),
        ({"from": "20261124"}, "must be days such as"),  # of which Python would make its first hour
        ({"from": "2026-11-24T09:30"}, "must be days such as"),
        ({"from": "2026-11-24", "to": "2026-11-23"}, "later than `to`"),
        ({"form": "2026-11-24"}, "Did you mean `from`"),
        ({"source": "x" * 65}, "at most 64"),
        ({"to": "9999-12-31"}, "must be days such as"),
    ],
)
def test_a_malformed_query_is_refused(query, reason):
    with pytest.raises(InputError, match=reason):
        alerts.parse(query, NOW)


def test_the_default_range_is_a_week():
    selection = alerts.parse({}, NOW)

    assert (selection.first.isoformat(), selection.last.isoformat()) == (
        "2026-11-18T00:00:00+00:00",
        "2026-11-24T23:00:00+00:00",
    )
