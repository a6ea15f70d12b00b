"""The API's documentation works under its Content-Security-Policy."""

from playwright.sync_api import expect


def test_every_route_is_shown_and_can_be_opened(opened):
    page = opened(at="docs")
    expect(page.locator(".opblock-summary-path", has_text="/predict")).to_be_visible()
    page.locator(".opblock-summary-path", has_text="/predict").click()
    expect(page.get_by_text("Detect who wears a mask in a picture.").first).to_be_visible()
    expect(page.locator(".response-col_status", has_text="422").first).to_be_visible()


def test_a_request_can_be_tried(opened):
    page = opened(at="docs")
    page.locator(".opblock-summary-path", has_text="/health").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table").get_by_text("200").first).to_be_visible()
