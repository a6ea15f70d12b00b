"""`dvc repro` repeats only what changed, and `dvc metrics diff` compares, offline."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.system import ROOT
from tests.training import small_mobilenet
from tests.training.drawn import write_crops
from tests.training.imports import imported
from training.classifier.model import build
from training.files import CLASSIFIER_WEIGHTS
from training.recipe import PARAMS

TINY = """classifier:
  seed: 1
  batch: 24
  bare_face_weights: {gate: 2.0}
  from_release:
    - {size: 160, freeze_until_block: null, epochs: 1, learning_rate: 1.0e-3, train_samples: 24}
"""
QUICK = """
from training.small_mobilenet import quick_training

quick = quick_training()  # which ends where nothing refers to it
quick.__enter__()
"""
FEWER = {  # of the judge, which measures more than these tests read
    "compare.py": "\nDRAWS, TIMED = 2_000, 40\n",
    "evaluate.py": "\nCORRUPTIONS = {kind: dict([*levels.items()][:1]) for kind, levels in CORRUPTIONS.items()}\n",
}
STATUS = "status --json dvc.yaml"
END = "end of the output of a command"
COMMANDS = f"""
import json, sys
from dvc.cli import main
for arguments in json.loads(sys.argv[1]):
    if status := main(arguments):
        sys.exit(f"{{arguments}} ended with {{status}}")
    print({END!r}, flush=True)
"""


class Checkout:
    """A copy of the project in a git repository of its own, which trains a small network."""

    def __init__(self, folder: Path, backbone: Path) -> None:
        self.folder = folder
        hidden = shutil.ignore_patterns("__pycache__")
        for name in ("training", "functions"):
            shutil.copytree(ROOT / name, folder / name, ignore=hidden)
        shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
        for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
            shutil.copyfile(ROOT / name, folder / name)
        shutil.copy(small_mobilenet.__file__, folder / "training")
        for name, program in {"model.py": QUICK, **FEWER}.items():
            with (folder / "training" / "classifier" / name).open("a") as module:
                module.write(program)
        build(backbone).save_weights(folder / "training" / "weights" / CLASSIFIER_WEIGHTS)
        (folder / "params.yaml").write_text(TINY)
        write_crops(folder / "pictures", {"train": 8, "val": 3, "test": 4})
        self.run("git", "init", "--quiet")
        self.dvc("add --quiet pictures")
        self.commit("pictures")

    def run(self, *command: str) -> str:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            # Unavailable: no test here reads runs, and a store takes seconds.
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            **{
                f"GIT_{who}_{what}": "t@example.org"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def dvc(self, *commands: str) -> list[str]:
        """Run commands of DVC in one process, since one takes seconds to start, and return what each printed."""
        arguments = json.dumps([command.split() for command in commands])
        return self.run(sys.executable, "-c", COMMANDS, arguments).split(f"{END}\n")[:-1]

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)


def stale(status: str) -> set[str]:
    """The stages that `dvc repro` would redo; the detector's stand in a file of their own."""
    return {name.partition(":")[2] or name for name in json.loads(status)}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> Checkout:
    """The project after a complete `dvc repro`."""
    made = Checkout(tmp_path_factory.mktemp("checkout"), backbone)
    made.dvc("repro --quiet")
    made.commit("first run")
    return made


def test_after_a_run_nothing_is_stale_and_its_metrics_are_shown(checkout: Checkout) -> None:
    status, shown = checkout.dvc(STATUS, "metrics show --json")
    assert stale(status) == set()
    (metrics,) = json.loads(shown)[""]["data"].values()
    assert {"accuracy", "macro_f1", "incorrect_f1", "bytes"} <= metrics["data"].keys()


def test_a_changed_seed_repeats_training_but_not_preparation(checkout: Checkout) -> None:
    params = checkout.folder / "params.yaml"
    params.write_text(TINY.replace("seed: 1", "seed: 2"))
    try:
        status, plan = checkout.dvc(STATUS, "repro --dry")
        assert stale(status) == {"train"}
        assert "Running stage 'train'" in plan
        assert "Running stage 'prepare'" not in plan
    finally:
        params.write_text(TINY)


def test_changed_pictures_repeat_everything(checkout: Checkout) -> None:
    picture = next((checkout.folder / "pictures" / "train" / "mask").iterdir())
    bytes_before = picture.read_bytes()
    picture.unlink()
    try:
        (status,) = checkout.dvc(STATUS)
        assert "prepare" in stale(status)
    finally:
        picture.write_bytes(bytes_before)


def test_another_format_repeats_only_conversion_and_gate_and_metrics_are_compared(checkout: Checkout) -> None:
    run = checkout.folder / ".runs" / "classifier"
    trained = (run / "state.json").stat().st_mtime_ns
    shipped = json.loads((run / "conversion.json").read_text())["shipped"]
    allowed = "-2.0" if shipped == "int8" else "2.0"
    convert = checkout.folder / "training" / "classifier" / "convert.py"
    text = convert.read_text()
    convert.write_text(text.replace("ALLOWED_LOSS: Final = 0.005", f"ALLOWED_LOSS: Final = {allowed}"))
    assert convert.read_text() != text
    status, _, difference = checkout.dvc(STATUS, "repro --quiet", "metrics diff --json")
    assert stale(status) == {"convert"}
    assert (run / "state.json").stat().st_mtime_ns == trained
    (changed,) = json.loads(difference).values()
    assert (changed["bytes"]["new"] > changed["bytes"]["old"]) == (shipped == "int8")


@pytest.mark.parametrize("file", ["dvc.yaml", "training/detector/dvc.yaml"])
def test_every_stage_depends_on_all_the_code_that_it_runs(file: str) -> None:
    for name, stage in yaml.safe_load((ROOT / file).read_text())["stages"].items():
        module = stage["cmd"].split()[2]
        named = [Path(dependency) for dependency in stage["deps"]]
        missing = {
            str(path)
            for path in imported(module)
            if not any(path == one or one in path.parents for one in named)
        }
        assert not missing, f"{name} does not name {missing}"


@pytest.mark.parametrize(
    ("file", "network"), [("dvc.yaml", "classifier"), ("training/detector/dvc.yaml", "detector")]
)
def test_training_depends_on_all_its_parameters(file: str, network: str) -> None:
    stages = yaml.safe_load((ROOT / file).read_text())["stages"].values()
    (named,) = [stage["params"] for stage in stages if "params" in stage]
    used = yaml.safe_load(PARAMS.read_text())[network].keys() - {"from_imagenet"}
    assert set(named) == {f"{network}.{name}" for name in used}
