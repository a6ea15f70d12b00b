"""The command copes with unusual locales, keys, file names and standard input."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import draw_face, encode
from tests.service import prediction
from tests.videos import write_video

FACE = encode(draw_face())


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Run the command in this process."""
    monkeypatch.chdir(tmp_path)
    return command


@pytest.fixture
def start(service, tmp_path):  # noqa: ARG001 -- it is asked
    """Run the command in a process of its own."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "maskwatch.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp932", "latin-1", "utf-8"])
def test_json_is_json_in_every_locale(start, tmp_path, encoding):
    names = ["München.jpg", "マスク.jpg", "😷.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(FACE)
    done = start("predict", *names, "--format", "json", PYTHONIOENCODING=encoding)
    lines = done.stdout.decode(encoding).splitlines()
    assert [json.loads(line)["file"] for line in lines] == names


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_csv_is_utf_8_with_a_bom_in_every_locale(start, tmp_path, encoding):
    (tmp_path / "München.jpg").write_bytes(FACE)
    done = start("predict", "München.jpg", "--format", "csv", PYTHONIOENCODING=encoding)
    assert done.stdout.startswith(b"\xef\xbb\xbffile,")
    assert "München.jpg" in done.stdout.decode()


@pytest.mark.parametrize("key", ["secret\r", "secret\n", " secret\t"])
def test_blanks_around_the_key_are_ignored(run, service, tmp_path, monkeypatch, key):
    monkeypatch.setenv("MASKWATCH_KEY", key)
    (tmp_path / "a.jpg").write_bytes(FACE)
    status, _, _ = run("predict", "a.jpg")
    assert status == 0
    assert service.asked[0].headers["x-api-key"] == "secret"


@pytest.mark.parametrize("key", ["\u2019secret", "sec\nret", "sec ret", "geheim\x07"])
def test_an_invalid_key_gives_one_line_without_the_key(run, service, tmp_path, monkeypatch, key):
    monkeypatch.setenv("MASKWATCH_KEY", key)
    (tmp_path / "a.jpg").write_bytes(FACE)
    status, _, err = run("predict", "a.jpg")
    assert status == 1
    (line,) = err.splitlines()
    assert "API key" in line
    assert "ret" not in line.replace("characters", "")
    assert not service.asked


def test_control_characters_are_escaped_in_the_table(start, tmp_path):
    (tmp_path / "a\nb\t\x1b[31m.jpg").write_bytes(FACE)
    out = start("predict", ".").stdout.decode()
    assert "a\\nb\\t\\x1b[31m.jpg  mask" in out
    assert len(out.splitlines()) == 2


def test_files_that_are_left_out_are_counted(start, tmp_path):
    for name in ("a.jpg", "b.jfif", "c.JPE", "photo.heic", "notes.txt", ".hidden"):
        (tmp_path / name).write_bytes(FACE)
    done = start("predict", ".")
    assert done.stderr.decode().strip().endswith("*.webp: 2")
    assert "3 pictures" in done.stdout.decode()


def test_empty_standard_input_is_reported(start, service):
    done = start("predict", "-")
    assert "refused: nothing came on standard input" in done.stdout.decode()
    assert not service.asked


def test_an_empty_file_is_reported(run, tmp_path):
    (tmp_path / "a.jpg").touch()
    _, out, _ = run("predict", "a.jpg")
    assert "refused: the file is empty" in out


def test_an_undecodable_argument_gives_one_line(start, service, tmp_path):
    (tmp_path / "a.jpg").write_bytes(FACE)
    done = start("predict", "a.jpg", "--source", b"S\xfcd", PYTHONUTF8="1")
    assert done.returncode == 2
    assert b"not in the encoding of this terminal" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not service.asked


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks refuse names that are not UTF-8")
def test_a_file_with_an_undecodable_name_is_scored_and_printed(start, tmp_path):
    (tmp_path / os.fsdecode(b"S\xfcd.jpg")).write_bytes(FACE)
    for form, path in (("json", "."), ("table", b"S\xfcd.jpg"), ("csv", ".")):
        done = start("predict", path, "--format", form, PYTHONUTF8="1")
        assert done.returncode == 0
        assert b"S\\udcfcd.jpg" in done.stdout


def test_a_broken_link_is_reported(run, tmp_path):
    (tmp_path / "a.jpg").write_bytes(FACE)
    (tmp_path / "gone.jpg").symlink_to("nothing")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    _, out, _ = run("predict", ".")
    assert out.count("refused:") == 2
    assert "3 pictures: 1 mask, 2 refused" in out


def test_linked_folders_are_searched_once(run, service, tmp_path):
    for name in ("photos/a.jpg", "elsewhere/b.jpg", "elsewhere/deep/c.jpg", "elsewhere/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(FACE)
    (tmp_path / "photos" / "linked").symlink_to("../elsewhere")
    (tmp_path / "photos" / "twice").symlink_to("../elsewhere/deep")
    (tmp_path / "elsewhere" / "back").symlink_to("../photos")
    _, out, err = run("predict", "photos", "--format", "json")
    files = [json.loads(line)["file"] for line in out.splitlines()]
    assert files == ["photos/a.jpg", "photos/linked/b.jpg", "photos/linked/deep/c.jpg"]
    assert len(service.asked) == 3
    assert "left out" in err
    assert err.strip().endswith(": 1")


def test_a_folder_is_searched_by_its_own_path_and_a_link_to_a_hidden_one_is_not(run, tmp_path):
    for name in ("p/b/z/1.jpg", "p/.hidden/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(FACE)
    (tmp_path / "p" / "a").mkdir()
    (tmp_path / "p" / "a" / "link").symlink_to("../b/z")
    (tmp_path / "p" / "shown").symlink_to(".hidden")
    _, out, _ = run("predict", "p", "--format", "json")
    assert [json.loads(line)["file"] for line in out.splitlines()] == ["p/b/z/1.jpg"]


@pytest.mark.parametrize("name", [f"{'x' * 300}.jpg", "a.jpg/b.jpg", "loop.jpg"])
@pytest.mark.parametrize("subcommand", ["predict", "watch"])
def test_a_name_that_cannot_be_reached_gives_one_line(run, service, tmp_path, subcommand, name):
    (tmp_path / "a.jpg").write_bytes(FACE)
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    status, _, err = run(subcommand, name)
    assert status == 2
    assert f"{name} cannot be read: " in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not service.asked


def test_ctrl_c_ends_the_command_at_once_on_a_dead_line(tmp_path):
    (tmp_path / "a.jpg").write_bytes(FACE)
    code = """
