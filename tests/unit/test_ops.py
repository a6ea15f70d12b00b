"""Every operator's command fails in one way: one line that says what to do, exit status 1, no traceback."""

import importlib
import io
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

import infra.ops
from infra.ops.__main__ import COMMANDS, main
from tests.system import ROOT, python, recipe

pytestmark = pytest.mark.usefixtures("aws")

MAKEFILE = (ROOT / "infra" / "deploy.mk").read_text()
ASKING_A_STACK = {
    "alerts": ["list"],
    "backfill": ["--prefix", ""],
    "baseline": ["--from", "2026-11-01", "--to", "2026-11-02"],
    "challenge": ["0"],
    "collect": ["--from", "2026-11-01", "--to", "2026-11-02"],
    "destroy": [],
    "drift": [],
    "promote": ["2.0.0"],
    "publish-model": ["functions/inference/model"],
    "redrive": [],
    "rollback": [],
    "shadow": ["--release", "2.0.0"],
    "smoke": [],
    "stack": ["ApiUrl"],
}


def failure(command, stack="absent"):
    with pytest.raises(SystemExit) as ended:
        main([command, "--stack", stack, *ASKING_A_STACK[command]])
    message = ended.value.code  # a text, which Python prints to stderr before it exits with 1
    assert isinstance(message, str)
    assert "\n" not in message
    return message


def test_what_a_file_or_a_program_gets_is_utf_8_in_every_locale(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="latin-1"))
    monkeypatch.setattr("infra.ops.stack.outputs_of", lambda _: {"Source": "بوابة"})
    main(["stack", "--stack", "maskwatch-dev", "Source"])
    sys.stdout.flush()
    assert written.getvalue() == "بوابة\n".encode()


def test_every_module_with_a_command_is_listed():
    modules = {module.name for module in pkgutil.iter_modules(infra.ops.__path__)}
    with_command = {
        name for name in modules if hasattr(importlib.import_module(f"infra.ops.{name}"), "command")
    }

    assert with_command == {name.replace("-", "_") for name in COMMANDS}


@pytest.fixture(scope="module")
def unpinned():
    """The modules that are not of the packages in infra/sam/requirements.txt."""
    text = (ROOT / "infra" / "sam" / "requirements.txt").read_text()
    pinned = {*re.findall(r"(?m)^([\w.-]+)==", text), "maskwatch"}
    packages = packages_distributions().items()
    return [
        module
        for module, names in packages
        if not pinned & {re.sub("[-_.]+", "-", name.lower()) for name in names}
    ]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\$\(OPS\) ([\w-]+)", MAKEFILE))))
def test_a_command_that_make_runs_in_the_pinned_environment_needs_no_other_package(command, unpinned):
    program = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop().split()));"  # None forbids the import
        "from infra.ops.__main__ import main; main()"
    )
    done = python("-c", program, command, "--help", " ".join(unpinned))

    assert done.returncode == 0, done.stderr
    assert f"python -m infra.ops {command}" in done.stdout


@pytest.mark.parametrize("target", ["publish-model", "redrive"])
def test_a_target_that_needs_only_boto3_runs_in_the_pinned_environment(target):
    assert f".venv-sam/bin/python -m infra.ops {target}" in recipe(target)


@pytest.mark.parametrize("command", ASKING_A_STACK)
def test_a_missing_stack_is_named(command):
    with mock_aws():
        assert failure(command).startswith("There is no stack named absent in us-east-1")


@pytest.mark.parametrize("command", ASKING_A_STACK)
def test_no_region(monkeypatch, command):
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert failure(command).startswith("No AWS region is set: export AWS_DEFAULT_REGION")


def test_the_region_is_that_of_the_aws_cli(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    with mock_aws():
        assert failure("stack").startswith("There is no stack named absent in eu-west-1")


@pytest.mark.parametrize("command", ASKING_A_STACK)
def test_no_credentials(monkeypatch, command):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    assert "credentials" in failure(command)


@pytest.mark.parametrize("command", ASKING_A_STACK)
def test_aws_cannot_be_reached(monkeypatch, command):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    assert failure(command).startswith("AWS cannot be reached: Could not connect to the endpoint URL")


def test_a_missing_profile_is_named(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    assert failure("stack").startswith("The config profile (nobody) could not be found.")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["score", "absent/"], "absent is not a folder"),
        (["score", "infra/"], "infra has no files named *.jpg"),
        (["smoke", "--url", "http://127.0.0.1:9/"], "http://127.0.0.1:9/ failed"),
        (["publish-model", "absent/", "--bucket", "b"], "Not published: absent/manifest.json is missing"),
        (["demo-drift", "absent/"], "absent has 0 pictures"),
        (
            ["images", "pin", "functions/portal/page/track.js"],
            "functions/portal/page/track.js is not a template",
        ),
    ],
)
def test_commands_without_a_stack_name_the_missing_argument(arguments, start):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert str(ended.value.code).startswith(start)


