"""The compliance view: shares over time by source, drift, accuracy and alerts."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.answers import problem, stalling, until

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
NOTHING = {"n": 0, "of": 0, "accuracy": None, "bounds": None, "f1": {}}
JUDGED = {
    "accuracy": {"value": 0.962, "low": 0.939, "high": 0.977},
    "f1": {"mask": {"value": 0.97, "low": 0.95, "high": 0.98}, "no_mask": None, "incorrect": None},
}
REPORT = {
    "window": {"from": "2026-11-20T09:00:00+00:00", "to": "2026-11-21T09:00:00+00:00"},
    "verdict": "drift",
    "findings": [
        {"source": "gate-3", "words": "pictures are darker than in training.", "confirmed": True},
        {"source": None, "words": "all are", "confirmed": False},
    ],
    "counts": {"records": 5120},
    "accuracy": {
        "audit": NOTHING | {"n": 412, "of": 430, "bounds": [0.921, 0.963]} | JUDGED,
        "chosen": NOTHING,
        "min_accuracy": 0.9,
    },
}
SIDE = {"model_version": "2.1.0", "pictures": 200, "labels": {"mask": 150, "no_mask": 40, "incorrect": 10}}
SIDE |= {"median_ms": 14.1, "judged": 50, "accuracy": {"value": 0.94, "low": 0.84, "high": 0.98}}
SHADOW = {
    "shadow": True,
    "live": SIDE,
    "challenger": SIDE
    | {"model_version": "2.2.0", "pictures": 0, "labels": {}, "median_ms": None, "accuracy": None},
    "agreement": {"value": 0.981, "low": 0.95, "high": 0.99},
    "needed": 31,
    "verdict": "too few labels",
}


def audited(**audit):
    return REPORT | {"accuracy": REPORT["accuracy"] | {"audit": REPORT["accuracy"]["audit"] | audit}}


CHOSEN = {"audit": NOTHING, "chosen": NOTHING | JUDGED | {"n": 412, "of": 5120, "bounds": [0.077, 0.997]}}


def row(days_ago, source, mask, no_mask=0, incorrect=0, uncertain=0):
    faces = mask + no_mask + incorrect + uncertain
    counts = {"mask": mask, "no_mask": no_mask, "incorrect": incorrect, "uncertain": uncertain}
    time = (TODAY - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"time": time, "source": source, "pictures": faces, "faces": faces, **counts}


ROWS = [row(2, "gate-3", 60, 30, 10), row(0, "gate-3", 90, 6, 2, 2), row(0, "", 10)]


@pytest.fixture
def view(opened):
    """Return a function that opens the view with fake answers, and returns the page and the list of requests."""

    def show(rows=ROWS, report=REPORT, alerts=(), **options):
        page = opened(go=False, **options)
        asked = []

        def answer(route):
            asked.append(
                {
                    name: values[0]
                    for name, values in parse_qs(
                        urlsplit(route.request.url).query, keep_blank_values=True
                    ).items()
                }
            )
            chosen = asked[-1].get("source")
            kept = [each for each in rows if chosen in {None, each["source"]}]
            route.fulfill(json={"rows": kept, "as_of": "2026-11-21T09:05:00Z"})

        page.route("**/compliance?*", answer)
        page.route("**/alerts?*", lambda route: route.fulfill(json={"alerts": list(alerts)}))
        page.route(
            "**/drift",
            lambda route: (
                route.fulfill(json=report) if report else route.fulfill(**problem(404, "no-report"))
            ),
        )
        return page, asked

    return show


def go(page, stack):
    page.goto(f"{stack}#compliance")


def panel(page, name):
    return page.get_by_role("region", name=name, exact=True)


def test_shares_are_drawn_for_each_source_and_for_all(view, stack):
    page, _ = view()
    go(page, stack)
    expect(page.locator("#charts .panel h2")).to_have_text(["All sources", "(no source)", "gate-3"])
    expect(panel(page, "gate-3")).to_contain_text(
        "200 faces in frames: 75.0% mask, 6.0% worn wrongly, 18.0% no mask"
    )
    bars = panel(page, "gate-3").locator("svg g")
    expect(bars).to_have_count(2)
    heights = (
        bars.nth(0)
        .locator("rect")
        .evaluate_all("(all) => all.map((r) => Number(r.getAttribute('height')) + 1)")
    )
    assert [height / sum(heights) for height in heights] == pytest.approx([0.6, 0.1, 0.3])
    assert bars.nth(1).locator("title").text_content() == (
        f"{TODAY:%m-%d}, 100 faces: mask 90.0%, worn wrongly 2.0%, no mask 6.0%, uncertain 2.0%"
    )


def test_the_chart_has_an_accessible_table(view, stack):
    page, _ = view()
    go(page, stack)
    panel(page, "gate-3").get_by_text("As a table").click()
    table = page.get_by_role("table", name="gate-3: faces with each label")
    expect(table.locator("tbody tr")).to_have_text(
        [f"{TODAY - timedelta(days=2):%Y-%m-%d} 00:001001006010300", f"{TODAY:%Y-%m-%d} 00:0010010090262"]
    )


def test_a_browser_does_not_restore_a_range_without_its_dates(view, stack):
    page, _ = view()
    go(page, stack)
    page.get_by_label("Range").select_option("custom")
    page.goto(f"{stack}health")
    page.go_back()
    expect(panel(page, "gate-3")).to_be_visible()
    expect(page.get_by_label("Range")).to_have_value("7d")


def test_the_chosen_range_is_requested(view, stack):
    page, asked = view()
    go(page, stack)
    expect(page.locator("#charts .panel")).to_have_count(3)
    assert asked[-1] == {
        "from": f"{TODAY - timedelta(days=6):%Y-%m-%d}",
        "to": f"{TODAY:%Y-%m-%d}",
        "by": "day",
    }
    assert page.locator("#charts .panel").first.locator("svg text").count() >= 3 + 4

    with page.expect_response("**/compliance?*"):
        page.get_by_role("combobox", name="Range").select_option("Last 24 hours")
    hours = [datetime.strptime(asked[-1][name], "%Y-%m-%dT%H").replace(tzinfo=UTC) for name in ("from", "to")]
    assert hours[1] - hours[0] == timedelta(hours=23)
    assert asked[-1]["by"] == "hour"

    page.get_by_role("combobox", name="Range").select_option("From … to …")
    for first, last in (("2026-11-01", "2026-11-02"), ("2026-11-01", "2026-11-20")):
        page.get_by_role("textbox", name="From").fill(first)
        page.get_by_role("textbox", name="To").fill(last)
        with page.expect_response("**/compliance?*"):
            page.get_by_role("button", name="Show").click()
    assert asked[-2] == {"from": "2026-11-01T00", "to": "2026-11-02T23", "by": "hour"}
    assert asked[-1] == {"from": "2026-11-01", "to": "2026-11-20", "by": "day"}


def test_a_reversed_range_is_reported(view, stack):
    page, _ = view()
    go(page, stack)
    page.get_by_role("combobox", name="Range").select_option("From … to …")
    page.get_by_role("textbox", name="From").fill("2026-11-20")
    page.get_by_role("textbox", name="To").fill("2026-11-01")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#compliance-state")).to_have_text(
        "The first day is after the last, or one is missing. Correct them."
    )


def test_one_source_can_be_selected(view, stack):
    page, asked = view()
    go(page, stack)
    expect(page.locator("#charts .panel")).to_have_count(3)
    for choice, source in (("gate-3", "gate-3"), ("(no source)", ""), ("All sources", None)):
        with page.expect_response("**/compliance?*"):
            page.get_by_role("combobox", name="Source").select_option(choice)
        assert asked[-1].get("source") == source
    expect(page.get_by_role("combobox", name="Source").locator("option")).to_have_text(
        ["All sources", "(no source)", "gate-3"]
    )


def test_a_source_may_have_the_name_of_the_option_for_all(view, stack):
    page, asked = view()
    page.goto(f"{stack}#compliance?source=All+sources&hour={TODAY:%Y-%m-%d}T09")
    expect(page.locator("#charts")).not_to_be_empty()
    assert asked[-1]["source"] == "All sources"
    with page.expect_response("**/compliance?*"):
        page.get_by_role("combobox", name="Source").select_option(index=0)
    assert "source" not in asked[-1]


def test_an_answer_for_other_dates_does_not_replace_the_message_about_wrong_ones(view, stack):
    page, _ = view()
    held = []
    page.route("**/alerts?*", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright takes no builtin
    go(page, stack)
    until(page, lambda: held)
    page.get_by_label("Range").select_option("custom")
    page.get_by_label("From", exact=True).fill("2026-11-20")
    page.get_by_label("To", exact=True).fill("2026-11-10")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#compliance-state")).to_contain_text("The first day is after the last")
    with page.expect_response("**/drift"):
        held[0].fulfill(json={"alerts": []})
    page.wait_for_timeout(200)
    expect(page.locator("#compliance-state")).to_contain_text("The first day is after the last")
    expect(page.locator("#charts .panel")).to_have_count(0)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (
            REPORT,
            [
                "Something has changed",
                "Not confirmed: all are",
                "gate-3: pictures are darker",
                "5120 records",
                "2026-11-20 09:00 to",
            ],
        ),
        (
            REPORT,
            [
                "✓96.2% of the labelled audit pictures were right",
                "93.9% to 97.7%, from the audit sample: 412 of 430 labelled.",
                "Whatever the others show, 92.1% to 96.3% of the sample were right.",
                "F1: mask 97%",
            ],
        ),
        (
            audited(n=430, bounds=[0.962, 0.962]),
            ["✓96.2% of all answers were right", "from the audit sample: 430 of 430 labelled."],
        ),
        (audited(of=4000, bounds=[0.099, 0.996]), ["?96.2% of the labelled audit pictures", "9.9% to 99.6%"]),
        (audited(n=29), ["Accuracy is not known yet", "29 of at least 30 labels are there"]),
        (
            REPORT | {"accuracy": CHOSEN},
            [
                "96.2% of the labelled answers",
                "412 of 5120 labelled, chosen by people",
                "between 7.7% and 99.7%",
            ],
        ),
        (REPORT | {"verdict": "ok", "findings": []}, ["Nothing has changed", "✓96.2%"]),
        (REPORT | {"accuracy": REPORT["accuracy"] | {"min_accuracy": 0.98}}, ["✕96.2%"]),
        (
            REPORT | {"verdict": "not enough", "accuracy": {"audit": NOTHING, "chosen": NOTHING}},
            ["Too few pictures to detect a change", "Accuracy is not known yet"],
        ),
        (
            REPORT | {"verdict": "other version", "accuracy": {"audit": NOTHING, "chosen": NOTHING}},
            ["A new model without a baseline", "Accuracy is not known yet"],
        ),
        (
            REPORT | {"challenge": SHADOW},
            [
                "Two models are compared",
                "The challenger scores every picture and answers none.",
                "Serving, 2.1.020075.0%5.0%20.0%14.1 ms94.0% of 50",
                "Challenger, 2.2.00not known",
                "Both give 98.1% of the pictures the same label.",
                "label 31 more of the audit sample",
            ],
        ),
        (
            REPORT
            | {
                "challenge": SHADOW
                | {"shadow": False, "agreement": None, "needed": None, "verdict": "different sources"}
            },
            ["Two models answer different sources", "Only shadow mode shows which is better."],
        ),
        (
            REPORT | {"challenge": {name: value for name, value in SHADOW.items() if name != "needed"}},
            ["Two models are compared"],  # by an earlier version
        ),
        (
            REPORT | {"challenge": SHADOW | {"needed": 0, "verdict": "better"}},
            ["✓The challenging model is better"],
        ),
        (
            REPORT | {"challenge": SHADOW | {"needed": 0, "verdict": "worse"}},
            ["✕The challenging model is worse"],
        ),
        (None, ["No drift report yet"]),
    ],
)
def test_drift_and_accuracy_are_described(view, stack, report, words):
    page, _ = view(report=report)
    go(page, stack)
    for each in words:
        expect(page.locator("#trust")).to_contain_text(each)
    expect(page.locator("#trust")).not_to_contain_text("undefined")


def test_names_from_records_are_escaped(view, stack):
    page, _ = view(
        rows=[row(0, "<img src=x onerror=alert(1)>", 5)],
        report=REPORT | {"findings": [{"words": "<b>x</b>", "confirmed": True}]},
    )
    go(page, stack)
    expect(page.locator("#charts h2")).to_have_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#trust li")).to_have_text("<b>x</b>")


def test_failures_are_reported_until_the_next_success(view, stack):
    page, _ = view()
    page.route("**/drift", lambda route: route.fulfill(**problem(500, "internal")))
    go(page, stack)
    expect(page.locator("#compliance-state")).to_have_text(
        re.compile("The service failed. Try again in a moment")
    )
    page.unroute("**/drift")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#compliance-state")).to_be_hidden()


def test_without_data_the_real_service_s_message_is_shown(opened):
    page = opened(at="#compliance")
    expect(page.locator("#charts")).to_contain_text("Nothing was seen in this range")
    expect(page.locator("#trust")).to_contain_text("No drift report yet")


@pytest.mark.parametrize(
    ("pattern", "button"), [("**/compliance?*", "Show"), ("**/compliance?*format=csv", "Download CSV")]
)
def test_an_answer_that_stays_incomplete_is_given_up(view, stack, pattern, button):
    page, _ = view()
    page.clock.install()
    go(page, stack)
    expect(panel(page, "gate-3")).to_be_visible()
    with stalling(page, pattern) as asked:
        page.get_by_role("button", name=button).click()
        until(page, lambda: asked)
        page.wait_for_timeout(300)  # in which the headers arrive
        page.clock.run_for(45_000)
        expect(page.locator("#compliance-state")).to_have_text(
            "The service cannot be reached. Check your connection, then try again."
        )


def test_csv_comes_from_the_real_service(opened):
    page = opened(at="#compliance")
    expect(page.locator("#charts .panel")).to_have_count(1)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download CSV").click()
    head = next(csv.reader(io.StringIO(downloading.value.path().read_text(encoding="utf-8-sig"))))
    assert head[:4] == ["time", "source", "pictures", "faces"]
    assert downloading.value.suggested_filename == "compliance.csv"


def test_the_real_service_s_refusal_of_a_range_is_shown(opened):
    page = opened(at="#compliance")
    page.get_by_role("combobox", name="Range").select_option("From … to …")
    page.get_by_role("textbox", name="From").fill("2020-01-01")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#compliance-state")).to_contain_text(
        "The service does not accept one of the settings."
    )
    expect(page.locator("#compliance-state")).to_contain_text("366 days")


def test_charts_fit_into_their_containers(view, stack):
    page, _ = view(viewport={"width": 1200, "height": 800})
    go(page, stack)
    width = "(e) => e.getBoundingClientRect().width / e.viewBox.baseVal.width"
    expect(page.locator("svg.chart")).to_have_count(3)
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_timeout(300)
    assert page.locator("svg.chart").first.evaluate(width) == pytest.approx(1, abs=0.01)


def alert(days_ago, source, status="over"):
    """An alert in the format of `GET /alerts`."""
    started = TODAY - timedelta(days=days_ago) + timedelta(hours=9, minutes=15)
    ended = f"{started + timedelta(minutes=20):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "status": status,
        "source": source,
        "started": f"{started:%Y-%m-%dT%H:%M:%SZ}",
        "ended": ended if status == "over" else None,
        "faces": 24,
        "labels": {"mask": 15, "no_mask": 7, "incorrect": 2, "uncertain": 0},
        "share": 0.375,
    }


def test_alerts_are_marked_on_the_time_axis_and_listed(view, stack):
    page, _ = view(alerts=[alert(0, "gate-3", "open"), alert(2, "gate-3"), alert(2, "ward")])
    go(page, stack)

    gate, ward = panel(page, "gate-3"), panel(page, "ward")
    expect(gate.locator("svg .mark")).to_have_count(2)
    expect(panel(page, "All sources").locator("svg .mark")).to_have_count(2)
    expect(panel(page, "All sources").locator("svg .mark title").first).to_contain_text("2 alerts")
    expect(gate.get_by_role("listitem").first).to_contain_text(
        "9 of 24 faces without a proper mask (38%) at gate-3. Open."
    )
    expect(ward).to_contain_text("Not counted yet")
    ward.get_by_text("1 alert", exact=True).click()
    expect(ward.get_by_role("listitem")).to_contain_text("Ended at")


def test_an_alert_s_link_leads_to_its_source_and_day(view, stack):
    page, asked = view(alerts=[alert(0, "gate-3")])
    page.goto(f"{stack}#compliance?source=gate-3&hour={TODAY:%Y-%m-%d}T09")

    expect(panel(page, "gate-3").locator("svg .mark")).to_have_count(1)
    assert asked[-1] == {
        "from": f"{TODAY:%Y-%m-%d}T00",
        "to": f"{TODAY:%Y-%m-%d}T23",
        "by": "hour",
        "source": "gate-3",
    }
    expect(page.get_by_role("textbox", name="From")).to_have_value(f"{TODAY:%Y-%m-%d}")


def test_an_alert_s_link_is_followed_in_a_tab_whose_view_is_loaded(view, stack):
    page, asked = view(alerts=[alert(0, "gate-3"), alert(1, "ward")])
    go(page, stack)
    expect(page.locator("#charts .panel h2")).to_have_text(["All sources", "(no source)", "gate-3", "ward"])

    for source in ("ward", "yard"):
        with page.expect_response("**/compliance?*"):
            page.goto(f"{stack}#compliance?source={source}&hour={TODAY:%Y-%m-%d}T09")
        assert (asked[-1]["source"], asked[-1]["from"]) == (source, f"{TODAY:%Y-%m-%d}T00")
        expect(page.get_by_role("combobox", name="Source")).to_have_value(source)
    expect(page.get_by_role("textbox", name="From")).to_have_value(f"{TODAY:%Y-%m-%d}")


def test_a_loaded_view_stays_as_it_is_when_it_is_shown_again(view, stack):
    page, asked = view()
    go(page, stack)
    expect(page.locator("#charts .panel")).to_have_count(3)
    with page.expect_response("**/compliance?*"):
        page.get_by_role("combobox", name="Source").select_option("gate-3")
    requests = len(asked)
    page.get_by_role("button", name="Picture").click()
    page.get_by_role("button", name="Compliance").click()
    expect(page.get_by_role("combobox", name="Source")).to_have_value("gate-3")
    assert len(asked) == requests


def test_alerts_that_are_left_out_are_mentioned(view, stack):
    page, _ = view()
    answer = {"truncated": True, "alerts": [alert(0, "gate-3")] * 1000}
    page.route("**/alerts?*", lambda route: route.fulfill(json=answer))
    go(page, stack)
    left_out = page.get_by_text("Only the newest 1,000 alerts are shown; choose fewer days or one source.")
    expect(left_out).to_be_visible()

    answer["truncated"] = False
    page.get_by_role("button", name="Show").click()
    expect(left_out).to_have_count(0)
