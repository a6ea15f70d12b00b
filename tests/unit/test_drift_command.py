"""`make drift` describes the report of a run, or why the run failed."""

import io

import pytest

from infra.ops.drift import describe, run
from infra.ops.errors import OpsError

NOTHING = {"n": 0, "of": 0, "accuracy": None}
AUDIT = {"n": 1_200, "of": 1_300, "accuracy": {"value": 0.934, "low": 0.918, "high": 0.947}}
CHOSEN = {"n": 1_360, "of": 130_000, "accuracy": {"value": 0.25}, "bounds": [0.0026, 0.9922]}
REPORT = {
    "verdict": "drift",
    "window": {"from": "2026-11-20T09:00:00Z", "to": "2026-11-21T09:00:00Z"},
    "counts": {"records": 12_345},
    "findings": [
        {"source": "gate-3", "words": "brightness is lower.", "confirmed": True},
        {"source": None, "words": "more answers are mask.", "confirmed": False},
    ],
    "accuracy": {"audit": AUDIT, "chosen": CHOSEN},
    "notes": ["12 records are not readable."],
}


class Lambda:
    """Stands in for boto3's client."""

    def __init__(self, payload, **more):
        self.answer = {"Payload": io.BytesIO(payload), **more}
        self.request = None

    def invoke(self, **request):
        self.request = request
        return self.answer


def test_a_report_is_described_from_the_verdict_to_the_notes():
    assert list(describe(REPORT)) == [
        "Drift, in 12,345 predictions from 2026-11-20T09:00:00Z to 2026-11-21T09:00:00Z.",
        "  gate-3: brightness is lower.",
        "  not confirmed: more answers are mask.",
        (
            "Of the random audit sample, 1,200 of 1,300 are labelled, and 93.4% of these are right (95% interval "
            "91.8% to 94.7%)."
        ),
        (
            "People labelled 1,360 predictions, of which 25.0% are right. As people mostly report mistakes, this "
            "only shows that between 0.3% and 99.2% of all 130,000 are right."
        ),
        "12 records are not readable.",
    ]


def test_labels_chosen_by_people_are_left_out_if_all_labels_are_of_the_audit_sample():
    accuracy = {"audit": AUDIT, "chosen": AUDIT | {"of": 130_000, "bounds": [0.1, 0.9]}}

    assert not any("People labelled" in line for line in describe({**REPORT, "accuracy": accuracy}))


@pytest.mark.parametrize("verdict", ["ok", "drift", "not enough", "no baseline", "other version"])
def test_every_verdict_has_a_description_and_accuracy_is_left_out_without_labels(verdict):
    accuracy = {"audit": NOTHING, "chosen": NOTHING}

    result = list(describe({**REPORT, "verdict": verdict, "findings": [], "accuracy": accuracy, "notes": []}))

    assert len(result) == 1
    assert "12,345 predictions" in result[0]


def test_the_function_is_invoked_with_the_window():
    client = Lambda(b'{"verdict": "ok"}')

    assert run("drift", {"hours": 24}, client) == {"verdict": "ok"}
    assert client.request == {"FunctionName": "drift", "Payload": '{"hours": 24}'}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"errorType": "ValueError", "errorMessage": "`hours` must be"}', "`hours` must be"),
        (b"{}", "it crashed"),
    ],
)
def test_a_failure_is_reported(payload, reason):
    with pytest.raises(OpsError, match=reason):
        run("drift", {}, Lambda(payload, FunctionError="Unhandled"))
