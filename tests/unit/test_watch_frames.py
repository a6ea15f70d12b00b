"""Cameras and folders give the newest frame, also after a disconnection or on a slow machine."""

import os
import time
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice, pairwise, takewhile
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from maskwatch import frames as frames_module
from maskwatch import video
from maskwatch.frames import Frame, NoFramesError, newest
from maskwatch.source import _folder, frames_of
from tests.pictures import draw_face, draw_mjpeg, encode
from tests.videos import WALL, room, write_video

RED, GREEN = (200, 30, 30), (30, 200, 30)


def frame(when):
    return Frame(when, lambda: Image.new("RGB", (64, 48)))


def test_frames_that_arrive_while_busy_are_dropped():
    stopped, turn = Event(), Event()

    def camera():
        yield frame(0)
        turn.wait(60)
        yield from map(frame, range(1, 1000))

    given = newest(camera(), stopped)
    assert next(given).time == 0
    turn.set()
    time.sleep(0.5)  # of an answer that is slow
    assert [each.time for each in given][-1] == 999
    assert stopped.is_set()


def test_a_frame_is_given_again_if_there_is_no_newer_one():
    stopped, turn, taken = Event(), Event(), Event()

    def camera():
        yield frame(0)
        turn.wait(60)
        yield frame(1)
        taken.set()

    given = newest(camera(), stopped)
    first = next(given)
    assert given.send(first) is first
    turn.set()
    taken.wait(60)
    assert given.send(first).time == 1
    assert next(given, None) is None


def test_a_frame_is_not_given_again_when_there_will_be_no_newer_one():
    turn = Event()

    def camera():
        yield frame(0)
        turn.wait(60)
        raise NoFramesError("it is gone")

    given = newest(camera(), Event())
    first = next(given)

    def send_again():
        time.sleep(0.1)
        return given.send(first)

    turn.set()
    with pytest.raises(NoFramesError, match="it is gone"):
        [send_again() for _ in range(300)]


def test_silence_is_reported(monkeypatch):
    monkeypatch.setattr(frames_module, "MAX_WAIT", 0.3)
    stopped = Event()

    def camera():
        yield frame(0)
        stopped.wait(60)

    given = newest(camera(), stopped)
    assert [each and each.time for each in islice(given, 3)] == [0, None, None]
    given.close()
    assert stopped.is_set()


def test_errors_are_raised_in_the_waiting_thread():
    def camera():
        yield frame(0)
        raise NoFramesError("it is gone")

    with pytest.raises(NoFramesError, match="it is gone"):
        list(newest(camera(), Event()))


