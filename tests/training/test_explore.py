"""The notebook about a data set runs, and is stored without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.pictures import encode
from tests.system import ROOT
from tests.training.drawn import draw, write_crops, write_tables

NOTEBOOK = ROOT / "training" / "explore.ipynb"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one unreadable file and one picture that is in two splits."""
    folder = tmp_path_factory.mktemp("explored")
    write_crops(folder / "crops", {"train": 6, "val": 3, "test": 3})
    write_tables(folder)
    (folder / "crops" / "train" / "mask" / "cut.jpg").write_bytes(encode(draw("mask", 5))[:200])
    leaked = folder / "crops" / "train" / "no_mask" / "train_2.jpg"
    (folder / "crops" / "test" / "no_mask" / "leaked.jpg").write_bytes(leaked.read_bytes())
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PICTURES", str(pictures))
        patch.setenv("PYTHONPATH", str(ROOT))
        return NotebookClient(notebook, timeout=600, kernel_name="python3").execute()


def text(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs
    )


def test_it_lists_problems_of_the_pictures(run: nbformat.NotebookNode) -> None:
    result = text(run)
    assert "37 pictures, 6 faces in scenes" in result
    assert "crops/train/mask/cut.jpg" in result
    assert "1 of them across the splits" in result
    assert "gate" in result
    assert "of 37" in result


def test_it_draws_balance_sizes_brightness_and_sheets(run: nbformat.NotebookNode) -> None:
    pictures = [
        output
        for cell in run.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 3 + 3 + 1  # plots, a sheet a label, the leak


def test_it_is_stored_without_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
