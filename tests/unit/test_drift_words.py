"""`make drift` says in words what a run found, and why one failed."""

import io

import pytest

from infra.ops.drift import DriftRunError, run, words

NOTHING = {"n": 0, "of": 0, "accuracy": None}
DRAWN = {"n": 1_200, "of": 1_300, "accuracy": {"value": 0.934, "low": 0.918, "high": 0.947}}
CHOSEN = {"n": 1_360, "of": 130_000, "accuracy": {"value": 0.25}, "bounds": [0.0026, 0.9922]}
REPORT = {
    "verdict": "drift",
    "window": {"from": "2026-11-20T09:00:00Z", "to": "2026-11-21T09:00:00Z"},
    "counts": {"records": 12_345},
    "findings": [
        {"source": "gate-3", "words": "brightness is lower.", "confirmed": True},
        {"source": None, "words": "more answers are mask.", "confirmed": False},
    ],
    "accuracy": {"audit": DRAWN, "chosen": CHOSEN},
    "notes": ["12 records are not readable."],
}


class Lambda:
    """Answers as boto3's client does."""

    def __init__(self, payload, **more):
        self.answer = {"Payload": io.BytesIO(payload), **more}
        self.asked = None

    def invoke(self, **asked):
        self.asked = asked
        return self.answer


def test_a_report_is_told_from_the_verdict_to_the_notes():
    assert list(words(REPORT)) == [
        "Drift, in 12,345 predictions from 2026-11-20T09:00:00Z to 2026-11-21T09:00:00Z.",
        "  gate-3: brightness is lower.",
        "  not confirmed: more answers are mask.",
        (
            "Of the random audit sample, 1,200 of 1,300 are labelled, and 93.4% of these are right (95% interval "
            "91.8% to 94.7%)."
        ),
        (
            "People labelled 1,360 predictions, and mistakes are what people report. That 25.0% of these are right "
            "says no more of all 130,000 than that between 0.3% and 99.2% are."
        ),
        "12 records are not readable.",
    ]


def test_nothing_is_said_of_choice_where_the_audit_sample_is_all_that_was_judged():
    accuracy = {"audit": DRAWN, "chosen": DRAWN | {"of": 130_000, "bounds": [0.1, 0.9]}}

    assert not any("People labelled" in line for line in words({**REPORT, "accuracy": accuracy}))


@pytest.mark.parametrize("verdict", ["ok", "drift", "not enough", "no baseline", "other version"])
def test_every_verdict_has_its_words_and_accuracy_is_left_out_where_nobody_judged(verdict):
    accuracy = {"audit": NOTHING, "chosen": NOTHING}

    result = list(words({**REPORT, "verdict": verdict, "findings": [], "accuracy": accuracy, "notes": []}))

    assert len(result) == 1
    assert "12,345 predictions" in result[0]


def test_the_function_is_asked_for_the_window():
    client = Lambda(b'{"verdict": "ok"}')

    assert run("drift", {"hours": 24}, client) == {"verdict": "ok"}
    assert client.asked == {"FunctionName": "drift", "Payload": '{"hours": 24}'}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"errorType": "ValueError", "errorMessage": "`hours` must be"}', "`hours` must be"),
        (b"{}", "it crashed"),
    ],
)
def test_its_failure_is_told(payload, reason):
    with pytest.raises(DriftRunError, match=reason):
        run("drift", {}, Lambda(payload, FunctionError="Unhandled"))
