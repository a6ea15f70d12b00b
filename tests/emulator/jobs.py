"""The whole job of each function, done once under its own role; returns a result that is the same at every call."""

from __future__ import annotations

import gzip
import json
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from infra.local.template import ACCOUNT, REGION
from tests.alerts import delivery, line, subscribed
from tests.emulator.stack import wait_for
from tests.pictures import draw_face, draw_scene, encode
from tests.records import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.emulator.stack import Stack

EVENTS: Final = Path(__file__).parents[2] / "events"
# In the results bucket, but not readable by clients.
_NO_RESULTS: Final = ("backfill/1", "inventory/1", "preflight/1")
_SCENE: Final = encode(draw_scene())


def predict(stack: Stack) -> dict[str, Any]:
    """Start with the stack's release and score a picture."""
    event = json.loads((EVENTS / "predict-scene.json").read_text())
    answer = stack.invoke("PredictFunction", event, cold=True)
    body = json.loads(answer["body"])
    return {"status": answer["statusCode"], "label": body["label"], "model_version": body["model_version"]}


def batch(stack: Stack) -> dict[str, Any]:
    """Score a new upload, a replaced one and a deleted one, and bury a message after its last failure."""
    s3 = stack.client("s3")
    uploads, results = stack.outputs["UploadsBucket"], stack.outputs["ResultsBucket"]
    folder = uuid.uuid4()

    def put(name: str, picture: bytes) -> dict[str, Any]:
        put = s3.put_object(Bucket=uploads, Key=f"{folder}/{name}", Body=picture)
        return {"key": f"{folder}/{name}", "versionId": put["VersionId"], "eTag": put["ETag"].strip('"')}

    def deliver(*output: Mapping[str, Any], receives: int = 1, cold: bool = False) -> list[str]:
        messages = [_message(uploads, upload, receives) for upload in output]
        answer = stack.invoke("BatchFunction", {"Records": messages}, cold=cold)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def result(name: str) -> Any:
        return json.loads(s3.get_object(Bucket=results, Key=f"{folder}/{name}.json")["Body"].read())

    with _unread_queue(stack):
        first, gone = put("a.jpg", _SCENE), put("gone.jpg", _SCENE)
        s3.delete_object(Bucket=uploads, Key=gone["key"])
        failures = deliver(first, gone, cold=True)
        scored = result("a.jpg")
        second = put("a.jpg", encode(draw_face()))
        failures += deliver(first, second)  # the first notification is delivered again
        failures += deliver({"key": "x" * 1020}, receives=5)
    return {
        "failures": len(failures),
        "label": scored["prediction"]["label"],
        "model_version": scored["model_version"],
        "replaced": result("a.jpg")["upload"]["etag"] == second["eTag"] != scored["upload"]["etag"],
        "gone": result("gone.jpg")["problem"]["type"],
        "dead letters": _take_all(stack, "UploadsDeadLetters"),
    }


@contextmanager
def _unread_queue(stack: Stack) -> Iterator[None]:
    """Stop Lambda from reading the queue of uploads, so that the test can pass messages to Batch."""
    functions, mapping = stack.client("lambda"), stack.resources["BatchFunctionUploads"]
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    _take_all(stack, "UploadsDeadLetters")
    try:
        yield
    finally:
        _take_all(stack, "UploadsQueue")
        functions.update_event_source_mapping(UUID=mapping, Enabled=True)


def _take_all(stack: Stack, queue: str) -> int:
    """Empty a queue, and return how many messages it had."""
    sqs, url = stack.client("sqs"), stack.outputs[queue]
    name = "ApproximateNumberOfMessages"
    count = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
    sqs.purge_queue(QueueUrl=url)
    return int(count)


def portal(stack: Stack) -> dict[str, Any]:
    """Request every route once, and use the form of `POST /uploads`."""
    s3, insights = stack.client("s3"), stack.outputs["InsightsBucket"]
    for key in ("there.jpg", *_NO_RESULTS):
        s3.put_object(Bucket=stack.outputs["ResultsBucket"], Key=f"{key}.json", Body=b'{"status": "scored"}')
    s3.put_object(Bucket=insights, Key="drift/latest.json", Body=_latest())
    s3.put_object(Bucket=insights, Key=f"compliance/dt={_now():%Y-%m-%d}.json", Body=_summary(pictures=7))
    results = (f"/results/{key}" for key in ("there.jpg", "none.jpg", *_NO_RESULTS))
    paths = ("/", "/page/main.js", "/openapi.json", "/docs", "/drift", "/alerts", *results)
    statuses = {path: stack.request("GET", path).status_code for path in paths}
    compliance = stack.request("GET", f"/compliance?from={_now():%Y-%m-%d}")
    upload = stack.request("POST", "/uploads", json={"type": "image/jpeg", "source": "gate-1"}).json()
    posted = stack.emulator.post_form(upload["upload"]["url"], upload["upload"]["fields"], _SCENE)
    prediction = str(uuid.uuid4())
    for label in ("mask", "no_mask"):
        feedback = stack.request("POST", "/feedback", json={"prediction_id": prediction, "label": label})
    kept = s3.list_objects_v2(Bucket=insights, Prefix="feedback/").get("Contents", [])
    return {
        **statuses,
        "/compliance": compliance.json().get("total", {}).get("pictures"),
        "/uploads": posted,
        "/feedback": feedback.status_code,
        "feedback is stored": any(prediction in found["Key"] for found in kept),
    }


