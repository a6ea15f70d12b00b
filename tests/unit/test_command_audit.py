"""`maskwatch predict --audit` asks what drawn pictures show, and tells the service that they were drawn."""

import sys
import uuid
from types import SimpleNamespace

import numpy as np
import pytest

from functions.shared.contract import in_audit_sample
from maskwatch.audit import ask, is_drawn
from maskwatch.output import Outcome
from tests.system import ROOT

DRAWN = Outcome("a.jpg", {"prediction_id": "00000001-0000-4000-8000-000000000000", "label": "mask"})


class Client:
    def __init__(self):
        self.result = []

    def feedback(self, name, label, *, audit):
        self.result.append((name, label, audit))


def test_the_sample_is_that_of_the_service():
    rng = np.random.default_rng(0)
    ids = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(5_000)]
    assert [is_drawn(name) for name in ids] == [in_audit_sample(name) for name in ids]
    assert any(map(is_drawn, ids))
    script = (ROOT / "functions" / "portal" / "page" / "picture.js").read_text()
    assert "parseInt(id.slice(0, 8), 16) < 0.01 * 2 ** 32" in script


@pytest.mark.parametrize(("typed", "label"), [("2", "no_mask"), (" 1 ", "mask"), ("", None), ("x", None)])
def test_a_drawn_picture_is_asked_about(monkeypatch, typed, label):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _: typed)
    client = Client()
    ask(client, [DRAWN])
    assert client.result == ([(DRAWN.answer["prediction_id"], label, True)] if label else [])


def test_without_a_terminal_it_says_how(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    client = Client()
    ask(client, [DRAWN])
    assert client.result == []
    assert "maskwatch feedback --audit 00000001-" in capsys.readouterr().err
