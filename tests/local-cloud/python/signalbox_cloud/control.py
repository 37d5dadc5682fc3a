"""The endpoints of the local cloud itself, under `/_local/`."""

import json
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs

from ministack.core.responses import request_scope

from . import calls, deploy, ecs_control, ecs_settings, eventbridge, faults, sns, stepfunctions, stubs, usage
from .patching import SUPPORTED_VERSION

logger = logging.getLogger("signalbox_cloud.control")


class BadRequest(Exception):
    """Something is wrong with the request; the message names what."""


async def handle(scope: dict, receive: Callable, send: Callable) -> None:
    """Serve one request: JSON in, JSON out, errors as `{"error": "one sentence"}`."""
    try:
        endpoint = ENDPOINTS.get((scope["method"], scope["path"]))
        if endpoint is None:
            methods = sorted(method for method, path in ENDPOINTS if path == scope["path"])
            if not methods:
                raise BadRequest(f"there is no endpoint {scope['path']}")
            raise BadRequest(f"{scope['path']} takes {', '.join(methods)}, not {scope['method']}")
        query = {key: values[-1] for key, values in parse_qs(scope["query_string"].decode()).items()}
        status, answer = 200, await endpoint(query, await _read_json(receive))
    except (BadRequest, faults.BadFault, stubs.BadStub, ecs_settings.BadSetting) as error:
        status, answer = 400, {"error": str(error)}
    except deploy.Refused as error:
        status, answer = 422, {"error": str(error)}
    except Exception as error:
        logger.exception("%s %s", scope["method"], scope["path"])
        status, answer = 500, {"error": f"{type(error).__name__}: {error}"}
    body = json.dumps(answer, default=str).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read_json(receive: Callable) -> dict:
    body = await calls.read_body(receive)
    if not body:
        return {}
    try:
        data = json.loads(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise BadRequest("the body must be a JSON object")
    return data


def _account(fields: dict) -> str:
    account = _text(fields, "account")
    if not re.fullmatch(r"\d{12}", account):
        raise BadRequest(f"account: {account!r} is not 12 digits")
    return account


def _text(fields: dict, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name}: a string is required")
    return value


def _absolute_path(fields: dict, name: str) -> Path:
    path = Path(_text(fields, name))
    if not path.is_absolute():
        raise BadRequest(f"{name}: {path} is not an absolute path")
    return path


async def health(query: dict, data: dict) -> dict:
    return {
        "ready": True,
        "version": SUPPORTED_VERSION,
        "executionThreads": stepfunctions.running_threads(),
        "schedules": eventbridge.schedules,
    }


async def create_stack(query: dict, data: dict) -> dict:
    parameters = data.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest("parameters: must be an object")
    unknown = data.keys() - {"account", "stack", "template", "binaries", "parameters"}
    if unknown:
        raise BadRequest(f"{min(unknown)}: there is no such field")
    paths = (_absolute_path(data, "template"), _absolute_path(data, "binaries"))
    return await deploy.deploy(_account(data), _text(data, "stack"), *paths, parameters)


async def delete_stack(query: dict, data: dict) -> dict:
    await deploy.delete(_account(query), _text(query, "stack"))
    return {}


async def add_fault(query: dict, data: dict) -> dict:
    return {"id": faults.add(_account(data), data)}


async def list_faults(query: dict, data: dict) -> dict:
    return {"faults": faults.listing(query.get("account"))}


async def delete_faults(query: dict, data: dict) -> dict:
    if not query.keys() & {"id", "account"}:
        raise BadRequest("id or account: one of them is required")
    return {"removed": faults.remove(query.get("id"), query.get("account"))}


async def add_stub(query: dict, data: dict) -> dict:
    return {"id": stubs.add(_account(data), data)}


async def list_stubs(query: dict, data: dict) -> dict:
    return {"stubs": stubs.listing(_account(query))}


async def delete_stubs(query: dict, data: dict) -> dict:
    if not query.keys() & {"id", "account"}:
        raise BadRequest("id or account: one of them is required")
    return {"removed": stubs.remove(query.get("id"), query.get("account"))}


async def release_stubs(query: dict, data: dict) -> dict:
    return {"released": stubs.release(_account(data), data)}


async def list_stubbed_calls(query: dict, data: dict) -> dict:
    return {"calls": stubs.calls(_account(query), query.get("id"), query.get("execution"))}


async def delete_stubbed_calls(query: dict, data: dict) -> dict:
    stubs.reset_calls(_account(query))
    return {}


async def list_calls(query: dict, data: dict) -> dict:
    return calls.counts(_account(query))


async def delete_calls(query: dict, data: dict) -> dict:
    calls.reset(query.get("account"))
    return {}


async def list_usage(query: dict, data: dict) -> dict:
    return usage.of_account(_account(query))


async def delete_usage(query: dict, data: dict) -> dict:
    usage.reset(_account(query))
    return {}


async def list_events(query: dict, data: dict) -> dict:
    with request_scope(_account(query), deploy.REGION):
        return {"events": eventbridge.events()}


async def list_mails(query: dict, data: dict) -> dict:
    return {"mails": sns.mails(_account(query))}


async def delete_mails(query: dict, data: dict) -> dict:
    sns.reset_mails(_account(query))
    return {}


async def add_image(query: dict, data: dict) -> dict:
    account = _account(data)
    ecs_settings.add_image(account, {name: value for name, value in data.items() if name != "account"})
    return {}


async def delete_images(query: dict, data: dict) -> dict:
    return {"removed": ecs_settings.remove_images(_account(query))}


async def change_ecs(query: dict, data: dict) -> dict:
    account = _account(data)
    ecs_settings.change(account, {name: value for name, value in data.items() if name != "account"})
    return ecs_settings.shown(account)


async def show_ecs(query: dict, data: dict) -> dict:
    return ecs_control.show(_account(query))


async def stop_task(query: dict, data: dict) -> dict:
    ecs_control.stop(_account(data), data)
    return {}


async def kill_container(query: dict, data: dict) -> dict:
    ecs_control.kill(_account(data), data)
    return {}


ENDPOINTS: dict[tuple[str, str], Callable[[dict, dict], Awaitable[dict]]] = {
    ("GET", "/_local/health"): health,
    ("POST", "/_local/deploy"): create_stack,
    ("DELETE", "/_local/stacks"): delete_stack,
    ("POST", "/_local/faults"): add_fault,
    ("GET", "/_local/faults"): list_faults,
    ("DELETE", "/_local/faults"): delete_faults,
    ("POST", "/_local/stubs"): add_stub,
    ("GET", "/_local/stubs"): list_stubs,
    ("DELETE", "/_local/stubs"): delete_stubs,
    ("POST", "/_local/stubs/release"): release_stubs,
    ("GET", "/_local/stubs/calls"): list_stubbed_calls,
    ("DELETE", "/_local/stubs/calls"): delete_stubbed_calls,
    ("GET", "/_local/calls"): list_calls,
    ("DELETE", "/_local/calls"): delete_calls,
    ("GET", "/_local/usage"): list_usage,
    ("DELETE", "/_local/usage"): delete_usage,
    ("GET", "/_local/events"): list_events,
    ("GET", "/_local/mails"): list_mails,
    ("DELETE", "/_local/mails"): delete_mails,
    ("POST", "/_local/images"): add_image,
    ("DELETE", "/_local/images"): delete_images,
    ("POST", "/_local/ecs"): change_ecs,
    ("GET", "/_local/ecs"): show_ecs,
    ("POST", "/_local/ecs/stop"): stop_task,
    ("POST", "/_local/ecs/kill"): kill_container,
}
