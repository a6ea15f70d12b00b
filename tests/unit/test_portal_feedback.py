"""`POST /feedback` validates and stores the actual label of a prediction; the latest one counts."""

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.make_events import CONTEXT, api_event, sample_event
from tests.template import stack_template

ID = "5f0c8a52-7c1e-4b5e-9a53-6a6b1f0f2d11"


@pytest.fixture
def moments():
    """The times at which the API receives requests; the last one is that of the next request."""
    return [datetime(2026, 11, 21, 9, tzinfo=UTC)]


@pytest.fixture
def say(portal, moments):
    def send(body):
        text = body if isinstance(body, str | None) else json.dumps(body)
        event = api_event("POST", "/feedback", content_type="application/json", body=text)
        event["requestContext"]["requestTimeEpoch"] = round(moments[-1].timestamp() * 1000)
        return portal.handler(event, CONTEXT)

    return send


@pytest.fixture
def at(moments):
    """Set the time of the next requests."""
    return lambda moment: moments.append(datetime.fromisoformat(moment).replace(tzinfo=UTC))


def kept(bucket):
    return {o.key: json.loads(o.get()["Body"].read()) for o in bucket.objects.all()}


@pytest.mark.parametrize("label", ["mask", "no_mask", "incorrect"])
def test_a_label_is_stored_by_day_and_prediction(say, insights, at, label):
    at("2026-11-22T09:15:00.250")

    answer = say({"prediction_id": ID, "label": label})

    result = {"prediction_id": ID, "label": label, "time": "2026-11-22T09:15:00.250+00:00", "audit": False}
    assert (answer["statusCode"], json.loads(answer["body"])) == (202, result)
    assert kept(insights) == {f"feedback/dt=2026-11-22/{ID}.json": result | {"api_key_id": ""}}


def test_the_table_has_a_column_for_every_field(say, insights):
    say({"prediction_id": ID, "label": "mask"})

    table = stack_template()["Resources"]["FeedbackTable"]["Properties"]["TableInput"]
    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    (label,) = kept(insights).values()
    assert columns == {name: {str: "string", bool: "boolean"}[type(value)] for name, value in label.items()}


def test_the_id_of_the_api_key_is_stored_and_not_the_key(portal, insights):
    event = api_event("POST", "/feedback", body=json.dumps({"prediction_id": ID, "label": "mask"}))
    event["requestContext"]["identity"] |= {"apiKey": "secret", "apiKeyId": "k-1"}

    assert portal.handler(event, CONTEXT)["statusCode"] == 202

    (label,) = kept(insights).values()
    assert label["api_key_id"] == "k-1"
    assert "secret" not in json.dumps(label)


def test_only_predictions_of_the_audit_sample_are_accepted_as_audit(say, insights):
    drawn = ID.replace("5f0c8a52", "0000abcd")

    assert say({"prediction_id": drawn, "label": "mask", "audit": True})["statusCode"] == 202
    assert kept(insights).popitem()[1]["audit"] is True

    answer = say({"prediction_id": ID, "label": "mask", "audit": True})
    assert answer["statusCode"] == 400
    assert "not in the audit sample" in json.loads(answer["body"])["detail"]
    assert say({"prediction_id": drawn, "label": "mask", "audit": "yes"})["statusCode"] == 400


def test_an_ordinary_label_does_not_replace_one_of_the_audit_sample(say, insights, at):
    drawn = ID.replace("5f0c8a52", "0000abcd")
    at("2026-11-22T09:15:00")
    for audit in (True, False, False):
        say({"prediction_id": drawn, "label": "mask", "audit": audit})

    day = "feedback/dt=2026-11-22"
    assert {key: label["audit"] for key, label in kept(insights).items()} == {
        f"{day}/audit/{drawn}.json": True,
        f"{day}/{drawn}.json": False,
    }


def test_an_earlier_label_that_is_processed_later_changes_nothing(say, insights, at):
    for second, label in ((2, "no_mask"), (1, "mask")):
        at(f"2026-11-22T09:00:0{second}")
        assert say({"prediction_id": ID, "label": label})["statusCode"] == 202

    (result,) = kept(insights).values()
    assert (result["label"], result["time"]) == ("no_mask", "2026-11-22T09:00:02.000+00:00")


@pytest.mark.parametrize("labelled_before", [False, True])
@pytest.mark.parametrize("seconds", [(1, 2), (2, 1)])
def test_of_two_labels_that_are_written_at_once_the_later_stays(
    seconds, labelled_before, portal, say, insights, at, monkeypatch
):
    if labelled_before:
        say({"prediction_id": ID, "label": "incorrect"})
    s3 = portal.feedback.buckets.s3()
    put = s3.put_object

    def send(second):
        at(f"2026-11-21T09:00:0{second}")
        assert say({"prediction_id": ID, "label": ("mask", "no_mask")[second - 1]})["statusCode"] == 202

    def slow(**arguments):
        monkeypatch.setattr(s3, "put_object", put)
        send(seconds[1])
        return put(**arguments)

    monkeypatch.setattr(s3, "put_object", slow)
    send(seconds[0])

    (result,) = kept(insights).values()
    assert (result["label"], result["time"]) == ("no_mask", "2026-11-21T09:00:02.000+00:00")


