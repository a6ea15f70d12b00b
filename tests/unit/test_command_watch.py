"""`maskwatch watch` prints an event per line for a video, a folder or a camera."""

import json
import shutil
import sys
from datetime import datetime
from io import BytesIO
from threading import Event, Timer
from types import SimpleNamespace

import av
import pytest
from PIL import Image, ImageDraw

from maskwatch import watch as watch_module
from maskwatch.client import Client, UnreachableError
from maskwatch.events import leave
from maskwatch.frames import Frame, without_password
from maskwatch.video import read
from tests.pictures import draw_face, encode
from tests.service import prediction, problem
from tests.videos import WALL, write_video

NOBODY_THERE = prediction()
BARE = prediction("no_mask")
BARE["faces"][0]["probabilities"] = {"mask": 0.05, "no_mask": 0.95, "incorrect": 0}
PICTURE = Image.new("RGB", (320, 240), WALL)


@pytest.fixture
def service(service, monkeypatch):
    monkeypatch.delenv("MASKWATCH_CAMERA", raising=False)
    monkeypatch.setattr(watch_module, "_MIN_INTERVAL", 0)
    return service


@pytest.fixture
def run(command):
    """Run the command; return its exit status, its events and its messages."""

    def watch(*arguments):
        status, out, err = command("watch", *arguments)
        return status, [json.loads(line) for line in out.splitlines()], err

    return watch


@pytest.fixture(scope="module")
def ten_seconds(tmp_path_factory):
    """A video of a wall, ten frames per second."""
    frames = [Image.new("RGB", (320, 240), WALL)] * 100
    return write_video(tmp_path_factory.mktemp("video") / "wall.mp4", frames)


@pytest.fixture
def camera(monkeypatch, tmp_path):
    """A fake camera whose frames are a function of time and of how often it was opened; None for silence."""

    def show(*frames):
        given = [frame and Frame(frame[0], PICTURE.copy, frame[1]) for frame in frames]
        monkeypatch.setattr(watch_module, "frames_of", lambda *_: (frame for frame in given))
        monkeypatch.setattr(watch_module.time, "sleep", lambda _: None)
        return tmp_path

    return show


def answering(service, *stretches):
    """Answer frames with the given number of each answer in order, and then always with the last one."""
    answers = [answer for times, answer in stretches for _ in range(times)]

    def answer(_):
        return answers[min(len(service.asked), len(answers)) - 1]

    service.answer = answer


def summary(events):
    return [(event["event"], event["person"], event["label"], event["at"]) for event in events]


def test_each_event_is_a_line_about_a_person(run, service, ten_seconds):
    answering(service, (5, NOBODY_THERE), (15, prediction("mask")), (15, BARE), (15, NOBODY_THERE))

    status, events, err = run(ten_seconds, "--source", "gate-3", "--alert-after", "1")

    assert (status, err) == (0, "")
    assert summary(events) == [
        ("came", 1, "mask", 1.4),
        ("changed", 1, "no_mask", 4.4),
        ("alert_on", 1, "no_mask", 5.6),
        ("alert_off", 1, "no_mask", 8.0),
        ("left", 1, "no_mask", 8.0),
    ]
    nobody = {"people": 0, "mask": 0, "incorrect": 0, "no_mask": 0}
    assert [event["in_view"] for event in events[::4]] == [nobody | {"people": 1, "mask": 1}, nobody]
    assert events[-1]["so_far"] == nobody | {"people": 1, "no_mask": 1}
    assert (events[1]["from"], events[4]["stayed"]) == ("mask", 5.8)
    assert {event["source"] for event in events} == {"gate-3"}
    assert all(datetime.fromisoformat(event["time"]).tzinfo for event in events)


def test_frames_are_sent_like_those_of_the_page(run, service, tmp_path):
    wide = write_video(tmp_path / "wide.mp4", [Image.new("RGB", (1280, 720), WALL)] * 20)

    _, events, _ = run(wide, "--source", "Tür 3", "--rate", "5")

    assert len(service.asked) == 10
    assert {Image.open(BytesIO(asked.body)).size for asked in service.asked} == {(960, 540)}
    assert {asked.query["source"] for asked in service.asked} == {"Tür 3"}
    assert {asked.headers["x-api-key"] for asked in service.asked} == {"secret"}
    tracks = [asked.query.get("track") for asked in service.asked]
    assert tracks == [None] * 3 + [events[0]["track"]] * 7


def test_the_stays_of_two_runs_have_different_ids(run, ten_seconds):
    tracks = {run(ten_seconds)[1][0]["track"] for _ in range(2)}
    assert len(tracks) == 2


