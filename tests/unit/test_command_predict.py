"""`maskwatch predict` scores files, folders and standard input, and prints a line for each picture."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from functools import partial
from threading import Barrier, Event, Thread

import pytest

from maskwatch import client
from maskwatch.output import COLUMNS
from tests.pictures import draw_face, encode
from tests.service import prediction, problem

FACE = encode(draw_face())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with photos, other files and nested folders."""
    for name in (
        "a.jpg",
        "b.PNG",
        "deep/er/c.webp",
        "deep/d.jpeg",
        ".trash/e.jpg",
        "deep/._d.jpeg",
        "notes.txt",
    ):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(FACE + name.encode())  # what follows a JPEG's end is not looked at
    (tmp_path / "photos" / "folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(command, folder):  # noqa: ARG001 -- the working directory
    return partial(command, "predict")


def names_of(service):
    """The names of the pictures that were sent."""
    return sorted(asked.body.removeprefix(FACE).decode() for asked in service.asked)


def test_a_picture_has_a_line_in_a_table(run, service):
    service.answer = lambda _: prediction("mask", "no_mask", "mask")

    status, out, err = run("photos/a.jpg")

    head, line = out.splitlines()
    assert head.split() == [
        "file",
        "label",
        "confidence",
        "faces",
        "mask",
        "no_mask",
        "incorrect",
        "uncertain",
    ]
    assert line.split() == ["photos/a.jpg", "mask", "95.0%", "3", "2", "1"]
    assert (status, err) == (0, "")


def test_all_files_of_a_folder_with_a_picture_s_ending_are_scored(run, service):
    status, out, _ = run("photos")

    assert status == 0
    assert names_of(service) == ["a.jpg", "b.PNG", "deep/d.jpeg", "deep/er/c.webp"]
    names = [line.split()[0] for line in out.splitlines()[1:5]]
    assert names == ["photos/a.jpg", "photos/b.PNG", "photos/deep/d.jpeg", "photos/deep/er/c.webp"]
    assert out.splitlines()[-2:] == ["4 pictures: 4 mask", "4 faces: 4 mask"]


def test_a_named_file_is_sent_whatever_its_suffix(run, service):
    assert run("photos/notes.txt")[0] == 0
    assert names_of(service) == ["notes.txt"]


def test_a_dash_is_standard_input(run, service, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FACE), encoding="utf-8"))

    status, out, _ = run("-", "--format", "json")

    assert (status, json.loads(out)["file"]) == (0, "-")
    assert service.asked[0].body == FACE


def test_the_request_has_the_options(run, service):
    run("photos/a.jpg", "--source", "Tür 3", "--min-confidence", "0.6", "--no-detect")
    run("photos/a.jpg")

    assert [asked.query for asked in service.asked] == [
        {"source": "Tür 3", "min_confidence": "0.6", "detect": "false"},
        {},
    ]
    assert service.asked[0].path == "/v1/predict"


def test_the_command_line_takes_precedence_over_the_environment(run, service, monkeypatch):
    monkeypatch.setenv("MASKWATCH_URL", "http://127.0.0.1:9")

    assert run("photos/a.jpg", "--url", f"{service.url}/")[0] == 0
    assert run("photos/a.jpg", "--url", service.url, "--key", "other")[0] == 0

    assert [asked.headers["x-api-key"] for asked in service.asked] == ["secret", "other"]
    assert {asked.path for asked in service.asked} == {"/v1/predict"}


def test_requests_run_concurrently_and_results_are_printed_in_order(run, service):
    together, last = Barrier(4, timeout=60), Event()

    def answer(asked):
        together.wait()  # nobody is answered before all four have asked
        if asked.body.endswith(b"a.jpg"):
            assert last.wait(60)
        if asked.body.endswith(b"c.webp"):
            last.set()
        return prediction(*["mask"] * len(asked.body.removeprefix(FACE)))

    service.answer = answer
    status, out, _ = run("photos", "--connections", "4")

    assert status == 0
    assert [line.split()[3] for line in out.splitlines()[1:5]] == ["5", "5", "11", "14"]


def test_each_json_line_is_a_complete_answer(run, service):
    service.answer = lambda _: prediction("incorrect")

    status, out, _ = run("photos/a.jpg", "photos/b.PNG", "--format", "json")

    result = [json.loads(line) for line in out.splitlines()]
    answer = prediction("incorrect")
    assert result == [{"file": f"photos/{name}", "status": "scored", **answer} for name in ("a.jpg", "b.PNG")]
    assert status == 0


def test_csv_has_a_line_for_each(run, service):
    service.answer = lambda _: prediction("incorrect", "mask")

    _, out, _ = run("photos/a.jpg", "photos/b.PNG", "--format", "csv")

    head, first, _ = csv.reader(io.StringIO(out.removeprefix("\ufeff")))
    assert tuple(head) == COLUMNS
    assert first == [
        *("photos/a.jpg", "scored", "incorrect", "0.95", "2", "1", "0", "1", "0"),
        *("", "1", "5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11"),
    ]


def test_a_spreadsheet_does_not_evaluate_file_names(run, folder):
    (folder / "=1+1, x.jpg").write_bytes(FACE)

    _, out, _ = run("=1+1, x.jpg", "--format", "csv")

    assert list(csv.reader(io.StringIO(out)))[1][0] == "'=1+1, x.jpg"


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_refusal_is_reported_and_does_not_stop_the_others(run, service, form):
    def answer(asked):
        broken = asked.body.endswith(b"b.PNG")
        return problem("unreadable-image", 422, "It is cut short.") if broken else prediction("mask")

    service.answer = answer
    status, out, _ = run("photos", "--format", form)

    assert status == 1
    lines = out.splitlines()
    if form == "table":
        assert lines[2].split(maxsplit=1) == ["photos/b.PNG", "refused: It is cut short."]
        assert lines[5] == "4 pictures: 3 mask, 1 refused"
    elif form == "json":
        refused = {"status": "refused", "problem": "unreadable-image", "detail": "It is cut short."}
        assert json.loads(lines[1]) == {"file": "photos/b.PNG", **refused}
        assert [json.loads(line)["status"] for line in lines].count("scored") == 3
    else:
        rows = list(csv.DictReader([lines[0].removeprefix("\ufeff"), *lines[1:]]))
        assert [row["status"] for row in rows] == ["scored", "refused", "scored", "scored"]
        assert (rows[1]["detail"], rows[1]["label"]) == ("It is cut short.", "")


