"""Errors that stop a promotion."""

from __future__ import annotations


class PromoteError(Exception):
    """Base of this package's errors."""


class BusyError(PromoteError):
    """The stack is being updated; try again later."""


class RefusedError(PromoteError):
    """The release must not serve, now or later; the message says why."""


class StuckError(PromoteError):
    """The stack cannot be updated until somebody repairs it; the message says how."""
