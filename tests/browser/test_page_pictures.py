"""The picture view scores pictures from every input, and offers the results as CSV."""

import base64
import csv
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.answers import choose, face, file, prediction, until
from tests.pictures import draw_face, draw_scene, encode

DROP = """([type, text, name]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const event = type === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector("main").dispatchEvent(event);
}"""


def cards(page):
    return page.locator("#results > li")


def give(page, event, name="dropped.jpg"):
    picture = encode(draw_scene())
    page.evaluate(DROP, [event, base64.b64encode(picture).decode(), name])


def test_several_pictures_are_scored_separately(page):
    choose(
        page,
        file(draw_scene(), "three.jpg"),
        file(draw_face(), "one.png", "PNG"),
        file(draw_scene((90,)), "wide.webp", "WEBP"),
    )

    expect(page.locator(".words .meta")).to_have_count(3)
    expect(page.get_by_role("heading", level=2).locator("visible=true")).to_have_text(
        ["wide.webp", "one.png", "three.jpg"]
    )
    expect(page.get_by_role("status").first).to_contain_text("3 pictures")
    words = cards(page).nth(2).locator(".words")
    expect(words).to_contain_text(re.compile(r"\d faces?: \d mask"))
    expect(words).to_contain_text(re.compile(r"Model \d\S* · \d+ ms · \d+:\d\d"))


def turned(kind, **metadata):
    """A picture of 160 by 200 pixels that stands upright once it is turned by a quarter."""
    return file(draw_face(), f"turned.{kind.lower()}", kind, **metadata)


@pytest.mark.parametrize(
    "picture",
    [
        turned("JPEG", xmp=b'<rdf:Description tiff:Orientation="6"/>'),
        turned("JPEG", xmp=b"<tiff:Orientation>6</tiff:Orientation>"),
        turned("WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    ],
    ids=["attribute", "element", "WebP"],
)
def test_the_service_sees_a_picture_as_the_browser_shows_it(page, picture):
    with page.expect_response("**/predict*") as asked:
        choose(page, picture)
    assert asked.value.json()["image"] == {"width": 160, "height": 200}


def test_a_face_s_tag_does_not_leave_the_picture_on_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 740})
    page.route("**/predict*", lambda route: route.fulfill(json=prediction(face(box=(430, 100, 100, 150)))))
    choose(page, file(draw_scene(width=640, height=480)))
    expect(page.locator(".tag")).to_be_visible()
    tag, picture = page.locator(".tag").bounding_box(), page.locator(".frame").bounding_box()
    assert tag["x"] + tag["width"] <= picture["x"] + picture["width"] + 1


def test_all_faces_are_printed(page):
    page.route("**/predict*", lambda route: route.fulfill(json=prediction(*[face()] * 9)))
    choose(page, file(draw_face()))
    expect(page.locator(".faces > li")).to_have_count(9)
    page.emulate_media(media="print")
    cut = page.locator(".faces").evaluate("(list) => list.scrollHeight > list.clientHeight + 1")
    assert not cut


def test_boxes_are_over_the_faces(page):
    page.set_viewport_size({"width": 1400, "height": 1000})
    answer = prediction(face("mask", box=(160, 120, 320, 240)), face("incorrect", 0.7, (0, 0, 64, 48)))
    page.route("**/predict*", lambda route: route.fulfill(json=answer))

    choose(page, file(draw_scene(width=640, height=480)))

    picture = page.locator(".frame img").bounding_box()
    box = page.locator(".box.mask").bounding_box()
    for name, share in {"x": 0.25, "y": 0.25}.items():
        side = picture["width" if name == "x" else "height"]
        assert box[name] - picture[name] == pytest.approx(share * side, abs=1.5)
    assert box["width"] == pytest.approx(picture["width"] / 2, abs=1.5)
    assert box["height"] == pytest.approx(picture["height"] / 2, abs=1.5)
    expect(page.locator(".box.mask .tag")).to_have_text("1 ✓ Mask 90%")
    expect(page.locator(".box.incorrect .tag")).to_have_text("2 !")  # too narrow for words
    expect(page.locator(".faces h3")).to_have_text(["✓1 Mask, 90.0%", "!2 Worn wrongly, 70.0%"])
    expect(page.locator(".faces li").nth(1).locator(".chance")).to_have_text(
        ["Mask15.0%", "Worn wrongly70.0%", "No mask15.0%"]
    )
    assert page.locator(".faces li").nth(0).locator(".fill").first.evaluate("(e) => e.style.width") == "90%"


def test_a_picture_without_a_face_is_classified_as_a_whole(page):
    page.route("**/predict*", lambda route: route.fulfill(json=prediction()))
    choose(page, file(draw_scene()))
    expect(cards(page)).to_contain_text("No face found: the whole picture was scored.")
    expect(page.locator(".box")).to_have_count(0)


