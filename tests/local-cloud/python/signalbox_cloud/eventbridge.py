"""What was put on EventBridge's default bus."""

import json
from datetime import datetime, timezone

from ministack.services import eventbridge


def events() -> list[dict]:
    """Every event on the default bus of the current account, oldest first, in the shape in which targets get them."""
    return [_as_delivered(event) for event in eventbridge._events_log_list() if event["EventBusName"] == "default"]


def _as_delivered(event: dict) -> dict:
    return {
        "version": "0",
        "id": event["EventId"],
        "detail-type": event["DetailType"],
        "source": event["Source"],
        "account": event["Account"],
        "time": datetime.fromtimestamp(event["Time"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": event["Region"],
        "resources": event["Resources"],
        "detail": json.loads(event["Detail"]),
    }
