"""The audit sample, from which accuracy is estimated: which predictions belong to it, and asking for their labels."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from maskwatch.client import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskwatch.client import Client
    from maskwatch.output import Response

# A copy: pip installs no functions/; tests/unit/test_contract_copies.py compares.
_SHARE: Final = 0.01  # of all predictions


def in_audit_sample(prediction_id: str) -> bool:
    """Return whether a prediction belongs to the audit sample, by the first 32 random bits of its id."""
    return int(prediction_id[:8], 16) < _SHARE * 2**32


def ask_for_labels(client: Client, sample: Sequence[Response]) -> None:
    """Ask on the terminal for the actual labels and send them; without answers, print the commands that would."""
    if not sample:
        print("maskwatch: none of these pictures is in the audit sample", file=sys.stderr)
    asking = sys.stdin.isatty()
    for response in sample:
        answer = response.answer or {}
        name = str(answer["prediction_id"])
        question = f"{response.file} is in the audit sample; predicted: {answer['label']}."
        label = _ask(question) if asking else None
        if label:
            client.feedback(name, label, audit=True)
        elif label is None:
            asking = False
            print(f"audit sample: {response.file}: maskwatch feedback --audit {name} LABEL", file=sys.stderr)


def _ask(question: str) -> str | None:
    """Return the label that is typed, by its number or name; empty to skip, None at the end of the input (Ctrl-D)."""
    numbers = {str(number): label for number, label in enumerate(LABELS, 1)}
    offered = ", ".join(f"{number} {label}" for number, label in numbers.items())
    try:
        while True:
            typed = input(f"{question} What does its largest face show? ({offered}, Enter to skip) ").strip()
            if (label := numbers.get(typed, typed)) in ("", *LABELS):
                return label
    except EOFError:
        print(file=sys.stderr)
        return None
