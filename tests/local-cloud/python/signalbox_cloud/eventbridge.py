"""EventBridge: what was put on the default bus, what becomes of it on the way to a target, and schedules."""

import json
from datetime import datetime, timezone
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import eventbridge, scheduler, sqs

from . import faults, patching
from .clock import clock

# Whether scheduled rules and the schedules of EventBridge Scheduler run. Set at the start of the cloud.
schedules = False


def apply() -> None:
    patching.wrap(eventbridge, "_invoke_target", invoke_target, "550e304af080")
    patching.wrap(eventbridge, "start_scheduler", start_scheduler, "11f17404da11")
    patching.wrap(scheduler, "start_scheduler", start_scheduler, "04a12e5e9f1e")


# ---------------------------------------------------------------------------------------------------------------------
# The log
# ---------------------------------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------------------------------
# Deliveries
# ---------------------------------------------------------------------------------------------------------------------


def invoke_target(original, target: dict, event: dict, rule: dict, view: Any = None) -> None:
    """Deliver an event to a target, unless it is one that the queue may not take, and as often as the faults say.

    AWS delivers to a queue if the queue's policy lets the rule; the emulator asks nobody.
    """
    if not _may_deliver(target.get("Arn", ""), rule):
        return
    delays = [0.0]
    if faults.any_of_deliveries() and event.get("EventBusName", "default") == "default":
        delays = faults.delivery_delays(event["Account"], json.dumps(_as_delivered(event)))
    for delay in delays:
        if delay:
            clock.after(delay, lambda: original(target, event, rule, view))
        else:
            original(target, event, rule, view)


def _may_deliver(target_arn: str, rule: dict) -> bool:
    try:
        target = parse_arn(target_arn)
    except ArnParseError:
        return True
    if target.service != "sqs":
        return True
    if sqs.queue_policy_allows(target_arn, "events.amazonaws.com", rule.get("Arn", ""), target.account_id):
        return True
    eventbridge.logger.warning("rule %s may not send to %s: its policy does not say so", rule.get("Arn"), target_arn)
    return False


def start_scheduler(original) -> None:
    """Tests call by themselves what a schedule would call, and want no calls besides."""
    if schedules:
        original()
