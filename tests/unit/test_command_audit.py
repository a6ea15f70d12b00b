"""`maskwatch predict --audit` asks for the labels of the audit sample, and sends them as such."""

import sys
import uuid
from types import SimpleNamespace

import numpy as np
import pytest

from functions.shared.contract import AUDIT_SHARE, in_audit_sample
from maskwatch import audit
from maskwatch.output import Response
from tests.system import ROOT

SAMPLED = Response("a.jpg", {"prediction_id": "00000001-0000-4000-8000-000000000000", "label": "mask"})


class Client:
    def __init__(self):
        self.result = []

    def feedback(self, name, label, *, audit):
        self.result.append((name, label, audit))


def test_the_sample_is_that_of_the_service():
    rng = np.random.default_rng(0)
    ids = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(5_000)]
    edge = int(AUDIT_SHARE * 2**32)
    ids += [f"{first:08x}-0000-4000-8000-000000000000" for first in (0, edge - 1, edge + 1)]
    assert [audit.in_audit_sample(name) for name in ids] == [in_audit_sample(name) for name in ids]
    assert any(map(audit.in_audit_sample, ids))
    script = (ROOT / "functions" / "portal" / "page" / "picture.js").read_text()
    assert "parseInt(id.slice(0, 8), 16) < 0.01 * 2 ** 32" in script


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        (["2"], "no_mask"),
        ([" 1 "], "mask"),
        (["no_mask"], "no_mask"),
        ([" incorrect"], "incorrect"),
        (["x", "0", "4", "uncertain", "3"], "incorrect"),
        ([""], None),
        (["x", " "], None),
    ],
)
def test_the_command_asks_for_the_label_of_a_picture_of_the_sample(monkeypatch, typed, label):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _: typed.pop(0))
    client = Client()
    audit.ask_for_labels(client, [SAMPLED])
    assert typed == []
    assert client.result == ([(SAMPLED.answer["prediction_id"], label, True)] if label else [])


def test_after_ctrl_d_it_prints_the_remaining_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    typed = ["mask", ""]

    def read(_):
        if not typed:
            raise EOFError
        return typed.pop(0)

    monkeypatch.setattr("builtins.input", read)
    client = Client()
    names = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(4)]
    sample = [Response("a.jpg", {"prediction_id": name, "label": "mask"}) for name in names]
    audit.ask_for_labels(client, sample)
    assert client.result == [(names[0], "mask", True)]
    commands = [line.partition("--audit ")[2] for line in capsys.readouterr().err.splitlines() if line]
    assert commands == [f"{name} LABEL" for name in names[2:]]


def test_without_a_terminal_it_prints_the_feedback_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    client = Client()
    audit.ask_for_labels(client, [SAMPLED])
    assert client.result == []
    assert "maskwatch feedback --audit 00000001-" in capsys.readouterr().err


def test_an_empty_sample_is_said(capsys):
    audit.ask_for_labels(Client(), [])
    assert capsys.readouterr().err == "maskwatch: none of these pictures is in the audit sample\n"
