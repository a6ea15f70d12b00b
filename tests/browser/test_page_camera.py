"""The camera view, with Chromium's fake camera that plays a drawn video, or with a video file."""

import base64
import re

import pytest
from playwright.sync_api import expect

from tests.browser.answers import face, prediction, problem, stalling, until
from tests.browser.conftest import FAKE_CAMERA
from tests.pictures import draw_mjpeg

VIDEO = """async () => {
  const element = document.createElement("canvas");
  const pen = element.getContext("2d");
  const recorder = new MediaRecorder(element.captureStream(20), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start();
  for (let i = 0; i < 30; i += 1) {
    pen.fillStyle = `hsl(${i * 12} 50% 50%)`;
    pen.fillRect(0, 0, element.width, element.height);
    await new Promise((done) => setTimeout(done, 50));
  }
  recorder.stop();
  await new Promise((done) => (recorder.onstop = done));
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two people with masks who sway before a wall, as motion JPEG."""
    path = tmp_path_factory.mktemp("video") / "two.mjpeg"
    path.write_bytes(draw_mjpeg(40))
    return path


@pytest.fixture(scope="module")
def camera_page(launch, video):
    """A browser whose camera plays the video."""
    return launch(FAKE_CAMERA, f"--use-file-for-fake-video-capture={video}")


@pytest.fixture
def page(opened, camera_page):
    """The view before the start, with permission to use the camera."""
    return opened(camera_page, at="#camera", permissions=["camera"], viewport={"width": 1280, "height": 1000})


def start(page):
    page.get_by_role("button", name="Start camera").click()


def answering(page, *answers):
    """Answer the first frames with these, and all later ones with the last; return the list of requests."""
    asked = []

    def answer(route):
        asked.append(route.request)
        given = answers[min(len(asked), len(answers)) - 1]
        given = given() if callable(given) else given
        route.fulfill(**given) if "status" in given else route.fulfill(json=given)

    page.route("**/predict*", answer)
    return asked


def setting(page, label, value):
    page.get_by_role("slider", name=re.compile(label)).fill(str(value))


def test_people_in_front_of_the_camera_are_found_tracked_and_counted(page):
    start(page)
    expect(page.locator("#people li")).to_have_count(2)
    expect(page.locator("#marks .box")).to_have_count(2)
    expect(page.locator("#count-people")).to_have_text("2")
    page.wait_for_timeout(3000)
    expect(page.locator("#people li")).to_have_text([re.compile(r"✓1 Mask\d+%"), re.compile(r"✓2 Mask\d+%")])
    expect(page.locator("#count-people")).to_have_text("2")
    expect(page.locator("#rate")).to_have_text(re.compile(r"\d+\.\d"))


def test_boxes_are_over_the_faces(page):
    answering(page, prediction(face(box=(160, 120, 320, 240))))
    start(page)
    expect(page.locator("#marks .box")).to_have_count(1)
    video, marked = page.evaluate(
        """() => ["#video", "#marks .box"].map(
             (which) => document.querySelector(which).getBoundingClientRect().toJSON())"""
    )
    assert video["width"] / video["height"] == pytest.approx(4 / 3, abs=0.01)
    assert marked["x"] - video["x"] == pytest.approx(video["width"] / 4, abs=2)
    assert marked["height"] == pytest.approx(video["height"] / 2, abs=2)


def test_no_second_frame_is_sent_before_the_first_is_answered(page):
    held = []
    page.route("**/predict*", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright takes no builtin
    start(page)
    for sent in range(1, 4):
        until(page, lambda sent=sent: len(held) >= sent)
        page.wait_for_timeout(300)  # in which another would come
        assert len(held) == sent
        held[-1].fulfill(json=prediction(face()))


def test_the_title_says_that_the_camera_is_not_watched_in_another_view(page):
    answering(page, prediction(face()))
    start(page)
    expect(page.locator("#people li")).to_have_count(1)
    expect(page).to_have_title(re.compile("^Camera . MaskWatch"))
    page.get_by_role("button", name="Compliance").click()
    expect(page).to_have_title(re.compile("^Camera not watched"))
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page).to_have_title(re.compile("^Camera . MaskWatch"))

    page.get_by_role("button", name="Compliance").click()
    page.evaluate(
        "() => document.querySelector('#video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
    )
    expect(page).to_have_title(re.compile("^Camera stopped"))


