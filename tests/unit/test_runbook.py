"""The runbook has a section for every alarm and no other, and each alarm links to its section."""

import re

import pytest

from tests.system import ROOT
from tests.template import stack_template

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
TEMPLATE = stack_template()
ALARMS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] in {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"}
}


def description(alarm):
    text = alarm["AlarmDescription"]
    return text["Fn::Sub"] if isinstance(text, dict) else text


def test_each_alarm_has_its_section_and_each_section_its_alarm():
    assert SECTIONS.keys() ^ ALARMS.keys() == set()


def test_the_runbook_names_widgets_of_the_dashboard():
    titles = re.findall(r'"title": "(.+?)"', (ROOT / "infra" / "dashboard.yaml").read_text())
    sentences = re.findall(r"[^.:]*on the dashboard", RUNBOOK)

    assert {name for sentence in sentences for name in re.findall(r'"(.+?)"', sentence)} - set(
        titles
    ) == set()


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_links_to_its_section(name):
    text = description(ALARMS[name])

    assert text.endswith(f" docs/runbook.md#{name.lower()}")  # as GitHub makes anchors of headings
    assert len(text) <= 1024  # what CloudWatch takes


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_has_meaning_investigation_and_action(name):
    body = SECTIONS[name]
    parts = [part for part in ("**What it means.**", "**Look here.**", "**Do this.**") if part in body]

    assert len(parts) == 3
    assert sorted(parts, key=body.index) == parts


def test_commands_read_only_the_end_of_a_log():
    commands = re.findall(r"aws logs (?:tail|filter-log-events) .*", RUNBOOK)

    assert commands
    assert [command for command in commands if " --since " not in command] == []


def test_outputs_in_commands_are_outputs_of_the_stack():
    assert set(re.findall(r"\$\(out (\w+)\)", RUNBOOK)) <= TEMPLATE["Outputs"].keys()


def test_parameters_and_resources_in_the_text_exist():
    known = TEMPLATE["Parameters"].keys() | TEMPLATE["Resources"].keys()
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", RUNBOOK))

    assert named - known == {"AccessDenied", "InvalidKeyError"}  # errors of S3 and of Batch


def test_logical_ids_in_commands_are_the_stack_s():
    assert set(re.findall(r"--logical-resource-id (\w+)", RUNBOOK)) <= TEMPLATE["Resources"].keys()


def test_no_advice_lowers_a_default_that_is_the_minimum():
    lowest = {
        n for n, p in TEMPLATE["Parameters"].items() if "MinValue" in p and p["Default"] == p["MinValue"]
    }

    for name in re.findall(r"lower `(\w+)`(?!\s+to\s+\d)", RUNBOOK):
        assert name not in lowest
