"""Write a sample event per function and route into events/: `python -m tests.make_events`."""

import base64
import hashlib
import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

from tests.alerts import START, delivery, line
from tests.pictures import draw_face, draw_scene, encode
from tests.system import ROOT

EVENTS = ROOT / "events"
CONTEXT = SimpleNamespace(aws_request_id="1")
HOST = "abcdef1234.execute-api.us-east-1.amazonaws.com"
BOUNDARY = "------------------------d74496d66958873e"


def sample_event(name: str) -> Any:
    """Return an event of events/ by its name."""
    return json.loads((EVENTS / f"{name}.json").read_text())


def api_event(
    method: str,
    path: str,
    *,
    content_type: str | None = None,
    body: str | bytes | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    resource: str | None = None,
) -> dict[str, object]:
    """Return a REST API's proxy event; a body of bytes is encoded as base64, as for binary media types."""
    sent = {
        "Accept": "*/*",
        **({"Content-Type": content_type} if content_type else {}),
        "Host": HOST,
        "User-Agent": "curl/8.5.0",
        "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **(headers or {}),
    }
    return {
        "resource": resource or path,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query and {name: [value] for name, value in query.items()},
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": HOST.partition(".")[0],
            "domainName": HOST,
            "domainPrefix": HOST.partition(".")[0],
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "curl/8.5.0"},
            "path": f"/v1{path}",
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "requestTime": "21/Nov/2026:09:00:00 +0000",
            "requestTimeEpoch": 1795251600000,
            "resourceId": "abc123",
            "resourcePath": resource or path,
            "stage": "v1",
        },
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
    }


