"""The client handles unexpected answers."""

import errno
import json
import socket
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import boto3
import pytest
import urllib3

from infra.ops.address import address
from infra.ops.errors import OpsError
from maskwatch import client as client_module
from maskwatch.client import ApiError, Client, UnreachableError
from tests.service import prediction, problem, serving

PROBLEM = {
    "type": "urn:maskwatch:problem:too-small",
    "title": "T",
    "status": 422,
    "detail": "Send a larger one.",
}
PREDICTION = prediction("mask")


@pytest.fixture
def answers():
    """The answers of the service, in order: status, content type and body."""
    return []


@pytest.fixture
def asked():
    """The received requests: method, path, headers."""
    return []


@pytest.fixture
def client(answers, asked, monkeypatch):
    class Service(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.command, self.path, dict(self.headers)))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, content_type, body = answers.pop(0)
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 -- a name that http.server looks for

        def log_message(self, *_):
            pass

    retries = client_module._RETRIES.new(backoff_factor=0, backoff_jitter=0)  # noqa: SLF001 -- not to wait
    monkeypatch.setattr(client_module, "_RETRIES", retries)
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Client(f"http://127.0.0.1:{server.server_port}/v1/", "secret")
        server.shutdown()


def as_json(body, status=200, content_type="application/json"):
    return status, content_type, json.dumps(body).encode()


def test_requests_have_the_key_and_the_stage(client, answers, asked):
    answers.append(as_json(PREDICTION))

    client.predict(b"picture", "image/png", source="gate 3", min_confidence="0.6")

    method, path, headers = asked[0]
    assert (method, path) == ("POST", "/v1/predict?source=gate+3&min_confidence=0.6")
    assert headers["x-api-key"] == "secret"
    assert headers["content-type"] == "image/png"


@pytest.mark.parametrize("content_type", ["application/problem+json", "application/json"])
def test_a_problem_raises_an_error_with_the_service_s_detail(client, answers, content_type):
    answers.append(as_json(PROBLEM, 422, content_type))

    with pytest.raises(ApiError, match=r"^Send a larger one\.$") as refused:
        client.predict(b"picture", "image/png")
    assert refused.value.problem == "too-small"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("retry", [True, False])
def test_a_redirect_is_not_followed(status, retry):
    with serving() as other, serving() as service:
        other.answer = lambda _: {"label": "mask", "upload": "ok"}
        client = Client(service.url, "secret", retry=retry)
        service.answer = lambda asked: (status, "", ("location", f"{other.url}{asked.path}?a=b"))
        for ask in (
            client.health,
            client.compliance_csv,
            lambda: client.predict(b"picture", source="gate 3"),
        ):
            with pytest.raises(UnreachableError, match=f"redirect to {other.url}/.*: check the address"):
                ask()
        slot = {"key": "k", "upload": {"url": f"{service.url}/s3", "fields": {}}, "max_bytes": 9}
        redirect = service.answer
        service.answer = lambda asked: slot if asked.path.endswith("uploads") else redirect(asked)
        with pytest.raises(UnreachableError, match="answered with a redirect"):
            client.upload(b"picture", "image/png")
        assert other.asked == []
        assert len(service.asked) == 5


@pytest.mark.parametrize(
    "headers", [[("location", "/v2/health")], [("location", "https://me:hidden@[x")], []]
)
def test_a_redirect_to_nowhere_is_reported(headers):
    with serving() as service:
        service.answer = lambda _: (302, "", *headers)
        with pytest.raises(UnreachableError, match="answered with a redirect to") as answer:
            Client(service.url, "secret").health()
        assert "hidden" not in str(answer.value)


