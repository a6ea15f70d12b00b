"""An upload gets exactly one result, whatever happens to it and however often it is delivered."""

import io
import json
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError
from moto import mock_aws

from functions.inference import challenger as module
from functions.inference import results as results_module
from functions.inference import score_upload as upload_module
from functions.inference.record import Recorder
from functions.inference.results import ConflictError
from functions.inference.score_upload import InvalidKeyError, Outcome, UploadScorer
from functions.inference.upload import Upload
from functions.shared.contract import INTERNAL_RESULTS, MAX_UPLOAD_BYTES
from tests.pictures import draw_face, encode
from tests.records import PREDICTION
from tests.schemas import validate

FACE = encode(draw_face())
OTHER_FACE = encode(draw_face(200, 240))


class Buckets:
    """The two buckets and their contents."""

    def __init__(self, s3):
        self.s3 = s3
        for bucket in ("uploads", "results"):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def drop(self, key, data=FACE, **metadata):
        """Upload a picture, and return its notification."""
        put = self.s3.put_object(Bucket="uploads", Key=key, Body=data, Metadata=metadata)
        return Upload("uploads", key, put["VersionId"], put["ETag"].strip('"'))

    def result(self, key):
        result = json.loads(self.s3.get_object(Bucket="results", Key=f"{key}.json")["Body"].read())
        validate(result, "Result")
        return result

    def written(self):
        """Return how often each result was written."""
        versions = self.s3.list_object_versions(Bucket="results").get("Versions", [])
        return {v["Key"]: sum(w["Key"] == v["Key"] for w in versions) for v in versions}


@pytest.fixture(scope="module")
def s3():
    """An S3 client, shared because creating one takes half a second."""
    return boto3.Session("testing", "testing", region_name="us-east-1").client("s3")


