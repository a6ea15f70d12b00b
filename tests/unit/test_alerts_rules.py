"""Rules are validated: an error names the field, and the last good rules stay in force."""

import json
import re
from datetime import UTC, datetime

import boto3
import pytest

from functions.alerts.rules import DEFAULT, Rule, RulesError, parse
from functions.alerts.watch import adopt_rules
from infra.ops.alerts import read_file, set_rules
from infra.ops.errors import OpsError
from tests.alerts import START, TABLE, record

GOOD = json.dumps({"default": {"any": True}})
SHARE = {"share": 0.2, "minutes": 10, "min_faces": 20}
BAD = [
    ("{", "not JSON"),
    ("[]", "`the document` must be an object"),
    ("{}", "`default` is missing"),
    ({"default": None, "tz": "Mars/Olympus"}, "`tz` must be a time zone"),
    ({"default": None, "tz": "../../etc/passwd"}, "`tz` must be a time zone"),
    ({"default": None, "tz": 1}, "`tz` must be a time zone"),
    ({"default": None, "rules": {}}, "unknown field `rules`"),
    ({"default": None, "sources": []}, "`sources` must be an object"),
    ({"default": None, "sources": {"x" * 65: None}}, "is not a valid name"),
    ({"default": "no"}, "`default` must be an object"),
    ({"default": {}}, "`default.share` is missing"),
    ({"default": {"share": 0.2, "minutes": 5}}, "`default.min_faces` is missing"),
    ({"default": SHARE | {"share": 0}}, "`default.share` must be more than 0"),
    ({"default": SHARE | {"share": 20}}, "`default.share` must be a number from 0 to 1"),
    ({"default": SHARE | {"share": True}}, "`default.share` must be a number"),
    ({"default": SHARE | {"minutes": 0}}, "`default.minutes` must be a whole number from 1 to 60"),
    ({"default": SHARE | {"minutes": 2.5}}, "`default.minutes` must be a whole number"),
    ({"default": SHARE | {"min_faces": "3"}}, "`default.min_faces` must be a whole number"),
    ({"default": SHARE | {"any": True}}, "`default` has `any`, so it takes no `share`"),
    ({"default": {"any": "yes"}}, "`default.any` must be true or false"),
    (
        {"default": {"any": True, "min_confidence": 0.77}},
        "`default.min_confidence` must be a multiple of 0.05",
    ),
    ({"default": {"any": True, "quiet_hours": "22:00-06:00"}}, "`default.quiet_hours` must be a list"),
    ({"default": {"any": True, "quiet_hours": ["22-6"]}}, "`default.quiet_hours[0]` must be of the form"),
    ({"default": {"any": True, "quiet_hours": ["24:00-06:00"]}}, "`default.quiet_hours[0]`"),
    ({"default": {"any": True, "quiet_hours": ["06:00-06:00"]}}, "`default.quiet_hours[0]` is empty"),
    ({"default": {"any": True, "cool_down": 5}}, "unknown field `cool_down`"),
    ({"default": {"any": True, "cool_down_minutes": -1}}, "`default.cool_down_minutes`"),
    (
        {"default": None, "sources": {"gate 3": {"any": True, "over_minutes": 0}}},
        "`sources.gate 3.over_minutes`",
    ),
    ('{"default": null, "sources": {"a": null, "a": null}}', "`a` is given twice"),
    ({"default": {"any": True, "quiet_hours": ["2\u0663:00-06:00"]}}, "`default.quiet_hours[0]`"),
    ({"default": None, "sources": {"S\u00fcd": None, "Su\u0308d": None}}, "`S\u00fcd` is given twice"),
    ('{"default": {"share": NaN, "minutes": 1, "min_faces": 1}}', "`default.share`"),
    ("[" * 90_000, "not JSON"),
    (" " * 100_001, "at most 100,000 are allowed"),
]


@pytest.mark.parametrize(("document", "reason"), BAD)
def test_an_error_names_the_field(document, reason):
    with pytest.raises(RulesError, match=re.escape(reason)):
        parse(document if isinstance(document, str) else json.dumps(document))