def test_s3_s_refusal_is_read_from_its_xml(client, answers):
    url = f"{client._url}bucket"  # noqa: SLF001
    answer = {"key": "k", "upload": {"url": url, "fields": {"key": "k"}}, "max_bytes": 9}
    xml = b"<Error><Code>EntityTooSmall</Code><Message>Your proposed upload is smaller</Message></Error>"
    answers += [as_json(answer), (400, "application/xml", xml)]

    with pytest.raises(ApiError, match="answered 400: Your proposed upload is smaller"):
        client.upload(b"", "image/png")


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), ("soon", 0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)])
def test_without_retries_the_error_has_the_retry_after(value, seconds):
    with serving() as service:
        service.answer = lambda _: (*problem("throttled", 429, "Slow down."), ("retry-after", value))
        with pytest.raises(ApiError, match="Slow down") as refused:
            Client(service.url, "secret", retry=False).health()
    assert (refused.value.status, refused.value.after, len(service.asked)) == (429, seconds, 1)


def test_a_short_pause_is_made(monkeypatch):
    """As a proxy or a load balancer asks for it, whose server starts again."""
    paused = []
    monkeypatch.setattr("time.sleep", paused.append)
    with serving() as service:
        answers = [(*problem("internal", 503, "Later."), ("retry-after", "1"))] * 4
        service.answer = lambda _: answers.pop() if answers else {"status": "ok"}
        assert Client(service.url, "secret").health() == {"status": "ok"}
    assert paused == [1] * 4


def test_a_longer_pause_is_left_to_the_caller(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    with serving() as service:
        service.answer = lambda _: (*problem("not-in-time", 503, "Too much."), ("retry-after", "60"))
        with pytest.raises(ApiError, match="Too much") as refused:
            Client(service.url, "secret").compliance()
    assert (refused.value.after, len(service.asked)) == (60, 1)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_transient_failure_is_retried(client, answers, asked, status):
    answers += [(status, "text/html", b"later"), as_json(PREDICTION)]

    assert client.predict(b"picture", "image/png") == PREDICTION
    assert len(asked) == 2


@pytest.mark.parametrize(
    "send",
    [
        lambda client, picture: client.predict(picture),
        lambda client, picture: client.upload(picture, "image/png"),
    ],
)
def test_a_picture_that_leaves_slowly_is_sent_once(monkeypatch, send):
    monkeypatch.setattr(client_module, "_TIMEOUT", 0.5)
    with serving() as service:
        slot = {"key": "k", "upload": {"url": f"{service.url}/s3", "fields": {}}, "max_bytes": 10**8}

        def answer(asked):
            if asked.path.endswith("uploads"):
                return slot
            time.sleep(1)  # as long as the kernel still sends what it has buffered
            return (201, "") if asked.path.endswith("s3") else PREDICTION

        service.answer = answer
        send(Client(service.url, "secret"), bytes(100_000))
        assert [len(asked.body) >= 100_000 for asked in service.asked].count(True) == 1


def test_pictures_that_share_a_slow_line_are_sent_once(monkeypatch):
    monkeypatch.setattr(client_module, "_TIMEOUT", 0.5)
    with serving() as service:
        service.answer = lambda _: time.sleep(1) or PREDICTION
        assert Client(service.url, "secret", 8, retry=False).predict(bytes(2_000)) == PREDICTION


XML = "<Error><Code>{}</Code><Message>{}</Message></Error>"
STALLED = (400, XML.format("RequestTimeout", "Your socket connection to the server was not read from …"))
EXPIRED = (403, XML.format("AccessDenied", "Invalid according to Policy: Policy expired."))


def uploading(service, *answers):
    """Answer requests for forms, and uploads to S3 with these in order."""
    slot = {"key": "k", "upload": {"url": f"{service.url}/s3", "fields": {}}, "max_bytes": 9}
    left = iter(answers)
    service.answer = lambda asked: next(left) if asked.path.endswith("s3") else slot


@pytest.mark.parametrize("refused", [STALLED, EXPIRED, (408, "")])
def test_an_upload_that_was_too_slow_is_repeated_with_a_form_that_is_valid(refused):
    with serving() as service:
        uploading(service, refused, (204, ""))
        assert Client(service.url, "secret").upload(b"picture", "image/png") == "k"


def test_an_upload_that_stalls_each_time_may_succeed_later():
    with serving() as service:
        uploading(service, *[STALLED] * 3)
        with pytest.raises(ApiError, match="answered 400: Your socket connection") as refused:
            Client(service.url, "secret").upload(b"picture", "image/png")
        assert refused.value.transient


@pytest.mark.parametrize("status", [200, 202])
def test_an_answer_that_is_not_s3_s_is_no_upload(status):
    with serving() as service:
        uploading(service, (status, "<html>Your organization blocks uploads</html>"))
        with pytest.raises(UnreachableError, match=f"/s3 answered {status}, but not as S3 does"):
            Client(service.url, "secret").upload(b"picture", "image/png")


def test_a_picture_that_the_kernel_cannot_buffer_has_time_to_leave(monkeypatch):
    monkeypatch.setattr(client_module, "_TIMEOUT", 0.5)

    def serve():
        connection, _ = server.accept()
        with connection:
            time.sleep(1)
            received = b""
            while not received.endswith(b"end"):
                received = received[-3:] + connection.recv(1_000_000)
            connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{"summary": 1}')

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, daemon=True).start()
        client = Client(f"http://127.0.0.1:{server.getsockname()[1]}", "secret", retry=False)
        assert client.predict(bytes(20_000_000) + b"end") == {"summary": 1}