def test_at_the_end_everybody_leaves(run, ten_seconds):
    _, events, _ = run(ten_seconds)
    assert [event["event"] for event in events] == ["came", "left"]


def test_no_frame_of_a_video_is_lost_while_the_service_throttles_or_is_down(
    run, service, ten_seconds, monkeypatch
):
    waits = []
    monkeypatch.setattr(watch_module.time, "sleep", waits.append)
    hindrances = {
        3: (*problem("throttled", 429, "Slow down."), ("retry-after", "7")),
        4: (*problem("throttled", 429, "Slow down."), ("retry-after", "7")),
        20: problem("internal", 503, "Busy."),
        22: problem("internal", 504, "Late."),
    }
    service.answer = lambda _: hindrances.get(len(service.asked)) or prediction("mask")

    status, events, err = run(ten_seconds)

    assert (status, summary(events)[0]) == (0, ("came", 1, "mask", 0.4))
    assert len(service.asked) == 50 + len(hindrances)
    assert [wait for wait in waits if wait >= 1] == [7, 7, 1, 1]
    assert err.count("Slow down.") == 1
    assert err.count("the service answers again") == 3


def test_no_time_passes_for_people_while_a_camera_is_disconnected(run, service, camera):
    before, after = [(i / 5, 1) for i in range(10)], [(20 + i / 5, 2) for i in range(10)]
    service.answer = lambda _: BARE

    _, events, _ = run(camera(*before, *after), "--alert-after", "2.5")

    assert summary(events) == [
        ("came", 1, "no_mask", 0.4),
        # Of two seconds before the cut, and more than half a second after it.
        ("alert_on", 1, "no_mask", 20.6),
        ("alert_off", 1, "no_mask", 21.8),
        ("left", 1, "no_mask", 21.8),
    ]
    assert events[-1]["stayed"] == 3.8


def test_people_have_left_after_a_long_disconnection(run, camera):
    before, after = [(i / 5, 1) for i in range(10)], [(50 + i / 5, 2) for i in range(10)]

    _, events, _ = run(camera(*before, *after))

    assert [(event["event"], event["person"]) for event in events] == [
        ("came", 1), ("left", 1), ("came", 2), ("left", 2)
    ]  # fmt: skip


def test_people_have_left_at_a_gap_of_a_recording(run, service, ten_seconds, monkeypatch):
    times = [0, 0.2, 0.4, 0.6, 3600, 3600.2, 3600.4]
    frames = [Frame(when, PICTURE.copy) for when in times]
    monkeypatch.setattr(watch_module, "frames_of", lambda *_: (frame for frame in frames))
    service.answer = lambda _: BARE

    _, events, _ = run(ten_seconds)

    assert [(event["event"], event["person"]) for event in events] == [
        ("came", 1),
        ("left", 1),
        ("came", 2),
        ("left", 2),
    ]
    assert max(event.get("stayed", 0) for event in events) < 1


def test_people_have_left_after_a_long_silence(run, service, camera):
    _, events, _ = run(camera(*[(i / 5, 1) for i in range(10)], None, None))

    assert [event["event"] for event in events] == ["came", "left"]
    assert len(service.asked) == 10


def test_a_refused_camera_frame_is_not_sent_again(run, service, camera):
    busy = problem("internal", 503, "Busy.")
    service.answer = lambda _: busy if 5 <= len(service.asked) < 8 else prediction("mask")

    _, events, err = run(camera(*[(i / 5 + 7 * (i > 4), 1) for i in range(20)]))

    assert len(service.asked) == 20
    # Though there were seven seconds without an answer.
    assert [event["event"] for event in events] == ["came", "left"]
    assert err.splitlines() == ["maskwatch: Busy.", "maskwatch: the service answers again"]


