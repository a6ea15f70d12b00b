"""The report is complete and self-contained; only the page contains pictures."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.system import ROOT
from training import report as report_module
from training.report import write_report

PLOTS = {"confusion", "curves", "reliability", "sources", "slices", "corruptions", "training"}


@pytest.fixture(scope="module")
def report(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(evaluated, folder)
    return folder


def test_the_report_has_all_files(report: Path) -> None:
    assert {path.name for path in report.iterdir()} == {
        "report.html",
        "model-card.md",
        "report.json",
        *(f"{name}.svg" for name in PLOTS),
    }


def test_the_page_is_self_contained(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == len(PLOTS)
    assert page.count("data:image/png;base64,") == 1
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_plots_contain_no_pictures_of_people(report: Path) -> None:
    for name in PLOTS - {"confusion"}:
        assert "<image" not in (report / f"{name}.svg").read_text(), name
    assert (report / "confusion.svg").stat().st_size < 30_000


def test_the_same_run_gives_the_same_plots(report: Path, evaluated: Path, tmp_path: Path) -> None:
    write_report(evaluated, tmp_path)
    for name in PLOTS:
        assert (tmp_path / f"{name}.svg").read_bytes() == (report / f"{name}.svg").read_bytes()


def test_the_model_card_has_the_figures(report: Path) -> None:
    card = (report / "model-card.md").read_text()
    metrics = json.loads((report / "report.json").read_text())["metrics"]
    assert f"**{100 * metrics['overall']['macro_f1']:.1f}%**" in card
    for heading in (
        "Intended use",
        "Data",
        "Figures",
        "By source",
        "By slice",
        "Under corruption",
        "Limits",
        "Ethical",
    ):
        assert f"\n## {heading}" in card
    for source in metrics["sources"]:
        assert f"| {source} |" in card


def test_the_tables_of_the_model_card_are_complete(report: Path) -> None:
    rows = [line for line in (report / "model-card.md").read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 50
    for above, below in pairwise(rows):
        if below.startswith("|--"):
            assert above.count("|") == below.count("|")


def test_the_plots_in_the_model_card_exist(report: Path) -> None:
    shown = re.findall(r"!\[[^]]*\]\((.+?)\)", (report / "model-card.md").read_text())
    assert {f"{name}.svg" for name in PLOTS} == set(shown)


def test_the_shipped_model_card_is_that_of_the_shipped_report(command, tmp_path: Path) -> None:
    shipped = ROOT / "docs" / "model"
    command(report_module, "--report", shipped / "report.json", "--out", tmp_path)
    written = [(folder / "model-card.md").read_text() for folder in (shipped, tmp_path)]
    assert written[0] == written[1], "CONTRIBUTING.md says under 'Add a figure' how to write it anew"


def test_a_run_that_was_not_evaluated_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"metrics\.json"):
        write_report(tmp_path, tmp_path / "report")
