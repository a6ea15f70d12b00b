"""A fake API that records requests and answers them as a test specifies."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

COUNTS = {"mask": 0, "no_mask": 0, "incorrect": 0, "uncertain": 0}


def prediction(*labels, width=640, height=480, box=None):
    """Return an answer of POST /predict with faces of these labels, or about a whole picture without faces."""
    box = box or {"left": 200, "top": 100, "width": 80, "height": 100}
    classifications = [
        {"label": label, "confidence": 0.95, "probabilities": {"mask": 0.95, "no_mask": 0.05, "incorrect": 0}}
        for label in labels or ("no_mask",)
    ]
    summary = {"faces": len(labels)} | {label: labels.count(label) for label in COUNTS}
    return {
        "prediction_id": "5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11",
        **classifications[0],
        "classified": "face" if labels else "picture",
        "image": {"width": width, "height": height},
        "rotated": 0,
        "faces": [
            {"box": box, "detection_confidence": 0.99} | classification
            for classification in classifications[: len(labels)]
        ],
        "summary": summary,
        "model_version": "1",
    }


def problem(identifier, status, detail):
    """Return a refusal: its status and its document."""
    kind = f"urn:maskwatch:problem:{identifier}"
    return status, {"type": kind, "title": "T", "status": status, "detail": detail}


@dataclass(frozen=True)
class Asked:
    """A received request."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes


@dataclass
class Service:
    """Answers a request with `answer(request)`: a document, or status, document or text, and headers."""

    answer: object = None
    url: str = ""
    asked: list = field(default_factory=list)


@contextmanager
def serving():
    """Run a fake API on a free port."""
    service, lock = Service(), Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            address = urlsplit(self.path)
            query = {k: v[-1] for k, v in parse_qs(address.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            request = Asked(self.command, address.path, query, dict(self.headers), body)
            with lock:
                service.asked.append(request)
            answer = service.answer(request)
            status, document, *headers = answer if isinstance(answer, tuple) else (200, answer)
            text = document if isinstance(document, str) else json.dumps(document)
            kind = "application/problem+json" if status >= 400 else "application/json"
            self.send_response(status)
            for name, value in ({"content-type": kind} | dict(headers)).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 -- the name that http.server calls

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        service.url = f"http://127.0.0.1:{server.server_port}/v1"
        yield service
        server.shutdown()