@pytest.fixture
def buckets(s3, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Buckets(s3)


@pytest.fixture
def scored(monkeypatch):
    """The scored pictures, each with the model version."""
    seen = []

    def score(picture, models, options):  # noqa: ARG001
        seen.append((picture.width, models.version))
        return replace(PREDICTION, width=picture.width, height=picture.height, model_version=models.version)

    monkeypatch.setattr(module, "score", score)
    return seen


@pytest.fixture
def scorer(buckets, scored):  # noqa: ARG001
    return make_scorer(buckets.s3)


def make_scorer(s3, version="7"):
    models, recorder = SimpleNamespace(version=version), Recorder("Test", "batch", version)
    return UploadScorer(s3, "uploads", "results", models, recorder, decoders=1)


def test_a_picture_gets_a_result(scorer, buckets):
    answer = buckets.drop("gate 3/é+%20.jpg", source="gate-3")

    assert scorer.score(answer, "request") is Outcome.SCORED

    result = buckets.result("gate 3/é+%20.jpg")
    times = result.pop("times")
    assert result == {
        "status": "scored",
        "source": "gate-3",
        "prediction": PREDICTION.to_dict()
        | {"prediction_id": result["prediction"]["prediction_id"], "image": {"width": 160, "height": 200}},
        "upload": {"bucket": "uploads", "key": answer.key, "version": answer.version, "etag": answer.etag},
        "model_version": "7",
    }
    assert times.keys() == {"uploaded", "scored", "decode_ms", "detect_ms", "inference_ms"}
    assert times["uploaded"] <= times["scored"]
    head = buckets.s3.head_object(Bucket="results", Key=f"{answer.key}.json")
    assert head["ContentType"] == "application/json"


@pytest.mark.parametrize(
    ("data", "identifier"),
    [
        (b"", "unreadable-image"),
        (b"Dear Sir or Madam,", "unreadable-image"),
        (FACE[: len(FACE) // 2], "unreadable-image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported-type"),
        (encode(draw_face(31, 31)), "too-small"),
    ],
)
def test_an_unusable_picture_gets_a_result_with_the_reason(data, identifier, scorer, buckets, scored):
    answer = buckets.drop("a.jpg", data, source="gate-3")

    assert scorer.score(answer, "request") is Outcome.REJECTED

    result = buckets.result("a.jpg")
    assert result["status"] == "rejected"
    assert result["source"] == "gate-3"
    assert result["problem"]["type"] == f"urn:maskwatch:problem:{identifier}"
    assert result["problem"]["detail"]
    assert result["upload"]["etag"] == answer.etag
    assert "prediction" not in result
    assert scored == []


def test_a_too_large_file_is_not_downloaded(scorer, buckets):
    read = []
    answer = buckets.drop("a.jpg")

    def huge(parsed, **_):
        parsed["ContentLength"] = MAX_UPLOAD_BYTES + 1
        parsed["Body"] = SimpleNamespace(read=read.append, close=lambda: None)

    buckets.s3.meta.events.register("after-call.s3.GetObject", huge)

    assert scorer.score(answer, "request") is Outcome.REJECTED
    buckets.s3.meta.events.unregister("after-call.s3.GetObject", huge)
    assert buckets.result("a.jpg")["problem"]["status"] == 413
    assert read == []


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ({}, None),
        ({"source": ""}, None),
        ({"source": "Tor 7"}, "Tor 7"),
        ({"source": "=?UTF-8?B?VMO8ciA3?="}, "Tür 7"),
    ],
)
def test_the_source_comes_from_the_metadata(answer, source, scorer, buckets):
    scorer.score(buckets.drop("a.jpg", **answer), "request")

    assert buckets.result("a.jpg")["source"] == source


@pytest.mark.parametrize(
    "source", ["x" * 65, "=?UTF-8?B?/w==?=", "=?no-such?B?VMO8cg==?=", "=?UTF-8?B?VMO8c?="]
)
def test_an_invalid_source_is_left_out_and_the_picture_is_scored(source, scorer, buckets):
    assert scorer.score(buckets.drop("a.jpg", source=source), "request") is Outcome.SCORED

    result = buckets.result("a.jpg")
    assert (result["status"], result["source"]) == ("scored", None)
    assert result["source_problem"]["type"] == "urn:maskwatch:problem:invalid-parameter"
    assert "source" in result["source_problem"]["detail"]


@pytest.mark.parametrize("key", ["Snap.Jpg", "x.jfif", "snapshot", "photo.jpg?v=1", "scan.pdf"])
def test_the_type_is_determined_by_the_bytes_and_not_the_name(key, scorer, buckets):
    assert scorer.score(buckets.drop(key), "request") is Outcome.SCORED
    assert scorer.score(buckets.drop("notes.jpg", b"text"), "request") is Outcome.REJECTED


def test_notifications_of_another_bucket_are_ignored(scorer, buckets):
    answer = replace(buckets.drop("a.jpg"), bucket="results")
    with pytest.raises(ValueError, match="not in the uploads bucket"):
        scorer.score(answer, "request")


@pytest.mark.parametrize("prefix", INTERNAL_RESULTS)
def test_no_upload_overwrites_an_internal_object(prefix, scorer, buckets):
    with pytest.raises(InvalidKeyError, match="are reserved"):
        scorer.score(buckets.drop(f"{prefix}manifest"), "request")
    assert buckets.written() == {}


def test_a_second_delivery_changes_nothing(scorer, buckets, scored):
    answer = buckets.drop("a.jpg")

    outcomes = [scorer.score(answer, "request") for _ in range(3)]

    assert outcomes == [Outcome.SCORED, Outcome.SKIPPED, Outcome.SKIPPED]
    assert buckets.written() == {"a.jpg.json": 1}
    assert len(scored) == 1


def test_a_notification_without_a_version_is_identified_by_its_etag(scorer, buckets, scored):
    answer = replace(buckets.drop("a.jpg"), version=None)

    assert [scorer.score(answer, "request") for _ in range(2)] == [Outcome.SCORED, Outcome.SKIPPED]
    assert len(scored) == 1


def test_the_same_input_and_model_give_the_same_result_except_times(scorer, buckets, scored):
    answer = buckets.drop("a.jpg")
    results = []
    for _ in range(2):
        scorer.score(answer, "request")
        results.append(buckets.result("a.jpg"))
        buckets.s3.delete_object(Bucket="results", Key="a.jpg.json")

    assert len(scored) == 2
    times = [result.pop("times") for result in results]
    assert times[0]["scored"] != times[1]["scored"]
    assert json.dumps(results[0]) == json.dumps(results[1])


def test_predictions_of_different_uploads_have_different_ids(scorer, buckets):
    ids = set()
    for key, data in [("a.jpg", FACE), ("b.jpg", FACE), ("a.jpg", OTHER_FACE), ("a.jpg", FACE)]:
        scorer.score(buckets.drop(key, data), "request")
        ids.add(buckets.result(key)["prediction"]["prediction_id"])

    assert len(ids) == 4


def test_another_model_scores_again(scorer, buckets, scored):
    answer = buckets.drop("a.jpg")
    scorer.score(answer, "request")

    assert make_scorer(buckets.s3, "8").score(answer, "request") is Outcome.SCORED
    assert buckets.result("a.jpg")["model_version"] == "8"
    assert [version for _, version in scored] == ["7", "8"]


def test_the_same_bytes_again_are_not_scored_again(scorer, buckets, scored):
    scorer.score(buckets.drop("a.jpg", source="gate-3"), "request")

    assert scorer.score(buckets.drop("a.jpg", source="gate-3"), "request") is Outcome.SKIPPED
    assert len(scored) == 1


def test_the_same_bytes_from_another_source_get_a_result_with_that_source(scorer, buckets):
    scorer.score(buckets.drop("a.jpg", source="gate-3"), "request")
    scorer.score(buckets.drop("a.jpg", source="gate-4"), "request")

    assert buckets.result("a.jpg")["source"] == "gate-4"


def test_a_presigned_form_scores_one_picture_however_often_it_is_used(scorer, buckets, scored):
    scorer.score(buckets.drop("api/2026/11/25/a.jpg", encode(draw_face(64, 64))), "request")
    for side in (80, 96, 112):
        again = buckets.drop("api/2026/11/25/a.jpg", encode(draw_face(side, side)))
        assert scorer.score(again, "request") is Outcome.SKIPPED
    assert scored == [(64, "7")]


def test_the_last_version_of_a_replaced_picture_counts(scorer, buckets, scored):
    first, last = buckets.drop("a.jpg", FACE), buckets.drop("a.jpg", OTHER_FACE)

    outcomes = [scorer.score(answer, "request") for answer in (first, last, first)]

    assert outcomes == [Outcome.SCORED, Outcome.SKIPPED, Outcome.SKIPPED]
    result = buckets.result("a.jpg")
    assert (result["upload"]["version"], result["upload"]["etag"]) == (last.version, last.etag)
    assert result["prediction"]["image"]["width"] == 200
    assert len(scored) == 1


def test_a_late_notification_of_a_replaced_version_changes_nothing(scorer, buckets):
    first = buckets.drop("a.jpg", FACE)
    scorer.score(first, "request")
    last = buckets.drop("a.jpg", OTHER_FACE)
    scorer.score(last, "request")

    assert scorer.score(first, "request") is Outcome.SKIPPED
    assert buckets.result("a.jpg")["upload"]["version"] == last.version


def test_a_picture_deleted_before_scoring_gets_a_result_that_says_so(scorer, buckets):
    answer = buckets.drop("a.jpg")
    buckets.s3.delete_object(Bucket="uploads", Key="a.jpg")

    assert scorer.score(answer, "request") is Outcome.REJECTED

    result = buckets.result("a.jpg")
    assert result["problem"]["type"] == "urn:maskwatch:problem:gone"
    assert result["upload"] == {
        "bucket": "uploads",
        "key": "a.jpg",
        "version": answer.version,
        "etag": answer.etag,
    }
    assert result["times"]["uploaded"] is None


def test_a_deletion_does_not_delete_the_result(scorer, buckets):
    first = buckets.drop("a.jpg", FACE)
    scorer.score(first, "request")
    last = buckets.drop("a.jpg", OTHER_FACE)
    buckets.s3.delete_object(Bucket="uploads", Key="a.jpg")

    assert scorer.score(last, "request") is Outcome.SKIPPED
    assert buckets.result("a.jpg")["upload"]["version"] == first.version


@pytest.mark.parametrize("version", [True, False])
def test_a_picture_uploaded_again_after_deletion_is_scored(version, scorer, buckets):
    answer = buckets.drop("a.jpg")
    buckets.s3.delete_object(Bucket="uploads", Key="a.jpg")
    assert [scorer.score(answer, "request") for _ in range(2)] == [Outcome.REJECTED, Outcome.SKIPPED]

    again = buckets.drop("a.jpg")
    again = again if version else replace(again, version=None)

    assert scorer.score(again, "request") is Outcome.SCORED
    assert buckets.result("a.jpg")["status"] == "scored"


@pytest.mark.parametrize("already", [False, True])
def test_a_result_of_a_concurrent_delivery_counts_and_is_not_overwritten(
    already, scorer, buckets, monkeypatch
):
    if already:
        scorer.score(buckets.drop("a.jpg", OTHER_FACE), "request")
    first = buckets.drop("a.jpg", FACE)
    faster = make_scorer(buckets.s3)
    score = module.score

    def slow(*arguments, **options):
        monkeypatch.setattr(module, "score", score)
        last = buckets.drop("a.jpg", OTHER_FACE, source="the last")
        faster.score(last, "request")
        return score(*arguments, **options)

    monkeypatch.setattr(module, "score", slow)

    assert scorer.score(first, "request") is Outcome.SKIPPED
    assert buckets.result("a.jpg")["source"] == "the last"


def test_a_picture_is_scored_three_times_if_its_result_is_replaced_meanwhile(
    scorer, buckets, scored, monkeypatch
):
    answer = buckets.drop("a.jpg")
    score = module.score

    def slow(*arguments, **options):
        buckets.s3.put_object(Bucket="results", Key="a.jpg.json", Body=bytes(len(scored)))
        return score(*arguments, **options)

    monkeypatch.setattr(module, "score", slow)

    with pytest.raises(ConflictError):
        scorer.score(answer, "request")
    assert len(scored) == 3


def test_a_picture_is_scored_again_if_its_result_is_deleted_meanwhile(scorer, buckets, scored, monkeypatch):
    scorer.score(buckets.drop("a.jpg", OTHER_FACE), "request")
    answer = buckets.drop("a.jpg", FACE)
    score = module.score

    def slow(*arguments, **options):
        buckets.s3.delete_object(Bucket="results", Key="a.jpg.json")
        return score(*arguments, **options)

    monkeypatch.setattr(module, "score", slow)

    assert scorer.score(answer, "request") is Outcome.SCORED
    assert len(scored) == 3


def test_a_result_that_was_written_despite_a_lost_response_counts(scorer, buckets, monkeypatch, capsys):
    answer = buckets.drop("a.jpg")
    put = buckets.s3.put_object

    def ask_again(**arguments):  # as boto3 does on an error; the second time the condition does not hold
        put(**arguments)
        return put(**arguments)

    monkeypatch.setattr(buckets.s3, "put_object", ask_again)

    assert scorer.score(answer, "request") is Outcome.SCORED
    assert buckets.written() == {"a.jpg.json": 1}
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    "error", [ReadTimeoutError(endpoint_url="s3"), ClientError({"Error": {"Code": "500"}}, "PutObject")]
)
def test_a_result_has_a_record_even_if_writing_it_seemed_to_fail(error, stored, scorer, buckets, capsys):
    """The next attempt may find the result, skips the upload, and so writes no record."""
    upload = buckets.drop("a.jpg")
    with pytest.MonkeyPatch.context() as patch:
        put = buckets.s3.put_object

        def fail(**arguments):
            if stored:
                put(**arguments)
            raise error

        patch.setattr(buckets.s3, "put_object", fail)
        with pytest.raises(type(error)):
            scorer.score(upload, "request")

    assert scorer.score(upload, "request") is (Outcome.SKIPPED if stored else Outcome.SCORED)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["prediction_id"] for line in lines} == {
        buckets.result("a.jpg")["prediction"]["prediction_id"]
    }
    assert not any("rescored" in line for line in lines)


