"""In Batch's handler, a failing message does not affect others, and none is lost."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import boto3
import pytest
from botocore.exceptions import ClientError

from functions.inference.results import ConflictError
from functions.inference.score_upload import InvalidKeyError, Outcome
from functions.inference.upload import Upload
from tests.batch import context, load_handler, message, notification


def failed(answer):
    return sorted(failure["itemIdentifier"] for failure in answer["batchItemFailures"])


@dataclass
class FakeScorer:
    """A fake scorer; `faults` maps a key to what happens to it."""

    faults: dict = field(default_factory=dict)
    seen: list = field(default_factory=list)

    def score(self, upload, request_id):
        assert request_id == "request"
        self.seen.append(upload)
        fault = self.faults.get(upload.key)
        if isinstance(fault, Exception):
            raise fault
        return fault() if fault else Outcome.SCORED


@pytest.fixture(scope="module")
def module():
    """The handler's module, freshly imported."""
    with pytest.MonkeyPatch.context() as patch:
        return load_handler(patch, "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters")


@pytest.fixture
def batch(module, monkeypatch):
    monkeypatch.setattr(module, "scorer", FakeScorer())
    return module


@pytest.fixture
def dead_letters(moto):  # noqa: ARG001 -- an AWS account
    return boto3.resource("sqs").create_queue(QueueName="dead-letters")


THROTTLED = ClientError({"Error": {"Code": "SlowDown", "Message": "Reduce your rate"}}, "GetObject")


@pytest.mark.parametrize(
    "key", ["a b.jpg", "a+b.jpg", "50%.jpg", "%20.jpg", "é/漢字/😀.jpg", "a&b=c?d#e.jpg", "a\\b'\".jpg"]
)
def test_keys_are_decoded(key, batch):
    assert failed(batch.handler({"Records": [message(0, notification(key))]}, context())) == []

    assert batch.scorer.seen == [Upload("uploads", key, "v1", "e1")]


def test_a_notification_may_lack_a_version(batch):
    body = notification("a.jpg")
    del body["Records"][0]["s3"]["object"]["versionId"]
    batch.handler({"Records": [message(0, body)]}, context())

    assert batch.scorer.seen == [Upload("uploads", "a.jpg", None, "e1")]


def test_a_message_may_contain_several_uploads(batch):
    batch.handler({"Records": [message(0, notification("a.jpg", "b.jpg"))]}, context())

    assert [upload.key for upload in batch.scorer.seen] == ["a.jpg", "b.jpg"]


def test_the_test_event_of_s3_is_accepted(batch):
    tried = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"}

    assert failed(batch.handler({"Records": [message(0, tried)]}, context())) == []
    assert batch.scorer.seen == []


def test_only_failed_messages_return_to_the_queue(batch):
    batch.scorer.faults["k3"] = THROTTLED
    event = {"Records": [message(n, notification(f"k{n}")) for n in range(10)]}

    assert failed(batch.handler(event, context())) == ["m3"]
    assert len(batch.scorer.seen) == 10


def test_if_the_whole_batch_fails_all_messages_return(batch):
    batch.scorer.faults |= {f"k{n}": THROTTLED for n in range(3)}
    event = {"Records": [message(n, notification(f"k{n}")) for n in range(3)]}

    assert failed(batch.handler(event, context())) == ["m0", "m1", "m2"]


def test_batches_share_no_state(batch):
    batch.scorer.faults["k0"] = THROTTLED
    batch.handler({"Records": [message(0, notification("k0"))]}, context())
    batch.scorer.faults.clear()

    assert failed(batch.handler({"Records": [message(0, notification("k0"))]}, context())) == []


@pytest.mark.parametrize(
    "body", ["no JSON", "[]", "null", '"text"', "{}", '{"Records": [{}]}', '{"Records": null}']
)
def test_a_message_that_is_no_notification_returns(body, batch):
    event = {"Records": [message(0, body), message(1, notification("a.jpg"))]}

    assert failed(batch.handler(event, context())) == ["m0"]
    assert len(batch.scorer.seen) == 1


def test_the_log_has_the_error_but_not_the_key(batch, caplog):
    batch.scorer.faults["Jane Doe.jpg"] = THROTTLED
    batch.handler({"Records": [message(0, notification("Jane Doe.jpg"))]}, context())

    (record,) = caplog.records
    assert (record.message, record.message_id, record.receives) == ("upload failed", "m0", 1)
    assert "SlowDown" in record.error
    assert "Jane" not in str(vars(record))


@pytest.mark.parametrize(("receives", "buried"), [(1, False), (4, False), (5, True), (6, True)])
def test_after_five_receives_a_message_becomes_a_dead_letter_with_its_error(
    receives, buried, batch, dead_letters
):
    batch.scorer.faults["a.jpg"] = THROTTLED
    body = json.dumps(notification("a.jpg"))

    answer = batch.handler({"Records": [message(0, body, receives)]}, context())

    assert failed(answer) == ([] if buried else ["m0"])
    found = dead_letters.receive_messages(MessageAttributeNames=["All"])
    assert len(found) == buried
    for letter in found:
        assert letter.body == body
        kept = {name: value["StringValue"] for name, value in letter.message_attributes.items()}
        assert kept.keys() == {"error", "request_id"}
        assert kept["error"].startswith("ClientError('An error occurred (SlowDown)")
        assert kept["request_id"] == "request"


