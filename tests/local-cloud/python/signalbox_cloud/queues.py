"""Queues of SQS, and the functions that they feed."""

import json
import threading
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.responses import error_response_json
from ministack.services import eventbridge, lambda_svc, sns, sqs
from ministack.services.cloudformation import provisioners

from . import iam, patching

# What Lambda does to a queue, as the role of the function.
ACTIONS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def apply() -> None:
    patch_turns()
    patching.wrap(lambda_svc, "_create_esm", create_mapping, "d351521bb6cd")
    patching.wrap(provisioners, "_lambda_esm_create", create_mapping_of_stack, "f053a4e8c30c")
    patching.provide(lambda_svc, _checked_answer=checked_answer)
    patching.substitute(
        lambda_svc,
        "_run_sqs_batch",
        (
            "result = _execute_function(func_rec, event)",
            "result = _checked_answer(esm, batch, _execute_function(func_rec, event))",
        ),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Messages
# ---------------------------------------------------------------------------------------------------------------------


def patch_turns() -> None:
    # The emulator's mappings delete messages by writing the list of those that stay. A message that is sent meanwhile,
    # by a rule of EventBridge, a topic of SNS or over HTTP, is lost: so each change of a queue has its turn.
    sqs._queues_lock = threading.RLock()
    for name, fingerprint in (
        ("_act_send_message", "3abd766508c8"),
        ("_act_send_message_batch", "2cab381a76df"),
        ("_act_delete_message", "8d700665e3d6"),
        ("_act_delete_message_batch", "877517c32f0f"),
        ("_act_change_visibility", "387eac7e8e12"),
        ("_act_purge_queue", "34196ea56d71"),
        ("_expire_retained", "c0da3361632b"),
        ("_dlq_sweep", "6a77691e1671"),
        ("_collect_msgs", "308a6eb1b3d4"),
    ):
        patching.wrap(sqs, name, in_turn, fingerprint)
    patching.wrap(eventbridge, "_dispatch_to_sqs", in_turn, "eb75981283a2")
    patching.wrap(sns, "_deliver_to_sqs", in_turn, "f85849838cca")


def in_turn(original, *arguments: Any, **named: Any) -> Any:
    with sqs._queues_lock:
        return original(*arguments, **named)


# ---------------------------------------------------------------------------------------------------------------------
# Functions
# ---------------------------------------------------------------------------------------------------------------------


def why_not(function: dict, source_arn: str) -> str | None:
    """Why a queue cannot feed a function.

    AWS: Lambda polls the queue as the role of the function, and makes no mapping for a role that may not. Nor for a
    queue that would show a message again while the function may still work on it.
    """
    if parse_arn(source_arn).service != "sqs":
        return None
    config = function.get("config") or {}
    for action in ACTIONS:
        if iam.denial(config.get("Role", ""), f"sqs:{action}", "sqs", source_arn):
            return f"The provided execution role does not have permissions to call {action} on SQS"
    queue = sqs._queue_by_arn(source_arn)
    visibility = int(queue["attributes"].get("VisibilityTimeout", 30)) if queue else None
    if visibility is not None and visibility < config.get("Timeout", 3):
        timeout = config.get("Timeout", 3)
        return f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
    return None


def create_mapping(original, data: dict) -> tuple:
    response = original(data)
    if response[0] < 300:
        mapping = json.loads(response[2])
        function, _config, _name = lambda_svc._get_func_record_for_ref(mapping["FunctionArn"])
        if reason := why_not(function or {}, mapping["EventSourceArn"]):
            lambda_svc._esms.pop(mapping["UUID"], None)
            message = f"Invalid request provided: {reason}" if reason.startswith("Queue") else reason
            return error_response_json("InvalidParameterValueException", message, 400)
    return response


def create_mapping_of_stack(original, logical_id: str, props: dict, stack_name: str) -> tuple:
    function, *_rest = provisioners._lambda_function_for_cfn_ref(props.get("FunctionName", ""))
    if reason := why_not(function or {}, props.get("EventSourceArn", "")):
        raise ValueError(f"Invalid request provided: {reason}")
    return original(logical_id, props, stack_name)


def checked_answer(esm: dict, batch: list[dict], result: dict) -> dict:
    """The answer of a function to a batch, as a failure of all of it if it makes no sense.

    AWS: an answer that is not JSON, or has an identifier that is empty, null, under another key, or of no message in
    the batch, fails the whole batch. The emulator takes such failures for none, and deletes the messages.
    """
    body = result.get("body")
    if result.get("error") or not body or "ReportBatchItemFailures" not in esm.get("FunctionResponseTypes", []):
        return result
    identifiers = {message["id"] for message in batch}
    try:
        answer = json.loads(body) if isinstance(body, (str, bytes)) else body
        if all(failure["itemIdentifier"] in identifiers for failure in answer.get("batchItemFailures") or []):
            return result
    except (ValueError, AttributeError, KeyError, TypeError):
        pass
    message = "The function's answer is none, or names what is not in its batch"
    return {**result, "error": True, "body": {"errorType": "InvalidBatchAnswer", "errorMessage": message}}
