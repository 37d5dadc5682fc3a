"""Deliveries of SNS over HTTP: what asks for a confirmation, notifications, and the attempts that are made at both."""

import http.client
import ipaddress
import json
import logging
import threading
from urllib.parse import urlsplit

from .clock import clock

# AWS waits 15 s for an answer.
ANSWER_SECONDS = 15
# AWS's default: three more attempts, 20 s apart. A DeliveryPolicy of the subscription can say otherwise.
RETRIES = {
    "numRetries": 3,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "numMaxDelayRetries": 0,
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
}
TOO_MANY_REQUESTS = 429

logger = logging.getLogger("signalbox_cloud.sns_http")


def post(subscription: dict, kind: str, message_id: str, body: str, raw: bool = False) -> None:
    """Post to the endpoint of a subscription, now and again as its policy says.

    The emulator makes one attempt, with one of the headers. AWS: 5xx, 429 and no answer are tried again, other
    statuses of 4xx are not.
    """
    url = urlsplit(subscription["endpoint"])
    if not _is_loopback(url.hostname or ""):
        logger.warning("nothing leaves the machine: no %s for %s", kind, subscription["endpoint"])
        return
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": subscription["topic_arn"],
        "x-amz-sns-subscription-arn": subscription["arn"],
    }
    if raw:
        headers["x-amz-sns-rawdelivery"] = "true"
    waits = iter(_waits(subscription))

    def attempt() -> None:
        again = _post(url, headers, body.encode())
        wait = next(waits, None) if again else None
        if wait is not None:
            clock.after(wait, begin)

    def begin() -> None:
        threading.Thread(target=attempt, daemon=True, name="sns-http").start()

    begin()


def _post(url, headers: dict[str, str], body: bytes) -> bool:
    """Whether another attempt is worth while."""
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname, url.port, timeout=ANSWER_SECONDS)
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        logger.warning("%s: %s", url.geturl(), error)
        return True
    finally:
        connection.close()
    logger.info("%s: %s", url.geturl(), status)
    return status >= 500 or status == TOO_MANY_REQUESTS


def _waits(subscription: dict) -> list[float]:
    """The seconds before each further attempt: at once, then the shortest, then longer and longer, then the longest."""
    try:
        given = json.loads(subscription["attributes"].get("DeliveryPolicy") or "{}")
        policy = RETRIES | (given.get("healthyRetryPolicy") or {})
        at_once, shortest, longest = (policy[f"num{name}Retries"] for name in ("NoDelay", "MinDelay", "MaxDelay"))
        growing = policy["numRetries"] - at_once - shortest - longest
        low, high = policy["minDelayTarget"], policy["maxDelayTarget"]
        steps = [low + (high - low) * step / max(growing - 1, 1) for step in range(growing)]
        return [0] * at_once + [low] * shortest + steps + [high] * longest
    except (ValueError, AttributeError, TypeError):
        logger.warning("%s: its DeliveryPolicy makes no sense", subscription["arn"])
        return []


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
