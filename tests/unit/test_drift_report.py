"""The report of a run as HTML and JSON: self-contained and correctly escaped."""

import base64
import gzip
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest

from functions.drift import html
from functions.drift.accuracy import LabelledPrediction, figures
from functions.drift.baseline import build
from functions.drift.compare import DRIFT, NEW, NOT_ENOUGH, OK, SILENT, SUSPECTED, compare
from functions.drift.features import FEATURES
from functions.drift.feedback_join import FeedbackFigures
from functions.drift.gather import Counts
from functions.drift.html import render
from functions.drift.report import NO_BASELINE, BaselineInfo, Report, SourceReport, verdict_of
from functions.drift.window import Window
from tests.drift_samples import days, sample
from tests.schemas import DOCUMENT, validate

EVIL = "</script><img src=x onerror=alert(1)>&\"'"
SOURCES = ("gate-1", "", EVIL)
BASELINE = build(
    "1.2.3",
    [{name: sample(150, seed=100 * day + number) for number, name in enumerate(SOURCES)} for day in range(7)],
)
NONE = figures([], 0)
LABELLED = figures(
    [
        LabelledPrediction(
            "gate-1", n, "1.2.3", "mask", "mask" if n < 190 else "no_mask", uncertain=False, audit=True
        )
        for n in range(210)
    ],
    1_000,
)


def reported(past, baseline=BASELINE, *, accuracy=None, notes=(), serving="1.2.3"):
    """Return the report on some days, and its HTML."""
    window = past[-1]
    comparison = compare(window, past, baseline) if baseline else None
    info = BaselineInfo("s3://models/1.2.3/baseline.json", "1.2.3", own=True) if baseline else None
    statuses = comparison.sources if comparison else dict.fromkeys(window, "no baseline")
    report = Report(
        window=Window(datetime(2026, 11, 20, 9, tzinfo=UTC), datetime(2026, 11, 21, 9, tzinfo=UTC)),
        verdict=verdict_of(comparison, info, serving),
        counts=Counts(records=sum(sample.predictions for sample in window.values())),
        baseline=info,
        serving_version=serving,
        comparison=comparison,
        sources={
            name: SourceReport(
                status, window[name].predictions, window[name].effective, window[name].label_counts()
            )
            for name, status in statuses.items()
            if name in window
        },
        accuracy=accuracy or FeedbackFigures(NONE, NONE, {}, {}, 0, 0, 0),
        labelled_since=date(2026, 11, 14),
        min_accuracy=0.9,
        notes=notes,
    )
    return report, render(report, window, baseline)


def usual():
    return [
        {name: sample(150, seed=9_000 + 100 * day + n) for n, name in enumerate(SOURCES)} for day in range(2)
    ]


class Reading(HTMLParser):
    """The URLs that a browser would fetch, and the text that a person would read."""

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


@pytest.fixture
def no_evidently(monkeypatch):
    monkeypatch.setattr(html, "_evidently", lambda *_: [])


@pytest.fixture(scope="module")
def changed():
    """Days on which a source without a name is dark, and a source whose name contains HTML is noisy."""
    past = [
        {
            "gate-1": sample(400, seed=1 + day),
            "": sample(150, seed=20 + day, shift={"brightness": -2}, predictions=12_345),
            EVIL: sample(150, seed=30 + day, shift={"noise": 2}),
            "fresh": sample(50, seed=40 + day),
        }
        for day in range(2)
    ]
    accuracy = FeedbackFigures(LABELLED, LABELLED, {EVIL: LABELLED}, {"1.2.3": LABELLED}, 0, 0, 0)
    return reported(past, accuracy=accuracy, notes=("7 of 12,345 records <b>lack</b> something.",))


def test_the_page_fetches_nothing(changed) -> None:
    _, page = changed
    assert Reading(page).fetched == []
    assert not re.search(r"url\(|@import|\bfetch\(|https?://", page)
    assert "default-src 'none'" in page
    assert 'sandbox="allow-scripts"' in page


def test_changes_are_described(changed) -> None:
    text = Reading(changed[1]).text
    assert "have changed" in text
    assert re.search(
        r"Brightness has fallen: the mean was .* \(150 independent predictions of 12,345\)", text
    )
    assert "no source" in text
    assert "12,945; 750 independent" in text
    assert "4, 2 of them changed" in text
    assert "new, no reference yet" in text
    assert "yes , 2 of 2 days" in text
    assert "90.5% (85.7% to 93.8%), 210 of 1000 labelled" in text
    assert "19.0% to 98.0%" in text  # the bounds


def test_predictions_of_another_release_are_not_called_too_few() -> None:
    report, _ = reported([{}], serving="2.0.0")
    sources = {"gate-1": SourceReport("not enough", 0, 0.0, {})}
    page = render(replace(report, counts=Counts(records=1_900), sources=sources), {}, BASELINE)

    text = Reading(page).text
    assert "1,900, 0 of them compared" in text
    assert "Only predictions of the baseline's release are compared." in text
    assert "too few" not in text


@pytest.mark.usefixtures("no_evidently")
@pytest.mark.parametrize("serving", ["1.2.3", "2.0.0"])
def test_the_headline_says_that_answers_of_the_serving_release_are_wrong(serving) -> None:
    wrong = figures(
        [
            LabelledPrediction("gate-1", n, serving, "mask", "no_mask", uncertain=False, audit=True)
            for n in range(40)
        ],
        40,
    )
    _, page = reported(
        usual(), accuracy=FeedbackFigures(wrong, wrong, {}, {serving: wrong}, 0, 0, 0), serving=serving
    )

    text = Reading(page).text
    assert f"Too many answers of release {serving} are wrong" in text
    assert "Nothing has changed" not in text
    assert "The baseline is of another release" not in text
    assert "not labelled" in text  # instead of an F1 of labels that no picture has


