"""`make score` waits for results in any order, and summarizes them."""

import contextlib
import csv
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from infra.local.template import transformed_template
from infra.ops import score
from infra.ops.__main__ import main
from infra.ops.files import write_whole
from infra.ops.score import TIMEOUT, totals, wait
from maskwatch.client import ApiError, UnreachableError
from tests.system import ROOT


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(score, "_PAUSE", 0)


def scored(label, faces=0):
    counts = dict.fromkeys(("mask", "no_mask", "incorrect", "uncertain"), 0) | {label: faces}
    prediction = {
        "label": label,
        "confidence": 0.9,
        "model_version": "1",
        "prediction_id": "5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11",
        "summary": {"faces": faces, **counts},
    }
    return {"status": "scored", "prediction": prediction}


class Service:
    """A fake that has a result after a given number of requests."""

    def __init__(self, after):
        self.after = dict(after)

    def result(self, key):
        self.after[key] -= 1
        return scored("mask", 2) if self.after[key] < 0 else None


def rows(*keys):
    return [{"file": f"{key}.jpg", "status": "waiting", "key": key} for key in keys]


def test_a_late_result_does_not_delay_others():
    service = Service({"late": 5} | {f"k{n}": n % 3 for n in range(200)})

    done = [row["key"] for row in wait(service, rows("late", *(f"k{n}" for n in range(200))))]

    assert done[-1] == "late"
    assert len(set(done)) == 201


def test_a_result_that_never_comes_is_missing():
    service = Service({"never": 10**9, "now": 0})

    done = {row["key"]: row["status"] for row in wait(service, rows("never", "now"), timeout=0.2)}

    assert done == {"now": "scored", "never": "missing"}


def test_the_timeout_is_checked_after_few_requests():
    class Slow(Service):
        asked = 0

        def result(self, key):
            self.asked += 1
            time.sleep(0.2)
            return super().result(key)

    keys = [f"k{number}" for number in range(64)]
    service = Slow(dict.fromkeys(keys, 10**9))

    assert {row["status"] for row in wait(service, rows(*keys), timeout=0.1)} == {"missing"}
    assert service.asked == score.CONNECTIONS


@pytest.mark.parametrize(
    "failure",
    [UnreachableError("no network"), ApiError("slow down", status=429), ApiError("busy", status=503)],
)
def test_a_failure_that_may_pass_does_not_end_the_wait(failure):
    class Failing(Service):
        failures = 3

        def result(self, key):
            self.failures -= 1
            if self.failures >= 0:
                raise failure
            return super().result(key)

    (row,) = wait(Failing({"a": 0}), rows("a"))

    assert row["status"] == "scored"


def test_a_missing_result_names_why_the_service_gave_none():
    class Exhausted(Service):
        def result(self, _key):
            raise ApiError("The month's quota is used up.", status=429)

    (row,) = wait(Exhausted({}), rows("a"), timeout=0.1)

    assert row["detail"] == "no result for 0 seconds; it may still come; The month's quota is used up."


def test_a_refusal_ends_the_wait():
    class Refusing:
        def result(self, _):
            raise ApiError("no", "forbidden", 403)

    with pytest.raises(ApiError, match="no"):
        list(wait(Refusing(), rows("a")))


def test_without_uploads_there_is_nothing_to_wait_for():
    assert list(wait(Service({}), [])) == []


def test_a_rejection_has_its_reason():
    class Rejecting:
        def result(self, _):
            return {"status": "rejected", "problem": {"detail": "The file is empty."}}

    (row,) = wait(Rejecting(), rows("a"))

    assert (row["status"], row["detail"]) == ("rejected", "The file is empty.")


def test_the_table_counts_pictures_faces_and_failures():
    service = Service({"a": 0, "b": 0})
    done = list(wait(service, rows("a", "b")))
    done += [{"file": "c", "status": "rejected", "detail": "damaged"}] * 2 + [
        {"file": "d", "status": "missing"}
    ]

    table = [line.split() for line in totals(done).splitlines()]

    assert ["mask", "2", "4"] in table
    assert ["no_mask", "0", "0"] in table
    assert ["total", "2", "4"] in table
    assert ["rejected", "2", "damaged"] in table
    assert ["missing", "1"] in table


class Accepting(Service):
    """A fake that takes uploads, and has every result at once."""

    uploads = 0

    def __init__(self, *_, retry=True):
        self.retry = retry

    def health(self):
        pass

    def upload(self, *_):
        Accepting.uploads += 1
        return "key"

    def result(self, _):
        assert not self.retry  # which would delay the timeout
        return scored("mask", 1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(score, "Client", Accepting)
    monkeypatch.setattr(Accepting, "uploads", 0)
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"a picture")
    return tmp_path / "photos"


