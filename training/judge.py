"""Gate converted runs, and release them if they pass: `python -m training.judge --data FOLDER --run RUN …`.

Evaluates the runs and writes the report, and the release only if every run passes its gate. A run may also be the
`model.tar.gz` of a training job. Without a run of one network, the release keeps the serving one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.inference.fetch import open_release
from functions.shared.release_files import MANIFEST
from training.baseline import write_baseline_if_possible
from training.candidate import candidate_release, open_serving
from training.classifier.evaluate import evaluate_run
from training.detector import evaluate as detector_evaluate
from training.errors import TrainingError, reported
from training.files import GATE, METRICS, REPORT, file_sha256
from training.gate import SERVING_HELP, as_text
from training.gates import gate_classifier, gate_detector
from training.release import write_release
from training.report import write_report
from training.tracking import track_if_possible

if TYPE_CHECKING:
    from functions.inference.release import Release


def judge(
    data: Path,
    run: Path | None,
    detector: Path | None,
    serving: Release,
    out: Path,
    version: str,
    regression_data: Path | None = None,
) -> dict[str, Any]:
    """Evaluate and gate runs, and write their release if they pass.

    Args:
        data: A prepared folder.
        run: Folder of a classifier's converted run; figures and report go there.
        detector: Folder of a detector's converted run.
        serving: The release to compare with, from which a network without a run is taken.
        out: Folder of the release. If the runs are refused, a release that is already there loses its manifest.
        version: Version of the release.
        regression_data: Folder of other pictures, on which a classifier must not become worse, either.

    Returns:
        The content of the classifier's `gate.json`, else of the detector's, with `passed` and `reason` of both, and
        `manifest_sha256` of the release, empty without one.

    Raises:
        TrainingError: There is no run, or the data has no test pictures.
    """
    if not run and not detector:
        raise TrainingError("there is no run to evaluate; train one first")
    floor = open_release("")
    candidate = replace(candidate_release(serving, run, detector), version=version)
    gates = []
    if detector:
        detector_evaluate.evaluate_run(detector, data, candidate)
        gates.append(gate_detector(detector, data, serving, floor, run))
    if run:
        evaluate_run(run, data, candidate)
        gates.append(gate_classifier(run, data, serving, floor, detector, regression_data))
        write_report(run, run / REPORT, detector)
    for gate in gates:
        print(as_text(gate))
    passed, digest = all(gate["passed"] for gate in gates), ""
    if passed:
        write_release(out, version, serving, run, detector)
        write_baseline_if_possible(data, out)
        digest = file_sha256(out / MANIFEST)
    else:
        # Or the release of an earlier run could be published instead.
        (out / MANIFEST).unlink(missing_ok=True)
    for folder in (run, detector):
        if folder:
            track_if_possible(folder, out if passed else None)
    reasons = [gate["reason"] for gate in gates if passed or not gate["passed"]]
    reason = "; ".join(dict.fromkeys(reasons))
    return {**gates[-1], "passed": passed, "reason": reason, "manifest_sha256": digest}


def unpacked(run: Path, into: Path) -> Path:
    """Return the folder of a run; if it holds an archive, unpack that into `into` and return `into`."""
    archive = run / "model.tar.gz"
    if not archive.is_file():
        return run
    with tarfile.open(archive) as files:
        files.extractall(into, filter="data")
    return into


def copy_report(run: Path | None, detector: Path | None, verdict: dict[str, Any], out: Path) -> None:
    """Copy the report of the runs to `out`, and write the verdict there as `gate.json`."""
    out.mkdir(parents=True, exist_ok=True)
    if run:
        shutil.copytree(run / REPORT, out, dirs_exist_ok=True)
    elif detector:
        shutil.copyfile(detector / METRICS, out / "report.json")
    (out / GATE).write_text(json.dumps(verdict, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of prepared pictures")
    parser.add_argument("--run", type=Path, help="folder of a classifier's run, or with its model.tar.gz")
    parser.add_argument("--detector", type=Path, help="folder of a detector's run, or with its model.tar.gz")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of the release; a refusal makes one that is there unusable",
    )
    parser.add_argument("--version", required=True)
    parser.add_argument("--serving", default="", help=SERVING_HELP)
    parser.add_argument(
        "--reference", type=Path, help="folder of other pictures, on which it must not become worse either"
    )
    parser.add_argument("--report", type=Path, help="folder to copy the report and gate.json to")
    options = parser.parse_args()
    with reported(parser):
        run, detector = (
            folder and unpacked(folder, folder.with_name(f"unpacked-{folder.name}"))
            for folder in (options.run, options.detector)
        )
        serving = open_serving(options.serving)
        verdict = judge(options.data, run, detector, serving, options.out, options.version, options.reference)
        if options.report:
            copy_report(run, detector, verdict, options.report)
    if run and detector:  # the verdict on one was printed already
        print(f"{'passed' if verdict['passed'] else 'refused'}: {verdict['reason']}")


if __name__ == "__main__":
    main()