def test_pictures_can_be_dropped_anywhere(page):
    give(page, "dragover")
    expect(page.locator("body")).to_have_class("dragging")
    give(page, "drop")
    expect(page.locator("body")).not_to_have_class("dragging")
    expect(page.locator(".words .meta")).to_have_count(1)


def test_a_picture_can_be_pasted(page):
    give(page, "paste", name="image.png")
    expect(page.locator(".words .meta")).to_have_count(1)
    expect(cards(page)).to_contain_text("image.png")


def test_a_drop_on_another_view_is_ignored(page):
    page.get_by_role("button", name="Compliance").click()
    give(page, "drop")
    page.get_by_role("button", name="Picture", exact=True).click()
    expect(cards(page)).to_have_count(0)


KEEP_WHAT_IS_SENT = """() => {
  const send = window.fetch;
  window.fetch = (path, options) => {
    if (options.body instanceof Blob) window.sent = options.body;
    return send(path, options);
  };
}"""

READ_WHAT_WAS_SENT = """() => new Promise((done) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(",")[1]);
  reader.readAsDataURL(window.sent);
})"""


def sent(page):
    """Return the bytes of the last picture sent; Playwright does not expose the bytes of a Blob."""
    return base64.b64decode(page.evaluate(READ_WHAT_WAS_SENT))


def test_a_picture_above_the_api_s_limits_is_scaled_before_it_is_sent(page):
    page.evaluate(KEEP_WHAT_IS_SENT)
    large = draw_face(3600, 4500)
    with page.expect_request("**/predict*") as asked:
        choose(page, file(large, "large.png", "PNG"))
    assert asked.value.response().json()["image"] == {"width": 1536, "height": 1920}
    assert sent(page).startswith(b"\xff\xd8\xff")
    assert len(sent(page)) < 500_000


@pytest.mark.parametrize(
    "picture",
    [
        file(draw_face()),
        file(draw_face(3024, 4032), "phone.jpg"),
        file(draw_face(), "face.webp", "WEBP"),
        file(encode(draw_face()), "misnamed.bmp", "BMP"),
        file(encode(draw_face()), "snapshot"),
    ],
    ids=["small", "12 megapixels", "WebP", "misnamed", "without an ending"],
)
def test_a_picture_that_the_api_accepts_is_sent_unchanged(page, picture):
    page.evaluate(KEEP_WHAT_IS_SENT)
    choose(page, picture)
    expect(page.locator(".words .meta")).to_have_count(1)
    assert sent(page) == picture["buffer"]


def test_a_damaged_large_picture_is_refused_although_the_browser_shows_it(page):
    pixels = np.random.default_rng(0).normal(128, 40, (3000, 2400, 3)).clip(0, 255).astype(np.uint8)
    data = encode(Image.fromarray(pixels), quality=40)
    choose(page, file(data[:1_000_000] + data[1_001_460:]))
    expect(page.locator(".refused")).to_contain_text("damaged or cut short")
    expect(page.locator(".frame img")).to_be_visible()


def test_a_format_that_only_the_browser_reads_is_sent_as_jpeg(page):
    page.evaluate(KEEP_WHAT_IS_SENT)
    choose(page, file(draw_face(), "face.bmp", "BMP"))
    expect(page.locator(".words .meta")).to_have_count(1)
    assert sent(page).startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("scale", [1, 10])
def test_a_rotated_picture_is_shown_and_sent_upright(page, scale):
    upright = draw_scene((120,), 240 * scale, 320 * scale)
    lying = upright.rotate(90, expand=True)
    exif = lying.getexif()
    exif[0x0112] = 6  # turn it to the right to see it upright
    with page.expect_request("**/predict*") as asked:
        choose(page, file(lying, exif=exif))
    image = asked.value.response().json()["image"]
    assert image["width"] * 4 == image["height"] * 3
    shown = page.locator(".frame img").bounding_box()
    assert shown["width"] / shown["height"] == pytest.approx(3 / 4, abs=0.01)


