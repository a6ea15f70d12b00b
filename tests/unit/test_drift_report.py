"""The page and the JSON that a run of Drift leaves: complete in themselves, whatever a source is called."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import pytest

from functions.drift.baseline import build
from functions.drift.compare import compare
from functions.drift.features import FEATURES
from functions.drift.report import render
from tests.drift_samples import sample

BASELINE = build(sample(1000, seed=99), "1.2.3", {})
SHARE = {"value": 0.912, "low": 0.871, "high": 0.944}
NOTHING_SAID = {"overall": {"n": 0, "accuracy": None, "f1": {}}, "sources": {}}
LABELS = ("mask", "no_mask", "incorrect")
SAID = {"n": 210, "accuracy": SHARE, "f1": {"mask": SHARE, "no_mask": SHARE, "incorrect": None}}
EVIL = "</script><img src=x onerror=alert(1)>&\"'"


def facts(**changes: object) -> dict[str, object]:
    return {
        "window": {"from": "2026-11-20T09:00:00Z", "to": "2026-11-21T09:00:00Z"},
        "counts": {"records": 500},
        "truth": NOTHING_SAID,
        "notes": [],
        "baseline": {"uri": "s3://models/1.2.3/baseline.json", "model_version": "1.2.3"},
    } | changes


class Reading(HTMLParser):
    """What a browser would fetch and what a person would read."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched, self.tags, self.text, self.open = [], [], "", []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in {"meta", "rect", "path", "line", "img"}:
            self.open.append(tag)
        self.fetched += [value for name, value in attrs if name in {"src", "href", "data"}]

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text += f"{data} "


@pytest.fixture(scope="module")
def changed():
    """A window with a source that is dark, one without a name, and one that would like to be HTML."""
    samples = {
        "gate-1": sample(400, seed=1),
        "": sample(150, seed=2, shift={"brightness": -2}),
        EVIL: sample(150, seed=3, shift={"noise": 2}),
        "rare": sample(5, seed=4),
    }
    overall = sample(705, seed=5, seen=12_345)
    truth = {"overall": SAID, "sources": {EVIL: SAID}}
    notes = ["7 of 12,345 records <b>lack</b> something."]
    comparison = compare(samples, overall, BASELINE)
    return render(facts(truth=truth, notes=notes), samples, overall, BASELINE, comparison)


def test_the_page_fetches_nothing(changed) -> None:
    page, _ = changed
    assert Reading(page).fetched == []
    assert not re.search(r"url\(|@import|\bfetch\(|https?://", page)


def test_what_changed_stands_in_words(changed) -> None:
    text = Reading(changed[0]).text
    assert "The pictures or the predictions have changed" in text
    assert "Brightness has fallen: the median was" in text
    assert "no source told" in text
    assert "12,345 (705 drawn to compare)" in text
    assert "4, of which 2 changed" in text
    assert "91.2% (87.1% to 94.4%)" in text


def test_names_and_notes_are_text_and_never_markup(changed) -> None:
    page, _ = changed
    reading = Reading(page)
    assert EVIL in reading.text
    assert "img" not in reading.tags
    assert "7 of 12,345 records <b>lack</b> something." in reading.text


def test_the_json_says_the_same(changed) -> None:
    _, told = changed
    told = json.loads(json.dumps(told, allow_nan=False))
    assert told["verdict"] == "drift"
    assert {name: one["verdict"] for name, one in told["sources"].items()} == {
        "gate-1": "ok",
        "": "drift",
        EVIL: "drift",
        "rare": "not enough",
    }
    assert {(one["source"], one["feature"], one["kind"]) for one in told["findings"]} == {
        ("", "brightness", "input"),
        (EVIL, "noise", "input"),
    }
    assert all(one["effect"] >= one["limit"] and one["p"] < 0.01 and one["words"] for one in told["findings"])
    assert set(told["effects"]) == {"input", "embedding", "prediction", "confidence"}
    assert told["sources"]["gate-1"]["predictions"] == 400
    assert sum(told["sources"]["gate-1"]["labels"].values()) == 400
    assert told["window"] == facts()["window"]
    assert told["truth"]["overall"]["n"] == 210


def test_evidently_s_own_report_is_in_it(changed) -> None:
    packed = re.search(r'id="evidently">([^<]+)<', changed[0])[1]
    report = gzip.decompress(base64.b64decode(packed)).decode()
    assert "Wasserstein distance" in report
    assert all(feature in report for feature in FEATURES)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"?https?:", report)


def test_where_nothing_has_changed_it_says_so() -> None:
    window = sample(500)
    page, told = render(
        facts(), {"gate": window}, window, BASELINE, compare({"gate": window}, window, BASELINE)
    )
    assert told["verdict"] == "ok"
    assert told["findings"] == []
    text = Reading(page).text
    assert "Nothing has changed" in text
    assert "no feedback" in text
    assert "What people said" not in text


def test_without_a_baseline_the_rest_is_told() -> None:
    page, told = render(
        facts(baseline=None, truth={"overall": SAID, "sources": {}}), {}, sample(0), None, None
    )
    assert told["verdict"] == "no baseline"
    text = Reading(page).text
    assert "There is no baseline to compare with" in text
    assert "210 predictions were judged" in text


def test_too_few_predictions_are_told() -> None:
    window = sample(40)
    comparison = compare({"gate": window}, window, BASELINE)
    page, told = render(facts(), {"gate": window}, window, BASELINE, comparison)
    assert told["verdict"] == "not enough"
    assert "Too few predictions to tell" in Reading(page).text


def test_pictures_that_are_all_alike_have_a_report_too() -> None:
    window = sample(300)
    window.values[:] = window.values[0]
    comparison = compare({"gate": window}, window, BASELINE)
    assert render(facts(), {"gate": window}, window, BASELINE, comparison)[1]["verdict"] == "drift"