import signal, sys
from maskwatch.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process in the background ignores
sys.exit(main(sys.argv[1:]))
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                "predict",
                "a.jpg",
                "--url",
                f"http://127.0.0.1:{server.getsockname()[1]}",
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
            stderr=subprocess.PIPE,
        )
        server.settimeout(60)
        try:
            with server.accept()[0]:
                started.send_signal(signal.SIGINT)
                _, err = started.communicate(timeout=30)  # a request may take 35 seconds, and is repeated
        finally:
            started.kill()
    assert (started.returncode, err) == (130, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "a.jpg"),
        ("predict", "a.jpg", "--format", "csv"),
        ("compliance", "--format", "json"),
        ("feedback", "1", "mask"),
        ("watch", "clip.mkv"),
    ],
)
def test_a_full_disk_gives_one_line(service, tmp_path, arguments):
    (tmp_path / "a.jpg").write_bytes(FACE)
    write_video(tmp_path / "clip.mkv", [draw_face(320, 240)] * 20)
    service.answer = lambda _: {**prediction("mask"), "rows": []}
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("only Linux has /dev/full")
    with device.open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "maskwatch.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"maskwatch: the output cannot be written: No space left on device\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be read by root")
def test_an_unreadable_folder_is_reported(start, tmp_path):
    (tmp_path / "a.jpg").write_bytes(FACE)
    (tmp_path / "closed").mkdir(mode=0)
    done = start("predict", ".")
    assert "closed  refused: " in done.stdout.decode()


@pytest.mark.parametrize("content", [{}, [], None, "x", {"message": "Forbidden"}])
@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "a.jpg"),
        ("feedback", "1", "mask"),
        ("compliance",),
        ("compliance", "--format", "csv"),
        ("watch", "."),
    ],
)
def test_an_answer_of_another_server_gives_one_line(run, service, tmp_path, content, arguments):
    (tmp_path / "a.jpg").write_bytes(FACE)
    service.answer = lambda _: content
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert "answered" in line
    assert "Traceback" not in line


@pytest.mark.parametrize("document", [{}, [], {"type": "about:blank", "status": 407}])
def test_a_refusal_that_is_no_problem_document_gives_one_line(run, service, tmp_path, document):
    (tmp_path / "a.jpg").write_bytes(FACE)
    service.answer = lambda _: (407, document)
    _, out, err = run("predict", "a.jpg")
    assert "Traceback" not in err
    assert "answered 407" in out + err