def test_names_and_notes_are_escaped(changed) -> None:
    reading = Reading(changed[1])
    assert EVIL in reading.text
    assert "img" not in reading.tags
    assert "7 of 12,345 records <b>lack</b> something." in reading.text


@pytest.mark.parametrize("name", ["all sources", "All sources", "no source"])
def test_no_source_name_looks_like_all_sources_or_none(name) -> None:
    assert html._where(name) not in {html._where(None), html._where("")}  # noqa: SLF001


def test_the_json_has_the_same_findings(changed) -> None:
    result = json.loads(json.dumps(changed[0].to_dict(), allow_nan=False))
    assert result["verdict"] == "drift"
    statuses = {"gate-1": "ok", "": "drift", EVIL: "drift", "fresh": "new"}
    assert {name: one["status"] for name, one in result["sources"].items()} == statuses
    assert {(one["source"], one["feature"], one["kind"], one["confirmed"]) for one in result["findings"]} == {
        ("", "brightness", "input", True),
        (EVIL, "noise", "input", True),
    }
    assert all(
        one["effect"] >= one["limit"] and one["p"] < 0.02 and one["words"] for one in result["findings"]
    )
    assert set(result["effects"]) == {"input", "embedding", "prediction", "confidence"}
    assert result["sources"][""] | {"labels": 0} == {
        "status": "drift", "predictions": 12_345, "effective": 150.0, "labels": 0,
    }  # fmt: skip
    assert result["window"] == {"from": "2026-11-20T09:00:00Z", "to": "2026-11-21T09:00:00Z"}
    assert (result["accuracy"]["audit"]["n"], result["accuracy"]["min_accuracy"]) == (210, 0.9)


@pytest.mark.usefixtures("no_evidently")
def test_the_json_is_as_the_api_documents_it(changed) -> None:
    result = json.loads(json.dumps(changed[0].to_dict()))
    validate(result, "Drift")
    validate(json.loads(json.dumps(reported(usual(), None)[0].to_dict())), "Drift")
    content = DOCUMENT["paths"]["/drift"]["get"]["responses"]["200"]["content"]
    example = content["application/json"]["example"]
    validate(example, "Drift")
    assert example.keys() == result.keys()
    for name in ("window", "counts", "baseline", "accuracy"):
        assert example[name].keys() == result[name].keys(), name
    assert example["accuracy"]["chosen"].keys() == result["accuracy"]["chosen"].keys()
    assert example["findings"][0].keys() == result["findings"][0].keys()
    assert example["sources"]["gate-3"].keys() == result["sources"][""].keys()


def test_the_api_documents_every_status_of_a_source() -> None:
    text = DOCUMENT["components"]["schemas"]["Drift"]["properties"]["sources"]["description"]
    assert set(re.findall("`([^`]+)`", text)) == {OK, SUSPECTED, DRIFT, SILENT, NEW, NOT_ENOUGH, NO_BASELINE}


def test_the_page_contains_evidently_s_report(changed) -> None:
    packed = re.search(r'id="evidently">([^<]+)<', changed[1])[1]
    report = gzip.decompress(base64.b64decode(packed)).decode()
    assert "Wasserstein distance" in report
    assert all(feature in report for feature in FEATURES)
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"?https?:", report)


@pytest.mark.usefixtures("no_evidently")
def test_the_page_says_that_nothing_has_changed() -> None:
    report, page = reported(usual())
    assert (report.verdict, report.to_dict()["findings"]) == ("ok", [])
    text = Reading(page).text
    assert "Nothing has changed" in text
    assert "nothing labelled yet" in text
    assert "Accuracy by feedback" not in text


@pytest.mark.usefixtures("no_evidently")
def test_a_finding_of_one_day_is_reported_as_not_confirmed() -> None:
    past = usual()
    past[-1][""] = sample(150, seed=5, shift={"brightness": -2})
    report, page = reported(past)
    assert report.verdict == "ok"
    assert "not yet: 1 of 2 days" in Reading(page).text
    assert "one day differs" in Reading(page).text


@pytest.mark.usefixtures("no_evidently")
def test_the_baseline_of_a_release_draws_all_sources_pooled() -> None:
    baseline = build("1.2.3", [{"validation": sample(1_000)}])
    report, page = reported(days(2), baseline)
    assert report.verdict == "ok"
    assert page.count('class="panel"') == 11


@pytest.mark.usefixtures("no_evidently")
def test_without_a_baseline_the_rest_is_reported() -> None:
    accuracy = FeedbackFigures(LABELLED, NONE, {}, {}, 0, 0, 0)
    report, page = reported(usual(), None, accuracy=accuracy)
    assert report.verdict == "no baseline"
    text = Reading(page).text
    assert "There is no baseline to compare with" in text
    assert "210 of 1,000" in text


@pytest.mark.usefixtures("no_evidently")
def test_another_release_than_the_baseline_s_is_reported() -> None:
    report, page = reported(usual(), serving="2.0.0")
    assert report.verdict == "other version"
    assert "The baseline is of another release than the serving one" in Reading(page).text


@pytest.mark.usefixtures("no_evidently")
def test_too_few_predictions_are_reported() -> None:
    report, page = reported([{"gate-1": sample(10)}])
    assert report.verdict == "not enough"
    assert "There are too few predictions to compare" in Reading(page).text


@pytest.mark.usefixtures("no_evidently")
def test_identical_pictures_have_a_report() -> None:
    past = usual()
    for day in past:
        day["gate-1"].values[:] = day["gate-1"].values[0] + 1
    assert reported(past)[0].verdict == "drift"