def test_a_key_is_encoded_once(client, answers, asked):
    answers.append(as_json({"status": "scored"}))

    client.result("a/b c%20?#ü.jpg")

    assert asked[0][1] == "/v1/results/a/b%20c%2520%3F%23%C3%BC.jpg"


def test_a_lasting_failure_is_raised_after_the_retries(client, answers, asked):
    answers += [(503, "text/plain", b"busy")] * 7

    with pytest.raises(ApiError, match="answered 503: busy"):
        client.health()
    assert len(asked) == 7


@pytest.mark.parametrize(
    ("identifier", "headers"), [("no-result", ()), ("not-found", [("retry-after", "2")])]
)
def test_a_result_is_none_only_while_it_is_pending(identifier, headers):
    with serving() as service:
        client = Client(service.url, "secret")
        service.answer = lambda _: (*problem("no-result", 404, "Not yet."), ("retry-after", "2"))
        assert client.result("a.jpg") is None

        service.answer = lambda _: (*problem(identifier, 404, "Never."), *headers)
        with pytest.raises(ApiError, match="Never"):
            client.result("a.jpg")


def test_an_unreachable_service_is_reported(monkeypatch):
    monkeypatch.setattr(client_module, "_RETRIES", urllib3.Retry(connect=0))

    with pytest.raises(ApiError, match=r"http://127.0.0.1:9/health cannot be reached"):
        Client("http://127.0.0.1:9/", "local").health()


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("urllib3.util.connection.create_connection", ConnectionRefusedError),
        ("urllib3.connection.HTTPConnection.request", TimeoutError),  # of a firewall that says nothing
    ],
)
def test_a_request_is_tried_more_often_once_the_address_has_proved_right(
    client, answers, monkeypatch, place, error
):
    attempts = []

    def fail(*_, **__):
        attempts.append(1)
        raise error

    def attempts_without_network():
        attempts.clear()
        with monkeypatch.context() as patch:
            patch.setattr(place, fail)
            with pytest.raises(UnreachableError):
                client.health()
        return len(attempts)

    assert attempts_without_network() == 3
    answers.append(as_json({"status": "ok"}))
    client.health()
    assert attempts_without_network() == 7


@pytest.mark.parametrize(
    "password", ["hidden", "hidden/hidden", "hidden?hidden", "hidden#hidden", "12/hidden"]
)
def test_a_password_in_the_address_is_not_shown(monkeypatch, password):
    monkeypatch.setattr(client_module, "_RETRIES", urllib3.Retry(connect=0))

    with pytest.raises(UnreachableError) as answer:
        Client(f"http://127.0.0.1:{password}@127.0.0.1:9/v1", "local").predict(b"", source="gate 3")
    assert str(answer.value).startswith("http://127.0.0.1:9/v1/predict cannot be ")
    assert "hidden" not in str(answer.value)


