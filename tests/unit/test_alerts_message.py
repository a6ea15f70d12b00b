"""An alert has a message with the precision of the model, a subject for SNS and an event that fits the schema."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from botocore.exceptions import ClientError

from functions.alerts.alert import begin, end, from_dict
from functions.alerts.counts import FaceCounts
from functions.alerts.notify import NotifyError, notify_people, notify_systems
from functions.alerts.precision import Precision, precision_of
from functions.alerts.rules import parse
from functions.shared.release_files import IMAGE_RELEASE
from tests.alerts import START
from tests.schemas import closed, validate
from tests.system import ROOT

SCHEMA = json.loads((ROOT / "docs" / "alert-event.schema.json").read_text())
RULE = parse('{"default": {"share": 0.2, "minutes": 10, "min_faces": 20, "min_confidence": 0.8}}').default
COUNTS = FaceCounts(
    24, 0, {"mask": 15, "no_mask": 7, "incorrect": 2, "uncertain": 0}, {"no_mask": 16}, "2.0.0"
)
PRECISION = {"no_mask": Precision(0.981, 842, 0.8)}


def alert(source="gate-3", rule=RULE, counts=COUNTS):
    zone = ZoneInfo("Europe/Berlin")
    return begin(
        "0b9c2a53-4f0e-4a51-9f0c-3d2b8a1e7f60",
        source,
        window_end=START,
        counts=counts,
        rule=rule,
        precision=PRECISION,
        zone=zone,
        page="https://p/",
    )


def test_the_message_gives_source_time_counts_precision_and_limit():
    assert alert().message == (
        "gate-3, 24 Nov 10:00 (CET): in the last 10 minutes 9 of 24 faces (38%) wore no proper mask "
        "with at least 80% confidence: 7 without a mask (in tests the model was right in 98.1% of 842 "
        "such answers at 80% confidence or more), 2 with a mask worn wrongly (the model has no test "
        "figures for this). The limit is 20% of at least 20 faces."
    )


def test_the_message_of_a_rule_with_any_says_that_none_is_allowed():
    rule = parse('{"default": {"any": true}}').default

    assert alert("", rule=rule).message.startswith("A camera without a name, 24 Nov")
    assert alert("", rule=rule).message.endswith("None is allowed there.")


@pytest.mark.parametrize(
    ("share", "text"), [(0.004, "0.4%"), (0.0004, "0.04%"), (0.05, "5%"), (0.1, "10%"), (1.0, "100%")]
)
def test_a_small_share_is_not_rounded_to_zero(share, text):
    counts = replace(COUNTS, faces=1000, labels={"mask": 996, "no_mask": 4, "incorrect": 0, "uncertain": 0})
    message = alert(rule=replace(RULE, min_share=share), counts=counts).message

    assert "4 of 1000 faces (0.4%)" in message
    assert f"The limit is {text} of" in message


def test_the_end_gives_the_duration():
    message = end(alert(), START + 1500, ZoneInfo("UTC"), "masks are worn again").message

    assert message == (
        "gate-3, 24 Nov 09:25 (UTC): masks are worn again. The alert of 09:00 is over after 25 min."
    )


@pytest.mark.parametrize("source", ["Tür 3", "門" * 64, "x" * 64, ""])
def test_a_subject_suits_sns(source):
    subject = alert(source).subject

    assert subject == f"Masks missing: {source or 'A camera without a name'}"
    assert subject.isprintable()
    assert len(subject) <= 100


def test_a_subject_that_sns_refuses_is_sent_in_ascii():
    sent = []

    class Sns:
        def publish(self, **message):
            sent.append(message["Subject"])
            if not sent[-1].isascii():
                raise ClientError({"Error": {"Code": "InvalidParameter"}}, "Publish")

    notify_people(Sns(), "topic", alert("Tür 3"))
    assert sent == ["Masks missing: Tür 3", "Masks missing: T?r 3"]


@pytest.mark.parametrize("code", ["InvalidParameter", "AuthorizationError"])
def test_another_refusal_of_sns_is_raised(code):
    class Sns:
        def publish(self, **_):
            raise ClientError({"Error": {"Code": code}}, "Publish")

    with pytest.raises(ClientError):
        notify_people(Sns(), "topic", alert("gate-3" if code == "InvalidParameter" else "東門"))


def test_a_name_from_right_to_left_leaves_the_words_around_it_in_order():
    name = "\u200eשער 3\u200e"
    opened = alert("שער 3")
    assert opened.message.startswith(f"{name}, 24 Nov 10:00 (CET): in the last 10 minutes")
    over = end(opened, START + 60, ZoneInfo("UTC"), "masks are worn again")
    assert over.message.startswith(f"{name}, 24 Nov 09:01 (UTC)")
    assert alert("東門").message.startswith("東門, ")


def test_the_link_contains_the_source_and_the_hour():
    assert alert("Tür 3&a").page == "https://p/#compliance?source=T%C3%BCr+3%26a&hour=2026-11-24T09"


def test_an_alert_is_as_the_api_documents_it():
    validate(alert().to_dict(), "Alert")


def test_an_alert_survives_a_round_trip_through_json():
    assert from_dict(json.loads(json.dumps(alert().to_dict()))) == alert()


class Bus:
    """Stands in for the clients of SNS and EventBridge."""

    def __init__(self, failed=0):
        self.failed, self.entries = failed, []

    def publish(self, **message):
        self.message = message

    def put_events(self, Entries):  # noqa: N803 -- as boto3 calls it
        self.entries += Entries
        return {"FailedEntryCount": self.failed, "Entries": [{"ErrorMessage": "no"}]}


@pytest.mark.parametrize(
    "notified", [alert(), end(alert(), START + 60, ZoneInfo("UTC"), "masks are worn again")]
)
def test_the_event_fits_its_schema(notified):
    bus = Bus()

    notify_people(bus, "topic", notified)
    notify_systems(bus, "maskwatch", notified)

    detail = json.loads(bus.entries[0]["Detail"])
    jsonschema.Draft202012Validator(closed(SCHEMA)).validate(detail)
    assert detail.keys() == SCHEMA["properties"].keys()
    assert bus.message["Message"].endswith("https://p/#compliance?source=gate-3&hour=2026-11-24T09")


def test_the_schema_allows_fields_that_are_added_later():
    bus = Bus()
    notify_systems(bus, "maskwatch", alert())
    detail = json.loads(bus.entries[0]["Detail"])

    detail["added"] = detail["labels"]["added"] = detail["precision"]["no_mask"]["added"] = 1

    jsonschema.Draft202012Validator(SCHEMA).validate(detail)


def test_an_event_that_is_refused_raises_an_error():
    with pytest.raises(NotifyError, match="no"):
        notify_systems(Bus(failed=1), "maskwatch", alert())


MANIFEST = {
    "version": "2",
    "metrics": {
        "served": {
            "confusion": [[90, 5, 5], [2, 40, 0], [1, 1, 8]],
            "precision_at": {
                "no_mask": [
                    {"min_confidence": 0.0, "n": 46, "right": 40},
                    {"min_confidence": 0.9, "n": 20, "right": 19},
                    {"min_confidence": 0.95, "n": 0, "right": 0},
                ]
            },
        }
    },
}


@pytest.mark.parametrize(("step", "value"), [(17, 40 / 46), (18, 0.95), (20, 0.95)])
def test_precision_is_that_of_faces_of_at_least_the_lowest_confidence(step, value):
    assert precision_of(MANIFEST, "2", {"no_mask": step})["no_mask"].value == pytest.approx(value)


def test_precision_is_that_of_all_faces_without_figures_by_confidence():
    assert precision_of(MANIFEST, "2", {"incorrect": 18, "mask": 3}) == {
        "incorrect": Precision(8 / 13, 13, 0.0)
    }


def test_the_figures_of_another_release_are_not_given():
    assert precision_of(MANIFEST, "3", {"no_mask": 18}) == {}


def test_the_release_in_the_image_has_figures():
    manifest = json.loads((IMAGE_RELEASE / "manifest.json").read_text())

    found = precision_of(manifest, manifest["version"], {"no_mask": 18, "incorrect": 18})

    assert found.keys() == {"no_mask", "incorrect"}
    assert found["no_mask"].value > 0.9
