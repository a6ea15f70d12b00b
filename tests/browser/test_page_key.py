"""The page asks for the API key when the service requires it, and keeps it only in the tab."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.answers import choose, file
from tests.pictures import draw_face


@pytest.fixture
def page(opened):
    """The page without a key."""
    return opened(key=None)


def choose_faces(page, count=1):
    choose(page, *(file(draw_face(), f"{number}.jpg") for number in range(count)))


def give(page, key):
    page.get_by_label("Key", exact=True).fill(key)
    page.keyboard.press("Enter")


def stores(page):
    return page.evaluate(
        "() => [JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]"
    )


def test_the_dialog_says_why_it_asks_to_screen_readers_too(page):
    choose_faces(page)
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_have_accessible_description("This service requires a key.")
    give(page, "wröng")
    expect(dialog.get_by_role("alert")).to_contain_text("invalid characters")
    expect(page.get_by_label("Key", exact=True)).to_have_accessible_description(
        re.compile("invalid characters")
    )


def test_it_is_asked_for_once_and_the_queue_continues(page):
    choose_faces(page, 4)
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_contain_text("This service requires a key.")
    give(page, "local")

    expect(page.locator(".words .meta")).to_have_count(4)
    expect(dialog).to_be_hidden()


def test_a_wrong_key_is_reported_and_asked_for_again(page):
    choose_faces(page)
    give(page, "wrong")
    expect(page.get_by_role("dialog")).to_contain_text("The service does not know this key.")
    give(page, " local ")
    expect(page.locator(".words .meta")).to_have_count(1)


@pytest.mark.parametrize("how", ["Cancel", "Escape"])
def test_the_dialog_can_be_dismissed(page, how):
    choose_faces(page)
    expect(page.get_by_role("dialog")).to_be_visible()
    if how == "Escape":
        page.keyboard.press("Escape")
    else:
        page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".refused")).to_contain_text(
        "The API key is missing or wrong. Enter the key", use_inner_text=True
    )

    page.get_by_role("button", name="Try again").click()
    give(page, "local")
    expect(page.locator(".words .meta")).to_have_count(1)


def test_it_is_asked_for_once_if_the_dialog_is_cancelled(page):
    choose_faces(page, 8)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#totals")).to_contain_text("8 not scored")
    expect(page.get_by_role("dialog")).to_be_hidden()

    page.get_by_role("button", name="Try again").first.click()
    give(page, "local")
    expect(page.locator(".words .meta")).to_have_count(1)
    expect(page.get_by_role("button", name="Try again")).to_have_count(7)


def test_it_is_kept_only_in_this_tab(page, stack):
    choose_faces(page)
    give(page, "local")
    expect(page.locator(".words .meta")).to_have_count(1)

    assert stores(page) == ['{"maskwatch-key":"local"}', "{}", ""]
    assert "local" not in page.get_by_label("Key", exact=True).input_value()
    page.reload()
    choose_faces(page)
    expect(page.locator(".words .meta")).to_have_count(1)

    other = page.context.new_page()
    other.goto(stack)
    assert stores(other) == ["{}", "{}", ""]


def test_it_can_be_forgotten(page):
    page.get_by_role("button", name="API key").click()
    give(page, "local")
    page.get_by_role("button", name="API key").click()
    page.get_by_role("button", name="Remove key").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert stores(page)[0] == "{}"


def test_it_is_not_sent_with_page_requests_or_in_urls(page):
    page.get_by_role("button", name="API key").click()
    give(page, "local")
    asked = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 -- Playwright takes no builtin
    choose_faces(page)
    page.get_by_role("button", name="Compliance").click()
    page.wait_for_load_state("networkidle")

    assert asked
    for request in asked:
        if request.url.startswith("blob:"):
            continue
        assert "local" not in request.url.partition("//")[2].partition("/")[2]
        assert ("x-api-key" in request.headers) == ("/page/" not in request.url)