def test_an_upload_whose_key_cannot_have_a_result_becomes_a_dead_letter_at_once(batch, dead_letters, capsys):
    batch.scorer.faults["inventory/a.jpg"] = InvalidKeyError("reserved")
    event = {"Records": [message(0, notification("inventory/a.jpg")), message(1, notification("b.jpg"))]}

    assert failed(batch.handler(event, context())) == []

    (letter,) = dead_letters.receive_messages(MessageAttributeNames=["error"])
    assert letter.message_attributes["error"]["StringValue"] == "InvalidKeyError('reserved')"
    assert "Failures" not in capsys.readouterr().out  # the release is not at fault


def test_a_picture_that_is_replaced_all_the_time_returns_and_is_no_failure_of_the_version(batch, capsys):
    batch.scorer.faults |= {"a.jpg": ConflictError(), "b.jpg": THROTTLED}

    answers = [
        batch.handler({"Records": [message(0, notification(key))]}, context()) for key in ("a.jpg", "b.jpg")
    ]

    assert [failed(answer) for answer in answers] == [["m0"], ["m0"]]
    assert capsys.readouterr().out.count('"Failures":1') == 1  # the throttling


def test_a_long_error_is_truncated(batch, dead_letters):
    batch.scorer.faults["a.jpg"] = RuntimeError("x" * 300_000)
    batch.handler({"Records": [message(0, notification("a.jpg"), 5)]}, context())

    (letter,) = dead_letters.receive_messages(MessageAttributeNames=["All"])
    assert len(letter.message_attributes["error"]["StringValue"]) == 1000


def test_a_message_that_cannot_become_a_dead_letter_returns(batch, dead_letters):
    batch.scorer.faults["a.jpg"] = THROTTLED
    dead_letters.delete()

    assert failed(batch.handler({"Records": [message(0, notification("a.jpg"), 5)]}, context())) == ["m0"]


def test_at_the_timeout_unfinished_messages_return_and_others_are_done(batch):
    ended = threading.Event()
    batch.scorer.faults |= {"k1": lambda: ended.wait(20) and Outcome.SCORED}
    event = {"Records": [message(n, notification(f"k{n}")) for n in range(3)]}
    started = time.monotonic()

    answer = batch.handler(event, context(seconds=6))

    ended.set()
    assert failed(answer) == ["m1"]
    assert time.monotonic() - started < 6


def test_no_message_is_started_after_the_timeout(batch):
    ended = threading.Event()
    batch.scorer.faults |= {f"k{n}": lambda: ended.wait(20) and Outcome.SCORED for n in range(10)}
    event = {"Records": [message(n, notification(f"k{n}")) for n in range(30)]}

    answer = batch.handler(event, context(seconds=5.5))

    ended.set()
    assert len(failed(answer)) == 30
    time.sleep(0.2)
    assert len(batch.scorer.seen) == batch.WORKERS


def test_no_more_uploads_run_concurrently_than_there_are_workers(batch):
    running, most, lock = Counter(), [0], threading.Lock()

    def busy():
        with lock:
            running["now"] += 1
            most[0] = max(most[0], running["now"])
        time.sleep(0.02)
        with lock:
            running["now"] -= 1
        return Outcome.SCORED

    batch.scorer.faults |= {f"k{n}": busy for n in range(40)}
    batch.handler({"Records": [message(n, notification(f"k{n}")) for n in range(40)]}, context())

    assert most[0] == batch.WORKERS


def items(*keys):
    return {
        "BatchInput": {"reader": "prefix", "bucket": "uploads"},
        "Items": [{"Key": key, "Etag": '"e1"'} for key in keys],
    }


def test_a_backfill_counts_the_outcomes_of_its_items(batch):
    batch.scorer.faults |= {"b.jpg": lambda: Outcome.REJECTED, "c.jpg": lambda: Outcome.SKIPPED}

    answer = batch.handler(items("a.jpg", "b.jpg", "c.jpg", "d.jpg"), context())

    assert answer == {"scored": 2, "rejected": 1, "skipped": 1}


def test_a_key_that_cannot_have_a_result_does_not_fail_a_backfill_batch(batch):
    batch.scorer.faults["inventory/b.jpg"] = InvalidKeyError("reserved")

    assert batch.handler(items("a.jpg", "inventory/b.jpg"), context()) == {"scored": 1, "invalid": 1}


def test_a_backfill_batch_with_unfinished_items_fails_after_the_others_are_done(batch):
    batch.scorer.faults |= {"a.jpg": THROTTLED}

    with pytest.raises(batch.UnfinishedError, match=r"1 of 3 uploads; the first: .*SlowDown"):
        batch.handler(items("a.jpg", "b.jpg", "c.jpg"), context())
    assert len(batch.scorer.seen) == 3
