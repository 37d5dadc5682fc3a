"""Deploying a template without leaving the process: packages it as `sam deploy` would, for the same CloudFormation."""

import asyncio
import copy
import hashlib
import io
import json
import logging
import re
import threading
import time
import xml.etree.ElementTree
import zipfile
from pathlib import Path

from ministack.core.responses import request_scope
from ministack.services import cloudformation, s3
from ministack.services.cloudformation import engine, handlers, provisioners

from . import lambda_service, patching, stack_deletion

REGION = "us-east-1"
# Stands for the bucket that `sam package` uploads to. It is in every account, and holds what `package` has made.
BUCKET = "signalbox-local-packages"
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")

logger = logging.getLogger("signalbox_cloud.deploy")


class Refused(Exception):
    """A deployment that cannot be done, or did not work; the message is for the caller."""


def apply() -> None:
    patching.wrap(s3, "_get_object_data", get_object_data, "8735d1f5e331")
    # The SAM transform takes a quarter of a second and depends on nothing but the template.
    patching.provide(engine, _remember_transform=remember_transform)
    patching.substitute(
        engine,
        "_apply_transforms",
        (
            "return _sam_transform(copy.deepcopy(template), {}, _NO_IAM_POLICY_LOADER)",
            "return _remember_transform(_sam_transform, template, _NO_IAM_POLICY_LOADER)",
        ),
    )
    # See lambda_service.code_sha256.
    patching.provide(provisioners, _code_sha256=lambda_service.code_sha256)
    patching.substitute(
        provisioners,
        "_lambda_create",
        ("hashlib.sha256(code_zip).digest()", "_code_sha256(code_zip).digest()"),
        # AWS: a package that is not there fails the function. The emulator creates one that answers a mock.
        (
            "    code_size = len(code_zip) if code_zip else 0\n",
            """\
    if code_zip is None and not is_image:
        raise ValueError(f"there is no package at s3://{code.get('S3Bucket')}/{code.get('S3Key')}")
    code_size = len(code_zip) if code_zip else 0
""",
        ),
    )


def load_transform() -> None:
    """Import the SAM translator, which takes a second, before the first deployment asks for it."""
    from samtranslator.translator.transform import transform  # noqa: F401


# ---------------------------------------------------------------------------------------------------------------------
# Packaging
# ---------------------------------------------------------------------------------------------------------------------

_objects: dict[str, bytes] = {}
_binaries: dict[Path, tuple[tuple, str]] = {}
_templates: dict[Path, tuple[tuple, dict]] = {}
_transforms: dict[str, dict] = {}
_package_lock = threading.Lock()


def get_object_data(original, bucket_name: str, key: str, version_id: str | None = None) -> bytes | None:
    if bucket_name == BUCKET:
        return _objects.get(key)
    return original(bucket_name, key, version_id=version_id)


def package(template_path: Path, binaries: Path) -> str:
    """Do what `sam package` does; returns the key of the packaged template.

    A function built by cargo-lambda gets a zip with the binary as `bootstrap`, a state machine the file that its
    DefinitionUri names.
    """
    with _package_lock:
        template = copy.deepcopy(_parse(template_path))
        for logical_id, resource in (template.get("Resources") or {}).items():
            properties = resource.setdefault("Properties", {}) or {}
            if resource.get("Type") == "AWS::Serverless::Function":
                _package_function(logical_id, resource, properties, binaries)
            elif isinstance(properties.get("DefinitionUri"), str):
                properties["DefinitionUri"] = _package_definition(logical_id, properties, template_path.parent)
        key = _store(json.dumps(template).encode(), "template")
        transform_in_advance(key)
        return key


def _parse(path: Path) -> dict:
    try:
        stamp = _stamp(path)
        if path not in _templates or _templates[path][0] != stamp:
            _templates[path] = (stamp, engine._parse_template(path.read_text()))
    except OSError as error:
        raise Refused(f"template: cannot read {path}: {error.strerror}") from error
    except Exception as error:
        raise Refused(f"template: {path}: {error}") from error
    return _templates[path][1]


