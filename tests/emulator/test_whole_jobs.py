"""Each function does its whole job under its own role."""

from tests.emulator import jobs


def test_predict_starts_with_a_release_from_s3_and_scores(stack):
    assert jobs.predict(stack) == {"status": 200, "label": "mask", "model_version": "9.9.9"}


def test_batch_scores_replaced_and_deleted_uploads_and_buries_what_fails(stack):
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
        "/compliance": 7,
        "/uploads": 204,
        "/feedback": 202,
        "feedback is kept": True,
    }


def test_drift_reads_records_and_the_baseline_of_the_release(stack):
    assert jobs.drift(stack) == {
        "records": 20,
        "judged": 2,
        "baseline": f"s3://{stack.outputs['ModelsBucket']}/models/9.9.9/baseline.json",
        "written": ["compliance", "drift"],
    }


def test_backfill_scores_what_is_there(stack):
    assert jobs.backfill(stack) == {"status": "SUCCEEDED", "result": "scored"}


def test_drift_reads_records_and_a_baseline_of_the_stacks_own(everything):
    assert jobs.drift(everything)["baseline"] == everything.parameters["BaselineUri"]


def test_the_hook_approves_versions_that_do_their_job(stack):
    assert set(jobs.preflight(stack).values()) == {"Succeeded"}