@pytest.mark.parametrize("stored", [True, False])
def test_a_write_that_meets_another_one_in_progress_is_retried(stored, scorer, buckets, monkeypatch):
    upload = buckets.drop("a.jpg")
    put, waited = buckets.s3.put_object, []
    conflict = ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")

    def fail(**arguments):
        if len(waited) == 2:
            return put(**arguments)
        if stored and not waited:
            put(**arguments)
        raise conflict

    monkeypatch.setattr(buckets.s3, "put_object", fail)
    monkeypatch.setattr(results_module.time, "sleep", waited.append)

    assert scorer.score(upload, "request") is Outcome.SCORED
    assert len(waited) == 2
    assert buckets.written() == {"a.jpg.json": 1}


def test_folders_are_skipped(scorer, buckets):
    assert scorer.score(buckets.drop("a folder/", b""), "request") is Outcome.SKIPPED
    assert buckets.written() == {}


def test_a_key_that_leaves_no_room_for_its_result_is_an_error(scorer):
    assert len(("é" * 508 + ".jpg.json").encode()) == 1025
    with pytest.raises(InvalidKeyError, match="1,024 bytes"):
        scorer.score(Upload("uploads", "é" * 508 + ".jpg"), "request")


@pytest.mark.parametrize("operation", ["HeadObject", "GetObject", "PutObject"])
@pytest.mark.parametrize("code", [403, 500, 503])
def test_an_error_of_s3_is_raised_and_gives_no_result(operation, code, scorer, buckets):
    answer = buckets.drop("a.jpg")

    def refuse(**_):
        return SimpleNamespace(status_code=code), {
            "Error": {"Code": str(code), "Message": "refused"},
            "ResponseMetadata": {"HTTPStatusCode": code},
        }

    event = f"before-call.s3.{operation}"
    buckets.s3.meta.events.register(event, refuse)

    with pytest.raises(ClientError, match="refused"):
        scorer.score(answer, "request")
    buckets.s3.meta.events.unregister(event, refuse)
    assert buckets.written() == {}