def _package_function(logical_id: str, resource: dict, properties: dict, binaries: Path) -> None:
    if "InlineCode" in properties or "ImageUri" in properties or isinstance(properties.get("CodeUri"), dict):
        return
    metadata = resource.get("Metadata") or {}
    binary = (metadata.get("BuildProperties") or {}).get("Binary")
    if metadata.get("BuildMethod") != "rust-cargolambda" or not binary:
        raise Refused(
            f"{logical_id}: only functions with Metadata.BuildMethod rust-cargolambda and a "
            "Metadata.BuildProperties.Binary can be packaged"
        )
    properties["CodeUri"] = {"Bucket": BUCKET, "Key": _package_binary(logical_id, binaries / binary)}


def _package_binary(logical_id: str, path: Path) -> str:
    try:
        stamp = _stamp(path)
        if path not in _binaries or _binaries[path][0] != stamp:
            archive = io.BytesIO()
            # Not compressed: it never leaves the process.
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
                entry = zipfile.ZipInfo("bootstrap")
                entry.external_attr = 0o100755 << 16
                file.writestr(entry, path.read_bytes())
            _binaries[path] = (stamp, _store(archive.getvalue(), path.name))
    except OSError as error:
        raise Refused(f"{logical_id}: binaries: cannot read {path}: {error.strerror}") from error
    return _binaries[path][1]


def _package_definition(logical_id: str, properties: dict, folder: Path) -> dict:
    path = folder / properties["DefinitionUri"]
    try:
        text = path.read_text()
    except OSError as error:
        raise Refused(f"{logical_id}: DefinitionUri: cannot read {path}: {error.strerror}") from error
    if path.suffix in (".yaml", ".yml"):
        text = json.dumps(engine._parse_template(text))
    return {"Bucket": BUCKET, "Key": _store(text.encode(), path.name)}


def _stamp(path: Path) -> tuple:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _store(content: bytes, name: str) -> str:
    """Keep an object under a key made of its content, so that an unchanged package is an unchanged property."""
    key = f"{hashlib.sha256(content).hexdigest()}/{name}"
    _objects.setdefault(key, content)
    return key


def transform_in_advance(template_key: str) -> None:
    """Transform in the caller's thread, for the event loop to find the result."""
    try:
        engine._apply_transforms(engine._parse_template(_objects[template_key].decode()))
    except Exception as error:
        raise Refused(f"template: {_one_line(error)}") from error


def remember_transform(transform, template: dict, policy_loader) -> dict:
    """The transform's result. What it does not take is AWS's message, which the emulator gives to the caller where it
    gives those of other transforms."""
    from samtranslator.model.exceptions import InvalidDocumentException

    key = hashlib.sha256(json.dumps(template, sort_keys=True, default=str).encode()).hexdigest()
    if key not in _transforms:
        try:
            _transforms[key] = transform(copy.deepcopy(template), {}, policy_loader)
        except InvalidDocumentException as error:
            causes = " ".join([error.message, *(cause.message for cause in error.causes)])
            return engine._TransformFailed(template, f"Transform {engine._SAM_TRANSFORM} failed with: {causes}")
    return copy.deepcopy(_transforms[key])


# ---------------------------------------------------------------------------------------------------------------------
# Stacks
# ---------------------------------------------------------------------------------------------------------------------

_stack_locks: dict[tuple[str, str], asyncio.Lock] = {}


