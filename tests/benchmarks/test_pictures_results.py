"""The benchmarks of pictures on a small scale."""

from pathlib import Path

import numpy as np
import pytest

from functions.inference.decode import decode
from tests.benchmarks import damage, hostile
from tests.pictures import draw_face, encode


def test_damage_is_counted_by_format_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "FILES", 36)
    monkeypatch.setattr(damage, "pictures", lambda: [draw_face(320, 400)])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in damage.damage().splitlines()[2:]]
    table = {name: cells for name, *cells in rows}
    assert list(table) == [*damage.FORMS, *damage.DAMAGES, "all"]
    assert table["all"][0] == "36"
    assert table["PNG"][2] == table["cut short"][2] == "100.0%"


@pytest.mark.parametrize("way", damage.DAMAGES)
def test_each_kind_changes_the_file(way: str) -> None:
    file = encode(draw_face(320, 400), quality=95)
    damaged = damage.DAMAGES[way](file, len(file) // 2, np.random.default_rng(0))
    assert damaged != file
    assert len(damaged) <= len(file)


def test_the_cost_of_a_file_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "warm-up").mkdir()
    seconds, mebibytes, outcome = hostile.measure(
        encode(draw_face(3000, 4000), "PNG", compress_level=1), tmp_path
    )
    assert 0 < seconds < 10
    assert 40 < mebibytes < 200  # 4 bytes a pixel
    assert outcome == "scored"
    assert hostile.measure(b"GIF89a", tmp_path)[2] == "unsupported-type"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_search_finds_files_that_are_scored(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "EXAMPLES", 3)
    monkeypatch.setattr(hostile, "SMALLEST", 4.0)
    monkeypatch.setattr(hostile, "LARGEST", dict.fromkeys(hostile.LARGEST, 4.5))
    (tmp_path / "warm-up").mkdir()
    worst = hostile.search(kind, tmp_path)
    assert list(worst) == ["longest", "largest"]
    assert worst["longest"][0][0] >= worst["largest"][0][0]
    for (_, _, outcome), file in worst.values():
        assert outcome == "scored"
        assert decode(file).width >= 32