def test_the_reason_has_no_names_of_python_classes(monkeypatch):
    monkeypatch.setattr(client_module, "_RETRIES", urllib3.Retry(connect=0))

    with pytest.raises(UnreachableError) as answer:
        Client("http://127.0.0.1:9", "local").predict(b"", source="gate 3")
    assert str(answer.value) == (
        "http://127.0.0.1:9/predict cannot be reached: "
        f"Failed to establish a new connection: [Errno {errno.ECONNREFUSED}] Connection refused"
    )


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that refuses every connection, and the requests that it received."""
    received = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self):
            received.append((self.path, self.headers["proxy-authorization"]))
            self.send_response_only(502)
            self.end_headers()

        def log_message(self, *_):
            pass

    monkeypatch.setattr(client_module, "_RETRIES", urllib3.Retry(0))
    for name in ("no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hid%40den@127.0.0.1:{server.server_port}")
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_https_goes_through_the_proxy_of_the_environment(proxy):
    address, received = proxy
    with pytest.raises(UnreachableError) as answer:
        Client("https://api.invalid/v1", "local").health()
    assert str(answer.value) == (
        f"https://api.invalid/v1/health cannot be reached through the proxy {address}: "
        "Tunnel connection failed: 502 Bad Gateway"
    )
    assert received == [("api.invalid:443", "Basic bWU6aGlkQGRlbg==")]


@pytest.mark.parametrize(
    ("password", "sent"),
    [
        ("geh€im", "geh€im".encode()),
        ("g/h?e#i@m", b"g/h?e#i@m"),
        ("caf\udce9", b"caf\xe9"),
        ("caf%C3%A9", "café".encode()),
        ("caf%E9", b"caf\xe9"),
    ],
)
def test_a_proxy_s_password_may_have_any_character(monkeypatch, proxy, password, sent):
    address, received = proxy
    monkeypatch.setenv("HTTPS_PROXY", address.replace("://", f"://me:{password}@"))
    with pytest.raises(UnreachableError):
        Client("https://api.invalid/v1", "local").health()
    assert received == [("api.invalid:443", f"Basic {b64encode(b'me:' + sent).decode()}")]


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize(
    ("proxy_address", "says"),
    [
        ("http://me:hidden/hidden@127.0.0.1:9", "through the proxy http://127.0.0.1:9: "),
        ("http://me:hidden@hidden/hidden@127.0.0.1:9", "through the proxy http://127.0.0.1:9: "),
        ("http://me:hidden", "HTTPS_PROXY cannot be parsed"),  # without a host
    ],
)
def test_a_proxy_s_password_is_not_shown(monkeypatch, proxy_address, says):
    monkeypatch.setenv("HTTPS_PROXY", proxy_address)
    with pytest.raises(ApiError, match=says) as answer:
        Client("https://api.invalid/v1", "local").health()
    assert "hidden" not in str(answer.value)


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("proxy_address", ["127.0.0.1:9", "http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch, proxy_address):
    monkeypatch.setenv("HTTPS_PROXY", proxy_address)
    with pytest.raises(UnreachableError, match=f"through the proxy .*{proxy_address}: [^(]*$"):
        Client("https://api.invalid/v1", "local").health()


@pytest.mark.parametrize("url", ["https://me:hidden@api.invalid/v1", "https://api.invalid:443", "https://[x"])
def test_the_variable_no_proxy_is_respected(monkeypatch, proxy, url):
    monkeypatch.setenv("NO_PROXY", "api.invalid")
    with pytest.raises(UnreachableError, match="health cannot be "):
        Client(url, "local").health()
    assert proxy[1] == []


def test_plain_http_needs_no_proxy(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy[0])
    with serving() as service:
        service.answer = lambda _: {"status": "ok"}
        Client(service.url, "local").health()
    assert len(service.asked) == 1


def test_an_answer_of_another_server_is_reported(client, answers):
    answers.append((200, "text/html", b"<html>"))

    with pytest.raises(UnreachableError, match="not as a MaskWatch API does"):
        client.health()


@pytest.mark.parametrize("content", [{"ok": True}, {"message": None}, [], None, "x"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.health(),
        lambda client: client.openapi(),
        lambda client: client.predict(b"picture"),
        lambda client: client.upload(b"picture", "image/png"),
        lambda client: client.result("a.jpg"),
        lambda client: client.feedback("1", "mask"),
        lambda client: client.compliance(),
        lambda client: client.compliance_csv(),
    ],
)
def test_json_of_another_server_is_reported(client, answers, ask, content):
    answers.append(as_json(content))
    with pytest.raises(UnreachableError, match="/v1/ answered, but not as a MaskWatch API does"):
        ask(client)


def test_options_of_none_are_not_sent(client, answers, asked):
    answers += [as_json(PREDICTION), as_json({"rows": []}), (200, "text/csv", b"time\n")]

    client.predict(b"picture", source=None, min_confidence=0.0)
    client.compliance(source=None, by="day")
    client.compliance_csv(source=None)

    paths = [path.removeprefix("/v1/") for _, path, _ in asked]
    assert paths == ["predict?min_confidence=0.0", "compliance?by=day", "compliance?format=csv"]


def test_without_a_key_there_is_no_header(client, answers, asked):
    answers.append(as_json({"status": "ok"}))

    Client(client._url, "").health()  # noqa: SLF001

    assert "x-api-key" not in asked[0][2]


def test_without_a_type_there_is_no_content_type_header(client, answers, asked):
    answers.append(as_json(PREDICTION))

    client.predict(b"picture")

    assert asked[0][2]["content-type"] == "application/octet-stream"


def test_csv_is_returned_as_text(client, answers, asked):
    answers.append((200, "text/csv; charset=utf-8", "time,source\r\n,Tür\r\n".encode()))

    assert client.compliance_csv(by="hour") == "time,source\r\n,Tür\r\n"
    assert asked[0][:2] == ("GET", "/v1/compliance?by=hour&format=csv")
    assert asked[0][2]["x-api-key"] == "secret"


def test_csv_that_broke_off_is_reported(client, answers):
    answers.append((200, "text/csv; charset=utf-8", b"time,source\r\n2026-11"))
    with pytest.raises(ApiError, match="broke off; try again"):
        client.compliance_csv()


def test_white_space_around_the_address_is_left_out():
    """As in an environment file from Windows."""
    with serving() as service:
        service.answer = lambda _: {"status": "ok"}
        assert Client(f"{service.url} \r", "secret").health() == {"status": "ok"}


@pytest.mark.usefixtures("moto")
def test_url_and_key_are_read_from_the_stack():
    gateway = boto3.client("apigateway")
    plan = gateway.create_usage_plan(name="plan")["id"]
    keys = {
        name: gateway.create_api_key(name=name, value=name * 20, enabled=True)["id"]
        for name in ("o", "s", "t")
    }
    for key in keys.values():
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
    values = {"ApiUrl": "https://api/v1/", "ApiKeyId": keys["s"], "UsagePlan": plan}
    outputs = {name: {"Value": value} for name, value in values.items()}
    resources = {"Queue": {"Type": "AWS::SQS::Queue"}}
    boto3.client("cloudformation").create_stack(
        StackName="maskwatch-dev", TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs})
    )

    assert address("maskwatch-dev") == ("https://api/v1/", "s" * 20)
    for revoked, left in (("s", "o"), ("o", "t")):
        revocation = [{"op": "replace", "path": "/enabled", "value": "false"}]
        gateway.update_api_key(apiKey=keys[revoked], patchOperations=revocation)
        assert address("maskwatch-dev") == ("https://api/v1/", left * 20)
    gateway.update_api_key(apiKey=keys["t"], patchOperations=revocation)
    with pytest.raises(OpsError, match="maskwatch-dev has no enabled API key"):
        address("maskwatch-dev")
