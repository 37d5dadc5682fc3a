"""Topics of SNS: what Publish refuses, what each subscriber gets, and the mails that nobody sends."""

import json
import os
import re
import time
from datetime import datetime, timezone
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import sns
from ministack.services.cloudformation import provisioners

from . import patching, sns_http

# AWS: no control characters and "less than 100 characters long". That they are ASCII, and begin with a letter, a number
# or a punctuation mark, is what the API reference said for many years, and what mail programs show as it was written.
SUBJECT = re.compile(r"[!-~][ -~]{0,98}")
# The subject of a mail whose message has none.
NO_SUBJECT = "AWS Notification Message"
ARN_PARTS = 6


def apply() -> None:
    # AWS refuses a subject that is there and empty, which the emulator takes for none.
    patching.substitute(
        sns,
        "handle_request",
        (
            'parse_qs(body.decode("utf-8", errors="replace"))',
            'parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)',
        ),
    )
    patching.wrap(sns, "_publish", publish, "df41cb2faa09")
    patching.replace(sns, "_resolve_message_for_protocol", message_for, "ce24ef525ae4")
    patching.provide(sns, _now=now, _mail=mail, _post=sns_http.post, _ask=ask)
    patching.substitute(sns, "_build_envelope", ('time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())', "_now()"))
    patching.substitute(
        sns,
        "_fanout",
        (
            'logger.info("SNS fanout → email %s (stub)", endpoint)',
            "_mail(sub, subject, effective_message, envelope)",
        ),
        (
            """\
            _threading.Thread(
                target=asyncio.run,
                args=(_deliver_to_http(endpoint, envelope),),
                daemon=True,
            ).start()
""",
            '            _post(sub, "Notification", msg_id, envelope, raw)\n',
        ),
    )
    patching.substitute(
        sns,
        "_subscribe",
        ("asyncio.ensure_future(_send_subscription_confirmation(topic_arn, sub))", "_ask(sub)"),
    )
    # AWS: the policy that a topic has by itself lets nobody in whom the policies of IAM do not let in. In the emulator
    # that of a topic in a stack lets in every role of the account.
    patching.substitute(
        provisioners,
        "_sns_create",
        (
            '            "Resource": arn,\n',
            """\
            "Resource": arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": get_account_id()}},
""",
        ),
    )
    patching.wrap(provisioners, "_sns_create", create_topic, None)
    patching.wrap(provisioners, "_sns_update", update_topic, "a29cbf08e7b5")
    patching.wrap(provisioners, "_sns_sub_create", create_subscription, "1d35ffdfbb89")


# ---------------------------------------------------------------------------------------------------------------------
# Publish
# ---------------------------------------------------------------------------------------------------------------------


def publish(original, params: dict) -> tuple:
    """Publish with AWS's refusals: the emulator takes any subject, no message, and JSON without a default."""
    if reason := why_not(params):
        return sns._error("InvalidParameter", f"Invalid parameter: {reason}", 400)
    return original(params)


def why_not(params: dict) -> str | None:
    arn, message = (sns._p(params, "TopicArn") or sns._p(params, "TargetArn")), sns._p(params, "Message")
    if not arn and not sns._p(params, "PhoneNumber"):
        return "TopicArn or TargetArn Reason: no value for required parameter"
    if arn and len(parts := arn.split(":")) < ARN_PARTS:
        return f"TopicArn Reason: An ARN must have at least {ARN_PARTS} elements, not {len(parts)}"
    if "Subject" in params and not SUBJECT.fullmatch(sns._p(params, "Subject")):
        return "Subject"
    if not message:
        return "Empty message"
    structure = sns._p(params, "MessageStructure")
    if structure == "json":
        try:
            bodies = _bodies(message)
        except ValueError:
            return "Message Structure - JSON message body failed to parse"
        if "default" not in bodies:
            return "Message Structure - No default entry in JSON message body"
    elif structure:
        return "MessageStructure"
    return None


