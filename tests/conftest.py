"""Fixtures that every folder of tests shares."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data() -> Path:
    """The real pictures; MASKWATCH_DATA says where, beside the checkout by default."""
    folder = Path(os.environ.get("MASKWATCH_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "crops" / "test").is_dir():
        pytest.skip(f"needs real pictures in {folder} (set MASKWATCH_DATA)")
    return folder
