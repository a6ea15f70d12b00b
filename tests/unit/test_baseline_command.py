"""`python -m infra.ops baseline` says which sources have a reference, and which have none and why."""

from argparse import Namespace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from infra.ops import baseline


@pytest.mark.parametrize(("places", "is_full"), [(3, False), (2, True)])
def test_a_full_baseline_says_that_others_are_not_compared(monkeypatch, capsys, places, is_full):
    built = SimpleNamespace(overall=SimpleNamespace(count=400), sources={"gate": None}, to_json=lambda: "{}")
    outputs = {"PredictFunction": "predict", "RecordsBucket": "records", "InsightsBucket": "insights"}
    monkeypatch.setattr(baseline, "MAX_SOURCES", places)
    monkeypatch.setattr(baseline, "outputs_of", lambda _: outputs)
    monkeypatch.setattr(baseline, "serving_version", lambda *_: "2.3.0")
    monkeypatch.setattr(baseline, "sample_days", lambda *_: [{"gate": None, "ward": None}])
    monkeypatch.setattr(baseline, "build", lambda *_: built)
    monkeypatch.setattr(baseline.boto3, "client", lambda _: SimpleNamespace(put_object=lambda **_: None))

    start, end = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 15))
    baseline.command(Namespace(stack="maskwatch-dev", start=start, end=end))

    out = capsys.readouterr().out
    assert "Sources with a baseline of their own: gate.\n" in out
    assert "independent predictions, or fewer than 200 in all: ward.\n" in out
    assert ("A baseline has the 2 busiest sources" in out) == is_full
