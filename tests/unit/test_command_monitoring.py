"""`maskwatch feedback` and `maskwatch compliance` send requests, and print the answers."""

import json

import pytest

from tests.service import problem

ID = "5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11"
COUNTS = {"pictures": 7, "faces": 10, "mask": 6, "no_mask": 1, "incorrect": 2, "uncertain": 1}
SHARES = {"share_mask": 0.6, "share_no_mask": 0.1, "share_incorrect": 0.2, "share_uncertain": 0.1}
CSV = ("content-type", "text/csv")
FOUND = {
    "from": "2026-11-16T00:00:00Z",
    "to": "2026-11-22T23:00:00Z",
    "by": "day",
    "as_of": "2026-11-22T11:05:12Z",
    "rows": [
        {"time": "2026-11-20T00:00:00Z", "source": "Tür 3", **COUNTS, **SHARES},
        {"time": "2026-11-21T00:00:00Z", "source": "", **dict.fromkeys(COUNTS, 0), **dict.fromkeys(SHARES)},
    ],
    "total": COUNTS | SHARES,
}


def test_feedback_is_sent_and_confirmed(command, service):
    service.answer = lambda asked: (202, json.loads(asked.body) | {"time": "2026-11-22T09:00:00.000+00:00"})

    assert command("feedback", ID, "no_mask") == (0, f"Stored: {ID} is no_mask\n", "")

    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/feedback")
    assert json.loads(asked.body) == {"prediction_id": ID, "label": "no_mask"}
    assert asked.headers["x-api-key"] == "secret"


def test_refused_feedback_is_reported(command, service):
    service.answer = lambda _: problem("invalid-parameter", 400, "`prediction_id` must be the UUID.")

    assert command("feedback", "7", "mask") == (1, "", "maskwatch: `prediction_id` must be the UUID.\n")


def test_an_invalid_label_is_not_sent(command, service):
    status, _, err = command("feedback", ID, "uncertain")

    assert (status, service.asked) == (2, [])
    assert "invalid choice: 'uncertain'" in err


def test_compliance_is_a_table_with_shares(command, service):
    service.answer = lambda _: FOUND

    status, out, _ = command("compliance")

    lines = [line.split() for line in out.splitlines()]
    assert status == 0
    assert lines[0][:4] == ["time", "source", "pictures", "faces"]
    assert lines[1] == ["2026-11-20", "Tür", "3", "7", "10", "60.0%", "10.0%", "20.0%", "10.0%"]
    assert lines[2] == ["2026-11-21", "0", "0"]
    assert lines[3] == ["total", "7", "10", "60.0%", "10.0%", "20.0%", "10.0%"]
    assert lines[4] == ["as", "of", "2026-11-22T11:05:12Z"]
    assert service.asked[0].query == {}


def test_by_hour_the_table_shows_the_hour_in_utc(command, service):
    service.answer = lambda _: FOUND | {"by": "hour"}

    head, _, row, *_ = command("compliance", "--by", "hour", "--tz", "Europe/Berlin")[1].splitlines()
    assert head.startswith("time (UTC)        source ")
    assert row.startswith("2026-11-21 00:00  ")


def test_an_empty_table_says_so(command, service):
    nothing = {"total": dict.fromkeys(COUNTS, 0) | dict.fromkeys(SHARES), "rows": [], "as_of": None}
    service.answer = lambda _: FOUND | nothing

    status, out, _ = command("compliance")

    assert status == 0
    assert "nothing was counted" in out


def test_compliance_as_json_is_the_answer(command, service):
    service.answer = lambda _: FOUND

    _, out, _ = command("compliance", "--format", "json")

    assert json.loads(out) == FOUND


def test_compliance_as_csv_is_that_of_the_service(command, service):
    service.answer = lambda _: (200, "time,source\r\n2026-11-20T00:00:00Z,'=1\r\n", CSV)

    _, out, _ = command("compliance", "--format", "csv")

    assert out == "time,source\n2026-11-20T00:00:00Z,'=1\n"  # to which Windows adds its line ends
    assert service.asked[0].query == {"format": "csv"}


@pytest.mark.parametrize("form", ["table", "csv"])
def test_the_request_has_the_range_and_the_source(command, service, form):
    service.answer = lambda _: (200, "time\r\n", CSV) if form == "csv" else FOUND
    span = ("--from", "2026-11-20", "--to", "2026-11-22T09", "--by", "hour")

    command("compliance", *span, "--source", "", "--format", form)

    result = {"from": "2026-11-20", "to": "2026-11-22T09", "by": "hour", "source": ""}
    assert service.asked[0].query == result | ({"format": "csv"} if form == "csv" else {})
    assert service.asked[0].path == "/v1/compliance"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "required: COMMAND"),
        (["nothing"], 2, "invalid choice: 'nothing'"),
        (["compliance", "--by", "week"], 2, "invalid choice: 'week'"),
        (["--help"], 0, "exit status:"),
        (["--version"], 0, "0."),
    ],
)
def test_a_command_line_without_a_command_lists_the_commands(command, arguments, status, says):
    exit_status, out, err = command(*arguments)

    assert exit_status == status
    assert says in out + err


def test_no_help_shows_the_key(command, service):  # noqa: ARG001 -- sets it
    for arguments in (["predict", "--help"], ["feedback", "--help"], ["compliance", "--help"]):
        assert "secret" not in command(*arguments)[1]
