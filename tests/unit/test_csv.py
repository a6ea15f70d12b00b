"""CSV that Excel opens right and computes nothing of: the writers of the service, the command and `make score`.

The page's writer is held to the same table of cells in tests/browser/test_page_odd_input.py.
"""

import csv
import io
import json
from pathlib import Path

import pytest

from functions.portal import compliance
from infra.ops import score
from maskwatch.output import Response, as_csv
from tests.service import prediction

CELLS = json.loads((Path(__file__).parents[1] / "csv_cells.json").read_text())
BOM = "\ufeff"


def of_the_service(text: str) -> str:
    counts = dict.fromkeys(compliance.COLUMNS, 0)
    return compliance.as_text({"rows": [counts | {"time": "2026-11-22T00:00:00Z", "source": text}]}, "csv")


def of_the_command(text: str) -> str:
    return "\r\n".join(as_csv([Response(text, prediction("mask"))], [text]))


def of_make_score(text: str) -> str:
    return score.as_csv([{"file": text, "status": "missing", "detail": ""}])


@pytest.mark.parametrize("write", [of_the_service, of_the_command, of_make_score])
@pytest.mark.parametrize(("text", "cell"), CELLS)
def test_formulas_are_escaped_and_other_cells_are_unchanged(write, text, cell):
    written = write(text)
    assert written.startswith(BOM)
    (row,) = csv.DictReader(io.StringIO(written.removeprefix(BOM), newline=""))
    assert cell in {row.get("file"), row.get("source")}