def test_an_alert_and_boxes_end_when_the_service_does_not_answer(page):
    answers = [prediction(face("no_mask", 0.98))] * 8 + [
        problem(503, "internal", headers={"retry-after": "60"})
    ]
    answering(page, *answers)
    setting(page, "Alert after", 0)
    start(page)
    expect(page.get_by_role("alert")).not_to_be_empty()
    expect(page.locator("#state")).to_contain_text("Trying again in")
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#marks .box")).to_have_count(0)


def test_an_alert_that_a_browser_translates_is_announced_once(page):
    asked = answering(page, prediction(face("no_mask", 0.98)))
    setting(page, "Alert after", 0)
    start(page)
    expect(page.get_by_role("alert")).not_to_be_empty()
    page.evaluate("() => (document.querySelector('#alert').textContent = 'Seit 0 s ohne Maske: 1')")
    seen = len(asked)
    until(page, lambda: len(asked) > seen + 3)
    expect(page.get_by_role("alert")).to_have_text("Seit 0 s ohne Maske: 1")


def test_no_more_frames_per_second_are_sent_than_set(page):
    asked = answering(page, prediction(face()))
    setting(page, "Frames a second", 2)
    start(page)
    page.wait_for_timeout(4000)
    assert 3 <= len(asked) <= 9


def test_a_flickering_answer_shows_a_steady_label(page):
    flip = iter(["mask"] * 3 + ["no_mask", "mask"] * 1000)
    asked = answering(page, lambda: prediction(face(next(flip), 0.9)))
    page.evaluate(
        """() => {
          window.seen = [];
          const look = () => window.seen.push(document.querySelector("#people li")?.textContent.replace(/\\d+%/, ""));
          new MutationObserver(look).observe(document.querySelector("#people"), { childList: true });
        }"""
    )
    setting(page, "Smoothing", 3)  # over several frames, however slowly they come
    start(page)
    until(page, lambda: len(asked) > 15)
    assert set(page.evaluate("() => window.seen.filter(Boolean)")) == {"✓1 Mask"}

    setting(page, "Smoothing", 0)
    setting(page, "Lead", 0)
    # It was this that kept it steady.
    until(page, lambda: "✕1 No mask" in page.evaluate("() => window.seen"))


def test_settings_can_be_reset(page):
    setting(page, "Smoothing", 2)
    expect(page.locator(".slider", has_text="Smoothing").locator("output")).to_have_text("2 s")
    page.get_by_role("button", name="Reset to defaults").click()
    expect(page.locator(".slider", has_text="Smoothing").locator("output")).to_have_text("0.5 s")


def test_an_alert_begins_after_some_time_without_a_mask_and_ends_with_one(page):
    labels = {"now": "no_mask"}
    answering(page, lambda: prediction(face(labels["now"], 0.98)))
    setting(page, "Alert after", 1.5)
    start(page)
    alert = page.get_by_role("alert")
    expect(page.locator("#people li")).to_have_count(1)
    expect(alert).to_be_empty()
    expect(alert).to_have_text("No mask for more than 1.5 s: person 1")
    expect(page.locator("#live")).to_have_class(re.compile("alarmed"))

    labels["now"] = "mask"
    expect(alert).to_be_empty()
    expect(page.locator("#live")).not_to_have_class(re.compile("alarmed"))


def test_an_alert_sounds_once_if_sound_is_on(page):
    page.evaluate(
        """() => {
          window.tones = 0;
          const start = OscillatorNode.prototype.start;
          OscillatorNode.prototype.start = function (...when) { window.tones += 1; start.apply(this, when); };
        }"""
    )
    answering(page, prediction(face("no_mask", 0.98)))
    setting(page, "Alert after", 0)
    start(page)
    expect(page.get_by_role("alert")).not_to_be_empty()
    assert page.evaluate("() => window.tones") == 0

    page.get_by_role("button", name="Stop").click()
    page.get_by_label("Play a sound").check()
    start(page)
    expect(page.get_by_role("alert")).not_to_be_empty()
    page.wait_for_timeout(1000)
    assert page.evaluate("() => window.tones") == 2  # of one beep