def test_a_refused_picture_of_a_folder_is_sent_again(run, service, tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    (folder / "a.png").write_bytes(encode(PICTURE, "PNG"))

    end = Timer(60, shutil.rmtree, (folder,))  # without the folder, the command ends
    end.daemon = True

    def answer(_):
        if len(service.asked) == 1:
            return problem("internal", 503, "Busy.")
        end.cancel()
        shutil.rmtree(folder)
        return prediction("mask")

    service.answer = answer
    end.start()
    try:
        status, _, err = run(folder, "--rate", "50")
    finally:
        end.cancel()

    assert (status, len(service.asked)) == (1, 2)
    assert service.asked[0].body == service.asked[1].body
    assert "the service answers again" in err


def test_a_picture_that_is_sent_again_has_the_time_at_which_it_is_sent(run, service, tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)

    def frames(*_):
        for _ in range(10):
            again = yield Frame(clock.now, PICTURE.copy)
            while again:
                again = yield again

    monkeypatch.setattr(watch_module, "time", clock)
    monkeypatch.setattr(watch_module, "frames_of", frames)
    busy = (*problem("internal", 503, "Busy."), ("retry-after", "300"))
    service.answer = lambda _: busy if len(service.asked) == 6 else BARE

    _, events, _ = run(tmp_path)

    assert summary(events) == [
        ("came", 1, "no_mask", 0.4),
        ("left", 1, "no_mask", 0.8),
        ("came", 2, "no_mask", 31.4),
        ("left", 2, "no_mask", 31.8),
    ]


def test_everybody_has_left_half_a_minute_after_the_last_answer(run, service, camera, monkeypatch):
    now = iter(range(0, 10_000, 20))  # a request takes twenty seconds
    clock = SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None)
    folder = camera(*[(i / 5, 1) for i in range(8)])
    monkeypatch.setattr(watch_module, "time", clock)
    left_after = []

    def leaving(state):
        if state.known.tracks:
            left_after.append(len(service.asked))
        return leave(state)

    monkeypatch.setattr(watch_module, "leave", leaving)
    service.answer = lambda _: problem("internal", 503, "Busy.") if len(service.asked) > 4 else BARE

    run(folder)

    assert left_after == [5]


def test_during_a_long_outage_of_the_service_everybody_has_left(run, service, camera):
    throttled = (*problem("throttled", 429, "The quota is used up."), ("retry-after", "3600"))
    service.answer = lambda _: throttled if len(service.asked) == 6 else prediction("mask")

    _, events, _ = run(camera(*[(i / 5 + 3600 * (i > 5), 1) for i in range(12)]))

    assert summary(events) == [
        ("came", 1, "mask", 0.4),
        ("left", 1, "mask", 0.8),
        ("came", 2, "mask", 3601.6),
        ("left", 2, "mask", 3602.2),
    ]


def test_a_refusal_that_is_not_the_service_s_is_waited_out_after_an_answer(run, service, camera):
    login = (403, "<html>Log in to the network</html>", ("content-type", "text/html"))
    service.answer = lambda _: login if len(service.asked) == 6 else prediction("mask")

    status, events, errors = run(camera(*[(i / 5, 1) for i in range(12)]))

    assert status == 0
    assert summary(events) == [("came", 1, "mask", 0.4), ("left", 1, "mask", 2.2)]
    assert "Log in to the network" in errors


@pytest.mark.parametrize(("identifier", "status"), [("too-small", 422), ("blocked", 403)])
def test_a_picture_that_the_service_cannot_read_or_a_firewall_blocks_is_skipped(
    run, service, camera, identifier, status
):
    refused = problem(identifier, status, "Send a larger one.")
    service.answer = lambda _: refused if len(service.asked) in {2, 3} else prediction("mask")

    status, events, err = run(camera(*[(i / 5, 1) for i in range(9)]))

    assert (status, [event["event"] for event in events]) == (0, ["came", "left"])
    assert err.count("Send a larger one.") == 1


def test_a_firewall_that_blocks_the_first_frame_ends_the_command(run, service, camera):
    service.answer = lambda _: problem("blocked", 403, "Ask the operator.")

    status, events, err = run(camera(*[(i / 5, 1) for i in range(9)]))

    assert (status, events, len(service.asked)) == (1, [], 1)
    assert "Ask the operator." in err


def test_people_in_a_video_stay_during_any_outage_of_the_service(run, service, ten_seconds, monkeypatch):
    monkeypatch.setattr(watch_module.time, "sleep", lambda _: None)
    throttled = (*problem("throttled", 429, "The quota is used up."), ("retry-after", "3600"))
    service.answer = lambda _: throttled if 9 <= len(service.asked) < 20 else prediction("mask")

    _, events, _ = run(ten_seconds)

    assert summary(events) == [("came", 1, "mask", 0.4), ("left", 1, "mask", 9.8)]


@pytest.mark.parametrize(
    ("identifier", "status", "hint"),
    [
        ("forbidden", 403, " Set MASKWATCH_KEY or --key."),
        ("invalid-parameter", 400, ""),
        ("unsupported-type", 415, ""),
    ],
)
def test_a_refusal_that_applies_to_every_frame_ends_the_command(
    run, service, ten_seconds, identifier, status, hint
):
    service.answer = lambda _: problem(identifier, status, "Do it right.")

    assert run(ten_seconds) == (1, [], f"maskwatch: Do it right.{hint}\n")
    assert len(service.asked) == 1