def test_an_interrupted_download_is_an_error_and_not_a_damaged_picture(scorer, buckets):
    answer = buckets.drop("a.jpg")

    def cut(parsed, **_):
        parsed["Body"]._raw_stream = io.BytesIO(FACE[:100])  # noqa: SLF001 -- as a connection that breaks

    buckets.s3.meta.events.register("after-call.s3.GetObject", cut)

    with pytest.raises(IncompleteReadError):
        scorer.score(answer, "request")
    buckets.s3.meta.events.unregister("after-call.s3.GetObject", cut)
    assert buckets.written() == {}


def test_predictions_and_refusals_are_recorded_without_keys(scorer, buckets, capsys):
    scorer.score(buckets.drop("Jane Doe.jpg", source="gate-3"), "r-1")
    scorer.score(buckets.drop("bad.jpg", b"text", source="gate-4"), "r-2")
    scorer.score(buckets.drop("bad.jpg", b"text", source="gate-4"), "r-3")

    written = capsys.readouterr().out
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["request_id"] for line in lines] == ["r-1", "r-2"]
    assert lines[0]["source"] == "gate-3"
    assert lines[0]["prediction_id"] == buckets.result("Jane Doe.jpg")["prediction"]["prediction_id"]
    assert (lines[1]["rejected"], lines[1]["source"]) == ("unreadable-image", "gate-4")
    assert "Jane" not in written


