"""Each file gets one correct result, although it is delivered twice, S3 fails and functions crash.

300 files by default; MASKWATCH_CHAOS_FILES=2000 is the long run.
"""

import dataclasses
import json
import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus, unquote_plus

import boto3
import pytest

from functions.inference.decode import decode
from functions.inference.fetch import open_release
from functions.inference.prediction import PredictOptions
from functions.inference.score import load_models, score
from infra.local.aws import moto_server
from infra.local.function import Function
from infra.local.poller import Poller
from infra.local.stack import deploy, function_configs
from infra.local.template import REGION, transformed_template
from tests.integration.faulty_s3 import DENIED, RATES, faulty_s3
from tests.pictures import draw_face, encode
from tests.system import ROOT
from tests.unit.test_decode_refusals import png_header

FILES = int(os.environ.get("MASKWATCH_CHAOS_FILES", "300"))
# More than the template's 5, because faults are more frequent here.
RECEIVES = 7
SEED = 20261122
FACES = [encode(draw_face(120 + 4 * n, 150 + 3 * n), quality=70 + n) for n in range(25)]
NAMES = ["{}.jpg", "gate 3/{}.JPG", "a+b/{}.jpeg", "50%/{}%20.jpg", "München/Tür {}.jpg", "漢字/😀 {}.jpg"]
BAD = {  # ending, bytes, the problem that its result names
    "truncated": (".jpg", FACES[0][: len(FACES[0]) // 2], "unreadable-image"),
    "without a picture": (".jpg", b"\xff\xd8\xff\xd9", "unreadable-image"),
    "zero bytes": (".png", b"", "unreadable-image"),
    "text": (".jpeg", b"Dear Sir or Madam,\n" * 9, "unreadable-image"),
    "huge": (".png", png_header(60_000, 60_000), "too-many-pixels"),
    "HEIC": (".heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported-type"),
}
JUNK = "not JSON"


@dataclasses.dataclass(frozen=True)
class File:
    """An upload, and its expected result: the number of a face, the identifier of a problem, or none."""

    key: str
    data: bytes
    expected: int | str | None
    earlier: bytes | None = None  # uploaded before, under the same key
    deleted: bool = False


def files():
    few = FILES // 60
    made = [
        File(f"{kind}/{n}{end}", data, identifier)
        for kind, (end, data, identifier) in BAD.items()
        for n in range(few)
    ]
    made += [File(f"a folder {n}/", b"", None) for n in range(few)]
    made += [File(f"deleted/{n}.jpg", FACES[0], "gone", deleted=True) for n in range(few)]
    made += [
        File(f"replaced/{n}.jpg", FACES[n % 25], n % 25, earlier=FACES[n % 25 - 1]) for n in range(2 * few)
    ]
    made += [File(f"{DENIED[1:]}/{n}.jpg", FACES[0], None) for n in range(3)]
    made += [File("x" * 1018 + f"{n}.jpg", FACES[0], None) for n in range(2)]
    rest = FILES - len(made)
    return made + [File(NAMES[n % len(NAMES)].format(n), FACES[n % 25], n % 25) for n in range(rest)]


def never(key):
    """Return whether the messages of a key can only become dead letters."""
    return key.startswith(f"{DENIED[1:]}/") or len(f"{key}.json".encode()) > 1024


def notifications(bucket, key, put):
    """Return S3's message, and the one of a bucket without versions."""
    item = {"key": quote_plus(key), "eTag": put["ETag"].strip('"')}
    return [
        json.dumps(
            {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": o}}]}
        )
        for o in (item | {"versionId": put["VersionId"]}, item)
    ]


class System:
    """The stack in moto, and the lines that its function logs."""

    def __init__(self, endpoint):
        session = boto3.Session("local", "local", region_name=REGION)
        self.client = lambda service: session.client(service, endpoint_url=endpoint)
        self.stack = deploy(transformed_template(ROOT / "template.yaml", {}), {}, self.client)
        self.uploads, self.results, self.queue, self.dead_letters = (
            self.stack.resources[name].name
            for name in ("UploadsBucket", "ResultsBucket", "UploadsQueue", "UploadsDeadLetters")
        )
        self.s3, self.sqs = self.client("s3"), self.client("sqs")
        self.lines = []

    def function(self, endpoint):
        (config,) = [c for c in function_configs(self.stack, endpoint, "") if "Batch" in c.name]
        config = dataclasses.replace(config, handler="tests.integration.crashing_batch.handler", timeout=12.0)
        return Function(config, lambda _group, _stream, line: self.lines.append(line))

    def drop(self, file):
        """Upload a file, and return two messages for every version."""
        versions = [data for data in (file.earlier, file.data) if data is not None]
        puts = [self.s3.put_object(Bucket=self.uploads, Key=file.key, Body=data) for data in versions]
        if file.deleted:
            self.s3.delete_object(Bucket=self.uploads, Key=file.key)
        return [body for put in puts for body in notifications(self.uploads, file.key, put)]

    def shorten_retries(self):
        """Deliver messages again soon, and more often before they become dead letters."""
        names = ["RedrivePolicy"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        policy = json.loads(attributes["RedrivePolicy"]) | {"maxReceiveCount": RECEIVES}
        changed = {"VisibilityTimeout": "13", "RedrivePolicy": json.dumps(policy)}
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes=changed)

    def receive(self, queue):
        """Receive every message of a queue, and return bodies and errors."""
        found = []
        while messages := self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += [
                (m["Body"], m.get("MessageAttributes", {}).get("error", {}).get("StringValue"))
                for m in messages
            ]
            handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=queue, Entries=handles)
        return found

    def waiting(self):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(number) for number in counts.values())

    def result(self, key):
        return json.loads(self.s3.get_object(Bucket=self.results, Key=f"{key}.json")["Body"].read())

    def written(self):
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.results)
        return Counter(v["Key"].removesuffix(".json") for page in pages for v in page.get("Versions", []))


