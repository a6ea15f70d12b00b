"""The price of a million pictures, from measured figures."""

from pathlib import Path

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from functions.drift.feedback_join import MAX_SOURCES
from infra.ops.cost import (
    ALARM_METRICS,
    ALERTS_MEMORY,
    BACKFILL_BATCH,
    DRIFT_DAYS,
    DRIFT_MEMORY,
    DRIFT_RUNS,
    OBJECTS_MONTH,
    QUEUE_BATCH,
    RECORDS_DAYS,
    billed_ms,
    bulk_table,
    by_backfill,
    by_queue,
    lambda_cost,
    measured,
    monitoring_items,
    monitoring_table,
    option_items,
    options_table,
    table,
)
from infra.ops.errors import OpsError


def test_lambda_bills_whole_milliseconds():
    assert billed_ms(10, 1769) == 10
    assert billed_ms(10.1, 1769) == 11


def test_lambda_bills_memory_by_time_and_every_request():
    # 1 GB for 100 ms a picture: 100,000 GB-seconds at 0.0000166667, and 0.20 for the requests
    assert lambda_cost(1024, 100e6, 1_000_000) == pytest.approx(100_000 * 0.0000166667 + 0.20)


def test_less_memory_takes_longer_in_proportion():
    assert billed_ms(10, 884.5) == 20


def test_more_than_one_processor_makes_it_no_faster():
    assert billed_ms(10, 3538) == 10


def test_the_gateway_costs_the_same_at_every_size():
    assert table(10, 200).count(" ms | $3.50 |") == 3


def test_arm_is_cheaper():
    assert lambda_cost(1769, 10, architecture="arm64") < lambda_cost(1769, 10)


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
def test_missing_figures_are_reported(results):
    with pytest.raises(OpsError, match=r"no row for the handler|no figure for p50"):
        measured(results)


def test_a_backfill_pays_for_batches_of_fifty():
    bulk = by_backfill(1_000_000, 20)

    # 20,000 batches of a second each: a transition of the map, and an express execution with 0.0625 GB; a request
    # and a processor's memory of Lambda
    assert bulk.dispatch == pytest.approx(20_000 * (25e-6 + 1e-6 + 0.0625 * 0.00001667))
    assert bulk.functions == pytest.approx(20_000 * (0.2e-6 + 1769 / 1024 * 0.0000166667))
    # two reads and a write for each picture, and a listing of each thousand
    assert bulk.storage == pytest.approx(0.8 + 5 + 0.005)
    assert bulk.total == pytest.approx(bulk.dispatch + bulk.functions + bulk.storage)


def test_an_upload_pays_for_its_message_and_a_tenth_of_two_more():
    assert by_queue(1_000_000, 20).dispatch == pytest.approx(0.48)


def test_a_hundred_times_the_pictures_cost_a_hundred_times_as_much():
    for cost_of in (by_queue, by_backfill):
        assert cost_of(100_000_000, 7.3).total == pytest.approx(100 * cost_of(1_000_000, 7.3).total)


def test_the_table_of_bulk_scoring_has_cost_and_duration_of_each_way():
    rows = [line for line in bulk_table(36).splitlines() if line.startswith("| 1")]
    assert len(rows) == 4
    assert "| 2.00, 0.10, 0.01 |" in rows[0]
    assert "| 200.00, 10.00, 1.00 |" in rows[3]


def test_the_batch_sizes_are_the_stack_s():
    root = Path(__file__).parents[2]
    machine = yaml.safe_load((root / "infra" / "backfill.asl.yaml").read_text())["States"]
    resources = yaml_parse((root / "template.yaml").read_text())["Resources"]
    queue = resources["BatchFunction"]["Properties"]["Events"]["Uploads"]["Properties"]

    assert queue["BatchSize"] == QUEUE_BATCH
    assert {
        machine[name]["ItemBatcher"]["MaxItemsPerBatch"] for name in ("ScorePrefix", "ScoreInventory")
    } == {BACKFILL_BATCH}


def test_the_counts_of_metrics_and_alarms_are_the_stack_s():
    template = yaml_parse((Path(__file__).parents[2] / "template.yaml").read_text())
    resources, parameters = template["Resources"], template["Parameters"]
    alarms = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    stream = resources["RecordsStream"]["Properties"]["ExtendedS3DestinationConfiguration"]

    assert (
        sum(len([m for m in a.get("Metrics", [a]) if "Expression" not in m]) for a in alarms) == ALARM_METRICS
    )
    assert resources["DriftFunction"]["Properties"]["MemorySize"] == DRIFT_MEMORY
    assert resources["AlertsFunction"]["Properties"]["MemorySize"] == ALERTS_MEMORY
    assert parameters["RecordsDays"]["Default"] == RECORDS_DAYS
    assert parameters["LookbackDays"]["Default"] + 2 == DRIFT_DAYS
    assert parameters["DriftRate"]["Default"] == "rate(1 hour)"
    assert DRIFT_RUNS == 30 * 24
    assert stream["BufferingHints"]["IntervalInSeconds"] * OBJECTS_MONTH == 30 * 86400


def test_monitoring_has_costs_per_picture_and_per_month():
    items = {item.what.split(" ")[0].strip(",:"): item for item in monitoring_items()}

    assert items["Logs"].pictures == pytest.approx(1.125)  # 2.25 GB
    assert items["Firehose"].pictures == pytest.approx(0.145)  # 5 GB
    assert items["S3"].pictures == pytest.approx(0.4 * 0.023 * 400 / 30)
    # A request, 25 GB-milliseconds, a unit written and six read; a minute's look reads two and writes none.
    assert items["Alerts"].pictures == pytest.approx(
        0.2 + 24_857 * 0.0000166667 + 0.625 + 6 * 0.125, abs=1e-4
    )
    assert items["Alerts"].month == pytest.approx(43_200 * (1.45e-6 + 0.024857 * 0.0000166667), rel=1e-4)
    # An object every five minutes of nine days is read in each run.
    assert items["Drift"].month == pytest.approx(
        720 * (0.2e-6 + 20 * 3008 / 1024 * 0.0000166667 + 9 * 288 * 0.4e-6)
    )


def test_the_table_of_monitoring_adds_up():
    lines = monitoring_table().splitlines()
    items = monitoring_items()
    total = [sum(item.pictures for item in items), sum(item.month for item in items)]

    assert lines[10] == "| **Total** | **${:,.2f}** | **${:,.2f}** |".format(*total)
    assert (
        f"each further source costs $0.30 a month, and as much again while it is among the {MAX_SOURCES} with"
        in lines[-1]
    )


def test_the_options_have_costs_per_month_and_per_start():
    snapshot, web_acl, provisioned = option_items()

    assert snapshot.month == pytest.approx(30 * 86400 * 1769 / 1024 * 0.0000015046)
    assert snapshot.pictures == pytest.approx(10_000 * 1769 / 1024 * 0.0001397998)
    assert (web_acl.pictures, web_acl.month) == (pytest.approx(0.6), 6.0)
    assert provisioned.month == pytest.approx(30 * 86400 * 1769 / 1024 * 0.0000041667)
    assert "| SnapStart, on in prod: a version kept, 10,000 starts | $2.42 | $6.74 |" in options_table()
