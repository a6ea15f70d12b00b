"""The price of a million pictures, from measured figures."""

import pytest

from infra.cost import NoFigures, cost, measured, table


def test_lambda_bills_whole_milliseconds_of_memory():
    assert cost(10, 1769).milliseconds == 10
    assert cost(10.1, 1769).milliseconds == 11
    # 1 GB for 100 ms a picture: 100,000 GB-seconds at 0.0000166667, and 0.20 for the requests
    assert cost(100 * 1024 / 1769, 1024).functions == pytest.approx(100_000 * 0.0000166667 + 0.20)


def test_less_memory_takes_longer_in_proportion():
    assert cost(10, 884.5).milliseconds == 20


def test_more_than_one_processor_makes_it_no_faster():
    assert cost(10, 3538).milliseconds == 10


def test_the_gateway_costs_the_same_at_every_size():
    assert cost(10, 512).api_gateway == cost(10, 1769).api_gateway == pytest.approx(3.50)


def test_arm_is_cheaper():
    assert cost(10, 1769, "arm64").functions < cost(10, 1769).functions


def test_the_table_has_a_row_for_each_size_that_is_enough():
    assert [line.split(" MB")[0] for line in table(10, 200).splitlines() if " MB |" in line] == [
        "| 512",
        "| 1024",
        "| 1769",
    ]
    assert "| 512 MB" not in table(10, 600)
    assert "$1,000" in table(10, 200)


RESULTS = """
# Results

| what | p50 ms | p95 ms | peak MB |
|---|---:|---:|---:|
| decode alone | 2.1 | 2.4 | |
| **handler**, end to end, 640x480 JPEG | **7.4** | 8.1 | 131 |
"""


def test_figures_are_read_from_the_benchmark():
    assert measured(RESULTS) == (7.4, 131)


@pytest.mark.parametrize("results", ["", RESULTS.replace("handler", "other"), RESULTS.replace("131", "-")])
def test_missing_figures_are_said(results):
    with pytest.raises(NoFigures):
        measured(results)
