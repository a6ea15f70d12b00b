"""What may not be the same in every environment that Lambda restores from one snapshot (SnapStart).

Predict keeps no client of AWS and reads the clock anew for every answer; ids come from the system's random numbers,
which Lambda makes differ. What is left is Python's own generator, which libraries may draw from.
"""

from __future__ import annotations

import random
from contextlib import suppress


def renew() -> None:
    """Seed what was frozen."""
    random.seed()


def renew_after_restore() -> None:
    """Have Lambda call `renew` each time it restores an environment; elsewhere nothing is restored."""
    with suppress(ImportError):  # it is in Lambda's base image, not in ours
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415

        register_after_restore(renew)
