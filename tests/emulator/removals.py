"""Remove every permission of every role, one at a time, and find out what no longer works."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tests.emulator import jobs
from tests.emulator.calls import name_of, wrong_calls
from tests.emulator.stack import FunctionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.emulator.stack import Stack

# The whole job of each role's function. MiniStack checks these roles at every call.
JOBS: Final[dict[str, Callable[[Stack], Any]]] = {
    "AlertsRole": jobs.alerts,
    "BatchRole": jobs.batch,
    "DriftRole": jobs.drift,
    "PortalRole": jobs.portal,
    "PreflightRole": jobs.preflight,
    "PromoteRole": jobs.promote,
    "PredictRole": jobs.predict,
}

ITS_JOB: Final = "the function's job"
UNNOTICED: Final = {  # by role and removal: why the permission is kept
    ("RecordsSenderRole", "firehose:PutRecordBatch on deliverystream/RecordsStream"): (
        "unknown: CloudWatch Logs' documentation grants either PutRecord or all actions, without saying what it calls"
    )
}
_PAGE: Final = """# Why each permission is needed

Every action and every resource of every role in `template.yaml` was removed, one at a time, from a stack in
[MiniStack](https://pypi.org/project/ministack/), an emulator of AWS that enforces roles, to see what then no longer
works. `make roles` repeats this and writes this page, and a test compares the two.

- Removals: {total}.
- Needed by the function's whole job, done once under its own role (`tests/emulator/jobs.py`): {by_job}. Without the
  permission, the job had another result.
- Needed by a call that an AWS service makes with the role, and that the emulator does not check: {by_call}. Here, its
  policy simulator evaluated the call as AWS documents it (`tests/emulator/calls.py`); the table gives the purpose.
  This shows that names and resources match, not that the service makes the call.
- Not shown to be needed: {unnoticed}; the table says why it is kept.

API Gateway's role for access logs and CodeDeploy's role have AWS's managed policies and are not in the table.

| role | permission removed | needed for |
|---|---|---|
{rows}
"""


@dataclass(frozen=True, order=True)
class Removal:
    """The removal of an action or a resource from a statement of a role's policy, with names of the template."""

    role: str
    policy: str
    what: str


def removals(stack: Stack) -> Iterator[tuple[Removal, dict[str, Any] | None]]:
    """Yield every removal from the stack's own roles, with the rest of the policy, if any.

    A statement with one action and one resource has one removal.
    """
    iam = stack.client("iam")
    for role, name in sorted(stack.resources.items()):
        if not role.endswith("Role"):
            continue
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for what, left in _each_missing(document["Statement"]):
                removal = Removal(role, policy, _readable(what, stack))
                yield removal, ({**document, "Statement": left} if left else None)


def _each_missing(statements: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for number, statement in enumerate(statements):
        actions, resources = listed(statement["Action"]), listed(statement["Resource"])
        before, after = statements[:number], statements[number + 1 :]
        if len(actions) == len(resources) == 1:
            yield f"{actions[0]} on {resources[0]}", before + after
        for action in actions if len(actions) > 1 else ():
            left = {**statement, "Action": [other for other in actions if other != action]}
            yield f"{action} on {', '.join(resources)}", [*before, left, *after]
        for resource in resources if len(resources) > 1 else ():
            left = {**statement, "Resource": [other for other in resources if other != resource]}
            yield f"{', '.join(actions)} on {resource}", [*before, left, *after]


@contextmanager
def _removed(removal: Removal, document: dict[str, Any] | None, stack: Stack) -> Iterator[None]:
    """Replace a policy's document temporarily."""
    iam = stack.client("iam")
    name = {"RoleName": stack.resources[removal.role], "PolicyName": removal.policy}
    before = iam.get_role_policy(**name)["PolicyDocument"]
    if document:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))
    else:
        iam.delete_role_policy(**name)
    try:
        yield
    finally:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(before))


def survey(stacks: Sequence[Stack]) -> dict[Removal, str]:
    """Try every removal in one stack after the other until something fails; return what failed, if anything."""
    found: dict[Removal, str] = {}
    for stack in stacks:
        expected: dict[str, Any] = {}
        for removal, document in removals(stack):
            role = removal.role
            if found.get(removal):
                continue
            if role in JOBS and role not in expected:
                expected[role] = JOBS[role](stack)
            with _removed(removal, document, stack):
                found[removal] = ", ".join(wrong_calls(role, stack))
                if not found[removal] and role in JOBS and _outcome(role, stack) != expected[role]:
                    found[removal] = ITS_JOB
        assert {role: JOBS[role](stack) for role in expected} == expected, (
            "a job's result differs between calls"
        )
    return found


def page(found: Mapping[Removal, str]) -> str:
    """Return docs/roles.md with the results."""
    by_job = sum(notice == ITS_JOB for notice in found.values())
    unnoticed = sum(not notice for notice in found.values())
    rows = [
        f"| {each.role} | `{each.what}` | {notice or UNNOTICED.get((each.role, each.what), 'nothing')} |"
        for each, notice in sorted(found.items())
    ]
    return _PAGE.format(
        total=len(found),
        by_job=by_job,
        by_call=len(found) - by_job - unnoticed,
        unnoticed=unnoticed,
        rows="\n".join(rows),
    )


def _outcome(role: str, stack: Stack) -> Any:
    """Return the result of the job of a role's function, or its error."""
    try:
        return JOBS[role](stack)
    except (FunctionError, ClientError, LookupError) as error:
        return error


def listed(value: Any) -> list[str]:
    """Return the actions or the resources of a statement, which may be one or a list."""
    return value if isinstance(value, list) else [value]


def _readable(text: str, stack: Stack) -> str:
    """Return a removal with the resources' names in the template."""
    text = text.replace(stack.arn, "the stack")
    for name, identifier in sorted(stack.resources.items(), key=lambda item: -len(item[1])):
        if identifier in {stack.name, "feedback", "records"}:  # names in SQL, also words in other names
            continue
        text = re.sub(rf"(?<![\w-]){re.escape(name_of(identifier))}(?![\w-])", name, text)
    return (
        re.sub(r"arn:aws:[a-z0-9]*:[a-z0-9-]*:\d*:", "", text)
        .replace(f"{stack.name}-", "")
        .replace(f"/{stack.name}/", "/<stack>/")
    )
