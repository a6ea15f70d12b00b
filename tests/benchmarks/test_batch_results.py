"""The benchmark of Batch on a small scale."""

from tests.benchmarks.batch import CONTENDERS, measure, render


def test_every_contender_is_measured_with_each_size():
    sizes = ["1080p", "thumbnail"]

    times = measure(rounds=1, sizes=sizes)

    assert [*times] == sizes
    assert all(rows.keys() == CONTENDERS.keys() and min(rows.values()) > 0 for rows in times.values())


def test_the_floor_is_the_sum_of_the_parts():
    rows = {"batch": 50.0, "single": 100.0, "fetch": 10.0, "decode": 10.0, "score": 20.0}

    table = render({"1080p": rows})

    assert "| the floor: these three, one after the other | 40.0 | 25 | 1.00 |" in table
    assert "| handler, a batch of ten | 50.0 | 20 | 0.80 |" in table
    assert "| handler, one picture per invocation | 100.0 | 10 | 0.40 |" in table
    assert "| fetch alone | 10.0 | 100 |  |" in table