class Challenger:
    """A challenger that answers the given sources."""

    def __init__(self, *sources, version="8", fails=False):
        self.in_shadow, self.sources, self.fails = not sources, sources, fails
        self.models = SimpleNamespace(version=version)

    def answers(self, key):
        return key in self.sources

    def load(self):
        return None if self.fails else self.models

    def score(self, picture, options):
        return None if self.fails else module.score(picture, self.models, options)


def challenged(s3, challenger):
    models, recorder = SimpleNamespace(version="7"), Recorder("Test", "batch", "7")
    return UploadScorer(s3, "uploads", "results", models, recorder, decoders=1, challenger=challenger)


def test_a_record_has_the_upload_time_and_whether_it_was_scored_before(scored, buckets, capsys):  # noqa: ARG001
    upload = buckets.drop("a.jpg")
    for version in "78":
        make_scorer(buckets.s3, version).score(upload, "r")
    make_scorer(buckets.s3, "8").score(buckets.drop("a.jpg", OTHER_FACE), "r")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    came = buckets.s3.head_object(Bucket="uploads", Key="a.jpg", VersionId=upload.version)["LastModified"]
    assert datetime.fromisoformat(lines[0]["uploaded"]) == came
    assert [line.get("rescored", False) for line in lines] == [False, True, False]


