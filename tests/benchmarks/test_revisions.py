"""Two revisions of the handler are compared in one run."""

from pathlib import Path

import pytest

from tests.benchmarks import revisions

MODELS = "def write_scenes(folder, rng):\n    (folder / 'scene').write_text({version!r})\n"
WORKER = """
import sys
from pathlib import Path

faces = int(sys.argv[1].removeprefix("scene-640x480-"))
if (Path(sys.argv[2]) / "scene").read_text() != {version!r}:
    sys.exit("the scene of another revision")
print("ready", flush=True)
for _ in sys.stdin:
    print([faces * {milliseconds}], flush=True)
print(100)
"""


def checkout(folder: Path, version: str, milliseconds: int) -> Path:
    """Write a revision whose handler always takes as long for each face."""
    code = folder / version / "tests" / "benchmarks"
    code.mkdir(parents=True)
    for package in (code, code.parent):
        (package / "__init__.py").touch()
    (code / "models.py").write_text(MODELS.format(version=version))
    (code / "worker.py").write_text(WORKER.format(version=version, milliseconds=milliseconds))
    return folder / version


def test_each_revision_runs_its_own_code_on_its_own_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "ROOT", checkout(tmp_path, "new", 2))
    (tmp_path / "inputs").mkdir()
    rows = revisions.compare(checkout(tmp_path, "old", 3), tmp_path / "inputs")
    found = {faces: [(row.title, row.p50) for row in pair] for faces, pair in rows.items()}
    assert found == {1: [("earlier", 3), ("now", 2)], 30: [("earlier", 90), ("now", 60)]}