def test_everybody_leaves_when_the_key_is_withdrawn(run, service, ten_seconds):
    service.answer = lambda _: (
        prediction("mask") if len(service.asked) < 9 else problem("forbidden", 403, "No.")
    )

    status, events, err = run(ten_seconds)

    assert (status, [event["event"] for event in events], err) == (
        1,
        ["came", "left"],
        "maskwatch: No. Set MASKWATCH_KEY or --key.\n",
    )


def test_a_service_that_was_never_reachable_is_reported_in_one_line(run, ten_seconds):
    status, events, err = run(ten_seconds, "--url", "http://127.0.0.1:9")

    assert (status, events) == (1, [])
    assert err.startswith("maskwatch: http://127.0.0.1:9/predict cannot be reached")
    assert err.endswith(". Is `make run` running? Else set MASKWATCH_URL or --url.\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("self-signed certificate", "Set SSL_CERT_FILE"),
        ("unable to get local issuer certificate", "Set SSL_CERT_FILE"),
        ("certificate is not yet valid", "Is this machine's clock right?"),
        ("certificate has expired", "Is this machine's clock right?"),
        ("Hostname mismatch, certificate is not valid for 'api'", "Log in to the network"),
    ],
)
def test_an_untrusted_certificate_is_reported_with_what_helps(run, ten_seconds, monkeypatch, why, advice):
    reason = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {why}"

    def refuse(*_, **__):
        raise UnreachableError(reason)

    monkeypatch.setattr(Client, "predict", refuse)

    _, _, err = run(ten_seconds)

    assert err.startswith(f"maskwatch: {reason}. {advice}")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "give a CAMERA to watch"),
        ([""], 2, "give a CAMERA to watch"),
        (["nothing.mp4"], 2, "there is no file nothing.mp4"),
        (["ftp://camera/1"], 2, "there is no file ftp://camera/1"),
        (["text.mp4"], 1, "text.mp4 cannot be opened: it is not a readable video"),
        (
            ["rtsp://me:hidden@127.0.0.1:9/a?b=hidden"],
            1,
            "rtsp://127.0.0.1:9 cannot be opened: connection refused",
        ),
        (
            ["http://me:hidden@no-host.invalid/hidden"],
            1,
            "http://no-host.invalid cannot be opened: there is no such",
        ),
        (["/dev/video99"], 2, "there is no file /dev/video99"),
        ([".", "--speed", "2"], 2, "--speed is only for videos"),
        (["text.mp4", "--rate", "0"], 2, "'0' is not a number above 0"),
        (["text.mp4", "--rate", "nan"], 2, "'nan' is not a number above 0"),
        (["text.mp4", "--alert-after", "inf"], 2, "'inf' is not a number above 0"),
        ([".", "--draw", "nowhere/video.mp4"], 2, "nowhere/video.mp4 cannot be written: No such file"),
        (
            ["empty", "--draw", "x.avi"],
            2,
            "--draw writes .mp4 or .mkv, or stills into a folder; x.avi is neither",
        ),
        (["empty", "--draw", "loop/stills"], 2, "loop/stills cannot be written: "),
        (["empty", "--draw", "text.mp4/stills"], 2, "text.mp4/stills cannot be written: Not a directory"),
    ],
)
def test_an_error_is_reported_in_one_line(run, service, tmp_path, monkeypatch, arguments, status, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")

    got, events, err = run(*arguments)

    assert (got, events, service.asked) == (status, [], [])
    assert says in err.splitlines()[-1]
    assert "hidden" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://me:secret@10.0.0.7:554/1?pwd=secret", "rtsp://10.0.0.7:554"),
        ("rtsp://10.0.0.7/user=me&password=secret", "rtsp://10.0.0.7"),
        ("RTSPS://me:secret@camera", "RTSPS://camera"),
        ("http://me:se@cret@camera/", "http://camera"),
        ("rtsp://me:se/cret@camera/1", "rtsp://…"),
        ("http://me:se?cret@camera/1", "http://…"),
        ("http://camera?mail=a@b", "http://…"),
        ("http://[fe80::1]:80/x", "http://[fe80::1]:80"),
        ("videos/me:secret@home.mp4", "videos/me:secret@home.mp4"),
    ],
)
def test_no_password_is_shown(source, shown):
    assert without_password(source) == shown


def test_the_environment_can_set_the_source(run, ten_seconds, monkeypatch):
    monkeypatch.setenv("MASKWATCH_CAMERA", str(ten_seconds))
    assert run()[0] == 0