@pytest.mark.parametrize("kind", ["throttled", "quota-exceeded", "forbidden"])
def test_a_refusal_of_all_pictures_ends_the_uploads_with_its_reason(folder, tmp_path, monkeypatch, kind):
    def upload(*_):
        Accepting.uploads += 1
        if Accepting.uploads > 1:
            time.sleep(0.05)  # in which the others are cancelled
            raise ApiError("The quota of the key is used up.", kind, 429)
        return "key"

    monkeypatch.setattr(score, "CONNECTIONS", 1)
    monkeypatch.setattr(Accepting, "upload", upload)
    for number in range(50):
        (folder / f"{number}.jpg").write_bytes(b"a picture")
    out = tmp_path / "scores.csv"
    with pytest.raises(SystemExit, match="The quota of the key is used up"):
        main(["score", str(folder), "--out", str(out)])
    assert Accepting.uploads < 52
    with out.open(encoding="utf-8-sig", newline="") as table:
        assert [row["status"] for row in csv.DictReader(table)] == ["waiting"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks refuse names that are not UTF-8")
def test_a_name_that_is_not_utf_8_has_its_line(folder, tmp_path):
    (folder / "b.jpg").rename(folder / os.fsdecode(b"caf\xe9.jpg"))  # an old Windows disk has such names
    out = tmp_path / "reports" / "monday.csv"

    main(["score", str(folder), "--out", str(out)])

    with out.open(encoding="utf-8-sig", newline="") as table:
        found = [(row["file"], row["status"]) for row in csv.DictReader(table)]
    assert found == [(f"{folder}/a.jpg", "scored"), (f"{folder}/caf\\udce9.jpg", "scored")]
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("out", ["photos", "photos/a.jpg/scores.csv", "/dev/null", "loop.csv"])
def test_nothing_is_uploaded_if_the_table_cannot_be_written(folder, tmp_path, out):
    (tmp_path / "loop.csv").symlink_to("loop.csv")

    with pytest.raises(SystemExit) as ended:
        main(["score", str(folder), "--out", str(tmp_path / out)])

    assert out.removesuffix("/scores.csv") in ended.value.code
    assert Accepting.uploads == 0


@pytest.mark.parametrize("name", ["photo.HEIC", "photo.jpg", "absent"])
def test_only_a_folder_is_scored(folder, name):
    if name != "absent":
        (folder / name).write_bytes(b"a picture")
    with pytest.raises(SystemExit, match=f"{name} is not a folder"):
        main(["score", str(folder / name)])


def test_a_table_that_cannot_be_completed_leaves_the_old_one(tmp_path):
    table = tmp_path / "scores.csv"
    table.write_text("old")

    with pytest.raises(LookupError):
        write_whole(table, "new", encoding="unknown")

    assert table.read_text() == "old"
    assert list(tmp_path.iterdir()) == [table]


def test_two_commands_that_write_a_table_at_once_do_not_mix_it(tmp_path):
    table = tmp_path / "scores.csv"

    with pytest.MonkeyPatch.context() as patch:
        replace = Path.replace

        def after_another(fresh, target):
            patch.undo()
            write_whole(table, "other")
            assert fresh.read_text() == "own"
            return replace(fresh, target)

        patch.setattr(Path, "replace", after_another)
        write_whole(table, "own")

    assert table.read_text() == "own"
    assert list(tmp_path.iterdir()) == [table]


def test_the_keys_of_all_uploads_are_in_the_table_before_the_wait(folder, tmp_path, monkeypatch):
    out = tmp_path / "scores.csv"
    found = []

    def look(*_):
        with out.open(encoding="utf-8-sig", newline="") as table:
            found.extend((row["status"], row["key"]) for row in csv.DictReader(table))
        return []

    monkeypatch.setattr(score, "wait", look)

    with contextlib.suppress(SystemExit):
        main(["score", str(folder), "--out", str(out)])

    assert found == [("waiting", "key")] * 2


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_or_a_kill_leaves_the_table(folder, tmp_path, monkeypatch, number):
    out = tmp_path / "scores.csv"

    def result(*_):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # from the shell as well
        time.sleep(0.1)

    monkeypatch.setattr(Accepting, "result", result)
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit, match="Stopped"):
            main(["score", str(folder), "--out", str(out)])
    finally:
        signal.signal(number, before)

    with out.open(encoding="utf-8-sig", newline="") as table:
        assert [row["status"] for row in csv.DictReader(table)] == ["waiting"] * 2


def test_a_command_under_nohup_outlives_its_terminal(folder, tmp_path, monkeypatch):
    def upload(*_):
        os.kill(os.getpid(), signal.SIGHUP)
        return "key"

    monkeypatch.setattr(Accepting, "upload", upload)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        main(["score", str(folder), "--out", str(tmp_path / "scores.csv")])
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_failed_upload_has_time_for_its_retry():
    queue = transformed_template(ROOT / "template.yaml", {})["Resources"]["UploadsQueue"]["Properties"]

    assert queue["VisibilityTimeout"] < TIMEOUT
