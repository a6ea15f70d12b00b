"""`GET /compliance` returns mask counts by hour or day, from the daily counts."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from functions.portal.compliance import parse
from functions.shared.problem import InputError
from tests.make_events import CONTEXT, api_event, sample_event
from tests.schemas import validate

SHARES = ("share_mask", "share_no_mask", "share_incorrect", "share_uncertain")


@pytest.fixture
def write(insights):
    """Write the counts of a day as Drift does: rows of hour, source, pictures and faces by label."""

    def put(date, rows, written=None):
        result = [
            {
                "hour": f"{date}T{hour:02}:00:00Z",
                "source": source,
                "pictures": pictures,
                "faces": sum(faces),
                **dict(zip(("mask", "no_mask", "incorrect", "uncertain"), faces, strict=True)),
            }
            for hour, source, pictures, faces in rows
        ]
        document = {"date": date, "written": written or f"{date}T23:59:00Z", "rows": result}
        insights.put_object(Key=f"compliance/dt={date}.json", Body=json.dumps(document).encode())

    return put


@pytest.fixture
def ask(portal, monkeypatch):
    monkeypatch.setattr(portal.compliance, "_TIMEOUT", 600)  # on a busy machine, moto takes long for a year

    def send(headers=None, **query):
        query = {name.rstrip("_"): value for name, value in query.items()}
        event = api_event("GET", "/compliance", query=query or None, headers=headers)
        return portal.handler(event, CONTEXT)

    return send


@pytest.fixture
def found(ask):
    def get(**query):
        answer = ask(**query)
        assert answer["statusCode"] == 200, answer["body"]
        result = json.loads(answer["body"])
        validate(result, "Compliance")
        return result

    return get


def refused(answer):
    assert answer["statusCode"] == 400
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    result = json.loads(answer["body"])
    assert result["type"] == "urn:maskwatch:problem:invalid-parameter"
    return result["detail"]


def as_table(answer):
    return list(csv.DictReader(io.StringIO(answer["body"].removeprefix("\ufeff"), newline="")))


def test_a_row_has_counts_and_shares(found, write):
    write("2026-11-20", [(9, "gate-3", 7, (6, 1, 2, 1))])

    answer = found(from_="2026-11-20", to="2026-11-20", by="hour")

    counts = {"pictures": 7, "faces": 10, "mask": 6, "no_mask": 1, "incorrect": 2, "uncertain": 1}
    shares = dict(zip(SHARES, (0.6, 0.1, 0.2, 0.1), strict=True))
    (row,) = answer["rows"]
    assert row.items() >= {"time": "2026-11-20T09:00:00Z", "source": "gate-3", **counts, **shares}.items()
    assert answer["total"].items() >= {**counts, **shares}.items()
    assert (answer["from"], answer["to"]) == ("2026-11-20T00:00:00Z", "2026-11-20T23:00:00Z")
    assert answer["by"] == "hour"


def test_hours_add_up_to_days_of_each_source(found, write):
    write("2026-11-20", [(8, "a", 1, (1, 0, 0, 0)), (9, "a", 2, (0, 2, 0, 0)), (9, "b", 4, (0, 0, 4, 0))])
    write("2026-11-21", [(0, "a", 8, (0, 0, 0, 8))])

    answer = found(from_="2026-11-20", to="2026-11-21", by="day")

    assert [(row["time"], row["source"], row["pictures"], row["share_mask"]) for row in answer["rows"]] == [
        ("2026-11-20T00:00:00Z", "a", 3, 0.3333),
        ("2026-11-20T00:00:00Z", "b", 4, 0.0),
        ("2026-11-21T00:00:00Z", "a", 8, 0.0),
    ]
    assert answer["total"]["pictures"] == 15
    assert answer["total"]["share_uncertain"] == round(8 / 15, 4)


def test_the_range_includes_both_ends_and_nothing_else(found, write):
    for day in (19, 20, 21, 22):
        write(f"2026-11-{day}", [(hour, "", 1, (1, 0, 0, 0)) for hour in range(24)])

    whole_days = found(from_="2026-11-20", to="2026-11-21", by="hour")["rows"]
    hours = found(from_="2026-11-20T22", to="2026-11-21T01", by="hour")["rows"]
    parts_of_days = found(from_="2026-11-20T22", to="2026-11-21T01", by="day")["rows"]

    assert [whole_days[0]["time"], whole_days[-1]["time"]] == ["2026-11-20T00:00:00Z", "2026-11-21T23:00:00Z"]
    assert len(whole_days) == 48
    assert [row["time"][8:13] for row in hours] == ["20T22", "20T23", "21T00", "21T01"]
    assert [(row["time"][8:13], row["pictures"]) for row in parts_of_days] == [("20T00", 2), ("21T00", 2)]


def test_one_source_can_be_selected_also_the_unnamed_one(found, write):
    write("2026-11-20", [(9, "a", 1, (1, 0, 0, 0)), (9, "Tür 3", 2, (0, 2, 0, 0)), (9, "", 4, (0, 0, 4, 0))])

    def pictures(**query):
        return found(from_="2026-11-20", to="2026-11-20", **query)["total"]["pictures"]

    assert [pictures(), pictures(source="Tür 3"), pictures(source=""), pictures(source="b")] == [7, 2, 4, 0]


def test_without_faces_there_are_no_shares(found, write):
    write("2026-11-20", [(9, "a", 3, (0, 0, 0, 0))])

    answer = found(from_="2026-11-20", to="2026-11-20")

    assert [answer["rows"][0][share] for share in SHARES] == [None] * 4
    assert answer["rows"][0]["pictures"] == 3


@pytest.mark.usefixtures("insights")
def test_without_counts_there_are_no_rows_and_no_date(found):
    answer = found(from_="2026-11-20", to="2026-11-21")

    assert (answer["rows"], answer["as_of"], answer["total"]["faces"]) == ([], None, 0)


def test_the_answer_has_the_time_of_the_last_update(found, write):
    write("2026-11-20", [(9, "a", 1, (1, 0, 0, 0))], "2026-11-22T08:05:00Z")
    write("2026-11-21", [], "2026-11-22T09:05:00Z")
    write("2026-11-22", [], "2026-11-22T10:05:00Z")

    assert found(from_="2026-11-20", to="2026-11-21")["as_of"] == "2026-11-22T09:05:00Z"


def test_missing_and_incomplete_days_are_listed(portal, found, write, monkeypatch):
    clock = SimpleNamespace(now=lambda _: datetime(2026, 11, 23, 11, 30, tzinfo=UTC))
    monkeypatch.setattr(portal, "datetime", clock)
    write("2026-11-20", [], "2026-11-21T01:00:00Z")
    write("2026-11-22", [], "2026-11-22T23:05:00Z")
    write("2026-11-23", [], "2026-11-23T11:05:00Z")

    answer = found(from_="2026-11-20", to="2026-11-24")

    assert (answer["missing"], answer["partial"]) == (["2026-11-21"], ["2026-11-22", "2026-11-23"])


def test_days_are_in_the_given_time_zone(found, write):
    for day in ("2026-11-19", "2026-11-20", "2026-11-21"):
        write(day, [(hour, "", 1, (1, 0, 0, 0)) for hour in range(24)])

    answer = found(from_="2026-11-20", to="2026-11-20", tz="Europe/Berlin")
    assert (answer["from"], answer["to"]) == ("2026-11-19T23:00:00Z", "2026-11-20T22:00:00Z")
    assert [(row["time"], row["pictures"]) for row in answer["rows"]] == [("2026-11-20T00:00:00+01:00", 24)]
    assert answer["tz"] == "Europe/Berlin"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_clocks_change_has_23_or_25_hours(found, write, day, hours):
    first = datetime.fromisoformat(day)
    for near in (first - timedelta(days=1), first, first + timedelta(days=1)):
        write(f"{near:%Y-%m-%d}", [(hour, "", 1, (1, 0, 0, 0)) for hour in range(24)])

    (row,) = found(from_=day, to=day, tz="Europe/Berlin")["rows"]
    assert row["pictures"] == hours


QUARTERS = ["Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Chatham"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Africa/Cairo", "America/Havana", *QUARTERS])
def test_in_every_time_zone_days_are_the_requested_ones_without_gaps(zone):
    """Clocks change at midnight in Cairo and by half an hour on Lord Howe Island."""
    next_hour = None
    for number in range(366):
        day = f"{date(2026, 1, 1) + timedelta(days=number)}"
        selection = parse({"from": day, "to": day, "tz": zone}, "", datetime.now(UTC))
        first, last = selection.first, selection.last
        assert {f"{hour.astimezone(selection.zone):%Y-%m-%d}" for hour in (first, last)} == {day}
        assert next_hour in {None, first}
        next_hour = last + timedelta(hours=1)


def test_rows_of_a_zone_with_half_hours_are_whole_days_and_can_be_requested_again(found, write):
    for day in range(15, 20):
        write(f"2026-11-{day}", [(hour, "", 1, (1, 0, 0, 0)) for hour in range(24)])

    rows = found(from_="2026-11-16", to="2026-11-17", tz="Asia/Kolkata")["rows"]
    assert [(row["time"], row["pictures"]) for row in rows] == [
        ("2026-11-16T00:00:00+05:30", 24),
        ("2026-11-17T00:00:00+05:30", 24),
    ]
    again = found(from_=rows[0]["time"], to="2026-11-17", tz="Asia/Kolkata")
    assert again["rows"] == rows
    assert found(from_="2026-11-16T00:00:00+05:45", to="2026-11-17")["from"] == "2026-11-15T19:00:00Z"
    assert found(from_="2026-11-16T00:30:00+05:30", to="2026-11-17")["from"] == "2026-11-15T19:00:00Z"


@pytest.mark.parametrize(("first", "by"), [("2025-11-22", "day"), ("2026-10-23", "hour")])
@pytest.mark.parametrize("zone", QUARTERS)
def test_the_longest_range_is_as_long_in_zones_with_parts_of_hours(first, by, zone):
    query = {"from": first, "to": "2026-11-22", "by": by, "tz": zone}
    selection = parse(query, "", datetime.now(UTC))
    assert f"{selection.first.astimezone(selection.zone):%Y-%m-%d}" == first


@pytest.mark.parametrize("name", ["Berlin", "../etc/passwd", "Europe/", "", "x" * 500, "\0"])
@pytest.mark.usefixtures("insights")
def test_an_unknown_time_zone_is_refused(ask, name):
    answer = ask(tz=name)
    if name:  # an empty parameter is none
        assert "`tz` must be the name of a time zone" in refused(answer)
    else:
        assert answer["statusCode"] == 200


def test_shares_are_corrected_with_the_release_s_confusion_matrix(found, insights):
    def put(day, **counts):
        row = {
            "hour": f"{day}T09:00:00Z",
            "source": "a",
            "pictures": 100,
            "faces": 100,
            "uncertain": 0,
            **counts,
        }
        document = {
            "date": day,
            "written": f"{day}T23:59:00Z",
            "confusion": counts.pop("confusion"),
            "rows": [row],
        }
        insights.put_object(Key=f"compliance/dt={day}.json", Body=json.dumps(document).encode())

    confusion = [[90, 10, 0], [0, 100, 0], [0, 0, 100]]
    put("2026-11-20", mask=45, no_mask=55, incorrect=0, minutes=40, confusion=confusion)
    put("2026-11-21", mask=45, no_mask=55, incorrect=0, minutes=40, confusion=None)

    row = found(from_="2026-11-20", to="2026-11-20")["rows"][0]
    assert (row["share_mask"], row["corrected_mask"]) == (0.45, 0.5)
    assert row["corrected_mask_low"] < 0.4
    assert row["corrected_mask_high"] > 0.6

    put("2026-11-22", mask=45, no_mask=55, incorrect=0, minutes=40, confusion=confusion)
    put(
        "2026-11-23",
        mask=45,
        no_mask=55,
        incorrect=0,
        minutes=40,
        confusion=confusion,
        uncertain=100,
        faces=200,
    )
    certain, half = found(from_="2026-11-22", to="2026-11-23")["rows"]
    assert half["corrected_mask"] == certain["corrected_mask"]
    assert half["corrected_mask_low"] == pytest.approx(certain["corrected_mask_low"] / 2, abs=1e-4)
    assert half["corrected_mask_high"] == pytest.approx(certain["corrected_mask_high"] / 2 + 0.5, abs=1e-4)
    answer = found(from_="2026-11-20", to="2026-11-21")
    assert (answer["rows"][1]["corrected_mask"], answer["total"]["corrected_mask"]) == (None, None)
    put("2026-11-21", mask=0, no_mask=0, incorrect=0, minutes=0, confusion=None, faces=0)
    assert found(from_="2026-11-20", to="2026-11-21")["total"]["corrected_mask"] == 0.5


def test_people_are_counted_if_records_have_tracks(found, insights):
    row = {
        "hour": "2026-11-20T09:00:00Z",
        "source": "a",
        "pictures": 9,
        "faces": 9,
        "people": 2,
        "people_mask": 1,
    }
    row |= {"mask": 5, "no_mask": 4, "incorrect": 0, "uncertain": 0, "people_no_mask": 1}
    document = {"date": "2026-11-20", "written": "2026-11-20T23:59:00Z", "rows": [row]}
    insights.put_object(Key="compliance/dt=2026-11-20.json", Body=json.dumps(document).encode())

    total = found(from_="2026-11-20", to="2026-11-20")["total"]
    assert (total["faces"], total["people"], total["people_mask"], total["people_no_mask"]) == (9, 2, 1, 1)


def test_the_default_range_is_the_week_until_today(portal, write, found, monkeypatch):
    for day in range(10, 24):
        write(f"2026-11-{day}", [(9, "", 1, (1, 0, 0, 0))])
    clock = SimpleNamespace(now=lambda _: datetime(2026, 11, 22, 11, 30, tzinfo=UTC))
    monkeypatch.setattr(portal, "datetime", clock)

    answer = found()

    assert (answer["from"], answer["to"], answer["by"]) == (
        "2026-11-16T00:00:00Z",
        "2026-11-22T23:00:00Z",
        "day",
    )
    assert [row["time"][8:10] for row in answer["rows"]] == ["16", "17", "18", "19", "20", "21", "22"]
    assert found(to="2026-11-20T15")["from"] == "2026-11-14T00:00:00Z"


@pytest.mark.usefixtures("insights")
@pytest.mark.parametrize(
    "text", ["{}", "{}Z", "{}:00", "{}:00:00Z", "{}:00:00+00:00", "{}:00:00 00:00", "{}:00:00.000Z"]
)
def test_times_of_answers_are_accepted(found, text):
    answer = found(from_=text.format("2026-11-20T22"), to=text.format("2026-11-21T01"))
    assert (answer["from"], answer["to"]) == ("2026-11-20T22:00:00Z", "2026-11-21T01:00:00Z")


@pytest.mark.usefixtures("insights")
def test_the_range_of_an_answer_can_be_requested_again(found):
    answer = found(from_="2026-11-20", to="2026-11-21")
    again = found(from_=answer["from"], to=answer["to"])
    assert again == answer


@pytest.mark.usefixtures("insights")
def test_a_time_in_another_time_zone_is_converted_to_utc(found):
    assert found(from_="2026-11-21T00:00:00+02:00", to="2026-11-21")["from"] == "2026-11-20T22:00:00Z"


@pytest.mark.usefixtures("insights")
@pytest.mark.parametrize(
    "hour",
    ["2026-11-20T22:00:00.000Z", "2026-11-20 22:00", "2026-11-20T22", "2026-11-21T00:00:00 02:00",
     "2026-11-21 00:00:00+02:00"],
)  # fmt: skip
def test_hours_are_accepted_in_the_formats_of_browsers_and_databases(found, hour):
    assert found(from_=hour, to="2026-11-21")["from"] == "2026-11-20T22:00:00Z"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            {"from_": "yesterday"},
            "must be days such as 2026-11-22, or whole hours such as 2026-11-22T09:00:00Z",
        ),
        ({"to": "2026-02-30"}, "must be days"),
        ({"to": "2026-11-22T24"}, "must be days"),
        ({"to": "2026-11-22T09:30"}, "must be days"),
        ({"to": "2026-11-22T09:30:00+05:45"}, "must be days"),
        ({"to": "2026-11-22T09:00:01+05:30"}, "must be days"),
        ({"to": "20261122"}, "must be days"),
        ({"to": "2026-11-22Z"}, "must be days"),
        ({"to": "٢٠٢٦-11-22"}, "must be days"),
        ({"to": "0001-01-01"}, "must be days"),  # a week before it there is no day
        ({"from_": "0001-01-01T00:00:00Z", "tz": "America/New_York"}, "must be days"),
        ({"from_": "9999-12-31", "to": "9999-12-31T22:00:00Z"}, "must be days"),  # nor one behind it
        ({"from_": "2026-11-22", "to": "2026-11-21"}, "`from` is later than `to`"),
        ({"from_": "2026-11-22T10", "to": "2026-11-22T09"}, "`from` is later than `to`"),
        ({"from_": "2025-11-21", "to": "2026-11-22"}, "367 days long; ask for at most 366 days by day."),
        (
            {"from_": "2026-10-22", "to": "2026-11-22", "by": "hour"},
            "32 days long; ask for at most 31 days by hour",
        ),
        ({"by": "week"}, "`by` must be day or hour"),
        ({"form": "csv"}, "Did you mean"),
        ({"format": "xml"}, "`format` must be json or csv"),
        ({"source": "x" * 65}, "`source` must be text of at most 64"),
        ({"source": "a\nb"}, "printable"),
    ],
)
@pytest.mark.usefixtures("insights")
def test_a_malformed_or_too_long_range_is_refused_with_the_accepted_form(ask, query, says):
    assert says in refused(ask(**query))


@pytest.mark.parametrize(
    ("first", "last", "by"), [("2025-11-22", "2026-11-22", "day"), ("2026-10-23", "2026-11-22", "hour")]
)
def test_the_longest_range_is_answered_completely(found, write, first, last, by):
    write(first, [(0, "", 1, (1, 0, 0, 0))])
    write(last, [(23, "", 1, (1, 0, 0, 0))])

    assert found(from_=first, to=last, by=by)["total"]["pictures"] == 2


@pytest.mark.parametrize(("first", "by"), [("2025-11-21T12", "day"), ("2026-10-22T12", "hour")])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_the_longest_range_may_begin_at_any_hour(first, by, zone):
    query = {"from": first, "by": by, "tz": zone}
    parse(query | {"to": "2026-11-22T11"}, "", datetime.now(UTC))
    with pytest.raises(InputError, match="days long; ask for at most"):
        parse(query | {"to": "2026-11-22T13"}, "", datetime.now(UTC))


@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_answer_above_lambda_s_limit_is_refused_with_its_size(ask, write, form):
    sources = [f"{number:02} {'🙂' * 61}" for number in range(30 if form == "json" else 40)]
    for day in range(1, 29):
        write(f"2026-02-{day:02}", [(hour, s, 1, (1, 0, 0, 0)) for hour in range(24) for s in sources])
    query = {"from_": "2026-02-01", "to": "2026-02-28", "by": "hour", "format": form}

    assert f"{28 * 24 * len(sources):,} rows" in refused(ask(**query))
    assert ask(**query, source=sources[0])["statusCode"] == 200


def test_too_many_rows_are_refused_before_they_are_read(portal, ask, write, monkeypatch):
    monkeypatch.setattr(portal.compliance, "_MAX_ROWS", 3)
    write("2026-11-20", [(hour, "", 1, (1, 0, 0, 0)) for hour in range(4)])
    query = {"from_": "2026-11-20", "to": "2026-11-20"}

    assert "more than 3 rows" in refused(ask(**query, by="hour"))
    assert ask(**query, by="day")["statusCode"] == 200


def test_a_timeout_is_not_a_client_error(portal, ask, write, monkeypatch):
    monkeypatch.setattr(portal.compliance, "_TIMEOUT", -1)
    write("2026-11-20", [(9, "", 1, (1, 0, 0, 0))])

    answer = ask(from_="2026-09-01", to="2026-11-20")
    assert answer["statusCode"] == 503
    assert answer["multiValueHeaders"]["Retry-After"] == ["60"]
    assert "Ask for fewer days" in json.loads(answer["body"])["detail"]
    assert ask(from_="2026-11-20", to="2026-11-20")["statusCode"] == 200


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ({}, "*/*", "application/json"),
        ({"format": "csv"}, "*/*", "text/csv; charset=utf-8"),
        ({}, "text/csv", "text/csv; charset=utf-8"),
        ({}, "text/html, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ({}, "Text/CSV, application/json;q=0.9, */*; q=0.1", "text/csv; charset=utf-8"),
        ({}, "text/csv, application/json;q=0", "text/csv; charset=utf-8"),
        ({}, "text/csv, application/json;q=0, */*", "text/csv; charset=utf-8"),
        ({}, "application/json, application/problem+json, text/csv", "application/json"),
        ({}, "text/csv, application/json", "application/json"),
        ({}, "text/csv;q=0.5, application/*;q=0.8", "application/json"),
        ({}, "text/csv;q=0.5;x=1, */*", "application/json"),
        ({}, "text/csv;q=0", "application/json"),
        ({}, "text/csv;q=0.0, text/html", "application/json"),
        ({}, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ({"format": "json"}, "text/csv", "application/json"),
    ],
)
@pytest.mark.usefixtures("insights")
def test_the_format_follows_the_parameter_or_else_the_header(ask, query, accept, media_type):
    answer = ask({"Accept": accept}, **query)

    assert answer["statusCode"] == 200
    assert answer["multiValueHeaders"]["Content-Type"] == [media_type]


def test_the_csv_has_the_rows_of_the_json(ask, found, write):
    write("2026-11-20", [(9, "a", 1, (1, 0, 0, 0)), (9, 'Tür "3", Süd', 2, (0, 0, 0, 0))])
    query = {"from_": "2026-11-20", "to": "2026-11-20"}

    answer = ask(**query, format="csv")

    rows = [{k: "" if v is None else str(v) for k, v in row.items()} for row in found(**query)["rows"]]
    assert as_table(answer) == rows
    assert answer["multiValueHeaders"]["Content-Disposition"] == [
        'attachment; filename="compliance-2026-11-20-2026-11-20.csv"'
    ]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.usefixtures("insights")
def test_the_name_of_the_csv_has_the_requested_days(ask, zone):
    answer = ask(from_="2026-11-20", to="2026-11-21", tz=zone, format="csv")

    (name,) = answer["multiValueHeaders"]["Content-Disposition"]
    assert name == 'attachment; filename="compliance-2026-11-20-2026-11-21.csv"'


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"),
        ("+1", "'+1"),
        ("-20 °C", "'-20 °C"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1", "'\uff1d1"),  # a wide one
        ("  =1", "'  =1"),
        ("a;=1", "a;'=1"),
        ("a, @b", "a,' @b"),
        ('a"=1', "a\"'=1"),
        ("gate-3", "gate-3"),
        ("a=b", "a=b"),
        ("7 + 1", "7 + 1"),
        ("", ""),
    ],
)
def test_a_spreadsheet_does_not_evaluate_source_names(ask, found, write, source, written):
    write("2026-11-20", [(9, source, 1, (1, 0, 0, 0))])
    query = {"from_": "2026-11-20", "to": "2026-11-20"}

    assert as_table(ask(**query, format="csv"))[0]["source"] == written
    assert found(**query)["rows"][0]["source"] == source


def test_a_damaged_file_is_an_error_and_not_a_gap(ask, insights):
    insights.put_object(Key="compliance/dt=2026-11-20.json", Body=b'{"rows": [')

    assert ask(from_="2026-11-20", to="2026-11-20")["statusCode"] == 500


@pytest.mark.parametrize("name", ["compliance", "compliance-csv"])
@pytest.mark.usefixtures("insights")
def test_the_sample_events_are_answered(portal, name):
    event = sample_event(name)

    assert portal.handler(event, CONTEXT)["statusCode"] == 200
