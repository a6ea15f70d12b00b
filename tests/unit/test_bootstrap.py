"""The bootstrap stack keeps images that run, and lets a workflow deploy only its own stage's stack."""

import json
import re
from fnmatch import fnmatchcase

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from infra.local.template import resolve, transformed_template, unresolved
from tests.conftest import ROOT
from tests.template import stack_template

BOOTSTRAP = ROOT / "infra" / "bootstrap.yaml"
RESOURCES = transformed_template(BOOTSTRAP, {"GitHubRepository": "owner/name"})["Resources"]
READING = re.compile(r":(Get|List|Describe|BatchGet|GET$)")
STAGES = ("dev", "staging", "prod")
STACK = stack_template()["Resources"]
STAGE = "maskwatch-${!aws:PrincipalTag/stage}"
KEY_STAGE = "maskwatch-${aws:PrincipalTag/stage}"  # outside Fn::Sub


def trust(role):
    (statement,) = RESOURCES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    return statement


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(policy):
    return RESOURCES[policy]["Properties"]["PolicyDocument"]["Statement"]


def actions(policy):
    return [action for statement in statements(policy) for action in listed(statement["Action"])]


def test_the_lifecycle_rule_keeps_images_that_run():
    policy = json.loads(RESOURCES["Repository"]["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"])
    kept, old = sorted(policy["rules"], key=lambda rule: rule["rulePriority"])

    assert kept["selection"]["tagPrefixList"] == ["live-"]
    assert kept["selection"]["countNumber"] > 1000
    assert old["selection"]["tagStatus"] == "any"
    assert RESOURCES["Repository"]["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}


@pytest.mark.parametrize("stage", STAGES)
def test_only_its_environment_of_the_repository_can_assume_a_stage_s_role(stage):
    condition = trust(f"Deploy{stage.capitalize()}")["Condition"]["StringEquals"]

    assert condition["token.actions.githubusercontent.com:sub"] == {
        "Fn::Sub": f"repo:${{GitHubRepository}}:environment:{stage}"
    }
    for role in ("Deploy", "Execute"):
        tags = RESOURCES[f"{role}{stage.capitalize()}"]["Properties"]["Tags"]
        assert tags == [{"Key": "stage", "Value": stage}]


def test_a_workflow_changes_nothing_of_another_stage_but_tags_of_images():
    changed = [
        str(resource)
        for statement in statements("DeployPolicy")
        if not all(READING.search(action) for action in listed(statement["Action"]))
        for resource in listed(statement["Resource"])
        if "aws:transform/" not in str(resource)  # AWS's own
    ]

    assert [resource for resource in changed if "${!aws:PrincipalTag/stage}" not in resource] == [
        str({"Fn::GetAtt": ["Repository", "Arn"]})
    ]


def test_only_the_build_role_writes_what_every_stage_deploys():
    (job,) = RESOURCES["Build"]["Properties"]["Policies"]
    by_build, by_stages = (
        [s["Resource"] for s in allowed if "s3:PutObject" in listed(s["Action"])]
        for allowed in (job["PolicyDocument"]["Statement"], statements("DeployPolicy"))
    )

    assert by_build == [[{"Fn::Sub": f"${{Artifacts.Arn}}/{prefix}/*"} for prefix in ("build", "packages")]]
    assert by_stages == [{"Fn::Sub": "${Artifacts.Arn}/${!aws:PrincipalTag/stage}/*"}]


def test_a_workflow_changes_the_account_only_through_cloudformation():
    services = {action.partition(":")[0] for action in actions("DeployPolicy")}

    assert services == {"apigateway", "cloudformation", "ecr", "iam", "lambda", "s3"}
    assert {a for a in actions("DeployPolicy") if a.startswith(("iam:", "lambda:", "apigateway:"))} == {
        "iam:PassRole",
        "lambda:GetFunction",
        "apigateway:GET",
    }


def test_a_workflow_reads_the_keys_for_its_smoke_test_and_nothing_else_of_the_api():
    (allowed,) = (s["Resource"] for s in statements("DeployPolicy") if s["Action"] == "apigateway:GET")

    assert [arn["Fn::Sub"].rpartition("::")[2] for arn in allowed] == ["/apikeys/*", "/usageplans/*/keys"]


@pytest.mark.parametrize(
    ("repository", "is_allowed"),
    [
        ("none", True),
        ("owner/name.py", True),
        ("owner@12/name@345", True),  # the subject of a repository of after July 2026
        ("owner@12/name", False),
        ("https://github.com/owner/name", False),
        ("owner/name:ref", False),
    ],
)
def test_a_repository_is_named_as_in_the_subject_of_its_tokens(repository, is_allowed):
    pattern = transformed_template(BOOTSTRAP, {})["Parameters"]["GitHubRepository"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern, repository)) == is_allowed


