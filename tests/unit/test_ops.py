"""Every operator's command fails in one way: one line that says what to do, exit status 1, no traceback."""

import importlib
import pkgutil

import pytest
from moto import mock_aws

import infra.ops
from infra.ops.__main__ import COMMANDS, main

pytestmark = pytest.mark.usefixtures("aws")

ASKING_A_STACK = {
    "backfill": ["--prefix", ""],
    "baseline": ["--from", "2026-11-01", "--to", "2026-11-02"],
    "challenge": ["0"],
    "collect": ["--from", "2026-11-01", "--to", "2026-11-02"],
    "drift": [],
    "promote": ["2.0.0"],
    "publish-model": ["functions/inference/model"],
    "redrive": [],
    "rollback": [],
    "shadow": ["--release", "2.0.0"],
    "smoke": [],
    "stack": ["ApiUrl"],
}


def failure(command):
    with pytest.raises(SystemExit) as ended:
        main([command, "--stack", "absent", *ASKING_A_STACK[command]])
    message = ended.value.code  # a text, which Python prints to stderr before it exits with 1
    assert isinstance(message, str)
    assert "\n" not in message
    return message


def test_every_module_with_a_command_is_listed():
    modules = {module.name for module in pkgutil.iter_modules(infra.ops.__path__)}
    with_command = {
        name for name in modules if hasattr(importlib.import_module(f"infra.ops.{name}"), "command")
    }

    assert with_command == {name.replace("-", "_") for name in COMMANDS}


@pytest.mark.parametrize("command", ASKING_A_STACK)
def test_a_missing_stack_is_named(command):
    with mock_aws():
        assert failure(command).startswith("There is no stack named absent in us-east-1")


@pytest.mark.parametrize("command", ASKING_A_STACK)
def test_no_region(monkeypatch, command):
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert failure(command).startswith("No AWS region is set: export AWS_DEFAULT_REGION")


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
        (["score", "absent/"], "absent has no files named *.jpg"),
        (["smoke", "--url", "http://127.0.0.1:9/"], "http://127.0.0.1:9/ failed"),
        (["publish-model", "absent/", "--bucket", "b"], "Not published: absent/manifest.json is missing"),
        (["demo-drift", "absent/"], "absent has 0 pictures"),
    ],
)
def test_commands_without_a_stack_name_the_missing_argument(arguments, start):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert str(ended.value.code).startswith(start)
