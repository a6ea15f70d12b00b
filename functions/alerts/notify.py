"""Notifies people through SNS and systems through EventBridge. Neither gets a picture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from functions.alerts.alert import Alert

EVENT_SOURCE: Final = "maskwatch"
DETAIL_TYPE: Final = "Mask alert"


class NotifyError(RuntimeError):
    """EventBridge refused an event; the message says why."""


def notify_people(sns: Any, topic: str, alert: Alert) -> None:
    """Publish the start or end of an alert to an SNS topic (an ARN); `sns` is a boto3 client.

    Raises:
        ClientError: SNS refused the request.
        BotoCoreError: SNS was not reached.
    """
    message = {
        "TopicArn": topic,
        "Message": f"{alert.message}\n\n{alert.page}",
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in {"status": alert.status, "source": alert.source or "(none)"}.items()
        },
    }
    try:
        sns.publish(Subject=alert.subject, **message)
    except ClientError as error:  # the documents of SNS disagree whether a subject may be in UTF-8
        if error.response["Error"]["Code"] != "InvalidParameter" or alert.subject.isascii():
            raise
        sns.publish(Subject=alert.subject.encode("ascii", "replace").decode(), **message)


def notify_systems(events: Any, stack: str, alert: Alert) -> None:
    """Put the start or end of an alert on the default event bus; `events` is a boto3 client.

    Raises:
        ClientError: EventBridge refused the request.
        BotoCoreError: EventBridge was not reached.
        NotifyError: EventBridge refused the event.
    """
    entry = {
        "Source": EVENT_SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps({"version": 1, "stack": stack, **alert.to_dict()}),
    }
    answer = events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise NotifyError(f"EventBridge refused the event: {answer['Entries'][0].get('ErrorMessage')}")
