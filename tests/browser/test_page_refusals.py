"""Each refusal of the API is shown with what to do."""

import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.browser.answers import choose, face, file, prediction, problem, stalling, until
from tests.pictures import draw_face, encode


def problem_text(page):
    return page.locator(".refused")


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (file(encode(draw_face())[:600]), "The picture cannot be read. Open it in a viewer"),
        (file(draw_face(20, 24)), "The picture is too small. Take one of at least 32 pixels a side."),
        (
            file(b"%PDF-1.7 and so on", "scan.jpg"),
            "Files of this type cannot be scored. Save the picture as JPEG",
        ),
        (
            file(b"\0\0\0\x18ftypheic" + bytes(2000), "IMG_1.HEIC", "HEIC"),
            "Files of this type cannot be scored.",
        ),
        (file(bytes(5_000_000), "video.jpg"), "The file is too large to send. Save a smaller copy as JPEG"),
    ],
    ids=["damaged", "too small", "PDF", "HEIC", "too large"],
)
def test_a_refused_file_is_shown_with_the_reason(page, picture, words):
    choose(page, picture)
    what, _, advice = words.partition(". ")
    expect(problem_text(page)).to_contain_text(what)
    expect(problem_text(page)).to_contain_text(advice)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


@pytest.mark.parametrize(
    ("status", "identifier", "words"),
    [
        (400, "malformed-body", "The service could not read the request."),
        (400, "invalid-parameter", "The service does not accept one of the settings."),
        (403, "blocked", "A firewall refused the request."),
        (413, "too-large", "The file is too large to send."),
        (415, "unsupported-type", "Files of this type cannot be scored."),
        (422, "too-many-pixels", "The picture has too many pixels."),
        (422, "something-new", "The picture cannot be read."),
        (418, "something-new", "The service could not read the request."),
    ],
)
def test_every_problem_has_a_message_and_the_service_s_detail(page, status, identifier, words):
    page.route("**/predict*", lambda route: route.fulfill(**problem(status, identifier, "In detail.")))
    choose(page, file(draw_face()))
    expect(problem_text(page)).to_contain_text(words)
    page.get_by_text("What the service said").click()
    expect(page.get_by_text("In detail.")).to_be_visible()


def test_an_answer_that_is_no_problem_document_is_reported(page):
    page.route("**/predict*", lambda route: route.fulfill(status=413, body="<h1>nginx</h1>"))
    choose(page, file(draw_face()))
    expect(problem_text(page)).to_contain_text("The file is too large to send.")


@pytest.mark.parametrize(("status", "identifier"), [(429, "throttled"), (500, "internal"), (504, "internal")])
def test_a_transient_error_is_retried(page, status, identifier):
    asked = []

    def answer(route):
        asked.append(route)
        if len(asked) < 3:
            route.fulfill(**problem(status, identifier))
        else:
            route.fulfill(json=prediction(face()))

    page.route("**/predict*", answer)
    choose(page, file(draw_face()))
    expect(page.locator(".words .meta")).to_have_count(1)
    assert len(asked) == 3


def test_a_picture_that_is_still_retried_is_not_counted_as_refused(page):
    answers = iter([problem(429, "throttled", headers={"retry-after": "3600"})])
    page.clock.install()
    page.route(
        "**/predict*", lambda route: route.fulfill(**next(answers, None) or {"json": prediction(face())})
    )
    choose(page, file(draw_face(), "retried.jpg"))
    expect(page.locator(".words .busy")).to_have_count(1)
    choose(page, file(draw_face(), "answered.jpg"))
    expect(page.locator(".words .meta")).to_have_count(1)
    expect(page.locator("#totals")).to_have_text("1 of 2 pictures · 1 face · 1 mask")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as CSV").click()
    assert "retried.jpg" not in downloading.value.path().read_text(encoding="utf-8-sig")

    page.clock.fast_forward("02:00:00")
    expect(page.locator("#totals")).to_have_text("2 pictures · 2 faces · 2 mask")


