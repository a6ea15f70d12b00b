"""The workflows build once, deploy what was built, and have credentials only while they need them."""

import re

import pytest
import yaml

from infra.local.template import transformed_template
from tests.conftest import ROOT
from tests.system import recipe
from tests.template import stack_template

WORKFLOWS = ROOT / ".github" / "workflows"
BUILD = yaml.safe_load((WORKFLOWS / "deploy.yml").read_text())["jobs"]
STAGE = yaml.safe_load((WORKFLOWS / "deploy-stage.yml").read_text())["jobs"]["deploy"]


def commands(job):
    return [step.get("run", step.get("uses", "")) for step in job["steps"]]


def test_images_are_built_in_one_job():
    assert [name for name, job in BUILD.items() if "make package" in str(job)] == ["build"]
    assert not re.search(r"make (package|deploy )|sam build", "\n".join(commands(STAGE)))


def test_a_stage_waits_for_the_one_before():
    assert {name: job.get("needs") for name, job in BUILD.items()} == {
        "build": None,
        "dev": "build",
        "staging": "dev",
        "prod": "staging",
    }


@pytest.mark.parametrize("job", [BUILD["build"], STAGE], ids=["build", "stage"])
def test_tools_are_installed_before_credentials_are_requested(job):
    steps = commands(job)
    (credentials,) = [n for n, step in enumerate(steps) if "configure-aws-credentials" in step]

    assert steps.index("make .venv-sam/bin/sam") < credentials
    assert not re.search("pip install|npm install", "\n".join(steps[credentials:]))


@pytest.mark.parametrize("job", [BUILD["build"], STAGE], ids=["build", "stage"])
def test_roles_and_region_come_from_the_environment(job):
    (settings,) = [
        step["with"] for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")
    ]

    assert "environment" in job
    assert settings["role-to-assume"] == "${{ vars.AWS_ROLE }}"
    assert settings["aws-region"] == "${{ vars.AWS_REGION }}"
    assert "secrets." not in str(job)


def test_the_environments_alone_decide_what_is_deployed():
    """A job whose condition is false is skipped without an error; `github.ref_protected` is false for many tags."""
    assert [name for name, job in {**BUILD, "stage": STAGE}.items() if "if" in job] == []
    assert BUILD["build"]["environment"] == "build"
    assert {name: job["with"]["environment"] for name, job in BUILD.items() if "with" in job} == {
        stage: stage for stage in ("dev", "staging", "prod")
    }


def test_a_session_outlasts_the_slowest_canary_and_its_rollback():
    (settings,) = [
        step["with"] for step in STAGE["steps"] if "configure-aws-credentials" in step.get("uses", "")
    ]
    strategies = stack_template()["Parameters"]["DeploymentStrategy"]["AllowedValues"]
    steps = {
        name: 60 * int(found[2]) * (100 // int(found[1]) if name.startswith("Linear") else 1)
        for name in strategies
        if (found := re.search(r"(\d+)Percent(?:Every)?(\d+)Minute", name))
    }
    roles = transformed_template(ROOT / "infra" / "bootstrap.yaml", {"GitHubRepository": "owner/name"})[
        "Resources"
    ]

    assert settings["role-duration-seconds"] >= 2 * max(steps.values())
    assert settings["role-duration-seconds"] > 60 * STAGE["timeout-minutes"]
    assert roles["DeployProd"]["Properties"]["MaxSessionDuration"] >= settings["role-duration-seconds"]


@pytest.mark.parametrize("job", [BUILD["build"], STAGE], ids=["build", "stage"])
def test_jobs_with_credentials_install_by_hash(job):
    targets = [step.split()[1] for step in commands(job) if step.startswith("make ")]
    recipes = recipe("--always-make", *targets)
    requirements = (ROOT / "infra" / "sam" / "requirements.txt").read_text()

    (installation,) = [line for line in recipes.splitlines() if "pip install" in line]
    assert "--require-hashes -r infra/sam/requirements.txt" in installation
    assert ".venv/" not in recipes
    assert requirements.count("--hash=sha256:") >= len(re.findall(r"^\S+==", requirements, re.MULTILINE))


@pytest.mark.parametrize(
    ("target", "prefix"), [("package", "build"), ("deploy-package", "prod"), ("deploy", "prod")]
)
def test_only_a_package_is_put_where_every_stage_finds_it(target, prefix):
    recipes = recipe(target, "ENV=prod")
    (put,) = [step for step in commands(BUILD["build"]) if "s3 cp" in step]

    assert re.findall(r"--s3-prefix (\S+)", recipes) == [prefix]
    assert "/packages/$GITHUB_RUN_ID.yaml" in put


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_a_deployment_names_its_parameters_and_the_boundary(stage):
    recipes = recipe("deploy-package", f"ENV={stage}", "EXECUTE_ROLE=role")

    overrides = f"file://infra/parameters/{stage}.yaml PermissionsBoundary=maskwatch-boundary-{stage}"
    assert f"--role-arn role --parameter-overrides {overrides}" in " ".join(recipes.split())


@pytest.mark.parametrize(
    ("values", "overrides"),
    [
        ([], ""),
        (["GITHUB=owner/name"], "--parameter-overrides GitHubRepository=owner/name"),
        (
            ["GITHUB=owner/name", "OIDC=existing"],
            "--parameter-overrides GitHubRepository=owner/name OidcProvider=existing",
        ),
    ],
)
def test_bootstrap_passes_the_repository_and_the_provider(values, overrides):
    recipes = recipe("bootstrap", *values)

    flags = " ".join(recipes.replace("\\", "").split()).partition("--no-fail-on-empty-changeset")[2].strip()
    assert flags == overrides
