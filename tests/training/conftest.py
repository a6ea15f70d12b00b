"""A tiny training run, from drawn faces to an evaluated model, shared by the tests of later steps."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import keras
import pytest

from tests.training.drawn import write_crops, write_tables
from tests.training.small_mobilenet import quick_training
from training.classifier import evaluate
from training.classifier.convert import convert_run
from training.classifier.train import train
from training.dataset import Dataset, list_examples, load_examples
from training.files import METRICS
from training.recipe import Recipe, Stage
from training.tracking import client

RECIPE = Recipe((Stage(96, 1, 2e-3, 60, None), Stage(96, 2, 1e-3, 60, 12)), batch=24, seed=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Train quickly in this folder's tests and their fixtures, except where the whole network is the subject."""
    quick = item.path.parent == Path(__file__).parent and item.path.stem != "test_model"
    with quick_training() if quick else nullcontext():
        return (yield)


@pytest.fixture
def command(monkeypatch):
    """Run a module's command with arguments, and return its exit status or its message."""

    def run(module, *arguments):
        monkeypatch.setattr("sys.argv", ["command", *map(str, arguments)])
        try:
            module.main()
        except SystemExit as ended:
            return ended.code or 0
        return 0

    return run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: crops in all splits and labels, scenes, tables."""
    folder = tmp_path_factory.mktemp("data")
    write_crops(folder / "crops", {"train": 16, "val": 6, "test": 6})
    write_tables(folder)
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an MLflow store without runs, to be copied because creating one takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def dataset(drawn: Path) -> Dataset:
    return load_examples(list_examples(drawn))


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random starting weights in Keras' format."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    model = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3))
    model.save_weights(path)
    return path


@pytest.fixture(scope="session")
def trained(dataset: Dataset, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run through two stages of one and two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    train(dataset, folder, RECIPE, backbone=backbone)
    return folder


@pytest.fixture(scope="session")
def run(trained: Path, dataset: Dataset) -> Path:
    """The same folder, converted at 96 pixels."""
    convert_run(trained, dataset.split("train"), dataset.split("val"))
    return trained


@pytest.fixture(scope="session")
def evaluated(run: Path, drawn: Path) -> Path:
    """The same folder, evaluated by the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["evaluate", "--data", str(drawn), "--run", str(run)])
        evaluate.main()
    assert json.loads((run / METRICS).read_text())
    return run