def test_an_alert_sounds_if_the_browser_restored_the_box(page):
    page.evaluate("document.getElementById('sound').checked = true")  # without an event
    asked = answering(page, prediction(face("no_mask", 0.98)))
    setting(page, "Alert after", 0)
    start(page)
    expect(page.get_by_role("alert")).not_to_be_empty()
    before = len(asked)
    until(page, lambda: len(asked) > before + 2)


def test_pausing_sends_no_frames_and_resuming_counts_nobody_twice(page):
    asked = answering(page, prediction(face("no_mask", 0.98)))
    setting(page, "Alert after", 4)
    start(page)
    expect(page.locator("#count-people")).to_have_text("1")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(1000)
    before = len(asked)
    page.wait_for_timeout(3000)
    assert len(asked) == before

    page.get_by_role("button", name="Resume").click()
    until(page, lambda: len(asked) > before + 2)
    expect(page.locator("#count-people")).to_have_text("1")
    expect(page.get_by_role("alert")).to_be_empty()  # nobody was seen without a mask while nobody looked


def test_another_view_pauses_it(page):
    asked = answering(page, prediction(face()))
    start(page)
    expect(page.locator("#people li")).to_have_count(1)
    page.get_by_role("button", name="Picture", exact=True).click()
    page.wait_for_timeout(1000)
    before = len(asked)
    page.wait_for_timeout(1000)
    assert len(asked) == before


def test_stopping_releases_the_camera_and_keeps_the_counts(page):
    answering(page, prediction(face()))
    start(page)
    expect(page.locator("#count-mask")).to_have_text("1")
    page.evaluate("() => (window.track = document.querySelector('video').srcObject.getTracks()[0])")
    page.get_by_role("button", name="Stop").click()
    assert page.evaluate("() => window.track.readyState") == "ended"
    expect(page.locator("#people li")).to_have_count(0)
    expect(page.locator("#count-mask")).to_have_text("1")
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()


def test_nothing_is_stored(page):
    start(page)
    expect(page.locator("#count-people")).to_have_text("2")
    stored = page.evaluate(
        "async () => [localStorage.length, (await indexedDB.databases()).length, (await caches.keys()).length]"
    )
    assert stored == [0, 0, 0]


def test_an_unplugged_camera_is_reported(page):
    answering(page, prediction(face()))
    start(page)
    expect(page.locator("#people li")).to_have_count(1)
    page.evaluate(
        "() => document.querySelector('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
    )
    expect(page.locator("#state")).to_have_text("The camera was disconnected. Connect it, then start again.")
    start(page)
    expect(page.locator("#people li")).to_have_count(1)


def test_a_denied_camera_is_reported(opened, camera_page):
    page = opened(camera_page, at="#camera", permissions=[])
    start(page)
    expect(page.locator("#state")).to_contain_text("The browser was not allowed to use the camera. Allow it")


def test_a_missing_camera_is_reported(opened, browser):
    page = opened(browser, at="#camera", permissions=["camera"])
    start(page)
    expect(page.locator("#state")).to_have_text("No camera was found. Connect one, or choose a video file.")