@pytest.mark.skipif(sys.platform != "linux", reason="has no file that can be opened and not read")
def test_a_file_that_cannot_be_read_is_refused(run):
    status, out, _ = run("/proc/self/mem", "photos/a.jpg")

    assert status == 1
    assert "refused: [Errno 5]" in out.splitlines()[1]
    assert "mask" in out.splitlines()[2]


@pytest.mark.parametrize(
    ("identifier", "status", "hint"),
    [
        ("forbidden", 403, " Set MASKWATCH_KEY or --key."),
        ("not-found", 404, " Check MASKWATCH_URL or --url."),
        ("invalid-parameter", 400, ""),
        ("throttled", 429, ""),
        ("quota-exceeded", 429, ""),
    ],
)
def test_a_refusal_that_applies_to_every_picture_ends_the_command(
    run, service, identifier, status, hint, monkeypatch
):
    monkeypatch.setattr(client, "_RETRIES", client._RETRIES.new(total=0))  # noqa: SLF001 -- not to wait
    service.answer = lambda _: problem(identifier, status, "Send the key of this stack.")

    exit_status, out, err = run("photos", "--connections", "1")

    assert (exit_status, out) == (1, "")
    assert err == f"maskwatch: Send the key of this stack.{hint}\n"
    assert len(service.asked) < 4


def test_an_unreachable_service_is_reported_in_one_line(run):
    status, out, err = run("photos", "--url", "http://127.0.0.1:9")

    assert (status, out) == (1, "")
    assert err.startswith("maskwatch: http://127.0.0.1:9/predict cannot be reached: Failed to establish")
    assert err.count("\n") == 1


def test_a_url_of_another_server_is_reported(run, service):
    service.answer = lambda _: "<html>a router's page</html>"

    status, _, err = run("photos/a.jpg")

    assert status == 1
    assert "not as a MaskWatch API does: check the address" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: PICTURE"),
        (["nothing.jpg"], "there is no file nothing.jpg"),
        ([""], "the name of a picture is empty"),  # as of a variable that is not set
        (["photos/a.jpg", "photos/folder.jpg"], "photos/folder.jpg has no files named *.jpg, *.jpeg"),
        (["photos", "--url", "localhost:3000"], "does not start with http:// or https://"),
        (["photos", "--min-confidence", "1.1"], "'1.1' is not a number from 0 to 1"),
        (["photos", "--min-confidence", "nan"], "not a number from 0 to 1"),
        (["photos", "--connections", "0"], "'0' is not a whole number of at least 1"),
        (["photos", "--connections", "x"], "'x' is not a whole number of at least 1"),
        (["photos", "--format", "xml"], "invalid choice: 'xml'"),
        (["photos", "--draw", "photos"], "photos/a.jpg is in photos, the folder of the annotated copies"),
        (["photos", "--draw", "photos/deep"], "photos/deep/d.jpeg is in photos/deep"),
        (["photos", "--draw", "photos/deep/.."], "is in photos/deep/.., the folder"),
        (["photos", "photos/deep/../a.jpg", "--draw", "drawn"], "would be drawn as drawn/a.jpg"),
    ],
)
def test_an_invalid_command_line_is_reported_and_nothing_is_sent(run, service, arguments, says):
    status, out, err = run(*arguments)

    assert (status, out, service.asked) == (2, "", [])
    assert says in err


def read(screen):
    """Return the output since the last call; empty if the terminal was closed."""
    with suppress(OSError):
        return os.read(screen, 1_000_000)
    return b""


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "maskwatch.cli", "predict", *arguments],
        cwd=options.pop("cwd"),
        stdout=subprocess.PIPE,
        **options,
    )


def test_progress_is_shown_on_a_terminal_and_not_in_the_output(service, folder):
    screen, terminal = pty.openpty()
    subprocess.run(["stty", "cols", "80", "rows", "24"], stdin=terminal, check=True)
    shown = []
    reader = Thread(target=lambda: shown.extend(iter(partial(read, screen), b"")))
    reader.start()
    with command("photos", cwd=folder, stderr=terminal) as process:
        out = process.stdout.read().decode()
    os.close(terminal)
    reader.join()

    assert process.returncode == 0
    assert b"4/4" in b"".join(shown)
    assert len(out.splitlines()) == 7
    assert "/4" not in out
    assert len(service.asked) == 4


def test_without_a_terminal_there_is_no_progress(service, folder):  # noqa: ARG001
    with command("photos", cwd=folder, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()

    left_out = b"maskwatch: files left out, not *.jpg, *.jpeg, *.jpe, *.jfif, *.png, *.webp: 1\n"
    assert (len(out.splitlines()), err) == (7, left_out)


def test_a_closed_pipe_ends_the_command_without_an_error(service, folder):
    service.answer = lambda _: prediction(*["mask"] * 2000)  # more than a pipe holds
    with command("photos", "--format", "json", cwd=folder, stderr=subprocess.PIPE) as process:
        process.stdout.read(100)
        process.stdout.close()
        err = process.stderr.read()

    assert (process.returncode, err) == (1, b"")