@pytest.fixture(scope="module")
def dropped():
    return files()


@pytest.fixture(scope="module")
def after(dropped):
    """The system after all messages were processed."""
    with moto_server() as endpoint, faulty_s3(endpoint, SEED) as proxy:
        system = System(endpoint)
        system.s3.put_bucket_notification_configuration(Bucket=system.uploads, NotificationConfiguration={})
        with ThreadPoolExecutor(8) as pool:
            bodies = [body for messages in pool.map(system.drop, dropped) for body in messages]
        bodies += [JUNK, JUNK]
        random.Random(SEED).shuffle(bodies)  # noqa: S311 -- no secret
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])
            ]
            system.sqs.send_message_batch(QueueUrl=system.queue, Entries=entries)
        system.shorten_retries()
        (mapping,) = system.stack.of_type("AWS::Lambda::EventSourceMapping")
        function = system.function(proxy.address)
        started = time.monotonic()
        poller = Poller(mapping.properties, function, system.client)
        while system.waiting():
            assert time.monotonic() - started < 3600, f"{system.waiting()} messages are left"
            time.sleep(1)
        took = time.monotonic() - started
        poller.stop()
        function.stop()
        ends = Counter(
            end
            for line in system.lines
            for end in ("Task timed out", "Runtime exited", "upload failed")
            if end in line
        )
        predictions = sum('"prediction_id"' in line for line in system.lines)
        print(  # noqa: T201 -- the figures; `pytest -s` shows them
            f"\n{len(dropped)} files, {len(bodies)} messages, {took:.0f} s; {predictions} predictions; "
            f"faults of S3: {dict(proxy.faults)}; of the function: {dict(ends)}"
        )
        assert proxy.faults.keys() == {*RATES, "403"}
        assert ends.keys() >= {
            "Runtime exited",
            "upload failed",
        }  # there may be no timeout, because they are rare
        yield system


def test_every_file_has_exactly_one_result(after, dropped):
    expected = [file.key for file in dropped if file.expected is not None]

    written = after.written()

    assert written.keys() == set(expected)
    replaced = {file.key for file in dropped if file.earlier}
    assert {key for key, times in written.items() if times > 1} <= replaced


def test_every_result_is_correct(after, dropped):
    models = load_models(open_release(""), 1)
    faces = [score(decode(face), models, PredictOptions()).to_dict() for face in FACES]
    for file in dropped:
        if file.expected is None:
            continue
        result = after.result(file.key)
        assert result["upload"]["key"] == file.key
        if isinstance(file.expected, int):
            assert result["status"] == "scored", file.key
            prediction = result["prediction"] | {"prediction_id": faces[file.expected]["prediction_id"]}
            assert prediction == faces[file.expected], file.key
        else:
            assert result["status"] == "rejected", file.key
            assert result["problem"]["type"] == f"urn:maskwatch:problem:{file.expected}", file.key


def test_every_scored_result_has_a_record(after, dropped):
    scored = [file.key for file in dropped if isinstance(file.expected, int)]
    records = [json.loads(line) for line in after.lines if '"prediction_id"' in line]

    ids = [after.result(key)["prediction"]["prediction_id"] for key in scored]

    assert len(set(ids)) == len(scored)
    assert {record["prediction_id"] for record in records} == set(ids)


def test_the_dead_letters_are_those_that_can_never_succeed(after, dropped):
    letters = after.receive(after.dead_letters)

    def key(body):
        return body if body == JUNK else unquote_plus(json.loads(body)["Records"][0]["s3"]["object"]["key"])

    assert {key(body) for body, _ in letters} == {f.key for f in dropped if never(f.key)} | {JUNK}
    kept = {key(body): error for body, error in letters if error}
    assert "AccessDenied" in "".join(error for k, error in kept.items() if DENIED[1:] in k)
    assert "1,024 bytes" in "".join(error for k, error in kept.items() if k.startswith("xxx"))
    assert after.waiting() == 0
