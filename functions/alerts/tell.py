"""Tells people by SNS and systems by EventBridge: sentences, ids and counts, never a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from functions.alerts.alert import Alert

EVENT_SOURCE: Final = "maskwatch"
DETAIL_TYPE: Final = "Mask alert"


class TellError(RuntimeError):
    """EventBridge did not take an event; the message says why."""


def tell_people(sns: Any, topic: str, alert: Alert) -> None:
    """Publish an alert that began or is over to a topic, by its ARN; `sns` is a boto3 client.

    Raises:
        ClientError: SNS refused.
        BotoCoreError: It was not reached.
    """
    sns.publish(
        TopicArn=topic,
        Subject=alert.subject,
        Message=f"{alert.message}\n\n{alert.page}",
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value}
            for name, value in {"status": alert.status, "source": alert.source or "(none)"}.items()
        },
    )


def tell_systems(events: Any, stack: str, alert: Alert) -> None:
    """Put an alert that began or is over on the default bus; `events` is a boto3 client of EventBridge.

    Raises:
        ClientError: EventBridge refused.
        BotoCoreError: It was not reached.
        TellError: It did not take the event.
    """
    entry = {
        "Source": EVENT_SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps({"version": 1, "stack": stack, **alert.to_json()}),
    }
    answer = events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise TellError(f"EventBridge did not take the event: {answer['Entries'][0].get('ErrorMessage')}")
