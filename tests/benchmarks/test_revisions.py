"""Two revisions of the handler are compared in one run."""

from pathlib import Path

import pytest

from tests.benchmarks.__main__ import ROOT
from tests.benchmarks.revisions import compare


def test_both_revisions_are_measured_with_one_face_and_thirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmarks.__main__.ROUNDS", 1)
    rows = compare(ROOT, tmp_path)
    assert [row.title for pair in rows.values() for row in pair] == ["earlier", "now"] * 2
    assert rows[1][0].p50 < rows[30][0].p50
    assert rows[1][1].p50 < rows[30][1].p50
