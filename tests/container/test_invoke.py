"""The SAM CLI runs the images on every sample event, within the limits that the template sets."""

import json
import subprocess
from pathlib import Path

import boto3
import pytest
import yaml

from tests.container.images import IMAGES
from tests.system import ROOT

EVENTS = sorted(
    event for event in (ROOT / "events").glob("*.json") if "resource" in json.loads(event.read_text())
)
REFUSED = {
    "alerts": 500,  # here and below: there is no such table and no such bucket
    "compliance": 500,
    "compliance-csv": 500,
    "drift-report": 500,
    "feedback": 500,
    "feedback-uncertain": 400,
    "predict-broken-json": 400,
    "predict-truncated": 422,
    "result": 500,
    "upload-heic": 415,
}


def test_the_template_is_valid(sam):
    assert "is a valid SAM Template" in sam.run("validate", "--lint", "--template", "template.yaml").stdout


@pytest.fixture(scope="module")
def functions(sam):
    """A client of `sam local start-lambda`, which starts much faster than `sam local invoke` for each event."""
    session = boto3.Session("local", "local", region_name="us-east-1")
    with sam.serve("start-lambda", "/") as address:
        yield session.client("lambda", endpoint_url=address)


@pytest.mark.parametrize("event", EVENTS, ids=[event.stem for event in EVENTS])
def test_every_event_is_answered(functions, routes, event):
    function = routes[json.loads(event.read_text())["resource"]]

    answer = json.load(functions.invoke(FunctionName=function, Payload=event.read_bytes())["Payload"])

    assert answer["statusCode"] == REFUSED.get(event.stem, 200), answer["body"][:500]
    content_type = answer["multiValueHeaders"]["Content-Type"][0]
    if content_type.startswith("application/"):
        assert isinstance(json.loads(answer["body"]), dict)
    if event.stem in REFUSED:
        assert content_type == "application/problem+json"


def test_an_event_is_answered_by_sam_local_invoke(sam):
    answer = sam.invoke("PredictFunction", ROOT / "events" / "predict-json.json").answer

    assert answer["statusCode"] == 200


def test_the_test_event_of_s3_is_accepted(functions):
    event = (ROOT / "events" / "batch-test.json").read_bytes()

    answer = json.load(functions.invoke(FunctionName="BatchFunction", Payload=event)["Payload"])

    assert answer == {"batchItemFailures": []}


PROBE = """
import os, time
def sleep(event, context): time.sleep(60)
def hoard(event, context):
    held = []
    while True: held.append(b"x" * 2**24)
def limits(event, context):
    left = context.get_remaining_time_in_millis()
    return {"memory": os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "left": left}
"""


@pytest.fixture(scope="session")
def probe(sam, tmp_path_factory):
    """A copy of the built template whose Predict runs a function of the probe in the same image."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.py").write_text(PROBE)
    (folder / "Dockerfile").write_text(f"FROM {IMAGES['PredictFunction']}\nCOPY probe.py /var/task/\n")
    subprocess.run(["docker", "build", "-q", "-t", "maskwatch-probe:test", folder], check=True)
    (folder / "event.json").write_text("{}")

    def run(handler, *parameters):
        text = sam.template.read_text()
        template = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 -- our own file, tags left out
        function = template["Resources"]["PredictFunction"]["Properties"]
        command = function["ImageConfig"]["Command"][0]
        text = text.replace(command, f"probe.{handler}").replace(function["ImageUri"], "maskwatch-probe:test")
        path = Path(sam.template.parent, f"{handler}.yaml")
        path.write_text(text, encoding="utf-8")
        return sam.invoke("PredictFunction", folder / "event.json", *parameters, template=path)

    return run


def test_memory_and_timeout_reach_the_function(probe):
    answer = probe("limits", "PredictMemory=512", "PredictTimeout=7").answer

    assert answer["memory"] == "512"
    assert 0 < answer["left"] <= 7000


def test_the_timeout_is_enforced(probe):
    ended = probe("sleep", "PredictTimeout=3")

    # Of the SAM CLI, which says so in its log, and the runtime, which answers it, either may be first.
    assert "timed out after 3" in ended.stdout + ended.log


def test_the_memory_limit_is_enforced(probe):
    answer = probe("hoard", "PredictMemory=512", "PredictTimeout=29").answer

    assert answer["errorMessage"].endswith("signal: killed")
