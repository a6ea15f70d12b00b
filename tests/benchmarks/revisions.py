"""Compare the handler with that of an earlier revision: `python -m tests.benchmarks.revisions REVISION`.

Each answers with its own code and release, on a 640x480 JPEG with one face and with thirty. All alternate in one run.
"""

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.__main__ import ROOT, Row, environment, measure_rounds, start

WRITE_SCENES = """
import sys
from pathlib import Path
import numpy as np
from tests.benchmarks.models import write_scenes
write_scenes(Path(sys.argv[1]), np.random.default_rng(0))
"""
FACES = (1, 30)


def compare(tree: Path, folder: Path) -> dict[int, tuple[Row, Row]]:
    """Measure the handler in `tree` and that of this checkout, by number of faces; inputs are put into `folder`."""
    for name, code in (("earlier", tree), ("now", ROOT)):
        (folder / name).mkdir()
        command = [sys.executable, "-c", WRITE_SCENES, folder / name]
        subprocess.run(command, cwd=code, env=environment(folder), check=True)
    rows = {
        faces: (Row("earlier", f"scene-640x480-{faces}"), Row("now", f"scene-640x480-{faces}"))
        for faces in FACES
    }
    every = [row for pair in rows.values() for row in pair]
    with ExitStack() as running:
        workers = []
        for row in every:
            workers.append(start(row, folder / row.title, tree if row.title == "earlier" else ROOT))
            running.callback(workers[-1].kill)
        measure_rounds(every, workers)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="of git, such as a tag, with these benchmarks and a release")
    revision = parser.parse_args().revision
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", tree, revision], cwd=ROOT, check=True
        )
        try:
            rows = compare(tree, Path(name))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
    print(f"| faces | {revision}, ms | now, ms | ratio |\n|--:|--:|--:|--:|")  # noqa: T201
    for faces, (earlier, now) in rows.items():
        print(f"| {faces} | {earlier.p50:.1f} | {now.p50:.1f} | {now.p50 / earlier.p50:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()
