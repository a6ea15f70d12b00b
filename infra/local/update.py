"""Updates of the stack's parameters: deploys or rolls back the functions they change, where moto only stores them."""

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
    """Deploys new versions of the functions whose environment other parameters change.

    Args:
        stack: The deployed stack.
        functions: The functions by name.
        endpoint: moto's URL.
        url: The API's URL.
        client: Returns moto's boto3 client for a service.
    """

    def __init__(
        self, stack: Stack, functions: Mapping[str, Function], endpoint: str, url: str, client: Client
    ) -> None:
        self._stack, self._functions, self._client = stack, functions, client
        self._addresses = endpoint, url
        self._with_alias = {alias.properties["FunctionName"] for alias in stack.of_type("AWS::Lambda::Alias")}
        self._one_at_a_time = Lock()

    def update(self, parameters: Mapping[str, str]) -> str:
        """Deploy the changes of these parameters; return the reason for a failure, empty on success.

        As in CloudFormation, one failure rolls back everything.
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
