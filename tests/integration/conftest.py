"""A moto server that files share, because its start takes seconds."""

import pytest
import requests

from infra.local.aws import moto_server


@pytest.fixture(scope="session")
def moto_address():
    with moto_server() as address:
        yield address


@pytest.fixture(scope="module")
def moto(moto_address):
    """The server's address; nothing of another file is in it."""
    requests.post(f"{moto_address}/moto-api/reset", timeout=60).raise_for_status()
    return moto_address