class Clock:
    """A fake clock that reading and decoding advance."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(video, "time", SimpleNamespace(monotonic=lambda: self.now))

    def packets(self, rate, key_every, total):
        """Yield the packets of a camera at a rate; reading early waits."""
        for number in range(total):
            self.now = max(self.now, number / rate)
            yield SimpleNamespace(number=number, is_keyframe=number % key_every == 0)

    def decoded(self, packets, takes):
        """Return the numbers of the packets that are decoded, and the age of each."""
        for packet in packets:
            yield packet.number, self.now
            self.now += takes


def test_a_fast_decoder_decodes_all_packets(monkeypatch):
    clock = Clock(monkeypatch)
    packets = video._up_to_date(clock.packets(30, 30, 900))  # noqa: SLF001
    assert [number for number, _ in clock.decoded(packets, 0.02)] == list(range(900))


@pytest.mark.parametrize("key_every", [1, 30])
def test_a_slow_decoder_skips_packets_and_stays_near_the_newest(monkeypatch, key_every):
    clock = Clock(monkeypatch)
    packets = video._up_to_date(clock.packets(30, key_every, 9000))  # noqa: SLF001

    decoded = list(clock.decoded(packets, 0.1))

    late = [now - number / 30 for number, now in decoded]
    assert max(late) < 3  # it would be ten minutes in the end
    assert len(decoded) > 1000
    for (before, _), (number, _) in pairwise(decoded):
        # What is skipped, is up to a picture of its own.
        assert number == before + 1 or number % key_every == 0


@pytest.fixture
def camera():
    """An MJPEG camera over HTTP that sends `picture` ten times a second until it is `cut` or `hangs`."""
    state = SimpleNamespace(
        hangs=Event(), picture=encode(Image.new("RGB", (320, 240), WALL)), cut=Event(), asked=0
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked += 1
            self.send_response(200)
            self.send_header("content-type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            with suppress(OSError):  # nobody looks any more
                while not state.cut.wait(0.1):
                    if state.hangs.is_set():
                        continue
                    self.wfile.write(b"--frame\r\ncontent-type: image/jpeg\r\n")
                    self.wfile.write(
                        b"content-length: %d\r\n\r\n" % len(state.picture) + state.picture + b"\r\n"
                    )

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://me:hidden@127.0.0.1:{server.server_port}/video?key=hidden"
        yield state
        state.cut.set()
        server.shutdown()


def colour(frame):
    return frame.to_image().getpixel((100, 100))


def test_a_camera_over_http_gives_the_current_frame(camera):
    given = frames_of(camera.url, 5, None, Event())
    assert colour(next(given)) == pytest.approx(WALL, abs=6)

    time.sleep(1)  # of an answer that is slow, in which some ten come
    camera.picture = encode(Image.new("RGB", (320, 240), RED))

    past = takewhile(lambda frame: colour(frame) != pytest.approx(RED, abs=12), islice(given, 50))
    assert len(list(past)) < 5  # taken before, on their way
    given.close()


def test_a_camera_is_opened_again_after_each_disconnection(camera, capsys):
    given = frames_of(camera.url, 5, None, Event())
    assert next(given).opened == 1

    for opened in (2, 3):
        camera.cut.set()
        time.sleep(0.5)
        camera.cut.clear()
        while (seen := next(given)) is None or seen.opened < opened:
            pass
        assert seen.opened == opened
    given.close()

    output = capsys.readouterr().err
    assert output.count("trying again") == 2
    assert output.count("is back") == 2
    assert "hidden" not in output
    assert camera.asked == 3


def test_a_camera_that_hangs_is_opened_again(camera, capsys, monkeypatch):
    monkeypatch.setattr(video, "_READ_TIMEOUT", 0.5)
    given = frames_of(camera.url, 5, None, Event())
    next(given)

    camera.hangs.set()
    time.sleep(1)
    camera.hangs.clear()
    while (seen := next(given)) is None or seen.opened < 2:
        pass
    given.close()

    assert "it sent nothing for too long; trying again" in capsys.readouterr().err


def test_stills_behind_a_link_in_the_watched_folder_are_not_frames(tmp_path):
    for name in ("cam", "stills"):
        (tmp_path / name).mkdir()
    (tmp_path / "cam" / "seen").symlink_to("../stills")
    for shade, name in ((GREEN, "cam/a.png"), (RED, "stills/b.png")):
        (tmp_path / name).write_bytes(encode(Image.new("RGB", (200, 150), shade), "PNG"))

    given = frames_of(str(tmp_path / "cam"), 20, None, Event())
    assert colour(next(given)) == GREEN
    given.close()


def test_a_folder_gives_its_newest_complete_picture(tmp_path):
    names = map("{}.png".format, count())

    def put(shade, folder=tmp_path):
        file = folder / next(names)
        file.write_bytes(encode(Image.new("RGB", (200, 150), shade), "PNG"))
        return file

    old = put(WALL)
    put(RED)
    given = frames_of(str(tmp_path), 20, None, Event())
    assert colour(next(given)) == RED

    (tmp_path / "deep").mkdir()
    put(GREEN, tmp_path / "deep")
    assert colour(next(given)) == GREEN

    growing = tmp_path / "growing.png"
    content = encode(Image.new("RGB", (200, 150), RED), "PNG")
    for size in range(0, len(content), len(content) // 8 + 1):
        growing.write_bytes(content[:size])
        time.sleep(0.02)
    growing.write_bytes(content)
    assert colour(next(given)) == RED

    moved = tmp_path / "moved.png"
    os.utime(old, (0, 0))  # an old picture that is moved here just now
    old.rename(moved)
    assert colour(next(given)) == WALL
    given.close()


def test_a_folder_that_gets_pictures_faster_than_it_is_polled_gives_the_newest_complete_one(tmp_path):
    polls = 5

    def wait(_seconds):
        for number in (1, 2):
            image = Image.new("RGB", (64, 48), (40 * stopped.polls, 80 * number, 0))
            (tmp_path / f"{stopped.polls}-{number}.png").write_bytes(encode(image, "PNG"))
        stopped.polls += 1
        return stopped.polls > polls

    stopped = SimpleNamespace(wait=wait, polls=0)
    given = [each.to_image().getpixel((0, 0)) for each in _folder(tmp_path, 1, stopped)]
    assert given == [(40 * poll, 160, 0) for poll in range(polls - 1)]


def test_a_backup_or_a_move_of_old_pictures_sends_none(tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(6)]

    def disturb(_seconds):
        stopped.polls += 1
        for number, file in enumerate(files) if stopped.polls == 4 else ():
            file.chmod(0o640)
            (tmp_path / "backup").mkdir(exist_ok=True)
            (tmp_path / "backup" / file.name).hardlink_to(file)
            file.rename(tmp_path / f"renamed-{number}.png")
        return stopped.polls > 8

    for number, file in enumerate(files):
        file.write_bytes(encode(Image.new("RGB", (200, 150), (40 * number, 0, 0)), "PNG"))
    stopped = SimpleNamespace(wait=disturb, polls=0)
    assert [colour(each) for each in _folder(tmp_path, 1, stopped)] == [(200, 0, 0)]


def test_a_folder_that_is_empty_for_a_moment_sends_no_old_picture(tmp_path, monkeypatch):
    """As a share of another machine may be."""
    (tmp_path / "0.png").write_bytes(encode(Image.new("RGB", (200, 150), RED), "PNG"))

    def wait(_seconds):
        stopped.polls += 1
        return stopped.polls > 10

    here = {(0, 0, 0, 0): (1, tmp_path / "0.png")}
    monkeypatch.setattr("maskwatch.source._pictures_in", lambda _: {} if stopped.polls == 5 else here)
    stopped = SimpleNamespace(wait=wait, polls=0)
    assert [colour(each) for each in _folder(tmp_path, 1, stopped)] == [RED]


def test_pictures_after_the_clock_was_set_back_are_sent(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(
            encode(Image.new("RGB", (200, 150), (40 * number, 0, 0)), "PNG")
        )
    times = [9_000, 1_000, 1_001]  # of the folder's pictures, as they come

    def in_folder(folder):
        there = min(1 + stopped.polls // 3, 3)
        return {(0, n, 0, 0): (times[n], folder / f"{n}.png") for n in range(there)}

    def wait(_seconds):
        stopped.polls += 1
        return stopped.polls > 12

    monkeypatch.setattr("maskwatch.source._pictures_in", in_folder)
    stopped = SimpleNamespace(wait=wait, polls=0)
    assert [colour(each) for each in _folder(tmp_path, 1, stopped)] == [(0, 0, 0), (40, 0, 0), (80, 0, 0)]


def test_a_picture_in_a_folder_is_sent_unchanged_if_the_api_accepts_it(tmp_path):
    given = frames_of(str(tmp_path), 20, None, Event())
    for name, size, as_it_is in (("a.png", (3000, 4000), True), ("b.png", (4000, 4000), False)):
        data = encode(Image.new("RGB", size, RED), "PNG")
        (tmp_path / name).write_bytes(data)
        frame = next(given)
        assert frame.file == (data if as_it_is else None)
        assert max(frame.to_image().size) == 1920
    given.close()


def test_a_picture_of_16_bits_in_a_folder_keeps_its_brightness(tmp_path):
    given = frames_of(str(tmp_path), 20, None, Event())
    (tmp_path / "a.png").write_bytes(encode(Image.fromarray(np.full((90, 90), 0x6000, np.uint16)), "PNG"))
    assert next(given).to_image().getpixel((45, 45)) == (0x60, 0x60, 0x60)
    given.close()


def test_a_damaged_picture_in_a_folder_is_skipped_and_reported(tmp_path, capsys):
    noise = Image.effect_noise((640, 480), 60).convert("RGB")
    red, green = (
        encode(Image.blend(noise, Image.new("RGB", noise.size, shade), 0.5)) for shade in (RED, GREEN)
    )
    given, seen, output = frames_of(str(tmp_path), 20, None, Event()), [], ""
    Path(tmp_path, "gone.jpg").symlink_to("nowhere")
    Path(tmp_path, "damaged.jpg").write_bytes(red[:9000] + red[9000 + 1460 :])
    looker = Thread(target=lambda: seen.append(next(given)))
    looker.start()
    while "damaged.jpg is skipped: it is damaged" not in output:
        time.sleep(0.05)
        output += capsys.readouterr().err
    Path(tmp_path, "whole.jpg").write_bytes(green)
    looker.join()
    red, green, _ = seen[0].to_image().resize((1, 1)).getpixel((0, 0))
    assert green > red
    given.close()


def test_a_deleted_folder_ends_the_command(tmp_path):
    folder = tmp_path / "camera"
    folder.mkdir()
    given = frames_of(str(folder), 20, None, Event())
    (folder / "a.jpg").write_bytes(encode(Image.new("RGB", (64, 48))))
    next(given)

    (folder / "a.jpg").unlink()
    folder.rmdir()

    with pytest.raises(NoFramesError, match="camera is gone"):
        next(given)


@pytest.mark.parametrize("form", ["ts", "h264", "avi"])
def test_a_recording_of_joined_parts_or_without_times_is_read_whole(tmp_path, form):
    """A raw stream has no times; an AVI has none of the frames that H.264 reorders."""
    part = Path(write_video(tmp_path / f"part.{form}", [Image.new("RGB", (64, 48), RED)] * 20)).read_bytes()
    (tmp_path / f"joined.{form}").write_bytes(part * (1 if form == "avi" else 2))

    times = [each.time for each in video.read(str(tmp_path / f"joined.{form}"))]

    assert len(times) == (20 if form == "avi" else 40)
    assert all(0 < later - earlier < 0.5 for earlier, later in pairwise(times))


def test_the_gaps_of_each_part_of_a_recording_are_kept(monkeypatch):
    times = [0, 0.1, 5, 0, 0.1, 3]
    stream = SimpleNamespace(guessed_rate=10, sample_aspect_ratio=None)
    container = SimpleNamespace(streams=SimpleNamespace(video=[stream]), demux=lambda _: times)
    monkeypatch.setattr(video, "_open", lambda _: nullcontext(container))
    monkeypatch.setattr(video, "_decode", lambda times: [SimpleNamespace(time=each) for each in times])
    monkeypatch.setattr(video, "_frame", lambda _, when, *__: frame(when))

    assert [each.time for each in video.read("gate.ts")] == pytest.approx([0, 0.1, 5, 5.1, 5.2, 8.1])


def test_a_gap_of_a_recording_is_not_waited_out():
    stopped = Event()
    frames = map(frame, (0, 0.1, 100_000, 100_000.1))

    assert [each.time for each in video.play(frames, 10, stopped)] == [0, 0.1, 100_000, 100_000.1]


def test_motion_jpeg_is_read_as_a_video(tmp_path):
    (tmp_path / "video.mjpeg").write_bytes(draw_mjpeg(50))
    times = [frame.time for frame in frames_of(str(tmp_path / "video.mjpeg"), 5, None, Event())]
    assert times == pytest.approx([i / 5 for i in range(10)])


def read_as_camera(path):
    """Return the frames of a video that is read like a camera, up to its end."""
    return list(takewhile(lambda frame: frame.opened == 1, video.camera(str(path), Event())))


@pytest.mark.parametrize("read", [lambda path: list(video.read(str(path))), read_as_camera])
def test_damaged_frames_and_those_that_depend_on_them_are_skipped(tmp_path, read):
    grain = np.random.default_rng(0).normal(0, 8, (480, 640, 3))

    def scene(left):
        pixels = np.asarray(room((draw_face(96, 120), left, 100))) + np.roll(grain, left, axis=1)
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))

    path = write_video(tmp_path / "video.mkv", map(scene, range(0, 320, 8)))  # a key frame a second
    sound = [np.asarray(frame.to_image(), int)[::8, ::8] for frame in read(path)]
    data = bytearray(path.read_bytes())
    for place in (len(data) * 2 // 5, len(data) * 7 // 10):
        data[place : place + 200] = bytes(200)
    path.write_bytes(data)

    left = [np.asarray(frame.to_image(), int)[::8, ::8] for frame in read(path)]

    assert len(sound) / 2 < len(left) < len(sound)
    assert max(min(np.abs(picture - one).mean() for one in sound) for picture in left) < 2