def drift(stack: Stack) -> dict[str, Any]:
    """Run Drift with a baseline, a few records and feedback, and return what it wrote.

    The records are too few for Evidently's report, which takes seconds and needs no permission.
    """
    s3, insights = stack.client("s3"), stack.outputs["InsightsBucket"]
    write_records(stack, 15)
    s3.put_object(Bucket=insights, Key="drift/latest.json", Body=_latest())
    for day in (_now(), _now() - timedelta(days=1)):
        s3.put_object(Bucket=insights, Key=f"compliance/dt={day:%Y-%m-%d}.json", Body=_summary(pictures=0))
    answer = stack.invoke("DriftFunction", {})
    report = json.loads(s3.get_object(Bucket=insights, Key="drift/latest.json")["Body"].read())
    return {
        "records": answer["counts"]["records"],
        "judged": report["accuracy"]["chosen"]["n"],
        "baseline": report["baseline"] and report["baseline"]["uri"],
        "written": sorted({key.partition("/")[0] for key in answer["written"]}),
    }


def alerts(stack: Stack) -> dict[str, Any]:
    """Set rules, raise an alert for one of two sources, end it, and count the notifications."""
    source, other, now = f"gate-{uuid.uuid4()}", f"ward-{uuid.uuid4()}", _now().timestamp()
    rule = {"any": True, "over_minutes": 1}
    rules = {"default": None, "sources": {source: rule, other: rule}}
    with subscribed(stack.client, stack.outputs["AlertsTopic"]) as messages:
        stack.client("dynamodb").put_item(
            TableName=stack.outputs["AlertsTable"],
            Item={"pk": {"S": "rules"}, "sk": {"S": "current"}, "document": {"S": json.dumps(rules)}},
        )
        version = serving_version(stack)
        seen = [(-2, "mask", source), (-1, "no_mask", source), (0, "mask", other)]
        lines = [line(now + second, label, source=one, version=version) for second, label, one in seen]
        counted = stack.invoke("AlertsFunction", delivery(lines), cold=True)["counted"]
        again = stack.invoke("AlertsFunction", delivery(lines[::-1]))["counted"]
        stack.invoke("AlertsFunction", {"time": f"{_now() + timedelta(minutes=3):%Y-%m-%dT%H:%M:%SZ}"})
        found = messages()
    mails = [each for each in found if "Subject" in each]
    events = [each["detail"] for each in found if each.get("detail-type") == "Mask alert"]
    mine = [each for each in events if each["source"] == source]  # earlier calls may have left alerts open
    return {
        "counted": (counted, again),
        "topic": sorted(
            each["Subject"].partition(":")[0]
            for each in mails
            if each["MessageAttributes"]["source"]["Value"] == source
        ),
        "events": sorted(each["status"] for each in mine),
        "precision": [list(each["precision"]) for each in mine],
        "of the other": [each["status"] for each in events if each["source"] == other],
    }


def write_records(stack: Stack, count: int) -> None:
    """Put a record for every other minute until now, as Firehose does, and feedback on two of them."""
    s3, now = stack.client("s3"), _now()
    rng = np.random.default_rng(0)
    version = serving_version(stack)
    ids = [str(uuid.UUID(int=number)) for number in range(count)]
    times = (now - timedelta(minutes=2 * number + 1) for number in range(count))
    lines = [drawn(rng, t, version=version, prediction_id=each) for t, each in zip(times, ids, strict=True)]
    body = gzip.compress("".join(lines).encode())
    s3.put_object(Bucket=stack.outputs["RecordsBucket"], Key=f"dt={now:%Y-%m-%d}/records.gz", Body=body)
    for prediction in ids[:2]:
        feedback = {"prediction_id": prediction, "label": "mask", "time": now.isoformat()}
        key = f"feedback/dt={now:%Y-%m-%d}/{prediction}.json"
        s3.put_object(Bucket=stack.outputs["InsightsBucket"], Key=key, Body=json.dumps(feedback))


def serving_version(stack: Stack) -> str:
    """Return the version of the serving release."""
    version: str = stack.request("GET", "/health", key=False).json()["model_version"]
    return version