def test_a_source_has_its_own_rule_or_the_default_or_none():
    rules = parse(json.dumps({"default": SHARE, "sources": {"ward": {"any": True}, "yard": None, "": SHARE}}))

    assert rules.rule_for("gate") == Rule(0.2, 10, 20, 0, (), 0, 5)
    assert rules.rule_for("ward") == Rule(0.0, 1, 1, 0, (), 0, 5)
    assert rules.rule_for("yard") is None
    assert rules.rule_for("") == rules.rule_for("gate")


@pytest.mark.parametrize(("hour", "quiet"), [(20, False), (21, True), (0, True), (4, True), (5, False)])
def test_quiet_hours_may_cross_midnight_in_the_time_zone(hour, quiet):
    rules = parse(
        json.dumps({"tz": "Europe/Berlin", "default": {"any": True, "quiet_hours": ["22:00-06:00"]}})
    )

    moment = datetime(2026, 11, 24, hour, 30, tzinfo=UTC).timestamp()
    assert rules.is_quiet(rules.default, moment) is quiet


def test_a_new_stack_has_the_default_rules(store):
    assert adopt_rules(store) == (parse(DEFAULT), "")


def test_bad_rules_leave_the_last_good_rules_in_force(store):
    put("current", {"S": GOOD})
    adopt_rules(store)

    put("current", {"S": json.dumps({"default": {"share": 2}})})

    rules, fault = adopt_rules(store)
    assert rules == parse(GOOD)
    assert "`default.minutes` is missing" in fault


@pytest.mark.parametrize("document", [{"N": "1"}, {"M": {}}, {"B": b"{"}, None])
def test_an_item_without_text_leaves_the_last_good_rules_in_force_and_can_be_replaced(store, document):
    put("current", {"S": GOOD})
    adopt_rules(store)

    put("current", document)

    rules, fault = adopt_rules(store)
    assert (rules, "not JSON" in fault) == (parse(GOOD), True)
    assert set_rules(store, DEFAULT)
    assert adopt_rules(store) == (parse(DEFAULT), "")


def test_the_default_rules_are_in_force_if_the_last_good_ones_are_not_valid_either(store):
    put("current", {"S": "{"})
    put("good", {"S": '{"default": {"share": 2}}'})

    rules, fault = adopt_rules(store)

    assert rules == parse(DEFAULT)
    assert "the default rules are in force" in fault


def test_setting_rules_prints_the_difference(store):
    mine = json.dumps({"default": None, "sources": {"ward": {"any": True}}}, indent=1)
    theirs = json.dumps({"default": None, "sources": {"gate": {"any": True}}}, indent=1)
    set_rules(store, theirs)

    printed = set_rules(store, mine)

    assert '-  "gate": {' in printed
    assert '+  "ward": {' in printed


def test_one_of_two_concurrent_edits_is_refused(store, monkeypatch):
    before = store.rules()
    set_rules(store, GOOD)
    monkeypatch.setattr(store, "rules", lambda: before)

    with pytest.raises(OpsError, match="Somebody else has just set rules"):
        set_rules(store, '{"default": null}')

    monkeypatch.undo()
    assert store.rules()[0] == GOOD


def test_rules_whose_answer_was_lost_are_not_taken_for_another_edit(store, monkeypatch):
    before = store.rules()
    answers = iter([before])
    store.set_rules(GOOD, before[0])  # the first attempt
    monkeypatch.setattr(store, "rules", lambda rules=store.rules: next(answers, None) or rules())

    assert "These rules are in force from the next picture on." in set_rules(store, GOOD)


def test_a_file_with_a_byte_order_mark_is_read_and_one_in_utf_16_is_refused(tmp_path):
    file = tmp_path / "rules.json"
    file.write_text(GOOD, encoding="utf-8-sig")
    assert read_file(file) == GOOD

    file.write_text(GOOD, encoding="utf-16")
    with pytest.raises(OpsError, match="is not UTF-8"):
        read_file(file)


def test_setting_rules_names_sources_that_sent_nothing(store):
    store.count("ward-3", [record(START, "mask", source="ward-3")], START)
    rules = {"default": None, "sources": {"ward-3": {"any": True}, "ward3": {"any": True}, "yard": None}}

    printed = set_rules(store, json.dumps(rules))

    assert printed[-1] == (
        "No picture came within a day from ward3: are these the names that the cameras send?"
    )


def put(name, document):
    """Write an item into the table without the command."""
    item = {"pk": {"S": "rules"}, "sk": {"S": name}} | ({"document": document} if document else {})
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=item)
