"""A stack in MiniStack: created, updated, and called over HTTP or function by function."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from infra.local.template import ACCOUNT, REGION
from tests.emulator.server import TIMEOUT
from tests.emulator.template import ARCHIVE, FILES, PROJECT, emulated_template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.emulator.server import Emulator
    from tests.service import Service


@dataclass(frozen=True)
class Stack:
    """A complete stack.

    Attributes:
        emulator: The emulator that it is in.
        name: Its name.
        arn: Its ARN.
        parameters: Those that do not have their default.
        resources: The physical id of each resource, by its name in the template.
        outputs: Its outputs.
        key: Its first API key.
        standin: Fakes the services that MiniStack does not have, CodeDeploy and SageMaker.
    """

    emulator: Emulator
    name: str
    arn: str
    parameters: Mapping[str, str]
    resources: Mapping[str, str]
    outputs: Mapping[str, str]
    key: str
    standin: Service

    def client(self, service: str) -> Any:
        """Return a boto3 client with administrator permissions."""
        return self.emulator.client(service)

    def request(self, method: str, path: str, *, key: bool = True, **options: Any) -> requests.Response:
        """Request the API over HTTP, with the stack's own key."""
        headers = dict(options.pop("headers", {}))
        if key:
            headers["x-api-key"] = self.key
        url = f"{self.emulator.url}/restapis/{self.resources['Api']}/v1/_user_request_{path}"
        return requests.request(
            method, url, headers=headers, verify=self.emulator.certificate, timeout=TIMEOUT, **options
        )

    def invoke(self, function: str, event: Mapping[str, Any], *, cold: bool = False) -> Any:
        """Run a function by its name in the template and return its answer; `cold`, in a new process.

        Raises:
            FunctionError: If it raised an exception or did not start; the message says why.
        """
        functions, name = self.client("lambda"), self.resources[function]
        if cold:  # an update of the configuration ends the running processes
            timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
            functions.update_function_configuration(FunctionName=name, Timeout=timeout)
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise FunctionError(payload["errorMessage"])
        return payload


class FunctionError(Exception):
    """A function raised an exception, or did not start."""


def deploy(emulator: Emulator, name: str, parameters: dict[str, str], standin: Service) -> Stack:
    """Create a stack from template.yaml with these parameters, or update the one of this name."""
    cloudformation, s3 = emulator.client("cloudformation"), emulator.client("s3")
    s3.create_bucket(Bucket=FILES)
    s3.put_object(Bucket=FILES, Key=ARCHIVE, Body=_empty_archive())
    template = json.dumps(emulated_template(parameters, standin.url))
    s3.put_object(Bucket=FILES, Key=f"{name}.json", Body=template)
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    exists = any(stack["StackName"] == name for stack in cloudformation.describe_stacks()["Stacks"])
    (cloudformation.update_stack if exists else cloudformation.create_stack)(
        StackName=name,
        TemplateURL=f"{emulator.url}/{FILES}/{name}.json",
        Parameters=given,
        Capabilities=["CAPABILITY_IAM"],
    )

    def result() -> dict[str, Any]:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return stack if not stack["StackStatus"].endswith("_IN_PROGRESS") else {}

    stack = wait_for(result)
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    assert stack["StackStatus"] == ("UPDATE_COMPLETE" if exists else "CREATE_COMPLETE"), failed
    made = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    resources = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in made}
    key = emulator.client("apigateway").get_api_key(apiKey=resources["ApiKey"], includeValue=True)
    return Stack(
        emulator,
        name,
        stack["StackId"],
        parameters,
        resources,
        {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        key["value"],
        standin,
    )


def update(stack: Stack, **parameters: str) -> Stack:
    """Change some parameters of a stack."""
    return deploy(stack.emulator, stack.name, {**stack.parameters, **parameters}, stack.standin)


def operate(stack: Stack, *command: str) -> str:
    """Run an operator's command on a stack, and return its output."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CA_BUNDLE": stack.emulator.certificate,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": stack.emulator.url,
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.ops", command[0], "--stack", stack.name, *command[1:]],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def wait_for(look: Callable[[], Any]) -> Any:
    """Poll until `look` returns something, and return it; fail after `TIMEOUT`."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := look()):
        assert time.monotonic() < deadline, f"{look.__qualname__} found nothing in {TIMEOUT:.0f} s"
        time.sleep(0.1)
    return found


def _empty_archive() -> bytes:
    file = io.BytesIO()
    zipfile.ZipFile(file, "w").close()
    return file.getvalue()
