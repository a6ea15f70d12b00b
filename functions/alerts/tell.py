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


def tell(sns: Any, events: Any, topic: str, stack: str, alert: Alert) -> None:
    """Publish an alert that began or is over.

    Args:
        sns: A boto3 client.
        events: One of EventBridge.
        topic: The ARN of the topic.
        stack: The name of the stack, by which systems tell several apart.
        alert: What is told.

    Raises:
        ClientError: One of the services refused.
        TellError: EventBridge did not take the event.
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
    entry = {
        "Source": EVENT_SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps({"version": 1, "stack": stack, **alert.to_json()}),
    }
    answer = events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise TellError(f"EventBridge did not take the event: {answer['Entries'][0].get('ErrorMessage')}")