def test_the_retry_after_of_the_service_is_honoured(page):
    times = []

    def answer(route):
        times.append(page.evaluate("() => performance.now()"))
        route.fulfill(**problem(429, "throttled", headers={"retry-after": "2"}))

    page.clock.install()
    page.route("**/predict*", answer)
    choose(page, file(draw_face()))
    for _ in range(30):
        page.clock.run_for(500)
        page.wait_for_timeout(30)
    assert len(times) == 4
    assert all(later - earlier >= 2000 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("status", "identifier", "words"),
    [
        (429, "throttled", "The service is too busy."),
        (429, "quota-exceeded", "This month's quota is used up."),
        (500, "internal", "The service failed."),
    ],
)
def test_a_lasting_error_is_shown_and_can_be_retried_by_hand(page, status, identifier, words):
    page.clock.install()
    page.route("**/predict*", lambda route: route.fulfill(**problem(status, identifier)))
    choose(page, file(draw_face()))
    for _ in range(40):
        page.clock.run_for(500)
        page.wait_for_timeout(20)
    expect(problem_text(page)).to_contain_text(words)

    page.unroute("**/predict*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".words .meta")).to_have_count(1)
    expect(problem_text(page)).to_have_count(0)


def test_a_lost_connection_is_reported(page):
    page.context.set_offline(True)
    choose(page, file(draw_face()))
    expect(problem_text(page)).to_contain_text("The service cannot be reached.Check your connection")

    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".words .meta")).to_have_count(1)


def test_a_connection_that_is_lost_for_a_moment_refuses_no_picture(page):
    failures = iter(range(4))
    page.route("**/predict*", lambda r: r.continue_() if next(failures, None) is None else r.abort())
    choose(page, *(file(draw_face(), f"{number}.jpg") for number in range(3)))
    expect(page.locator(".words .meta")).to_have_count(3)


def test_all_refused_pictures_are_tried_again_at_once(page):
    page.context.set_offline(True)
    choose(page, file(draw_face(), "1.jpg"), file(draw_face(), "2.jpg"), file(b"no picture", "bad.jpg"))
    expect(problem_text(page)).to_have_count(3)
    page.context.set_offline(False)
    page.get_by_role("button", name="Try all again").click()
    expect(page.locator(".words .meta")).to_have_count(2)
    expect(page.get_by_role("button", name="Try all again")).to_be_hidden()


def test_a_request_without_an_answer_is_given_up(page):
    asked = []
    page.clock.install()
    page.route("**/predict*", lambda route: asked.append(route))  # noqa: PLW0108 -- Playwright takes no builtin
    choose(page, file(draw_face()))
    for tried in range(1, 5):
        until(page, lambda tried=tried: len(asked) == tried)
        page.clock.run_for(45_000)
    expect(problem_text(page)).to_contain_text("The service cannot be reached.")


def test_an_answer_that_stays_incomplete_is_given_up(page):
    page.clock.install()
    with stalling(page, "**/predict*") as asked:
        choose(page, file(draw_face()))
        for tried in range(1, 5):
            until(page, lambda tried=tried: len(asked) == tried)
            page.wait_for_timeout(100)  # in which the headers arrive
            page.clock.run_for(45_000)
        expect(problem_text(page)).to_contain_text("The service cannot be reached.")


def test_after_incomplete_answers_are_cleared_other_pictures_are_scored(page):
    with stalling(page, "**/predict*") as asked:
        choose(page, *(file(draw_face(), f"{number}.jpg") for number in range(3)))
        until(page, lambda: len(asked) == 3)
        page.wait_for_timeout(300)  # in which the headers arrive
        page.get_by_role("button", name="Clear").click()
        page.unroute("**/predict*")
        choose(page, file(draw_face(), "next.jpg"))
        expect(page.locator(".words .meta")).to_have_count(1)


def test_a_request_that_left_too_slowly_is_repeated(page):
    answers = iter([{"status": 408, "body": "<h1>Request Timeout</h1>"}])
    page.route("**/predict*", lambda r: r.fulfill(**next(answers, None) or {"json": prediction(face())}))
    choose(page, file(draw_face()))
    expect(page.locator(".words .meta")).to_have_count(1)


def test_a_cleared_picture_is_no_longer_sent(page):
    asked = []

    def answer(route):
        asked.append(route)
        route.fulfill(**problem(503, "internal"))

    page.clock.install()
    page.route("**/predict*", answer)
    choose(page, file(draw_face()))
    until(page, lambda: asked)
    page.get_by_role("button", name="Clear").click()
    page.clock.run_for(60_000)
    choose(page, file(draw_face(), "next.jpg"))
    until(page, lambda: len(asked) == 2)
    expect(page.locator(".card h2")).to_have_text(["next.jpg"])


def test_the_focus_stays_at_a_picture_that_is_tried_again(page):
    page.route("**/predict*", lambda route: route.abort())
    choose(page, file(draw_face()))
    page.get_by_role("button", name="Try again").press("Enter")
    expect(page.locator(".card")).to_be_focused()
    expect(problem_text(page)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()


def test_one_refused_picture_does_not_stop_the_others(page):
    choose(page, file(b"no picture", "bad.jpg"), file(draw_face(), "good.jpg"))
    expect(page.locator("#totals")).to_contain_text(re.compile("2 pictures · .* · 1 not scored"))
