"""Which lines of a log delivery are counted."""

import importlib
import json

import pytest

from tests.alerts import ENVIRONMENT, START, delivery, iso, line


@pytest.fixture
def app(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return importlib.import_module("functions.alerts.app")


def test_predictions_are_grouped_by_source_and_other_lines_are_counted_as_unreadable(app):
    lines = [
        line(START, "mask", source="a"),
        line(START, "mask", source="b"),
        line(START, source="a"),
        "no JSON",
        '{"time": 1}',
    ]

    found, unreadable = app.unpack(delivery(lines))

    assert {source: len(records) for source, records in found.items()} == {"a": 2, "b": 1}
    assert unreadable == 2


@pytest.mark.parametrize(
    "more",
    [
        {"metrics": None},
        {"metrics": {"served": None}},
        {"metrics": {"served": {"confusion": [[1]]}}},
        {"metrics": {"served": {"confusion": None}}},
        {"metrics": {"served": {"precision_at": None}}},
        {"metrics": {"served": {"precision_at": {"no_mask": [{"n": 1}]}}}},
    ],
)
def test_an_alert_of_a_release_with_damaged_figures_names_no_precision(app, monkeypatch, more):
    monkeypatch.setattr(app, "_manifest", lambda: {"version": "2", **more})

    assert app._precision("2", {"no_mask": 17}) == {}  # noqa: SLF001 -- what the handler gives Watch


def test_rescored_and_shadow_predictions_are_left_out(app):
    shadow = json.loads(line(START, "no_mask"))
    shadow |= {"shadow_of": shadow.pop("prediction_id"), "live": {"model_version": "1", "label": "mask"}}
    lines = [line(START, "no_mask", uploaded=iso(START - 9), rescored=True), json.dumps(shadow)]

    assert app.unpack(delivery(lines)) == ({}, 0)
