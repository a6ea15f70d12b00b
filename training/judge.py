"""Everything between a converted run and its release: `python -m training.judge --data FOLDER --run RUN …`.

Evaluates, gates, writes the report, and makes a release of the run if the gate lets it: of a run that is refused
there is no release. The run may also be the `model.tar.gz` that a training job left.
"""

from __future__ import annotations

import argparse
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.inference.fetch import open_release
from functions.inference.release import ReleaseError
from training.baseline import write_baseline
from training.classifier.dataset import DataError
from training.classifier.evaluate import evaluate_run, shipped
from training.classifier.gate import GATE, SERVING_HELP, judge_run
from training.disk import full_disk_told
from training.release import write_release
from training.report import write_report
from training.tracking import track

if TYPE_CHECKING:
    from functions.inference.release import Release


def judge(data: Path, run: Path, serving: Release, out: Path, version: str) -> dict[str, Any]:
    """Judge a run and return what `gate.json` says.

    Args:
        data: A prepared folder.
        run: Folder of a converted run; figures and report go there.
        serving: The release to compare with.
        out: Where the release goes, if the gate lets the run through.
        version: Of that release.

    Raises:
        DataError: There are no test pictures.
    """
    evaluate_run(run, data, shipped(run), version)
    told = judge_run(run, data, serving)
    write_report(run, run / "report")
    if told["passed"]:
        write_release(run, out, version, serving)
        try:
            write_baseline(data, out)
        except DataError as error:  # it serves as well without; Drift then says what is missing
            print(f"The release has no baseline. {error}")
    track(run, out if told["passed"] else None)
    return told


def unpacked(run: Path, into: Path) -> Path:
    """The folder of a run: itself, or what its archive holds, unpacked into `into`."""
    archive = run / "model.tar.gz"
    if not archive.is_file():
        return run
    with tarfile.open(archive) as files:
        files.extractall(into, filter="data")
    return into


def main() -> None:
    """Judge from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of prepared pictures")
    parser.add_argument("--run", type=Path, required=True, help="folder of a run, or of its model.tar.gz")
    parser.add_argument("--out", type=Path, required=True, help="folder of the release")
    parser.add_argument("--version", required=True)
    parser.add_argument("--serving", default="", help=SERVING_HELP)
    parser.add_argument("--report", type=Path, help="folder to copy the report and gate.json to")
    options = parser.parse_args()
    run = unpacked(options.run, options.run.with_name("unpacked"))
    try:
        with full_disk_told():
            told = judge(options.data, run, open_release(options.serving), options.out, options.version)
            if options.report:
                shutil.copytree(run / "report", options.report, dirs_exist_ok=True)
                shutil.copyfile(run / GATE, options.report / GATE)
    except (DataError, ReleaseError) as error:
        parser.error(str(error))
    print(f"{'passed' if told['passed'] else 'refused'}: {told['reason']}")


if __name__ == "__main__":
    main()
