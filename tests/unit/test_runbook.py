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
    assert sorted(SECTIONS) == sorted(ALARMS)


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


def test_outputs_in_commands_are_outputs_of_the_stack():
    assert set(re.findall(r"\$\(out (\w+)\)", RUNBOOK)) <= TEMPLATE["Outputs"].keys()


def test_parameters_and_resources_in_the_text_exist():
    known = TEMPLATE["Parameters"].keys() | TEMPLATE["Resources"].keys()
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", RUNBOOK))

    assert named - known == {"AccessDenied"}  # an error of S3's
