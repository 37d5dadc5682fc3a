"""Function URLs: addresses that lead here, and who may call them."""

import json
import os
import urllib.parse

from ministack import app as emulator
from ministack.core import iam_evaluator
from ministack.core.responses import request_scope
from ministack.services import lambda_svc

from . import patching

# AWS: what a function is invoked with, which is the request as JSON, with a body that is no text in Base64.
MAX_EVENT_BYTES = 6 * 1024 * 1024


def apply() -> None:
    # The emulator gives out addresses of AWS, which lead there. It serves those of any host that begins alike, and
    # curl takes every name under `localhost` for this machine.
    patching.provide(lambda_svc, _address_of_function_url=address)
    patching.substitute(
        lambda_svc,
        "_create_function_url_config",
        (
            'f"https://{_new_function_url_id()}.lambda-url.{get_region()}.on.aws/"',
            "_address_of_function_url(_new_function_url_id(), get_region())",
        ),
    )
    patching.wrap(emulator, "_handle_lambda_url_request", handle_request, "5220afd5488a")


def address(url_id: str, region: str) -> str:
    return f"http://{url_id}.lambda-url.{region}.localhost:{os.environ['GATEWAY_PORT']}/"


async def handle_request(original, host: str, path: str, method: str, headers: dict, body: bytes, *rest, **options):
    """Serve a request to a function URL.

    AWS: since October 2025 a URL that asks for no signature needs two statements in the function's policy, for
    lambda:InvokeFunctionUrl and for lambda:InvokeFunction. The emulator asks for none, and takes any body. The path
    stays encoded, unlike that of an HTTP API; here as it would be written, because the emulator has decoded it.
    """
    path = urllib.parse.quote(path, safe="/:@!$&'()*+,;=~")
    parsed = emulator._parse_lambda_url(host, path)
    resolved = parsed and lambda_svc.resolve_function_url(parsed[0])
    if resolved and resolved[4].get("AuthType") == "NONE" and not _may_be_called(*resolved[:4]):
        message = (
            "Forbidden. For troubleshooting Function URL authorization issues, see: "
            "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
        )
        return _refusal(403, "AccessDeniedException", message)
    if resolved and _size_in_event(headers, body) > MAX_EVENT_BYTES:
        message = f"Request must be smaller than {MAX_EVENT_BYTES} bytes for the InvokeFunction operation"
        return _refusal(413, "RequestEntityTooLargeException", message)
    return await original(host, path, method, headers, body, *rest, **options)


def _refusal(status: int, code: str, message: str) -> tuple[int, dict, bytes]:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"Message": message}).encode()


def _size_in_event(headers: dict, body: bytes) -> int:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = kind.startswith("text/") or kind in lambda_svc._FUNCTION_URL_TEXT_TYPES
    return len(body) if is_text else (len(body) + 2) // 3 * 4


def _may_be_called(account: str, region: str, function_name: str, qualifier: str | None) -> bool:
    arn = f"arn:aws:lambda:{region}:{account}:function:{function_name}" + (f":{qualifier}" if qualifier else "")
    # Nobody has signed the request, so that it is in no account yet.
    with request_scope(account, region):
        policy = iam_evaluator._resource_policy("lambda", arn)
    keys = {
        "lambda:InvokeFunctionUrl": {"lambda:functionurlauthtype": "NONE"},
        "lambda:InvokeFunction": {"lambda:invokedviafunctionurl": "true"},
    }
    return policy is not None and all(
        iam_evaluator.evaluate_resource_policy(
            policy[0],
            iam_evaluator.EvalContext(
                principal_arn="anonymous",
                principal_type="Anonymous",
                principal_account="anonymous",
                action=action,
                resource_arn=arn,
                region=region,
                service_context=context,
            ),
        ).decision
        == "Allow"
        for action, context in keys.items()
    )
