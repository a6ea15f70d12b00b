"""Check that an API answers: `python -m infra.ops smoke --stack maskwatch-dev`, or `--url … --key …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from functions.preflight.app import picture
from infra.ops.address import add_api_options, api_of
from infra.ops.errors import OpsError
from maskwatch.client import ApiError, Client, UnreachableError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable


def problems(url: str, key: str) -> list[str]:
    """Return what is wrong with the API at `url`; empty if all is well."""
    client, without_key = Client(url, key), Client(url, "")
    checks: dict[str, Callable[[], dict[str, Any]]] = {
        "/health": client.health,
        "/openapi.json": client.openapi,
        "/predict": lambda: client.predict(picture()),
        "/compliance": client.compliance,
    }
    faults = []
    for path, check in checks.items():
        try:
            check()
        except UnreachableError as error:
            return [str(error)]
        except ApiError as refusal:
            faults.append(f"{path} refused: {refusal}")
    try:
        without_key.predict(picture())
        faults.append("/predict answered without a key")
    except ApiError as refusal:
        if refusal.problem != "forbidden":
            faults.append(f"/predict without a key was not forbidden, but: {refusal}")
    return faults


add_options = add_api_options


def command(options: Namespace) -> None:
    """Check an API.

    Raises:
        OpsError: Something is wrong with it.
    """
    url, key = api_of(options)
    faults = problems(url, key)
    if faults:
        raise OpsError(f"{url} failed: {'; '.join(faults)}")
    print(f"{url} is healthy")
