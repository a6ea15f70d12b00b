"""What the account's stacks share: images that run are kept, and a workflow deploys its own stage's stack alone."""

import json
import re

import pytest

from infra.local.template import transformed_template
from tests.conftest import ROOT

BOOTSTRAP = ROOT / "infra" / "bootstrap.yaml"
RESOURCES = transformed_template(BOOTSTRAP, {"GitHubRepository": "owner/name"})["Resources"]
STAGES = ("dev", "staging", "prod")
STAGE = "maskwatch-${!aws:PrincipalTag/stage}"


def trust(role):
    (statement,) = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    return statement


def statements(policy):
    return RESOURCES[policy]["Properties"]["PolicyDocument"]["Statement"]


def actions(policy):
    return [
        action
        for statement in statements(policy)
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]


def test_what_runs_is_out_of_reach_of_the_lifecycle():
    policy = json.loads(RESOURCES["Repository"]["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"])
    kept, old = sorted(policy["rules"], key=lambda rule: rule["rulePriority"])

    assert kept["selection"]["tagPrefixList"] == ["live-"]
    assert kept["selection"]["countNumber"] > 1000
    assert old["selection"]["tagStatus"] == "any"
    assert RESOURCES["Repository"]["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_s_role_is_for_that_environment_of_the_repository(stage):
    condition = trust(f"Deploy{stage.capitalize()}")["Condition"]["StringEquals"]

    assert condition["token.actions.githubusercontent.com:sub"] == {
        "Fn::Sub": f"repo:${{GitHubRepository}}:environment:{stage}"
    }
    for role in ("Deploy", "Execute"):
        tags = RESOURCES[f"{role}{stage.capitalize()}"]["Properties"]["Tags"]
        assert tags == [{"Key": "stage", "Value": stage}]


def test_a_workflow_touches_no_other_stage():
    for statement in statements("DeployPolicy"):
        text = str(statement["Resource"])
        if "stack/maskwatch" in text or "role/maskwatch" in text or "function:" in text:
            assert "${!aws:PrincipalTag/stage}" in text


def test_a_workflow_changes_the_account_through_cloudformation_alone():
    services = {action.partition(":")[0] for action in actions("DeployPolicy")}

    assert services == {"apigateway", "cloudformation", "ecr", "iam", "lambda", "s3"}
    assert {a for a in actions("DeployPolicy") if a.startswith(("iam:", "lambda:", "apigateway:"))} == {
        "iam:PassRole",
        "lambda:GetFunction",
        "apigateway:GET",
    }


@pytest.mark.parametrize("policy", ["DeployPolicy", "ExecutePolicy"])
def test_a_managed_policy_fits_into_6144_characters(policy):
    text = json.dumps(RESOURCES[policy]["Properties"]["PolicyDocument"])
    text = (
        text.replace('{"Fn::Sub": "', "")
        .replace("${AWS::Partition}", "aws")
        .replace("${AWS::AccountId}", 12 * "1")
    )

    assert len(re.sub(r"\s", "", text.replace("${AWS::Region}", "ap-southeast-2"))) <= 6144


def test_no_role_may_do_everything_with_roles():
    of_roles = [s for s in statements("ExecutePolicy") if "iam:CreateRole" in s["Action"]]

    assert [s["Resource"] for s in of_roles] == [
        {"Fn::Sub": f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{STAGE}-*"}
    ]
    assert "*" not in actions("ExecutePolicy")


def test_without_a_repository_there_are_no_roles():
    roles = ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::OIDCProvider")

    for name, resource in RESOURCES.items():
        assert (resource["Type"] in roles) == (
            resource.get("Condition") in {"HasGitHub", "CreateProvider"}
        ), name
