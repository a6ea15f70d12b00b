"""The linters check the template as CloudFormation gets it, in every variant."""

import json
from unittest.mock import patch

import pytest
from cfnlint.api import lint
from cfnlint.rules import RulesCollection
from cfnlint.rules.resources.CircularDependency import CircularDependency
from samtranslator.yaml_helper import yaml_parse

from infra.expand import VARIANTS, expand
from infra.local.template import parameter_values, transformed_template, true_conditions
from tests.system import ROOT
from tests.template import stack_template

TEMPLATE = ROOT / "template.yaml"


@pytest.fixture
def errors_of(tmp_path):
    """Lint a changed template.yaml in one of its variants; return the ids of the errors."""

    def run(change, variant, rules=None):
        template = json.loads(json.dumps(yaml_parse(TEMPLATE.read_text())))
        change(template["Resources"])
        for folder in ("functions", "infra"):  # for the included files
            (tmp_path / folder).symlink_to(ROOT / folder)
        (tmp_path / "template.yaml").write_text(json.dumps(template))
        expanded = expand(tmp_path / "template.yaml", VARIANTS[variant])
        found = lint(json.dumps(expanded), rules)
        return [match.rule.id for match in found if match.rule.id.startswith("E")]

    return run


def test_a_circular_dependency_through_an_included_file_is_found(errors_of):
    def ring(resources):
        dimensions = resources["ApiServerErrorsAlarm"]["Properties"]["Dimensions"]
        (stage,) = [dimension for dimension in dimensions if dimension["Name"] == "Stage"]
        stage["Value"] = {"Ref": "Api.Stage"}

    rules = RulesCollection()
    rules.register(CircularDependency())
    assert set(errors_of(ring, "defaults", rules)) == {"E3004"}


def test_a_dependency_on_a_resource_that_a_condition_excludes_is_the_only_error(errors_of):
    def depend(resources):
        resources["Api"]["DependsOn"] = "ApiGatewayAccount"

    assert errors_of(depend, "options") == ["E3005"]


def test_the_stage_depends_on_the_role_of_its_access_log():
    stage = stack_template()["Resources"]["Apiv1Stage"]["Properties"]

    assert stage["Variables"]["LogRole"] == {
        "Fn::If": ["SetApiGatewayLogRole", {"Ref": "ApiGatewayAccount"}, "existing"]
    }


def test_every_condition_is_true_and_false_in_some_variant():
    template = stack_template()
    decided = [
        true_conditions(template, parameter_values(template, parameters)) for parameters in VARIANTS.values()
    ]

    assert all({variant[name] for variant in decided} == {True, False} for name in template["Conditions"])


def deployments(origin, now):
    """The logical ids of the API's deployments, transformed at a time in seconds since 1970."""
    with patch("samtranslator.model.apigateway.time.time", return_value=now):
        resources = transformed_template(TEMPLATE, {"CorsOrigin": origin})["Resources"]
    return {name for name, one in resources.items() if one["Type"] == "AWS::ApiGateway::Deployment"}


def test_the_api_is_deployed_with_every_update_because_its_body_does_not_show_parameters():
    before, after = deployments("*", 1_800_000_000), deployments("https://example.org", 1_800_000_060)

    assert len(before) == len(after) == 1
    assert before != after


def test_functions_that_share_an_image_are_built_once():
    resources = yaml_parse(TEMPLATE.read_text())["Resources"]

    assert resources["BatchFunction"]["Metadata"] == resources["PredictFunction"]["Metadata"]
    assert resources["AlertsFunction"]["Metadata"] == resources["PortalFunction"]["Metadata"]


def test_a_variant_has_no_condition():
    text = json.dumps(expand(TEMPLATE, VARIANTS["options"]))

    assert "Fn::If" not in text
    assert '"Condition": "' not in text
    assert "WebAclAssociation" in text
    assert "ApiGatewayAccount" not in text
