"""The random sample of predictions from which accuracy is worked out: which they are, and asking what they show."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from maskwatch.client import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskwatch.client import Client
    from maskwatch.output import Outcome

_SHARE: Final = 0.01  # of all predictions


def is_drawn(prediction_id: str) -> bool:
    """Return whether a prediction is of the sample, by the first 32 random bits of its id."""
    return int(prediction_id[:8], 16) < _SHARE * 2**32


def ask(client: Client, drawn: Sequence[Outcome]) -> None:
    """Ask on the terminal what the drawn pictures show, and tell the service; without a terminal, say how to."""
    for outcome in drawn:
        answer = outcome.answer or {}
        name = str(answer["prediction_id"])
        if not sys.stdin.isatty():
            print(f"drawn: {outcome.file}: maskwatch feedback --audit {name} LABEL", file=sys.stderr)
            continue
        question = f"{outcome.file} was drawn and judged {answer['label']}. What does its largest face show? "
        choices = {str(number): label for number, label in enumerate(LABELS, 1)}
        offered = ", ".join(f"{number} {label}" for number, label in choices.items())
        label = choices.get(input(f"{question}({offered}, Enter to leave it) ").strip())
        if label:
            client.feedback(name, label, audit=True)
