"""The template can be deployed with any parameters; what MiniStack does not support is listed."""

import json

from infra.local.template import parameter_values, transformed_template, true_conditions
from tests.emulator.conftest import RELEASE
from tests.emulator.template import GAPS, PROJECT
from tests.template import stack_template


def test_the_release_in_the_image_serves_by_default(everything):
    health = everything.request("GET", "/health", key=False)

    assert health.json()["model_version"] == json.loads((RELEASE / "manifest.json").read_text())["version"]


def test_an_update_of_the_release_reaches_the_live_alias(stack):
    assert stack.request("GET", "/health", key=False).json()["model_version"] == "9.9.9"
    alias = stack.client("lambda").get_alias(FunctionName=stack.resources["PredictFunction"], Name="live")
    assert alias["FunctionVersion"] == "2"


def test_with_every_optional_parameter_all_resources_except_the_gaps_exist(everything):
    parameters = dict(everything.parameters)
    template = transformed_template(PROJECT / "template.yaml", parameters)
    conditions = true_conditions(template, parameter_values(template, parameters))
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] != "AWS::ApiGateway::Deployment"  # a later transform gives it another name
    }
    wanted = {
        name: resource
        for name, resource in resources.items()
        if conditions.get(resource.get("Condition"), True)
    }
    taken = {
        name
        for name, resource in wanted.items()
        if GAPS.keys().isdisjoint(
            {resource["Type"], *(f"{resource['Type']}.{key}" for key in resource["Properties"])}
        )
    }

    assert everything.resources.keys() >= taken
    assert everything.resources.keys().isdisjoint(resources.keys() - taken)


def test_every_gap_is_a_resource_of_the_template():
    resources = stack_template()["Resources"].values()
    there = {resource["Type"] for resource in resources} | {
        f"{resource['Type']}.{name}" for resource in resources for name in resource["Properties"]
    }
    assert GAPS.keys() <= there
    assert all(GAPS.values())
