"""Writes are atomic, also if the process is killed or the disk is full."""

import errno
from argparse import ArgumentParser
from pathlib import Path

import pytest

from training.disk import replacing, require_space
from training.errors import TrainingError, explain_full_disk, reported


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "weights.h5"
    file.write_text("old")
    with replacing(file) as fresh:
        fresh.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "weights.h5"
    file.write_text("old")
    with pytest.raises(OSError, match="No space"), replacing(file) as fresh:  # noqa: PT012 -- the write is the point
        fresh.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_two_processes_that_write_a_file_at_once_do_not_break_each_other(tmp_path: Path) -> None:
    file = tmp_path / "weights.h5"
    with replacing(file) as fresh:
        fresh.write_text("one")
        with replacing(file) as other:
            other.write_text("other")
        assert file.read_text() == "other"
    assert file.read_text() == "one"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(
            "Can't write data (file write failed: errno = 28, error message = 'No space left on device')"
        ),
    ],
)
def test_a_full_disk_is_explained(error: OSError) -> None:
    with pytest.raises(TrainingError, match="the disk is full"), explain_full_disk():
        raise error


def test_other_errors_are_unchanged() -> None:
    with pytest.raises(PermissionError), explain_full_disk():
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.parametrize("error", [TrainingError("no pictures"), OSError(errno.EACCES, "no right", "out")])
def test_a_command_ends_with_the_reason_in_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, reported(ArgumentParser()):
        raise error
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {error}")


def test_space_is_checked_on_the_disk_of_the_folder(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "there" / "yet", 1)
    with pytest.raises(TrainingError, match="are free"):
        require_space(tmp_path / "not" / "there" / "yet", 10**18)
