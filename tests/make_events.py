"""Write the events of Predict's routes into events/: `python -m tests.make_events`."""

import base64
import json
from pathlib import Path

from tests.pictures import draw_face, encode

EVENTS = Path(__file__).parents[1] / "events"
HOST = "abcdef1234.execute-api.us-east-1.amazonaws.com"
BOUNDARY = "------------------------d74496d66958873e"


def api_event(
    method: str,
    path: str,
    *,
    content_type: str | None = None,
    body: str | bytes | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, object]:
    """What API Gateway's REST API hands to a function; a body of bytes arrives in base64, as a binary type's does."""
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
        "resource": path,
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
            "resourcePath": path,
            "stage": "v1",
        },
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": isinstance(body, bytes),
    }


def form(parts: dict[str, bytes], boundary: str = BOUNDARY) -> bytes:
    """The body of a multipart/form-data request as curl writes it."""
    body = b""
    for name, content in parts.items():
        of_file = '; filename="face.jpg"\r\nContent-Type: image/jpeg' if name == "file" else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{of_file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def predict_events() -> dict[str, dict[str, object]]:
    """By the name of the file, without its ending."""
    face = encode(draw_face(), quality=80)
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
        "predict-truncated": api_event(
            "POST", "/predict", content_type="image/jpeg", body=face[: len(face) // 2]
        ),
        "predict-broken-json": api_event(
            "POST", "/predict", content_type="application/json", body='{"image": "'
        ),
        "health": api_event("GET", "/health"),
    }


if __name__ == "__main__":
    for name, event in predict_events().items():
        (EVENTS / f"{name}.json").write_text(json.dumps(event, indent=2) + "\n")