def test_one_of_two_cameras_can_be_chosen(opened, launch):
    page = opened(launch(f"{FAKE_CAMERA}=device-count=2"), at="#camera", permissions=["camera"])
    asked = answering(page, prediction())
    start(page)
    choice = page.get_by_role("combobox", name="Camera")
    expect(choice.locator("option")).to_have_count(2)
    used = "() => document.querySelector('video').srcObject.getTracks()[0].getSettings().deviceId"
    first = page.evaluate(used)
    assert choice.input_value() == first

    other = next(
        v for v in choice.locator("option").evaluate_all("(all) => all.map((o) => o.value)") if v != first
    )
    choice.select_option(other)
    expect(page.locator("#state")).to_be_hidden()
    assert page.evaluate(used) == other
    before = len(asked)
    until(page, lambda: len(asked) > before)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (problem(429, "throttled", headers={"retry-after": "1"}), "The service is too busy"),
        (problem(500, "internal"), "The service failed. Trying again in 1 s."),
    ],
    ids=["throttled", "failing"],
)
def test_a_service_that_recovers_is_waited_for(page, refusal, words):
    seen = prediction(face())
    asked = answering(page, *[seen] * 5, refusal, refusal, seen)
    start(page)
    expect(page.locator("#state")).to_contain_text(words)
    expect(page.locator("#state")).to_be_hidden()
    assert len(asked) > 7
    expect(page.locator("#people li")).to_have_count(1)
    expect(page.locator("#count-people")).to_have_text("1")


def test_a_lost_connection_is_waited_for(page):
    start(page)
    expect(page.locator("#people li")).to_have_count(2)
    page.context.set_offline(True)
    expect(page.locator("#state")).to_contain_text("The service cannot be reached. Trying again in")
    page.context.set_offline(False)
    expect(page.locator("#state")).to_be_hidden()


def test_an_answer_that_stays_incomplete_is_given_up(page):
    start(page)
    expect(page.locator("#people li")).to_have_count(2)
    page.clock.install()
    with stalling(page, "**/predict*") as asked:
        until(page, lambda: asked)
        page.wait_for_timeout(300)  # in which the headers arrive
        page.clock.run_for(45_000)
        expect(page.locator("#state")).to_contain_text("The service cannot be reached. Trying again in")
        expect(page.locator("#people li")).to_have_count(0)
        page.unroute("**/predict*")
    page.clock.run_for(45_000)
    expect(page.locator("#state")).to_be_hidden()


def test_a_lasting_error_stops_the_camera(page):
    asked = answering(page, problem(422, "too-small"))
    start(page)
    expect(page.locator("#state")).to_contain_text("The picture is too small.")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    assert len(asked) == 1


def test_a_camera_that_is_allowed_too_late_is_released(page):
    answering(page, prediction(face()))
    page.evaluate(
        """() => {
          const devices = navigator.mediaDevices;
          const ask = devices.getUserMedia.bind(devices);
          devices.getUserMedia = (what) => new Promise((done) => {
            window.allow = async () => done(window.late = await ask(what));
          });
        }"""
    )
    start(page)
    video = base64.b64decode(page.evaluate(VIDEO))
    page.get_by_label("Choose a video").set_input_files(
        {"name": "gate.webm", "mimeType": "video/webm", "buffer": video}
    )
    page.evaluate("() => window.allow()")
    expect(page.locator("#state")).to_have_text("The video has ended.")
    assert page.evaluate("() => window.late.getTracks()[0].readyState") == "ended"


def test_after_the_key_is_entered_it_continues(opened, camera_page):
    page = opened(camera_page, key=None, at="#camera", permissions=["camera"])
    start(page)
    page.get_by_label("Key", exact=True).fill("local")
    page.keyboard.press("Enter")
    expect(page.locator("#people li")).to_have_count(2)


def test_a_video_file_is_played_to_its_end(page):
    answering(page, prediction(face()))
    video = base64.b64decode(page.evaluate(VIDEO))
    page.get_by_label("Choose a video").set_input_files(
        {"name": "gate.webm", "mimeType": "video/webm", "buffer": video}
    )
    expect(page.locator("#count-people")).to_have_text("1")
    expect(page.locator("#state")).to_have_text("The video has ended.")


def test_a_file_that_is_no_video_is_reported(page):
    page.get_by_label("Choose a video").set_input_files(
        {"name": "notes.mp4", "mimeType": "video/mp4", "buffer": b"no video"}
    )
    expect(page.locator("#state")).to_have_text(
        "notes.mp4 cannot be played here. Choose an MP4 or WebM video."
    )
