"""The CodeDeploy hook checks a new version before it gets traffic, and always reports a status."""

import importlib
import io
import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from functions.inference import predict
from functions.inference.score_upload import Outcome
from functions.preflight import app
from functions.shared.contract import PREFLIGHT
from tests.template import stack_template

EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}
SERVICES = ("PREDICT", "BATCH", "PORTAL")
CONTEXT = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 60_000)


@pytest.fixture
def run_hook(monkeypatch):
    """Run the hook for a service whose version answers with `handler`; return the status that CodeDeploy gets."""

    def run(service, handler):
        result = []

        def invoke(FunctionName, Payload):  # noqa: N803 -- boto3's names
            assert FunctionName == f"arn:{service}:7"
            answer = handler(json.loads(Payload))
            return {
                "Payload": io.BytesIO(json.dumps(answer).encode()),
                **({"FunctionError": "Unhandled"} if "errorType" in answer else {}),
            }

        clients = {
            "lambda": SimpleNamespace(invoke=invoke),
            "codedeploy": SimpleNamespace(
                get_deployment=lambda **_: {"deploymentInfo": {"deploymentGroupName": f"group-{service}"}},
                put_lifecycle_event_hook_execution_status=lambda **request: result.append(request),
            ),
        }
        monkeypatch.setattr(app, "_client", lambda name, *_, **__: clients.get(name) or boto3.client(name))
        monkeypatch.setenv("UPLOADS_BUCKET", "uploads")
        for name in SERVICES:
            monkeypatch.setenv(name, f"group-{name} arn:{name}:7")
        app.handler(EVENT, None)
        (request,) = result
        assert (request["deploymentId"], request["lifecycleEventHookExecutionId"]) == ("d-1", "e-1")
        return request["status"]

    return run


@pytest.fixture
def buckets(moto):  # noqa: ARG001 -- an AWS account
    return {name: boto3.resource("s3").create_bucket(Bucket=name) for name in ("uploads", "results")}


@pytest.fixture
def batch(buckets, monkeypatch):  # noqa: ARG001 -- an S3 client is created at import
    monkeypatch.setenv("DEAD_LETTERS_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters")
    monkeypatch.setenv("MAX_RECEIVES", "5")
    monkeypatch.setenv("RESULTS_BUCKET", "results")
    monkeypatch.setenv("UPLOADS_BUCKET", "uploads")
    return importlib.reload(importlib.import_module("functions.inference.batch"))


def test_predict_scores_a_picture(run_hook, capsys):
    assert run_hook("PREDICT", lambda event: predict.handler(event, CONTEXT)) == "Succeeded"
    assert f'"source":"{PREFLIGHT}"' in capsys.readouterr().out


def test_batch_scores_an_object(run_hook, batch, buckets):
    assert run_hook("BATCH", lambda event: batch.handler(event, CONTEXT)) == "Succeeded"
    assert [item.key for item in buckets["results"].objects.all()] == ["preflight/d-1-0.png.json"]


def test_a_picture_that_the_live_version_scored_first_is_replaced_by_another(run_hook, batch, monkeypatch):
    outcomes = [Outcome.SKIPPED, Outcome.SCORED]
    monkeypatch.setattr(batch.scorer, "score", lambda *_: outcomes.pop(0))

    assert run_hook("BATCH", lambda event: batch.handler(event, CONTEXT)) == "Succeeded"
    assert outcomes == []


@pytest.mark.usefixtures("insights")
def test_portal_reads_s3(run_hook, portal):
    assert run_hook("PORTAL", lambda event: portal.handler(event, CONTEXT)) == "Succeeded"


def test_a_portal_that_cannot_read_its_bucket_fails(run_hook, portal):
    with mock_aws():  # the bucket does not exist
        assert run_hook("PORTAL", lambda event: portal.handler(event, CONTEXT)) == "Failed"


def test_a_batch_that_raises_an_error_fails(run_hook, batch, monkeypatch):
    monkeypatch.setattr(batch.scorer, "score", lambda *_: 1 / 0)

    assert run_hook("BATCH", lambda event: batch.handler(event, CONTEXT)) == "Failed"


def test_a_batch_that_never_scores_fails(run_hook, batch, monkeypatch):
    monkeypatch.setattr(batch.scorer, "score", lambda *_: Outcome.SKIPPED)

    assert run_hook("BATCH", lambda event: batch.handler(event, CONTEXT)) == "Failed"


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://lambda.us-east-1.amazonaws.com"),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Invoke"),
    ],
    ids=["timed out", "denied"],
)
def test_a_call_that_raises_fails_the_deployment(service, error, run_hook):
    def raise_error(_):
        raise error

    assert run_hook(service, raise_error) == "Failed"


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("service", SERVICES)
def test_a_version_that_cannot_start_fails(service, run_hook):
    crash = {"errorType": "ReleaseError", "errorMessage": "sha256 is …"}

    assert run_hook(service, lambda _: crash) == "Failed"


@pytest.mark.parametrize("service", ["PREDICT", "PORTAL"])
def test_a_version_that_answers_500_fails(service, run_hook):
    assert run_hook(service, lambda _: {"statusCode": 500, "body": "{}"}) == "Failed"


def test_an_unknown_deployment_group_fails(run_hook):
    assert run_hook("ALERTS", lambda _: {}) == "Failed"


def test_the_timeout_of_the_hook_covers_all_its_calls():
    resources = stack_template()["Resources"]
    timeouts = [resources[f"{name}Function"]["Properties"]["Timeout"] for name in ("Batch", "Portal")]
    of_version = (1 + app.MAX_UPLOADS) * (5 + app.VERSION_TIMEOUT)
    # Two attempts at each upload, and at each call of CodeDeploy.
    of_others = (app.MAX_UPLOADS + 2) * 2 * (5 + 10)

    assert max(timeouts) < app.VERSION_TIMEOUT
    assert resources["Preflight"]["Properties"]["Timeout"] > of_version + of_others
