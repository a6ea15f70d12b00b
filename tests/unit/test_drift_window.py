"""The event and the environment of Drift."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.drift.settings import read_settings
from functions.drift.window import Window, parse_window
from tests.make_events import sample_event

NOW = datetime(2026, 11, 22, 5, 17, 3, 250_000, tzinfo=UTC)


def test_the_window_ends_now_by_default():
    end = NOW.replace(microsecond=0)
    assert parse_window({}, 24, NOW) == Window(end - timedelta(hours=24), end)


@pytest.mark.parametrize(
    "to",
    ["2026-11-21T09:00:00Z", "2026-11-21T10:00:00+01:00", "2026-11-21T09:00:00", "2026-11-21T09:00:00.7Z"],
)
def test_an_event_may_set_the_window(to):
    end = datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert parse_window({"to": to, "hours": 6}, 24, NOW) == Window(end - timedelta(hours=6), end)


@pytest.mark.parametrize("name", ["drift", "drift-window"])
def test_the_sample_events_contain_valid_windows(name):
    event = sample_event(name)
    window = parse_window(event, 24, NOW)
    assert window.end - window.start == timedelta(hours=event.get("hours", 24))


@pytest.mark.parametrize(
    "event",
    [{"to": "yesterday"}, {"to": 5}, {"to": []}, {"to": "0001-01-01"}, {"to": "0001-01-01T00:00:00+09:00"}],
    ids=str,
)
def test_an_invalid_time_is_refused(event):
    with pytest.raises(ValueError, match="`to` must be a time such as 2026-11-21T09:00:00Z"):
        parse_window(event, 24, NOW)


def test_a_time_in_the_future_is_refused():
    """Its report would be the latest until then."""
    with pytest.raises(
        ValueError, match="must not be in the future; '2026-11-22T14:00:00' is UTC unless it names a zone"
    ):
        parse_window({"to": "2026-11-22T14:00:00"}, 24, NOW)


@pytest.mark.parametrize("hours", [0, -1, "24", None, float("nan"), float("inf"), 1e9])
def test_an_invalid_length_is_refused(hours):
    with pytest.raises(ValueError, match="`hours` must be a number above 0"):
        parse_window({"hours": hours}, 24, NOW)


def test_settings_are_read_from_the_environment():
    settings = read_settings(
        {
            "RECORDS_BUCKET": "records",
            "INSIGHTS_BUCKET": "insights",
            "WINDOW_HOURS": "6",
            "LOOKBACK_DAYS": "3",
            "MIN_ACCURACY": "0.95",
            "MODEL_URI": "s3://models/models/2/",
            "BASELINE_URI": "s3://insights/baseline/mine.json",
        }
    )
    assert (settings.window_hours, settings.lookback_days, settings.min_accuracy) == (6, 3, 0.95)
    assert (settings.model_uri, settings.baseline_uri) == (
        "s3://models/models/2/",
        "s3://insights/baseline/mine.json",
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"RECORDS_BUCKET": "records"},
        {"INSIGHTS_BUCKET": "insights"},
        {"RECORDS_BUCKET": "records", "INSIGHTS_BUCKET": "insights", "WINDOW_HOURS": "a day"},
    ],
    ids=str,
)
def test_an_incomplete_environment_is_refused(environment):
    with pytest.raises(RuntimeError, match=r"the environment lacks what template.yaml gives Drift"):
        read_settings(environment)