HERE = "us-gov-west-1:111111111111"
GOVCLOUD = {  # where names are longest
    "AWS::Partition": "aws-us-gov",
    "AWS::AccountId": "111111111111",
    "AWS::Region": "us-gov-west-1",
    "AWS::StackId": f"arn:aws-us-gov:cloudformation:{HERE}:stack/maskwatch-bootstrap/{'1' * 36}",
    "Artifacts.Arn": "arn:aws-us-gov:s3:::maskwatch-bootstrap-artifacts-111111111111",
    "Repository.Arn": f"arn:aws-us-gov:ecr:{HERE}:repository/maskwatch",
}


@pytest.mark.parametrize("policy", ["DeployPolicy", "ExecutePolicy", "BoundaryStaging"])
def test_a_managed_policy_fits_into_6144_characters(policy):
    document = resolve(RESOURCES[policy]["Properties"]["PolicyDocument"], GOVCLOUD, {})

    assert unresolved(document) == []
    assert len(re.sub(r"\s", "", json.dumps(document))) <= 6144  # IAM does not count white space


def test_no_role_has_all_permissions_on_roles():
    of_roles = [
        s
        for s in statements("ExecutePolicy")
        if "iam:" in str(s["Action"]) and s["Action"] != "iam:CreateServiceLinkedRole"
    ]

    assert {str(s["Resource"]) for s in of_roles} == {
        str({"Fn::Sub": f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{STAGE}-*"})
    }
    assert "*" not in actions("ExecutePolicy")


def test_roles_are_created_only_with_the_stage_s_boundary():
    boundary = (
        "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/maskwatch-boundary-${!aws:PrincipalTag/stage}"
    )
    bounded = {"StringEquals": {"iam:PermissionsBoundary": {"Fn::Sub": boundary}}}
    giving = {"iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"}

    given = [s for s in statements("ExecutePolicy") if not giving.isdisjoint(s["Action"])]
    assert [(set(s["Action"]), s["Condition"]) for s in given] == [(giving, bounded)]
    assert not {"iam:DeleteRolePermissionsBoundary", "iam:*"} & set(actions("ExecutePolicy"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_boundary_is_limited_to_its_stage_and_cannot_create_roles(stage):
    name = f"Boundary{stage.capitalize()}"
    named, key, anywhere = statements(name)
    others = [f"maskwatch-{other}" for other in STAGES if other != stage]

    assert RESOURCES[name]["Properties"]["ManagedPolicyName"] == f"maskwatch-boundary-{stage}"
    assert not any(
        other in str(RESOURCES[name]) or f"execute-{other}" in str(RESOURCES[name]) for other in others
    )
    assert all(
        f"-{stage}" in each["Fn::Sub"] or ":aws:transform/" in each["Fn::Sub"] for each in named["Resource"]
    )
    assert key["Condition"]["StringEquals"] == {"aws:ResourceTag/maskwatch-stack": f"maskwatch-{stage}"}
    assert {
        action for action in anywhere["Action"] if f"{action.partition(':')[0]}:*" in named["Action"]
    } == {
        "sagemaker:ListModelPackages"  # has no resource-level permissions
    }
    assert [action for action in actions(name) if action.startswith(("*", "iam:", "sts:"))] == [
        "iam:PassRole"
    ]


def test_a_workflow_s_stack_can_tag_what_cloudformation_tags():
    """The stack's own tags can change later, too."""
    types = {resource["Type"] for resource in STACK.values()}
    schemas = [PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", name).schema for name in types]
    needed = {action for schema in schemas for action in schema.get("tagging", {}).get("permissions", ())}

    assert "budgets:TagResource" in needed
    assert [
        action
        for action in sorted(needed - {"s3:DeleteBucketTagging"})  # to IAM, that is s3:PutBucketTagging
        if not any(fnmatchcase(action, allowed) for allowed in actions("ExecutePolicy"))
    ] == []


def test_the_key_has_the_tag_by_which_the_roles_recognise_it():
    key = STACK["AlarmsKey"]["Properties"]
    of_keys = {
        str(s["Action"]): s["Condition"]["StringEquals"]
        for s in statements("ExecutePolicy")
        if "key/*" in str(s["Resource"])
    }

    assert key["Tags"] == [{"Key": "maskwatch-stack", "Value": {"Ref": "AWS::StackName"}}]
    assert of_keys == {
        "['kms:PutKeyPolicy', 'kms:ScheduleKeyDeletion', 'kms:TagResource', 'kms:UntagResource']": {
            "aws:ResourceTag/maskwatch-stack": KEY_STAGE
        },
        "kms:TagResource": {"aws:RequestTag/maskwatch-stack": KEY_STAGE},
    }


def test_the_description_of_a_key_from_before_the_tag_can_change():
    (allowed,) = [s for s in statements("ExecutePolicy") if "kms:UpdateKeyDescription" in s["Action"]]

    assert allowed["Resource"] == "*"
    assert "Condition" not in allowed


def test_a_workflow_imports_no_resource_whose_tag_would_then_be_the_stack_s():
    (creating,) = [
        s
        for s in statements("DeployPolicy")
        if s["Action"] == "cloudformation:CreateChangeSet" and "stack/" in str(s["Resource"])
    ]

    assert creating["Condition"] == {"Null": {"cloudformation:ImportResourceTypes": True}}


def test_a_workflow_reads_every_function_of_the_stack():
    (reading,) = [s for s in statements("DeployPolicy") if s["Action"] == "lambda:GetFunction"]
    own_names = [
        name
        for each in STACK.values()
        if each["Type"] == "AWS::Lambda::Function" and (name := each["Properties"].get("FunctionName"))
    ]

    assert [resource["Fn::Sub"].partition(":function:")[2] for resource in reading["Resource"]] == [
        f"{STAGE}-*",  # CloudFormation's names begin with the stack's
        f"CodeDeployHook_{STAGE}",
    ]
    assert own_names == [{"Fn::Sub": "CodeDeployHook_${AWS::StackName}"}]


def test_the_stage_s_role_changes_only_functions_of_the_stack():
    (changing,) = [s for s in statements("ExecutePolicy") if s["Action"] == "lambda:*"]

    assert [resource["Fn::Sub"].partition(":${AWS::AccountId}:")[2] for resource in changing["Resource"]] == [
        f"function:{STAGE}-*",
        f"function:CodeDeployHook_{STAGE}",
    ]
    (mapping,) = [s for s in statements("ExecutePolicy") if "lambda:DeleteEventSourceMapping" in s["Action"]]
    (functions,) = mapping["Condition"]["ArnLike"].values()
    assert functions["Fn::Sub"].endswith(f":function:{STAGE}-*")


@pytest.mark.parametrize(
    "action",
    [
        "cloudwatch:PutCompositeAlarm",  # "scoped to *" in its documentation
        "kms:CreateKey",  # has no name yet
        "wafv2:TagResource",  # CloudFormation tags an ACL that it creates
    ],
)
def test_what_has_no_resource_level_permission_is_allowed_on_all(action):
    allowed = [s["Resource"] for s in statements("ExecutePolicy") if action in s["Action"]]

    assert "*" in allowed


def test_the_document_names_the_services_in_which_stages_are_not_separate():
    changed = {
        action.partition(":")[0]
        for s in statements("ExecutePolicy")
        if (s["Resource"] == "*" or "::/*" in str(s["Resource"])) and "Condition" not in s
        for action in listed(s["Action"])
        if not READING.search(action)
        and not action.startswith("kms:")  # creates keys, describes and rotates them
    }
    names = {
        "apigateway": "API Gateway",
        "application-autoscaling": "Application Auto Scaling",
        "cloudwatch": "composite alarms",
        "wafv2": "WAF",
    }
    document = (ROOT / "docs" / "deploy.md").read_text()
    section = document.partition("### An account of its own for `prod`")[2].partition("\n## ")[0]

    assert changed == names.keys()
    assert [name for name in names.values() if name not in section] == []


def test_every_role_of_the_stack_has_the_boundary():
    stack = transformed_template(ROOT / "template.yaml", {"PermissionsBoundary": "maskwatch-boundary-dev"})
    roles = {name: each for name, each in stack["Resources"].items() if each["Type"] == "AWS::IAM::Role"}

    assert roles
    assert [name for name, role in roles.items() if "PermissionsBoundary" not in role["Properties"]] == [
        "ApiGatewayLogWriter"
    ]
    assert {"Fn::Not": [{"Condition": "HasPermissionsBoundary"}]} in stack["Conditions"][
        "SetApiGatewayLogRole"
    ]["Fn::And"]


def test_the_stage_s_role_covers_every_service_of_the_stack():
    kinds = {each["Type"] for each in STACK.values()}
    services = {kind.split("::")[1].lower() for kind in kinds}
    named = {"applicationautoscaling": "application-autoscaling", "kinesisfirehose": "firehose"}
    named |= {"stepfunctions": "states"}

    reached = {action.partition(":")[0] for action in actions("ExecutePolicy")}
    assert {named.get(service, service) for service in services} <= reached


def test_without_a_repository_there_are_no_roles():
    roles = (
        "AWS::IAM::Role",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::OIDCProvider",
        "AWS::ApiGateway::Account",
    )

    for name, resource in RESOURCES.items():
        assert (resource["Type"] in roles) == (
            resource.get("Condition") in {"HasGitHub", "CreateProvider", "SetLogRole"}
        ), name