def backfill(stack: Stack) -> dict[str, Any]:
    """Score the existing objects of the uploads bucket."""
    states, s3 = stack.client("stepfunctions"), stack.client("s3")
    prefix = f"{uuid.uuid4()}/"
    s3.put_object(Bucket=stack.outputs["UploadsBucket"], Key=f"{prefix}old.jpg", Body=_SCENE)
    execution = states.start_execution(
        stateMachineArn=stack.outputs["Backfill"], input=json.dumps({"prefix": prefix, "concurrency": 1})
    )["executionArn"]

    def ended() -> dict[str, Any] | None:
        output: dict[str, Any] = states.describe_execution(executionArn=execution)
        return output if output["status"] != "RUNNING" else None

    status = wait_for(ended)["status"]
    result = s3.get_object(Bucket=stack.outputs["ResultsBucket"], Key=f"{prefix}old.jpg.json")["Body"].read()
    return {"status": status, "result": json.loads(result)["status"]}


def preflight(stack: Stack) -> dict[str, str]:
    """Run the hook for each function, as CodeDeploy does before a version gets traffic."""
    verdicts = {}
    for function in ("PredictFunction", "BatchFunction", "PortalFunction"):
        deployment, execution = f"{function}DeploymentGroup/{uuid.uuid4()}", str(uuid.uuid4())
        stack.invoke("Preflight", {"DeploymentId": deployment, "LifecycleEventHookExecutionId": execution})
        output = [json.loads(asked.body) for asked in stack.standin.asked]
        (verdicts[function],) = (
            each["status"] for each in output if each.get("lifecycleEventHookExecutionId") == execution
        )
    return verdicts


def registry(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Fake SageMaker: one approved package in its group, whose name says where its release is.

    It also has a pipeline without executions.
    """
    if "PipelineName" in asked:
        start = "ClientRequestToken" in asked
        return {"PipelineExecutionArn": "arn:execution"} if start else {"PipelineExecutionSummaries": []}
    if "ModelPackageGroupName" in asked:
        return {"ModelPackageSummaryList": []}
    if "ModelPackageArn" in asked:
        return {"ModelPackageArn": asked["ModelPackageArn"]}
    place = asked["ModelPackageName"].partition("/s3/")[2]
    return {
        "ModelPackageGroupName": "maskwatch",
        "ModelPackageVersion": 1,
        "ModelApprovalStatus": "Approved",
        "CreationTime": _now().timestamp() - 60,
        "InferenceSpecification": {
            "Containers": [
                {"Image": "image", "ModelDataSource": {"S3DataSource": {"S3Uri": f"s3://{place}"}}}
            ]
        },
    }


def package(stack: Stack, release: str) -> str:
    """Return the ARN of the fake model package of a release; see `registry`."""
    place = f"{stack.outputs['ModelsBucket']}/{release}"
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/s3/{place}"


def approve(stack: Stack, release: str) -> str:
    """Pass the approval of a release to Promote; return what it wrote, or "waits"."""
    arn = package(stack, release)
    event = json.loads((EVENTS / "promote.json").read_text())
    event["Records"][0]["body"] = json.dumps({"detail": {"ModelPackageArn": arn}})
    if stack.invoke("PromoteFunction", event)["batchItemFailures"]:
        return "waits"
    updated = json.loads(stack.standin.asked[-1].body)
    assert updated["ModelPackageArn"] == arn
    return f"{updated['CustomerMetadataProperties']['promotion']}: {updated['ApprovalDescription']}"


def promote(stack: Stack) -> list[str]:
    """Refuse a missing release and a broken one; neither changes the stack."""
    models = stack.outputs["ModelsBucket"]
    stack.client("s3").put_object(Bucket=models, Key="models/broken/manifest.json", Body=b"{}")
    return [approve(stack, f"models/{release}/") for release in ("none", "broken")]


def _message(bucket: str, upload: Mapping[str, Any], receives: int) -> dict[str, Any]:
    body = {"Records": [{"s3": {"bucket": {"name": bucket}, "object": upload}}]}
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "handle",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def _now() -> datetime:
    return datetime.now(UTC)


def _latest() -> str:
    """A report on a window of yesterday."""
    return json.dumps({"window": {"to": (_now() - timedelta(days=1)).isoformat()}})


def _summary(pictures: int) -> str:
    """Drift's summary of a day."""
    counts = dict.fromkeys(("faces", "mask", "no_mask", "incorrect", "uncertain"), 0) | {"pictures": pictures}
    row = {"hour": f"{_now():%Y-%m-%d}T00:00:00Z", "source": "gate-1"} | counts
    return json.dumps({"written": _now().isoformat(), "rows": [row]})
