"""The page in Chromium, served by the local stack."""

import os
import shutil

import pytest

from tests.system import running

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (  # no sandbox: tests may run as root; and not a word to anybody outside
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
FAKE_CAMERA = "--use-fake-device-for-media-stream"


@pytest.fixture(scope="session")
def stack():
    """The URL of a running system without data, so not of the one that integration tests share."""
    with running() as system:
        yield f"{system.url}/"


# Playwright keeps an event loop in this thread: past the file, no other test could start one.
@pytest.fixture(scope="module")
def launch():
    """Return a function that starts Chromium with further arguments; all are closed at the end."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("needs Chromium: install Debian's package `chromium`, or say in CHROMIUM where one is")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make test installs it")
    playwright.expect.set_options(timeout=20_000)  # of a machine that has much to do
    with playwright.sync_playwright() as driver:
        yield lambda *arguments: driver.chromium.launch(executable_path=program, args=[*QUIET, *arguments])


@pytest.fixture(scope="module")
def browser(launch):
    """A browser without a camera."""
    return launch()


@pytest.fixture
def opened(stack, browser):
    """Return a function that opens the page with the options of a context, and with the key unless it is None.

    At the end, errors and warnings in the console fail the test, except for refused requests, which every
    browser reports.
    """
    contexts, complaints = [], []

    def complain(message):
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    def open_page(browser=browser, *, key="local", at="", go=True, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        if key:
            context.add_init_script(f"sessionStorage.setItem('maskwatch-key', '{key}')")
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if go:
            page.goto(stack + at)
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:  # whose answers under way would fail the test that comes next
            page.unroute_all(behavior="ignoreErrors")
        context.close()
    assert complaints == []


@pytest.fixture
def page(opened):
    """The page after opening it."""
    return opened()
