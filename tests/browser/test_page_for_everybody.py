"""Accessibility: axe's rules, keyboard, screen reader, small screens, light and dark mode."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.answers import choose, face, file, prediction
from tests.browser.conftest import FAKE_CAMERA
from tests.browser.test_page_compliance import REPORT, ROWS
from tests.pictures import draw_face

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
SCREENS = [(PHONE, "light"), (PHONE, "dark"), (DESK, "light"), (DESK, "dark")]


def nothing(page):
    expect(page.locator("#legend")).to_be_visible()


def results(page):
    answers = [
        prediction(face("mask"), face("incorrect", 0.7, (10, 10, 50, 50)), face("no_mask", 0.8)),
        prediction(),
    ]
    page.route("**/predict*", lambda route: route.fulfill(json=answers.pop()))
    choose(page, file(draw_face(), "1.jpg"), file(draw_face(), "2.jpg"))
    expect(page.locator(".words .meta")).to_have_count(2)
    page.get_by_text("Right or wrong?").first.click()
    page.route("**/predict*", lambda route: route.abort())
    choose(page, file(draw_face(), "3.jpg"))
    expect(page.locator(".refused")).to_be_visible()


def dialog(page):
    page.get_by_role("button", name="API key").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def camera(page):
    page.route(
        "**/predict*",
        lambda route: route.fulfill(json=prediction(face("no_mask", 0.98), face(box=(0, 0, 40, 40)))),
    )
    page.get_by_role("button", name="Camera", exact=True).click()
    page.get_by_role("slider", name="Alert after").fill("0")
    page.get_by_role("button", name="Start camera").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    page.get_by_role("button", name="Pause").click()


def no_camera(page):
    page.context.clear_permissions()
    page.get_by_role("button", name="Camera", exact=True).click()
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator("#state")).to_contain_text("was not allowed")


def compliance(page):
    page.route(
        "**/compliance?*", lambda route: route.fulfill(json={"rows": ROWS, "as_of": "2026-11-21T09:05:00Z"})
    )
    page.route("**/drift", lambda route: route.fulfill(json=REPORT))
    page.get_by_role("button", name="Compliance").click()
    expect(page.locator("svg.chart")).to_have_count(3)
    page.get_by_text("As a table").first.click()


@pytest.fixture(scope="module")
def pictured(launch):
    return launch(FAKE_CAMERA)


@pytest.mark.parametrize("show", [nothing, results, dialog, camera, no_camera, compliance])
def test_axe_finds_nothing_and_nothing_overflows(opened, pictured, show):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe: make test installs it"
    )
    page = opened(pictured, permissions=["camera"], viewport=PHONE)
    show(page)

    for screen, scheme in SCREENS:
        page.set_viewport_size(screen)
        page.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(page, options={"resultTypes": ["violations"]})

        assert found.violations_count == 0, f"{screen}, {scheme}: {found.generate_report()}"
        width = page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= screen["width"], f"{screen}, {scheme}"


def test_every_control_is_reachable_by_keyboard_with_a_visible_focus(page):
    results(page)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, ring = page.evaluate(
            """() => {
              const at = document.activeElement;
              const ringed = at.closest(".button") ?? at;
              const name = at.ariaLabel ?? at.labels?.[0]?.textContent ?? at.textContent;
              return [name, getComputedStyle(ringed).outlineStyle];
            }"""
        )
        if reached and name == reached[0]:
            break
        reached.append(name)
        if not name.startswith("\n"):  # the whole page, after the last
            assert ring == "solid", name
    text = " ".join(reached)
    for name in (
        "Picture",
        "Camera",
        "Compliance",
        "API key",
        "Choose pictures",
        "Download as CSV",
        "Clear",
        "Try again",
        "Right or wrong?",
        "Worn wrongly",
        "API documentation",
    ):
        assert name in text


def test_a_picture_can_be_chosen_by_keyboard(page):
    with page.expect_file_chooser() as choosing:
        page.get_by_label("Choose pictures").press("Enter")
    assert choosing.value.is_multiple()


def test_the_current_view_is_announced_and_the_back_button_works(page):
    page.get_by_role("button", name="Camera", exact=True).press("Enter")
    expect(page).to_have_title(re.compile("^Camera .* MaskWatch$"))
    expect(page.get_by_role("button", name="Camera", exact=True)).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page.get_by_role("heading", name="Who wears a mask in this picture?")).to_be_visible()


def test_results_are_announced(page):
    results(page)
    expect(page.get_by_role("status").first).to_have_text(
        "3 pictures · 3 faces · 1 mask · 1 worn wrongly · 1 no mask · 1 not scored"
    )


def test_people_in_view_are_announced_at_intervals(opened, pictured):
    page = opened(pictured, permissions=["camera"])
    camera(page)
    expect(page.locator("#announce")).to_have_text("1 no mask, 2 mask in view. 0 people so far.")
