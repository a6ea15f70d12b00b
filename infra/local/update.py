"""Updates of the stack's parameters: what they change is deployed or rolled back, where moto would only note them."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from infra.local.errors import LocalError
from infra.local.function import CANARY_SECONDS, PROJECT
from infra.local.stack import function_configs, resolved
from infra.local.template import transformed_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.function import Function, FunctionConfig
    from infra.local.stack import Client, Stack


class Updater:
    """Deploys a stack's functions anew where other parameters give them another environment.

    Args:
        stack: As it was deployed.
        functions: By name.
        endpoint: moto's address.
        url: The API's.
        client: Returns a boto3 client of moto by the name of the service.
    """

    def __init__(
        self, stack: Stack, functions: Mapping[str, Function], endpoint: str, url: str, client: Client
    ) -> None:
        self._stack, self._functions, self._client = stack, functions, client
        self._addresses = endpoint, url
        self._with_alias = {alias.properties["FunctionName"] for alias in stack.of_type("AWS::Lambda::Alias")}
        self._one_at_a_time = Lock()

    def update(self, parameters: Mapping[str, str]) -> str:
        """Deploy what these parameters change; return why not, empty where all of it serves.

        As in CloudFormation, one failure takes back what was deployed before it.
        """
        with self._one_at_a_time:
            done = []
            try:
                template = transformed_template(PROJECT / "template.yaml", parameters)
                stack = resolved(template, parameters, self._stack)
                for config in function_configs(stack, PROJECT, *self._addresses):
                    before = self._functions[config.name].config
                    if config != before:
                        self._deploy(config, CANARY_SECONDS if config.name in self._with_alias else 0)
                        done.append(before)
            except LocalError as error:
                for before in done:
                    self._deploy(before, 0)
                return str(error)
            return ""

    def _deploy(self, config: FunctionConfig, seconds: float) -> None:
        self._functions[config.name].deploy(config, seconds)
        self._client("lambda").update_function_configuration(
            FunctionName=config.name, Environment={"Variables": dict(config.environment)}
        )