async def deploy(account: str, stack_name: str, template: Path, binaries: Path, parameters: dict[str, str]) -> dict:
    """Create or update a stack, and wait until it is complete."""
    started = time.monotonic()
    template_key = await asyncio.to_thread(package, template, binaries)
    request = {"StackName": [stack_name], "TemplateURL": [f"https://s3.amazonaws.com/{BUCKET}/{template_key}"]}
    for number, (key, value) in enumerate(parameters.items(), 1):
        request[f"Parameters.member.{number}.ParameterKey"] = [key]
        request[f"Parameters.member.{number}.ParameterValue"] = [str(value)]
    for number, capability in enumerate(CAPABILITIES, 1):
        request[f"Capabilities.member.{number}"] = [capability]

    async with _lock_of(account, stack_name):
        with request_scope(account, REGION):
            _forget_a_review(stack_name)
            existing = cloudformation._stacks.get(stack_name)
            # AWS wants a stack deleted whose creation failed; here that is no use to anybody.
            gone = existing is None or existing["StackStatus"] in ("DELETE_COMPLETE", "ROLLBACK_COMPLETE")
            events_before = 0 if gone else len(cloudformation._stack_events[existing["StackId"]])
            response = handlers._create_stack(request) if gone else handlers._update_stack(request)
            _check(response)
            stack = cloudformation._stacks[stack_name]
            await _settle(stack)
            if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                raise Refused(_failure(stack, events_before))
            return {
                "outputs": {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
                "resources": {
                    logical_id: resource["PhysicalResourceId"] for logical_id, resource in stack["_resources"].items()
                },
                "seconds": round(time.monotonic() - started, 3),
            }


async def delete(account: str, stack_name: str) -> None:
    """Delete a stack, whatever it holds, and wait until it is gone."""
    async with _lock_of(account, stack_name):
        with request_scope(account, REGION):
            stack = cloudformation._stacks.get(stack_name)
            if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
                raise Refused(f"stack: there is no stack {stack_name} in account {account}")
            events_before = len(cloudformation._stack_events[stack["StackId"]])
            token = stack_deletion.forced.set(True)
            try:
                _check(handlers._delete_stack({"StackName": [stack_name]}))
            finally:
                stack_deletion.forced.reset(token)
            stack["StackStatus"] = "DELETE_IN_PROGRESS"
            await _settle(stack)
            if stack["StackStatus"] != "DELETE_COMPLETE":
                raise Refused(_failure(stack, events_before))


def _forget_a_review(stack_name: str) -> None:
    """Drop a stack of which there is nothing but a change set that nobody executed."""
    existing = cloudformation._stacks.get(stack_name)
    if existing is None or existing["StackStatus"] != "REVIEW_IN_PROGRESS":
        return
    del cloudformation._stacks[stack_name]
    for change_set_id in [
        key for key, value in cloudformation._change_sets.items() if value["StackId"] == existing["StackId"]
    ]:
        del cloudformation._change_sets[change_set_id]


def _lock_of(account: str, stack_name: str) -> asyncio.Lock:
    return _stack_locks.setdefault((account, stack_name), asyncio.Lock())


async def _settle(stack: dict) -> None:
    while stack["StackStatus"].endswith("_IN_PROGRESS"):
        await asyncio.sleep(0.002)


def _check(response: tuple) -> None:
    status, _headers, body = response
    if status < 400:
        return
    root = xml.etree.ElementTree.fromstring(body)
    message = next((element.text or "" for element in root.iter() if element.tag.endswith("Message")), str(body))
    if message != "No updates are to be performed.":
        raise Refused(_one_line(message))


def _failure(stack: dict, events_before: int) -> str:
    events = cloudformation._stack_events[stack["StackId"]][events_before:]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    of_resources = [event for event in failed if event["LogicalResourceId"] != stack["StackName"]]
    named = of_resources or failed
    if not named:
        return f"stack {stack['StackName']} is {stack['StackStatus']}: {_one_line(stack['StackStatusReason'])}"
    return "; ".join(
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {_one_line(event['ResourceStatusReason'])}"
        for event in named
    )


def _one_line(text) -> str:
    return re.sub(r"\s+", " ", str(text)).strip()