def test_a_write_that_meets_another_one_in_progress_is_retried(portal, say, insights, monkeypatch):
    s3, waited = portal.feedback.buckets.s3(), []
    put = s3.put_object

    def busy(**arguments):
        if len(waited) < 2:
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
        return put(**arguments)

    monkeypatch.setattr(s3, "put_object", busy)
    monkeypatch.setattr(portal.feedback.time, "sleep", waited.append)

    assert say({"prediction_id": ID, "label": "mask"})["statusCode"] == 202
    assert len(kept(insights)) == 1


def test_a_repeated_label_replaces_the_previous_one(say, insights, at):
    for minute, label in enumerate(["mask", "mask", "no_mask"]):
        at(f"2026-11-22T09:0{minute}:00")
        assert say({"prediction_id": ID, "label": label})["statusCode"] == 202

    (result,) = kept(insights).values()
    assert (result["label"], result["time"]) == ("no_mask", "2026-11-22T09:02:00.000+00:00")


def test_a_label_of_another_day_is_stored_with_its_time(say, insights, at):
    for day, label in ((21, "mask"), (22, "incorrect")):
        at(f"2026-11-{day}T23:59:59")
        say({"prediction_id": ID, "label": label})

    latest = max(kept(insights).values(), key=lambda result: result["time"])
    assert latest["label"] == "incorrect"


def test_an_upper_case_id_is_the_same_prediction(say, insights, at):
    at("2026-11-22T09:00:00")
    say({"prediction_id": ID, "label": "mask"})
    say({"prediction_id": ID.upper(), "label": "no_mask"})

    (result,) = kept(insights).values()
    assert (result["prediction_id"], result["label"]) == (ID, "no_mask")


def test_unknown_fields_are_refused(say, insights):
    answer = say({"prediction_id": ID, "label": "mask", "name": "Jane Doe"})

    assert answer["statusCode"] == 400
    assert "'name'" in json.loads(answer["body"])["detail"]
    assert not kept(insights)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "not JSON"),
        ("", "not JSON"),
        ('{"label": ', "not JSON"),
        ([ID, "mask"], "not an object"),
        ({"label": "mask"}, "`prediction_id` must be the UUID"),
        ({"prediction_id": 7, "label": "mask"}, "`prediction_id` must be the UUID"),
        ({"prediction_id": "", "label": "mask"}, "`prediction_id` must be the UUID"),
        ({"prediction_id": ID.replace("-", ""), "label": "mask"}, "`prediction_id` must be the UUID"),
        ({"prediction_id": f"{{{ID}}}", "label": "mask"}, "`prediction_id` must be the UUID"),
        ({"prediction_id": f"../{ID}", "label": "mask"}, "`prediction_id` must be the UUID"),
        ({"prediction_id": f"{ID}\n", "label": "mask"}, "`prediction_id` must be the UUID"),
        ({"prediction_id": ID}, "`label` must be mask, no_mask or incorrect"),
        ({"prediction_id": ID, "label": None}, "`label` must be mask, no_mask or incorrect"),
        ({"prediction_id": ID, "label": ["mask"]}, "`label` must be mask, no_mask or incorrect"),
        ({"prediction_id": ID, "label": "uncertain"}, "`label` must be mask, no_mask or incorrect"),
        ({"prediction_id": ID, "label": "Mask"}, "`label` must be mask, no_mask or incorrect"),
    ],
)
def test_malformed_feedback_is_refused_with_the_accepted_form_and_not_stored(say, insights, body, says):
    answer = say(body)

    assert answer["statusCode"] == 400
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    assert says in json.loads(answer["body"])["detail"]
    assert kept(insights) == {}


def test_undecodable_bytes_are_refused_as_invalid_json(portal, insights):
    event = api_event("POST", "/feedback", content_type="image/jpeg", body=b"\xff\xd8\xff")
    answer = portal.handler(event, CONTEXT)

    assert answer["statusCode"] == 400
    assert "not JSON" in json.loads(answer["body"])["detail"]
    assert kept(insights) == {}


def test_json_with_another_content_type_is_accepted(portal, insights):
    body = json.dumps({"prediction_id": ID, "label": "mask"}).encode()  # curl -d without a type
    event = api_event("POST", "/feedback", content_type="application/x-www-form-urlencoded", body=body)

    assert portal.handler(event, CONTEXT)["statusCode"] == 202
    assert len(kept(insights)) == 1


@mock_aws
def test_a_failed_write_is_an_error(say):
    assert say({"prediction_id": ID, "label": "mask"})["statusCode"] == 500  # the bucket is not there


def test_another_method_is_refused_with_the_allowed_one(portal):
    answer = portal.handler(api_event("GET", "/feedback"), CONTEXT)

    assert answer["statusCode"] == 405
    assert answer["multiValueHeaders"]["Allow"] == ["POST"]


@pytest.mark.parametrize(("name", "status"), [("feedback", 202), ("feedback-uncertain", 400)])
@pytest.mark.usefixtures("insights")
def test_the_sample_events_are_answered(portal, name, status):
    event = sample_event(name)

    assert portal.handler(event, CONTEXT)["statusCode"] == status
