"""Updates of the stack's parameters: deploys or rolls back the functions they change, where moto only stores them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from infra.local.errors import LocalError
from infra.local.function import CANARY_SECONDS, PROJECT
from infra.local.stack import function_configs, with_parameters
from infra.local.template import transformed_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.aws import Client
    from infra.local.function import Function, FunctionConfig
    from infra.local.stack import Stack


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
        self._lock = Lock()

    def update(self, parameters: Mapping[str, str]) -> str:
        """Deploy the changes of these parameters; return the reason for a failure, empty on success.

        As in CloudFormation, functions are deployed in parallel, and one failure rolls back everything.
        """
        with self._lock:
            try:
                template = transformed_template(PROJECT / "template.yaml", parameters)
                updated = with_parameters(self._stack, template, parameters)
                configs = function_configs(updated, *self._addresses)
            except LocalError as error:
                return str(error)
            before = {name: function.config for name, function in self._functions.items()}
            changed = [config for config in configs if config != before[config.name]]
            with ThreadPoolExecutor() as pool:
                failures = list(pool.map(self._failure, changed))
            if any(failures):
                for config, failure in zip(changed, failures, strict=True):
                    if not failure:
                        self._deploy(before[config.name], 0)
            return "; ".join(filter(None, failures))

    def _failure(self, config: FunctionConfig) -> str:
        """Deploy a function with its canary; return the reason for a failure, empty on success."""
        try:
            self._deploy(config, CANARY_SECONDS if config.name in self._with_alias else 0)
        except LocalError as error:
            return str(error)
        return ""

    def _deploy(self, config: FunctionConfig, seconds: float) -> None:
        self._functions[config.name].deploy(config, seconds)
        self._client("lambda").update_function_configuration(
            FunctionName=config.name, Environment={"Variables": dict(config.environment)}
        )
