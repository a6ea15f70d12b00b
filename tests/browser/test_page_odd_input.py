"""The page handles unusual input: folders, empty files, old browsers, unexpected answers."""

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.answers import choose, face, file, prediction
from tests.pictures import draw_face, encode

CELLS = json.loads((Path(__file__).parents[1] / "csv_cells.json").read_text())


def drop(page, *paths):
    """Drop files or folders like the operating system."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


def refused(page):
    return page.locator(".refused")


def answer_with(page, **answer):
    page.route("**/predict*", lambda route: route.fulfill(**answer))


@pytest.fixture
def old_page(opened, stack):
    """The page in a browser like Safari before 16.4, which also knows no `imageOrientation: "from-image"`."""
    page = opened(go=False)
    page.add_init_script(
        """delete window.OffscreenCanvas;
        const create = createImageBitmap;
        window.createImageBitmap = async (picture, options) => {
          if (options?.imageOrientation === "from-image") throw new TypeError("not a valid value");
          return create(picture, options);
        };"""
    )
    page.goto(stack)
    return page


def test_an_old_browser_scales_a_large_picture_down(old_page):
    with old_page.expect_request("**/predict*") as asked:
        choose(old_page, file(draw_face(4800, 3000), "large.png", "PNG"))
    assert asked.value.response().json()["image"] == {"width": 1920, "height": 1200}


def test_an_old_browser_can_watch_a_camera(old_page):
    old_page.get_by_role("button", name="Camera").click()
    expect(old_page.get_by_role("button", name="Start camera")).to_be_enabled()
    expect(old_page.locator("#camera .lead")).not_to_contain_text("could not be loaded")


def test_pictures_in_a_dropped_folder_are_scored(page, tmp_path):
    answer_with(page, json=prediction(face("mask")))
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.JFIF", "notes.txt"):
        (tmp_path / "photos" / name).write_bytes(encode(draw_face()))
    drop(page, tmp_path / "photos")
    expect(page.locator(".card .summary")).to_have_count(2)
    expect(page.get_by_role("heading", name="a.jpg")).to_be_visible()
    expect(page.get_by_role("heading", name="b.JFIF")).to_be_visible()


def test_a_dropped_folder_without_pictures_says_so(page, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "notes.txt").write_text("x")
    drop(page, tmp_path / "papers")
    expect(refused(page)).to_contain_text("There are no pictures in that folder.")


def test_a_dropped_file_is_scored_with_any_name(page, tmp_path):
    """The browser gives it no type, without which the gateway would treat it as text."""
    (tmp_path / "snapshot").write_bytes(encode(draw_face()))
    drop(page, tmp_path / "snapshot")
    expect(page.locator(".card .summary")).to_be_visible()
    (tmp_path / "live.photo").write_bytes(b"\0\0\0\x18ftypheic" + bytes(2000))
    drop(page, tmp_path / "live.photo")
    expect(refused(page)).to_contain_text("This is a HEIC picture.")


@pytest.mark.parametrize("body", ["<h1>Welcome to this hotel</h1>", "null", "{}", '{"label": "mask"'])
def test_an_answer_that_is_not_json_does_not_stop_the_others(page, body):
    bodies = [body] * 3 + [None]
    answers = iter(bodies)

    def answer(route):
        text = next(answers)
        route.fulfill(
            **({"json": prediction(face("mask"))} if text is None else {"status": 200, "body": text})
        )

    page.route("**/predict*", answer)
    choose(page, *(file(draw_face(), f"{number}.jpg") for number in range(4)))
    expect(refused(page)).to_have_count(3)
    expect(refused(page).first).to_contain_text("The answer is not from this service.")
    expect(page.locator(".card .summary")).to_have_count(1)


def test_an_empty_file_is_reported(page):
    choose(page, file(b"", "empty.jpg"))
    expect(refused(page)).to_contain_text("The file is empty.")


def test_a_file_that_changed_before_it_is_tried_again_is_reported(page, tmp_path):
    picture = tmp_path / "face.jpg"
    picture.write_bytes(encode(draw_face()))
    page.route("**/predict*", lambda route: route.abort())
    choose(page, picture)
    expect(refused(page)).to_contain_text("The service cannot be reached.")

    picture.write_bytes(encode(draw_face(200, 200)))
    os.utime(picture, (1, 1))  # the browser may compare whole seconds
    page.get_by_role("button", name="Try again").click()
    expect(refused(page)).to_have_text("The file has changed or is gone.Choose it again.")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_picture_that_the_browser_cannot_scale_is_sent_unchanged(opened, stack):
    page = opened(go=False)
    page.add_init_script("HTMLCanvasElement.prototype.toBlob = (done) => done(null)")
    page.goto(stack)
    choose(page, file(draw_face(4800, 3000), "large.jpg"))
    expect(page.locator(".card .summary")).to_be_visible(timeout=60_000)


def test_csv_can_be_downloaded_while_charts_load(page):
    held = []

    def hold(route):
        held.append(route)

    page.route("**/compliance?*by=day", hold)
    page.get_by_role("button", name="Compliance").click()
    expect(page.locator("#compliance-state")).to_contain_text("Loading")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\xef\xbb\xbftime,source")
    held[0].continue_()
    expect(page.locator("#charts")).to_contain_text("Nothing was seen in this range")


def test_an_invalid_key_is_reported(opened):
    page = opened(key=None)
    page.get_by_role("button", name="API key").click()
    for key in ("’local", "lo cal", "schlüssel"):  # noqa: RUF001 -- as word processors write it
        page.locator("#key-why").evaluate("why => { why.textContent = ''; }")
        page.get_by_label("Key", exact=True).fill(key)
        page.locator("#key-form").evaluate("form => form.requestSubmit()")
        expect(page.locator("#key-why"), key).to_contain_text("contains invalid characters")
        assert page.evaluate("sessionStorage.length") == 0, key


@pytest.mark.parametrize("name", ["constructor", "__proto__", "toString", "valueOf"])
def test_the_url_fragment_selects_the_view_by_default_the_first(opened, name):
    page = opened(at=f"#{name}")
    expect(page.locator("#picture")).to_be_visible()
    expect(page).to_have_title("Picture – MaskWatch")  # noqa: RUF001 -- as the page writes it


def test_formulas_in_csv_are_escaped(page):
    program = "async (texts) => { const { cell } = await import('./page/csv.js'); return texts.map(cell); }"
    found = page.evaluate(program, [text for text, _ in CELLS])
    for shown, (text, cell) in zip(found, CELLS, strict=True):
        assert shown in {cell, '"' + cell.replace('"', '""') + '"'}, text


def test_csv_has_a_bom(page):
    text = page.evaluate("async () => (await import('./page/csv.js')).asCsv([])")
    assert text.startswith("\ufefffile,")