# Without a stack, that of `make run`.
@pytest.mark.parametrize("command", sorted(ASKING_A_STACK.keys() - {"smoke"}))
def test_no_command_chooses_a_stack_by_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, *ASKING_A_STACK[command]])

    assert ended.value.code == 2
    assert "--stack" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "option", "refused"),
    [
        ("backfill", "--concurrency", ("0", "-1", "1.5", "two", "")),  # Step Functions takes 0 for 10,000
        ("collect", "--per-source", ("0", "-1")),
        ("collect", "--key-share", ("0", "-0.5", "1.1", "50", "nan", "half")),
        ("demo-drift", "--pictures", ("0", "-5")),
    ],
)
def test_a_number_out_of_range_is_refused(command, option, refused, capsys):
    for number in refused:
        with pytest.raises(SystemExit) as ended:
            main([command, f"{option}={number}"])

        assert ended.value.code == 2
        assert f"argument {option}: {number!r} is not a" in capsys.readouterr().err


def test_a_question_that_cannot_be_answered_ends_the_command(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("infra.ops.cost.command", lambda _: input("Go on? "))

    with pytest.raises(SystemExit, match=r"^Stopped\.$"):
        main(["cost"])


@pytest.mark.parametrize("missing", ["PIL", "botocore", "boto3"])
def test_another_python_is_told_which_one_to_use(missing):
    script = f"""
import runpy, sys
sys.modules[{missing!r}] = None
sys.argv = ["infra.ops", "score"]
runpy.run_module("infra.ops", run_name="__main__")
"""

    done = python("-c", script)

    assert done.returncode == 1
    assert done.stderr.startswith(f"There is no {missing}")
    assert "Run this with .venv/bin/python" in done.stderr
    assert done.stderr.count("\n") == 1


LOCAL_OUTPUTS = {
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
    "Outputs": {name: {"Value": name} for name in ("Attribute0", "ResultsBucket", "UploadsBucket")},
}


@pytest.fixture
def local_stack(moto):  # noqa: ARG001 -- an AWS account
    boto3.client("cloudformation").create_stack(StackName="maskwatch", TemplateBody=json.dumps(LOCAL_OUTPUTS))


@pytest.mark.usefixtures("moto")
@pytest.mark.parametrize("command", sorted(ASKING_A_STACK))
def test_a_stack_of_something_else_is_named(command):
    other = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="other", TemplateBody=json.dumps(other))

    assert failure(command, "other").startswith("other ")
    assert cloudformation.describe_stacks(StackName="other")["Stacks"]


@pytest.mark.usefixtures("local_stack")
def test_an_unknown_output_lists_those_of_the_template_alone():
    with pytest.raises(SystemExit, match=r"it has ResultsBucket, UploadsBucket$"):
        main(["stack", "--stack", "maskwatch", "Bucket"])


@pytest.mark.usefixtures("local_stack")
@pytest.mark.parametrize("arguments", [["smoke"], ["score", "tests"]])
def test_the_local_stack_has_an_address_instead_of_a_key(arguments, monkeypatch):
    monkeypatch.setattr("infra.ops.score.list_pictures", lambda _: ([Path("face.jpg")], 0))

    with pytest.raises(SystemExit, match=r"maskwatch is the stack of `make run`.* give that with --url"):
        main([*arguments, "--stack", "maskwatch"])


@pytest.mark.parametrize(
    "target",
    [
        *(
            "backfill",
            "baseline",
            "destroy",
            "drift",
            "judge",
            "logs",
            "publish-model",
            "purge",
            "redrive",
            "score",
            "smoke",
        ),
        *("job", "pipeline", "training-setup"),
    ],
)
def test_every_target_about_a_stack_takes_its_name(target):
    commands = recipe(target, "STACK=maskwatch-prod")

    assert "maskwatch-prod" in commands
    assert "maskwatch-dev" not in commands


@pytest.mark.parametrize(("target", "missing"), [("backfill", "PREFIX="), ("score", "DIR=")])
def test_a_target_without_its_pictures_names_what_is_missing(target, missing):
    done = subprocess.run(
        ["make", "--old-file", ".venv/run.stamp", target],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert missing in done.stderr
    assert "is missing" in done.stderr


@pytest.mark.parametrize("target", ["judge", "serve"])
def test_a_target_fails_without_a_release_of_runs_that_passed(target, tmp_path):
    (tmp_path / "python").symlink_to(shutil.which("true"))  # as judge ends after a refusal, too
    stamps = [f"--old-file=.venv/{name}.stamp" for name in ("run", "dev")]
    done = subprocess.run(
        ["make", *stamps, target, f"BIN={tmp_path}", f"RELEASE={tmp_path}/release"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "has no release: make judge writes one if the runs pass the gate" in done.stderr