def _bodies(message: str) -> dict[str, str]:
    """The texts by protocol. AWS: "Duplicate keys are not allowed", and what is not a string is ignored."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("duplicate keys")
        return dict(pairs)

    bodies = json.loads(message, object_pairs_hook=distinct)
    if not isinstance(bodies, dict):
        raise ValueError("not an object")
    return {protocol: text for protocol, text in bodies.items() if isinstance(text, str)}


def message_for(message: str, message_structure: str, protocol: str) -> str:
    """What a subscriber of this protocol gets."""
    if message_structure != "json":
        return message
    bodies = _bodies(message)
    return bodies.get(protocol, bodies["default"])


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ---------------------------------------------------------------------------------------------------------------------
# Mails
# ---------------------------------------------------------------------------------------------------------------------

# By account.
_mails: dict[str, list[dict]] = {}


def mail(subscription: dict, subject: str, message: str, envelope: str) -> None:
    """Keep what would have been mailed. On AWS it is for the addressee to confirm a subscription; here it is as if."""
    topic_arn = subscription["topic_arn"]
    mails = _mails.setdefault(topic_arn.split(":")[4], [])
    mails.append(
        {
            "topicArn": topic_arn,
            "endpoint": subscription["endpoint"],
            "subject": subject or NO_SUBJECT,
            "body": envelope if subscription["protocol"] == "email-json" else message,
            "at": int(time.time() * 1000),
        }
    )


def mails(account: str) -> list[dict]:
    """The mails to subscribers of the account's topics, oldest first."""
    return _mails.get(account, [])[:]


def reset_mails(account: str) -> None:
    _mails.pop(account, None)


# ---------------------------------------------------------------------------------------------------------------------
# Subscriptions
# ---------------------------------------------------------------------------------------------------------------------


def create_topic(original, logical_id: str, props: dict, stack_name: str) -> tuple:
    """A topic of a stack, with its key, and with its subscriptions as Subscribe makes them."""
    arn, attributes = original(logical_id, props, stack_name)
    _encrypt(arn, props)
    for subscription in sns._topics[arn]["subscriptions"]:
        _complete(subscription)
    return arn, attributes


def update_topic(original, physical_id: str, old_props: dict, new_props: dict, *arguments: Any, **named: Any) -> tuple:
    """A topic whose key has changed. The emulator reads no key."""
    arn, attributes = original(physical_id, old_props, new_props, *arguments, **named)
    _encrypt(arn, new_props)
    return arn, attributes


def _encrypt(topic_arn: str, props: dict) -> None:
    attributes = sns._topics[topic_arn]["attributes"]
    attributes.pop("KmsMasterKeyId", None)
    if props.get("KmsMasterKeyId"):
        attributes["KmsMasterKeyId"] = props["KmsMasterKeyId"]


def create_subscription(original, logical_id: str, props: dict, stack_name: str) -> tuple:
    """A subscription of a stack. The emulator asks no HTTP endpoint for its confirmation, so that it gets nothing."""
    arn, attributes = original(logical_id, props, stack_name)
    subscription = sns._find_subscription(props.get("TopicArn", ""), arn)
    if subscription is None:
        raise ValueError("Invalid parameter: TopicArn")
    _complete(subscription)
    return arn, attributes


def _complete(subscription: dict) -> None:
    confirmed = subscription["confirmed"]
    subscription["attributes"] = {
        "SubscriptionArn": subscription["arn"],
        "TopicArn": subscription["topic_arn"],
        "Protocol": subscription["protocol"],
        "Endpoint": subscription["endpoint"],
        "Owner": subscription["owner"],
        "PendingConfirmation": "false" if confirmed else "true",
        "ConfirmationWasAuthenticated": "true" if confirmed else "false",
        "RawMessageDelivery": "false",
    } | subscription["attributes"]
    if not confirmed:
        subscription["token"] = new_uuid()
        ask(subscription)


def ask(subscription: dict) -> None:
    """Ask an HTTP endpoint whether it wants what it is subscribed to."""
    topic_arn, token = subscription["topic_arn"], subscription["token"]
    query = f"Action=ConfirmSubscription&TopicArn={topic_arn}&Token={token}"
    body = {
        "Type": "SubscriptionConfirmation",
        "MessageId": new_uuid(),
        "Token": token,
        "TopicArn": topic_arn,
        "Message": f"You have chosen to subscribe to the topic {topic_arn}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message.",
        "SubscribeURL": f"{os.environ['AWS_ENDPOINT_URL']}/?{query}",
        "Timestamp": now(),
        "SignatureVersion": "1",
        "Signature": "FAKE",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-fake.pem",
    }
    sns_http.post(subscription, body["Type"], body["MessageId"], json.dumps(body))
