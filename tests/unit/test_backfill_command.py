"""The backfill command prints the outcomes, and reports that nothing was found."""

import json
from collections import Counter

import pytest

from infra.ops import backfill
from infra.ops.__main__ import main


class States:
    """A fake Step Functions with one execution, which has succeeded."""

    def start_execution(self, **_):
        return {"executionArn": "arn"}

    def describe_execution(self, **_):
        return {"status": "SUCCEEDED", "output": json.dumps({})}

    def list_map_runs(self, **_):
        return {"mapRuns": []}


@pytest.fixture
def run(monkeypatch):
    """Run a backfill in which batches have these outcomes."""

    def result(*options, pictures=(), failures=()):
        monkeypatch.setattr(backfill, "outputs_of", lambda _: {"Backfill": "arn"})
        monkeypatch.setattr(backfill.boto3, "client", lambda _: States())
        monkeypatch.setattr(backfill, "outcomes", lambda *_: (Counter(pictures), Counter(failures)))
        main(["backfill", "--stack", "maskwatch", *options])

    return result


@pytest.mark.parametrize(
    ("options", "where"),
    [(("--prefix", "2026/13/"), "with the prefix '2026/13/'"), (("--manifest", "a.json"), "in a.json")],
)
def test_pictures_that_are_not_there_are_reported(run, options, where):
    with pytest.raises(SystemExit, match=f"There are no objects {where}"):
        run(*options)


@pytest.mark.parametrize("outcome", [{"pictures": ["skipped"]}, {"failures": ["it crashed"]}])
def test_each_outcome_is_counted(run, capsys, outcome):
    run("--prefix", "2026/", **outcome)

    assert next(iter(outcome.values()))[0] in capsys.readouterr().out
