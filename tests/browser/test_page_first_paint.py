"""The first request is enough to render the page."""

from playwright.sync_api import expect

from functions.portal import pages


def test_it_is_rendered_before_scripts_arrive(opened, stack):
    page = opened(go=False)
    held = []
    page.route("**/page/*.js", lambda route: held.append(route))  # noqa: PLW0108 -- and never answered

    page.goto(stack, wait_until="commit")
    paints = page.evaluate(
        """() => new Promise((done) => new PerformanceObserver((list) => done(list.getEntries().map((e) => e.name)))
           .observe({ type: "paint", buffered: true }))"""
    )

    assert paints
    assert held
    assert page.get_by_role("heading", name="Who wears a mask in this picture?").is_visible()
    assert (
        page.locator(".primary").first.evaluate("(e) => getComputedStyle(e).backgroundColor")
        == "rgb(0, 99, 156)"
    )
    assert page.evaluate("() => performance.getEntriesByType('resource').length") == 0
    for route in held:
        route.abort()


def test_a_script_that_does_not_arrive_is_reported(opened, stack):
    page = opened(go=False)
    page.route("**/page/csv.js", lambda route: route.fulfill(status=429))
    page.goto(stack)
    late = page.get_by_text("This page has not loaded completely. Reload it.")
    expect(late).to_be_hidden()
    expect(late).to_be_visible(timeout=30_000)

    page.unroute("**/page/csv.js")
    page.reload()
    expect(page.locator("#picture")).not_to_have_attribute("inert", "")
    expect(late).to_have_css("animation-name", "none")  # so that it never appears


def test_it_requests_no_other_host_and_no_missing_file(opened, stack):
    page = opened(go=False)
    asked = []
    page.on("response", lambda response: asked.append((response.url, response.status)))

    page.goto(stack)
    for view in ("Camera", "Compliance"):
        with page.expect_response(f"**/page/{view.lower()}.js"):
            page.get_by_role("button", name=view, exact=True).click()
    page.wait_for_load_state("networkidle")

    assert all(url.startswith(stack) for url, _ in asked)
    assert {url for url, status in asked if status >= 400} <= {f"{stack}drift"}  # while there is no report


def test_it_works_below_a_stage(opened, stack):
    page = opened(go=False)
    document = pages.front_page("/v1")

    def serve(route):
        path = route.request.url.removeprefix(f"{stack}v1")
        if path in {"", "/"}:
            route.fulfill(body=document.body, content_type=document.type, headers=dict(document.headers))
        else:
            route.fulfill(response=route.fetch(url=stack + path.lstrip("/")))

    page.route(f"{stack}v1**", serve)
    page.route(f"{stack}v1/**", serve)
    for address in ("v1", "v1/"):
        page.goto(stack + address)
        with page.expect_response("**/v1/compliance?*") as answer:
            page.get_by_role("button", name="Compliance").click()
        assert answer.value.status == 200
        assert (
            page.get_by_role("link", name="API documentation").evaluate("(a) => a.href") == f"{stack}v1/docs"
        )


def test_a_view_is_disabled_until_its_script_has_loaded(opened):
    page = opened()
    held = []
    page.route("**/page/camera.js", lambda route: held.append(route))  # noqa: PLW0108
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.get_by_role("heading", name="Watch a camera")).to_be_visible()
    assert page.locator("#camera").evaluate("(view) => view.inert")

    held[0].continue_()
    expect(page.get_by_role("slider").first).to_be_visible()
    assert not page.locator("#camera").evaluate("(view) => view.inert")


def test_a_view_that_fails_to_load_is_reported_and_can_be_retried(opened, stack):
    page = opened(go=False)
    page.route("**/page/trust.js", lambda route: route.abort())
    page.goto(stack)
    page.get_by_role("button", name="Compliance").click()
    expect(page.locator("#compliance .lead")).to_contain_text("Check your connection, then reload the page.")

    page.unroute("**/page/trust.js")
    page.reload()
    expect(page.locator("#charts .panel")).to_have_count(1)