@pytest.mark.usefixtures("scored")
def test_a_picture_whose_people_were_not_counted_for_its_source_is_not_rescored(buckets, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(upload_module, "MAX_UPLOAD_BYTES", 0)  # refuses every picture
        make_scorer(buckets.s3, "7").score(buckets.drop("a.jpg", source="gate-1"), "r")
    for source in ("gate-1", "gate-2"):
        make_scorer(buckets.s3, "8").score(buckets.drop("a.jpg", source=source), "r")

    _, *lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["source"], line.get("rescored", False)) for line in lines] == [
        ("gate-1", False),
        ("gate-2", False),
    ]


@pytest.mark.usefixtures("scored")
def test_a_picture_that_a_release_refuses_in_between_is_counted_once(buckets, capsys, monkeypatch):
    upload = buckets.drop("a.jpg", source="gate-1")
    make_scorer(buckets.s3, "7").score(upload, "r")
    with monkeypatch.context() as patch:
        patch.setattr(upload_module, "MAX_UPLOAD_BYTES", 0)  # refuses every picture
        make_scorer(buckets.s3, "8").score(upload, "r")
    make_scorer(buckets.s3, "9").score(upload, "r")

    first, _, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first.get("rescored", False), last.get("rescored", False)) == (False, True)


@pytest.mark.usefixtures("scored")
def test_a_challenger_writes_the_results_of_its_sources_once(buckets, capsys):
    scorer = challenged(buckets.s3, Challenger("gate-2", "c.jpg"))
    uploads = [
        buckets.drop("a.jpg", source="gate-1"),
        buckets.drop("b.jpg", source="gate-2"),
        buckets.drop("c.jpg"),
    ]

    assert [scorer.score(upload, "r") for upload in uploads] == [Outcome.SCORED] * 3
    assert [scorer.score(upload, "r") for upload in uploads] == [Outcome.SKIPPED] * 3

    assert [buckets.result(f"{name}.jpg")["model_version"] for name in "abc"] == ["7", "8", "8"]
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert [line["model_version"] for line in lines] == ["7", "8", "8"]


@pytest.mark.usefixtures("scored")
def test_after_the_challenge_its_results_are_replaced(buckets):
    upload = buckets.drop("b.jpg", source="gate-2")
    challenged(buckets.s3, Challenger("gate-2")).score(upload, "r")

    assert make_scorer(buckets.s3).score(upload, "r") is Outcome.SCORED
    assert buckets.result("b.jpg")["model_version"] == "7"


@pytest.mark.usefixtures("scored")
def test_a_challenger_in_shadow_mode_writes_a_record_and_no_result(buckets, capsys):
    upload = buckets.drop("a.jpg", source="gate-1")

    assert challenged(buckets.s3, Challenger()).score(upload, "r") is Outcome.SCORED

    answer, shadow = map(json.loads, capsys.readouterr().out.splitlines())
    assert buckets.result("a.jpg")["model_version"] == answer["model_version"] == "7"
    assert (shadow["shadow_of"], shadow["model_version"]) == (answer["prediction_id"], "8")


@pytest.mark.usefixtures("scored")
def test_if_the_challenger_fails_the_live_release_writes_the_result(buckets):
    upload = buckets.drop("a.jpg", source="gate-2")

    assert challenged(buckets.s3, Challenger("gate-2", fails=True)).score(upload, "r") is Outcome.SCORED

    assert buckets.result("a.jpg")["model_version"] == "7"
