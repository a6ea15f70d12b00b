"""What keeps a promotion from going on."""

from __future__ import annotations


class PromoteError(Exception):
    """Base of them all."""


class BusyError(PromoteError):
    """The stack is being updated; ask again later."""


class RefusedError(PromoteError):
    """The release must not serve, now or later; the message says why."""


class StuckError(PromoteError):
    """The stack takes no update until somebody mends it; the message says how."""
