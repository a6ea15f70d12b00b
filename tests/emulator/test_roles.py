"""Every permission of every role is needed, by its function's job or by a documented call."""

import json
import os

from infra.local.template import ACCOUNT, REGION, resolve, transformed_template
from tests.emulator.calls import CALLS, wrong_calls
from tests.emulator.removals import UNNOTICED, listed, page, survey
from tests.emulator.template import PROJECT

PAGE = PROJECT / "docs" / "roles.md"


def test_every_role_allows_exactly_what_services_do_with_it(everything):
    assert {role: wrong_calls(role, everything) for role in CALLS} == {role: [] for role in CALLS}


def test_no_role_needs_more_than_its_stage_s_boundary(everything):
    """MiniStack does not enforce boundaries, so the boundary is evaluated like a role's policy."""
    iam, boundary = everything.client("iam"), bootstrap_policy("BoundaryDev", everything.name)
    iam.create_role(RoleName="bounds", AssumeRolePolicyDocument="{}")
    iam.put_role_policy(RoleName="bounds", PolicyName="boundary", PolicyDocument=json.dumps(boundary))
    outside = [
        (role, result["EvalActionName"], result["EvalResourceName"])
        for role, statement in allowed(everything)
        for result in iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/bounds",
            ActionNames=listed(statement["Action"]),
            ResourceArns=[  # MiniStack lacks CodeDeploy, and names log groups unlike CloudFormation
                arn.replace(":ServerlessDeployment", f":{everything.name}-ServerlessDeployment").replace(
                    f":/aws/cloudformation/{everything.name}/", f":{everything.name}-"
                )
                for arn in listed(statement["Resource"])
            ],
        )["EvaluationResults"]
        if result["EvalDecision"] != "allowed"
    ]

    assert outside == []


def bootstrap_policy(name, stack):
    """Return the document of a policy in infra/bootstrap.yaml, for a stack of another name than the stage's.

    Its conditions are left out: most are on tags of the role, which MiniStack's has not.
    """
    resources = transformed_template(PROJECT / "infra" / "bootstrap.yaml", {"GitHubRepository": "a/b"})[
        "Resources"
    ]
    known = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT}
    document = resolve(resources[name]["Properties"]["PolicyDocument"], known, {})
    for statement in document["Statement"]:
        statement.pop("Condition", None)
    return json.loads(json.dumps(document).replace("maskwatch-dev", stack))


def allowed(stack):
    """Yield each role of a stack with each statement that allows it something."""
    iam = stack.client("iam")
    for role, name in stack.resources.items():
        if role.endswith("Role"):
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                yield from ((role, each) for each in document["Statement"] if each["Effect"] == "Allow")


def test_every_permission_is_needed_and_the_page_lists_it(stack, everything):
    found = survey([stack, everything])

    if "WRITE_ROLES" in os.environ:
        PAGE.write_text(page(found))
    assert {(each.role, each.what) for each, notice in found.items() if not notice} == UNNOTICED.keys()
    assert PAGE.read_text() == page(found), "run `make roles`"
