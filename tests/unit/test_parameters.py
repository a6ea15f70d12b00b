"""Every environment names every parameter, to sam build as to sam deploy: what is not named keeps its old value.

Those that say which release serves are left alone: a deployment of code must not take a promotion back. So is the
boundary, which CloudFormation's role of a workflow may not remove.
"""

import re
import tomllib

import pytest
import yaml

from infra.expand import TEMPLATE, expand
from tests.conftest import ROOT
from tests.template import stack_template

FOLDER = ROOT / "infra" / "parameters"
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = [name for name in CONFIG if name != "version"]
DECLARED = stack_template()["Parameters"]
KEPT = {"ModelUri", "PreviousModelUri", "ChallengerUri", "ChallengerShare", "PermissionsBoundary"}
REFUSED = [
    ("BatchConcurrency", 1),
    ("AddressRate", "5"),
    ("ModelUri", "s3://bucket/elsewhere/1/"),
    ("CorsOrigin", "https://example.org/path"),
    ("Typo", "1"),
]


def read(file):
    """Return the values in a file and in those it includes, as sam reads them."""
    values = yaml.safe_load(file.read_text())
    included = values.pop("$include", None)
    return {**(read(file.parent / included.removeprefix("file://")) if included else {}), **values}


def refused(values):
    """Name the values that CloudFormation would refuse."""
    found = sorted((DECLARED.keys() - KEPT - values.keys()) | (values.keys() - DECLARED.keys()))
    for name, value in values.items():
        declared = DECLARED.get(name, {})
        if (
            ("AllowedValues" in declared and value not in declared["AllowedValues"])
            or not re.fullmatch(declared.get("AllowedPattern", ".*"), str(value))
            or ("MinValue" in declared and value < declared["MinValue"])
            or ("MaxValue" in declared and value > declared["MaxValue"])
        ):
            found.append(name)
    return found


def test_the_defaults_are_the_template_s():
    assert read(FOLDER / "defaults.yaml") == {
        name: declared["Default"] for name, declared in DECLARED.items() if name not in KEPT
    }


def test_every_parameter_is_in_a_group_of_the_console():
    groups = stack_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(DECLARED)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_parameter_has_a_valid_value(environment):
    assert refused(read(FOLDER / f"{environment}.yaml")) == []


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_an_invalid_value_is_found(name, value):
    assert name in refused({**read(FOLDER / "dev.yaml"), name: value})


def test_a_missing_parameter_is_found():
    values = read(FOLDER / "prod.yaml")
    del values["LogLevel"]

    assert refused(values) == ["LogLevel"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_deployment_does_not_change_the_serving_release_and_the_boundary(environment):
    assert read(FOLDER / f"{environment}.yaml").keys().isdisjoint(KEPT)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_sam_builds_and_deploys_with_the_same_parameters(environment):
    built, deployed = (CONFIG[environment][step]["parameters"] for step in ("build", "deploy"))

    assert deployed["parameter_overrides"] == f"file://infra/parameters/{environment}.yaml"
    assert built["parameter_overrides"] == deployed["parameter_overrides"]


def test_a_stack_s_name_of_49_characters_fits_into_every_name():
    room = {"FunctionName": 64, "DeliveryStreamName": 64, "StateMachineName": 80, "BudgetName": 100}
    text = str(expand(TEMPLATE, {})["Resources"])

    for key, limit in room.items():
        for name in re.findall(rf"'{key}': {{'Fn::Sub': \[?'([^']+)'", text):
            assert len(name.replace("${AWS::StackName}", 49 * "x")) <= limit


def test_provisioned_concurrency_does_not_exceed_its_maximum():
    assert DECLARED["ProvisionedConcurrency"]["MaxValue"] <= DECLARED["ProvisionedConcurrencyMax"]["MinValue"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_bulk_scoring_leaves_concurrency_for_serving_in_a_new_account(environment):
    """Of ten concurrent executions, the queue, a backfill and Drift leave half to Predict and Portal."""
    backfill = re.search(
        r'"--concurrency", type=\w+, default=(\d+)', (ROOT / "infra/ops/backfill.py").read_text()
    )

    assert read(FOLDER / f"{environment}.yaml")["BatchConcurrency"] + int(backfill[1]) + 1 <= 5
    assert read(FOLDER / f"{environment}.yaml")["ReservedConcurrency"] == 0