def form(parts: dict[str, bytes], boundary: str = BOUNDARY) -> bytes:
    """Return the body of a multipart/form-data request as curl writes it."""
    body = b""
    for name, content in parts.items():
        of_file = '; filename="face.jpg"\r\nContent-Type: image/jpeg' if name == "file" else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{of_file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def predict_events() -> dict[str, dict[str, object]]:
    """Return the events by file name, without the ending."""
    face = encode(draw_face(), quality=80)
    scene = encode(draw_scene(), quality=80)
    text = base64.b64encode(face).decode()
    multipart = f"multipart/form-data; boundary={BOUNDARY}"

    def as_json(**fields: object) -> dict[str, object]:
        return api_event("POST", "/predict", content_type="application/json", body=json.dumps(fields))

    return {
        "predict-json": as_json(image=text, source="gate-3"),
        "predict-data-uri": as_json(image=f"data:image/jpeg;base64,{text}", min_confidence=0.6),
        "predict-binary": api_event(
            "POST", "/predict", content_type="image/jpeg", body=face, query={"source": "gate-3"}
        ),
        "predict-multipart": api_event(
            "POST", "/predict", content_type=multipart, body=form({"file": face, "source": b"gate-3"})
        ),
        "predict-scene": api_event(
            "POST",
            "/predict",
            content_type="image/jpeg",
            body=scene,
            query={"max_faces": "2", "min_face": "40"},
        ),
        "predict-cut-out": api_event(
            "POST", "/predict", content_type="image/jpeg", body=face, query={"detect": "false"}
        ),
        "predict-truncated": api_event(
            "POST", "/predict", content_type="image/jpeg", body=face[: len(face) // 2]
        ),
        "predict-broken-json": api_event(
            "POST", "/predict", content_type="application/json", body='{"image": "'
        ),
        "health": api_event("GET", "/health"),
    }


def upload_events() -> dict[str, dict[str, object]]:
    """Return the events by file name, without the ending."""

    def request(**fields: object) -> dict[str, object]:
        return api_event("POST", "/uploads", content_type="application/json", body=json.dumps(fields))

    key = "2026/11/gate%203/face.jpg"  # a REST API does not decode paths and their parameters
    result = api_event("GET", f"/results/{key}", resource="/results/{key+}")
    return {
        "upload": request(type="image/jpeg", source="gate-3"),
        "upload-heic": request(type="image/heic"),
        "result": result | {"pathParameters": {"key": key}},
    }


def monitoring_events() -> dict[str, dict[str, object]]:
    """Return the events by file name, without the ending."""

    def feedback(label: str) -> dict[str, object]:
        body = {"prediction_id": "5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11", "label": label}
        return api_event("POST", "/feedback", content_type="application/json", body=json.dumps(body))

    days = {"from": "2026-11-16", "to": "2026-11-22T11"}
    return {
        "feedback": feedback("no_mask"),
        "feedback-uncertain": feedback("uncertain"),
        "compliance": api_event("GET", "/compliance", query=days),
        "compliance-csv": api_event(
            "GET", "/compliance", query={**days, "by": "hour", "source": "gate-3", "format": "csv"}
        ),
        "drift-report": api_event("GET", "/drift"),
        "alerts": api_event("GET", "/alerts", query={"from": "2026-11-16", "source": "gate-3"}),
    }


def sqs_event(*bodies: object, queue: str = "uploads") -> dict[str, object]:
    """Return the event of a function that reads a queue, with a message for each body."""
    attributes = {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": "1795251600000",
        "SenderId": "AIDAJHIPRHEMV73VRJEBU",
        "ApproximateFirstReceiveTimestamp": "1795251600500",
    }
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-66197500000{number}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": json.dumps(body),
                "attributes": attributes,
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(json.dumps(body).encode(), usedforsecurity=False).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def s3_notification(key: str) -> dict[str, object]:
    """Return S3's notification of a new object."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-21T09:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {
                "name": "uploads",
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": "arn:aws:s3:::uploads",
            },
            "object": {"key": quote_plus(key), "size": 3768, "sequencer": "0055AED6DCD90281E5"},
        },
    }
    return {"Records": [record]}


def batch_events() -> dict[str, dict[str, object]]:
    """Return the events by file name, without the ending."""
    test = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-11-21T09:00:00.000Z",
        "Bucket": "uploads",
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
    }
    return {
        "batch-test": sqs_event(test),
        "batch-pictures": sqs_event(s3_notification("gate 3/face é.jpg"), s3_notification("damaged.jpg")),
    }


def drift_events() -> dict[str, dict[str, object]]:
    """Return the events of the schedule and of a manual run, by file name, without the ending."""
    return {
        "drift": {"to": "2026-11-21T09:00:00Z"},
        "drift-window": {"to": "2026-11-21T00:00:00+01:00", "hours": 168},
    }


def alert_events() -> dict[str, dict[str, object]]:
    """Return the events of the subscription and of the schedule, by file name, without the ending."""
    lines = [line(START + n, "no_mask", prediction_id=f"00000000-0000-4000-8000-{n:012}") for n in range(2)]
    return {"alerts-records": delivery(lines), "alerts-minute": {"time": "2026-11-24T09:10:00Z"}}


def eventbridge_event(
    service: str, detail_type: str, resource: str, detail: dict[str, object], event_id: str
) -> dict[str, object]:
    """Return an event of an AWS service as EventBridge delivers it; `resource` is the last part of an ARN."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": f"aws.{service}",
        "account": "123456789012",
        "time": "2026-11-26T09:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:{service}:us-east-1:123456789012:{resource}"],
        "detail": detail,
    }


def retrain_events() -> dict[str, dict[str, object]]:
    """Return the event of an alarm, by file name, without the ending."""
    name = "maskwatch-DriftAlarm-1ABC2DEF3GHI"
    alarm = eventbridge_event(
        "cloudwatch",
        "CloudWatch Alarm State Change",
        f"alarm:{name}",
        {"alarmName": name, "state": {"value": "ALARM"}, "previousState": {"value": "OK"}},
        "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
    )
    return {"retrain": alarm}


def promote_events() -> dict[str, dict[str, object]]:
    """Return the event of an approval, in Promote's queue, by file name, without the ending."""
    package = "model-package/maskwatch/1"
    approval = eventbridge_event(
        "sagemaker",
        "SageMaker Model Package State Change",
        package,
        {
            "ModelPackageGroupName": "maskwatch",
            "ModelPackageVersion": 1,
            "ModelPackageArn": f"arn:aws:sagemaker:us-east-1:123456789012:{package}",
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": "Approved",
        },
        "844e2571-85d4-695f-b930-0153b71dcb42",
    )
    return {"promote": sqs_event(approval, queue="promote")}


if __name__ == "__main__":
    for name, event in {
        **predict_events(),
        **upload_events(),
        **monitoring_events(),
        **batch_events(),
        **drift_events(),
        **alert_events(),
        **promote_events(),
        **retrain_events(),
    }.items():
        (EVENTS / f"{name}.json").write_text(json.dumps(event, indent=2) + "\n")
