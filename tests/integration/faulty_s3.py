"""A proxy in front of S3 that injects the faults of S3 and networks."""

import http.client
import random
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

DENIED = "/denied"  # keys under it cannot be read, as without a permission
RATES = {  # of requests to S3
    "500": 0.08,
    "503": 0.08,
    "connection closed": 0.04,  # before the request was processed
    "answer lost": 0.04,  # after it was processed
    "answer cut short": 0.04,
    "4 seconds late": 0.01,
}
ERRORS = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}


class Proxy(ThreadingHTTPServer):
    """Forwards requests from a free port to `endpoint`, and counts the injected faults by kind."""

    daemon_threads = True

    def __init__(self, endpoint, seed):
        super().__init__(("127.0.0.1", 0), Request)
        self.behind, self.chance, self.faults = urlsplit(endpoint).netloc, random.Random(seed), Counter()  # noqa: S311
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Print nothing, because clients disconnect as part of the test."""


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.fault()
        if fault:
            self.server.faults[fault] += 1
        if fault in ERRORS:
            content = f"<Error><Code>{ERRORS[fault]}</Code><Message>injected</Message></Error>".encode()
            self.answer(int(fault), {"Content-Type": "application/xml"}, content, len(content))
        elif fault == "connection closed":
            self.close_connection = True
        else:
            self.forward(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do  # noqa: N815 -- the base class's names

    def fault(self):
        if self.command == "POST":  # a request to another service
            return None
        if self.command == "GET" and f"{DENIED}/" in self.path:
            return "403"
        kinds, rates = [None, *RATES], [1 - sum(RATES.values()), *RATES.values()]
        return self.server.chance.choices(kinds, rates)[0]

    def forward(self, body, fault):
        if fault == "4 seconds late":
            time.sleep(4)
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        got = connection.getresponse()
        content = got.read()
        connection.close()
        if fault == "answer lost":
            self.close_connection = True
            return
        headers = {k: v for k, v in got.getheaders() if k.lower() not in {"content-length", "connection"}}
        length = int(got.getheader("content-length", len(content)))
        if fault == "answer cut short":
            content = content[: len(content) // 2]
            self.close_connection = True
        self.answer(got.status, headers, content, length)

    def answer(self, status, headers, content, length):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        """Print no line for requests."""


@contextmanager
def faulty_s3(endpoint, seed):
    """Run a proxy, and yield it."""
    with Proxy(endpoint, seed) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
