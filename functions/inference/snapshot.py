"""Renews state that must differ between environments that Lambda restores from one snapshot (SnapStart).

Predict keeps no AWS client, reads the clock for every answer, and takes ids from the system's random numbers, which
Lambda renews itself. Only Python's own random generator, which libraries may use, must be seeded again.
"""

from __future__ import annotations

import random
from contextlib import suppress


def renew_after_restore() -> None:
    """Let Lambda's runtime seed Python's random generator after a restore; do nothing elsewhere."""
    with suppress(ImportError):  # the module exists only in Lambda's base image
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415

        register_after_restore(random.seed)