def test_without_pyav_the_message_says_what_to_install(run, ten_seconds, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "maskwatch.video")
    monkeypatch.delattr("maskwatch.video")

    status, _, err = run(ten_seconds)

    assert status == 2
    assert err.splitlines()[-1].endswith("videos and cameras need PyAV: pip install av")


def test_a_rotated_video_is_watched_upright(tmp_path):
    lying = Image.new("RGB", (64, 32), "black")
    ImageDraw.Draw(lying).rectangle((0, 0, 15, 15), fill="white")

    frame = next(read(str(write_video(tmp_path / "turned.mp4", [lying] * 3, rotated=-90)))).to_image()

    assert frame.size == (32, 64)
    assert frame.getpixel((28, 4))[0] > 200  # a quarter to the right: from the left of the top to its right


def test_a_damaged_video_is_watched_up_to_the_damage(run, service, tmp_path):
    damaged = bytearray(write_video(tmp_path / "a.mkv", [draw_face(320, 240)] * 100).read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 200] = bytes(200)
    (tmp_path / "a.mkv").write_bytes(damaged)

    status, events, _ = run(tmp_path / "a.mkv")

    assert (status, [event["event"] for event in events]) == (0, ["came", "left"])
    assert 20 < len(service.asked) <= 50


def test_at_a_given_speed_frames_are_skipped_when_there_is_no_time(run, service, ten_seconds):
    held = Event()

    def answer(_):
        held.wait(0.3)
        return prediction("mask")

    service.answer = answer
    _, events, _ = run(ten_seconds, "--speed", "5")

    assert 1 <= len(service.asked) < 20
    assert events[-1]["event"] == "left"


@pytest.mark.parametrize(("missing", "codec"), [(set(), "h264"), ({"libx264"}, "mpeg4")])
def test_results_are_drawn_as_a_video(run, ten_seconds, tmp_path, monkeypatch, missing, codec):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - missing)
    run(ten_seconds, "--draw", tmp_path / "drawn.mp4")

    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        assert drawn.streams.video[0].codec.canonical_name == codec
        pictures = list(drawn.decode(video=0))
    assert [round(picture.time, 1) for picture in pictures] == [i / 5 for i in range(50)]
    image = pictures[10].to_image()
    blue = [x for x in range(320) if image.getpixel((x, 75))[2] > image.getpixel((x, 75))[0] + 60]
    assert blue
    assert min(blue) == pytest.approx(100, abs=3)  # where the box begins, in pixels of this frame
    assert max(blue) == pytest.approx(140, abs=3)


def test_events_are_drawn_as_stills(run, service, ten_seconds, tmp_path):
    answering(service, (3, prediction("mask")), (40, prediction("no_mask")))

    run(ten_seconds, "--draw", tmp_path / "stills")

    names = sorted(file.name.split("-", 1)[1] for file in (tmp_path / "stills").iterdir())
    assert names == ["came-1.jpg"]


@pytest.mark.parametrize(
    ("source", "draw_to"),
    [
        ("a.mp4", "a.mp4"),
        ("a.mp4", "folder/../a.mp4"),
        ("link.mp4", "a.mp4"),
        ("a.mp4", "link.mp4"),
        ("a.mp4", "hard.mkv"),
        ("folder", "folder"),
        ("folder", "folder/seen/today"),
        ("folder", "linked/seen"),
        ("linked", "folder"),
    ],
)
def test_what_is_watched_is_not_drawn_over(run, service, ten_seconds, tmp_path, monkeypatch, source, draw_to):
    monkeypatch.chdir(tmp_path)
    recording = ten_seconds.read_bytes()
    (tmp_path / "a.mp4").write_bytes(recording)
    (tmp_path / "hard.mkv").hardlink_to("a.mp4")
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    (tmp_path / "folder").mkdir()
    (tmp_path / "linked").symlink_to("folder")

    status, _, err = run(source, "--draw", draw_to)

    assert (status, service.asked) == (2, [])
    assert f"--draw {draw_to} would write into what is watched, {source}" in err
    assert (tmp_path / "a.mp4").read_bytes() == recording
    assert not any((tmp_path / "folder").iterdir())


def test_events_are_printed_even_if_the_disk_is_full(run, ten_seconds, monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full, raising=True)
    monkeypatch.setattr(watch_module, "_encode", lambda _: encode_once)
    status, events, err = run(ten_seconds, "--draw", tmp_path / "stills")

    assert (status, [event["event"] for event in events]) == (0, ["came", "left"])
    assert err.count("drawing stopped: [Errno 28] No space left on device") == 1


encode_once = encode(draw_face())
