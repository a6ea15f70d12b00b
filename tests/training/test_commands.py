"""Commands that fail end with one line that says why."""

from pathlib import Path
from types import ModuleType

import pytest

from training import served
from training.detector import evaluate


@pytest.mark.parametrize(("module", "folder"), [(served, "--out"), (evaluate, "--run")])
def test_a_folder_without_a_release_is_named(
    module: ModuleType,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--data", str(tmp_path), folder, str(tmp_path), "--release", str(tmp_path / "nowhere")]
    monkeypatch.setattr("sys.argv", ["command", *given])
    with pytest.raises(SystemExit):
        module.main()
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("command: error: ")
    assert str(tmp_path / "nowhere") in line
