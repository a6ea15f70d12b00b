"""Each function does its whole job under its own role."""

import pytest

from tests.emulator import jobs
from tests.emulator.stack import FunctionError, operate, wait_for


def test_predict_starts_with_a_release_from_s3_and_scores(stack):
    assert jobs.predict(stack) == {"status": 200, "label": "mask", "model_version": "9.9.9"}


def test_batch_scores_uploads_and_sends_failures_to_the_dead_letters(stack):
    assert jobs.batch(stack) == {
        "failures": 0,
        "label": "mask",
        "model_version": "9.9.9",
        "replaced": True,
        "gone": "urn:maskwatch:problem:gone",
        "dead letters": 1,
    }


def test_portal_answers_on_every_route(stack):
    assert jobs.portal(stack) == {
        "/": 200,
        "/page/main.js": 200,
        "/openapi.json": 200,
        "/docs": 200,
        "/results/there.jpg": 200,
        "/results/none.jpg": 404,
        "/results/backfill/1": 404,
        "/results/inventory/1": 404,
        "/results/preflight/1": 404,
        "/drift": 200,
        "/alerts": 200,
        "/compliance": 7,
        "/uploads": 204,
        "/feedback": 202,
        "feedback is stored": True,
    }


def test_drift_reads_records_and_the_baseline_of_the_release(stack):
    assert jobs.drift(stack) == {
        "records": 15,
        "judged": 2,
        "baseline": f"s3://{stack.outputs['ModelsBucket']}/models/9.9.9/baseline.json",
        "written": ["compliance", "drift"],
    }


def test_alerts_counts_once_and_notifies_people_and_systems_of_begin_and_end(stack):
    assert jobs.alerts(stack) == {
        "counted": (3, 0),
        "topic": ["Alert over", "Masks missing"],
        "events": ["open", "over"],
        "precision": [["no_mask"], ["no_mask"]],
        "of the other": [],
    }


def test_backfill_scores_existing_objects(stack):
    assert jobs.backfill(stack) == {"status": "SUCCEEDED", "result": "scored"}


def test_drift_reads_records_and_a_baseline_of_the_stacks_own(everything):
    assert jobs.drift(everything)["baseline"] == everything.parameters["BaselineUri"]


def test_the_hook_approves_working_versions(stack):
    assert set(jobs.preflight(stack).values()) == {"Succeeded"}


def test_promote_makes_an_approved_release_serve(limited, release):
    operate(limited, "publish-model", str(release))

    assert jobs.approve(limited, "models/9.9.9/") == "waits"
    assert wait_for(
        lambda: (answer := jobs.approve(limited, "models/9.9.9/")) != "waits" and answer
    ).startswith("promoted: ")

    assert jobs.serving_version(limited) == "9.9.9"
    (found,) = limited.client("cloudformation").describe_stacks(StackName=limited.name)["Stacks"]
    values = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
    assert values["ModelUri"].startswith(f"s3://{limited.outputs['ModelsBucket']}/models/9.9.9/#")
    assert {name: values[name] for name in limited.parameters} == limited.parameters


def test_promote_cannot_update_another_stack(limited, stack):
    functions, name = limited.client("lambda"), limited.resources["PromoteFunction"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": before | {"STACK_ID": stack.arn}}
    )
    try:
        with pytest.raises(FunctionError, match="AccessDenied"):
            jobs.approve(limited, "models/9.9.9/")
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})