def test_at_most_three_requests_run_concurrently(page):
    held = []
    page.route("**/predict*", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright takes no builtin
    choose(page, *(file(draw_face(), f"{number}.jpg") for number in range(5)))

    expect(page.locator("#totals")).to_contain_text("0 of 5 pictures")
    for done in range(5):
        until(page, lambda: len(held) == min(3 + done, 5))  # noqa: B023 -- called at once
        page.wait_for_timeout(100)  # for one too many
        assert len(held) == min(3 + done, 5)
        held[done].fulfill(json=prediction(face()))
    expect(page.locator("#totals")).to_have_text("5 pictures · 5 faces · 5 mask")


def test_results_can_be_downloaded_as_csv(page):
    answers = [prediction(face("mask", 0.9, (100, 50, 20, 30)), face("no_mask", 0.8)), prediction()]
    page.route("**/predict*", lambda route: route.fulfill(json=answers.pop(0)))
    choose(page, file(draw_face(4800, 3600), "=1+2, large.jpg"))  # answered in pixels of 0.4 of its size
    expect(page.locator(".words .meta")).to_have_count(1)
    choose(page, file(draw_face(), "none.jpg"))
    expect(page.locator(".words .meta")).to_have_count(2)
    page.route("**/predict*", lambda route: route.abort())
    choose(page, file(draw_face(), "lost.jpg"))
    expect(page.locator(".refused")).to_have_count(1)

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as CSV").click()

    rows = list(csv.DictReader(io.StringIO(downloading.value.path().read_text(encoding="utf-8-sig"))))
    assert [(row["file"], row["face"], row["label"]) for row in rows] == [
        ("'=1+2, large.jpg", "1", "mask"),  # which no spreadsheet runs
        ("'=1+2, large.jpg", "2", "no_mask"),
        ("none.jpg", "", "mask"),
        ("lost.jpg", "", ""),
    ]
    assert [rows[0][name] for name in ("left", "top", "width", "height")] == ["250", "125", "50", "75"]
    assert rows[0]["mask"] == "0.9"
    assert rows[3]["problem"] == "The service cannot be reached."


def test_clearing_removes_results_and_cancels_requests(page):
    held = []
    page.route("**/predict*", lambda route: held.append(route))  # noqa: PLW0108
    choose(page, *(file(draw_face(), f"{number}.jpg") for number in range(5)))
    expect(cards(page)).to_have_count(5)
    until(page, lambda: len(held) == 3)

    page.get_by_role("button", name="Clear").click()
    for route in held:
        route.fulfill(json=prediction(face()))

    page.wait_for_timeout(200)
    expect(cards(page)).to_have_count(0)
    expect(page.locator("#session")).to_be_hidden()
    expect(page.locator("#legend")).to_be_visible()
    assert len(held) == 3


def test_the_actual_label_can_be_sent(page):
    choose(page, file(draw_scene()))
    page.locator(".wrong").evaluate("each => { each.open = true; }")  # one in a hundred is open already
    with page.expect_request("**/feedback") as sent:
        page.locator(".wrong").get_by_role("button", name="Worn wrongly").click()
    with_id = sent.value.post_data_json
    assert with_id["label"] == "incorrect"
    assert re.fullmatch(r"[0-9a-f-]{36}", with_id["prediction_id"])
    assert sent.value.response().status == 202
    expect(page.locator(".wrong")).to_contain_text("Thank you. “Worn wrongly” is saved")


def test_of_two_labels_the_second_is_sent_after_the_first_was_answered(page):
    held = []
    page.route("**/feedback", lambda route: held.append(route))  # noqa: PLW0108
    choose(page, file(draw_scene()))
    page.locator(".wrong").evaluate("each => { each.open = true; }")  # one in a hundred is open already
    for name in ("Mask", "No mask"):
        page.locator(".wrong").get_by_role("button", name=name, exact=True).click()
    page.wait_for_timeout(200)
    assert [route.request.post_data_json["label"] for route in held] == ["mask"]

    held[0].fulfill(status=202, json={})
    until(page, lambda: len(held) == 2)
    assert [route.request.post_data_json["label"] for route in held] == ["mask", "no_mask"]
    held[1].fulfill(status=202, json={})
    expect(page.locator(".wrong")).to_contain_text("“No mask” is saved")


def test_a_failed_correction_is_reported(page):
    page.route("**/feedback", lambda route: route.abort())
    choose(page, file(draw_scene()))
    page.locator(".wrong").evaluate("each => { each.open = true; }")  # one in a hundred is open already
    page.locator(".wrong").get_by_role("button", name="No mask").click()
    expect(page.locator(".wrong")).to_contain_text("The service cannot be reached. Check your connection")


def test_a_prediction_of_the_audit_sample_asks_for_its_label(page):
    drawn = prediction() | {"prediction_id": "00000001-7c1e-4b5e-9a53-6a6b1f0f2d11"}
    page.route("**/predict*", lambda route: route.fulfill(json=drawn))
    page.route("**/feedback", lambda route: route.fulfill(status=202, json={}))
    choose(page, file(draw_scene()))
    expect(page.get_by_text("Audit sample: right or wrong?")).to_be_visible()
    with page.expect_request("**/feedback") as sent:
        page.locator(".wrong").get_by_role("button", name="Mask", exact=True).click()
    assert sent.value.post_data_json["audit"] is True


def test_records_have_the_page_s_source(page):
    with page.expect_request("**/predict*") as asked:
        choose(page, file(draw_face()))
    assert asked.value.url.endswith("predict?source=page")


def test_a_phone_offers_its_camera(opened):
    page = opened(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    expect(page.get_by_text("Take a photo")).to_be_visible()
    assert page.locator("#photograph").get_attribute("capture") == "environment"
