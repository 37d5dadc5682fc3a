"""One local cloud for the whole test run, and what the tests need to talk to it."""

import atexit
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions

HERE = Path(__file__).parent
FIXTURE = HERE / "fixture"
TEMPLATE = FIXTURE / "template.yaml"


class CloudError(Exception):
    """An error answer of a `/_local` endpoint."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Cloud:
    """A local cloud in a process of its own, as the harness starts it."""

    def __init__(self, *arguments: str) -> None:
        self.state_dir = Path(tempfile.mkdtemp(prefix="signalbox-cloud-"))
        self.binaries = self.state_dir / "bin"
        self.binaries.mkdir()
        worker = self.binaries / "worker"
        site_packages = Path(boto3.__file__).parent.parent
        # A shell, and not a `#!` line alone, because functions have no PYTHONPATH and no virtual environment.
        worker.write_text(
            f"#!/bin/sh\nPYTHONPATH={site_packages} exec {sys.executable} -c "
            f"'exec(open(\"{FIXTURE / 'worker.py'}\").read())'\n"
        )
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        command = [sys.executable, "-m", "signalbox_cloud", "--state-dir", str(self.state_dir), *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": str(HERE.parent)},
        )
        self.hello = json.loads(self.process.stdout.readline() or "{}")
        if not self.hello.get("ready"):
            self.stop()
            raise RuntimeError(f"the cloud did not start: {self.hello}")
        self.endpoint = self.hello["endpoint"]

    def log(self) -> str:
        return (self.state_dir / "cloud.log").read_text()

    def stop(self) -> int:
        """Do what the end of the harness does, and say how the cloud took it."""
        self.process.stdin.close()
        try:
            return self.process.wait(timeout=10)
        finally:
            # Of one that does not end, nothing is left either.
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            shutil.rmtree(self.state_dir)

    def request(self, method: str, path: str, body: dict | None = None, **query: str) -> dict:
        url = f"{self.endpoint}/_local/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=60) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise CloudError(error.code, json.loads(error.read())["error"]) from None

    def deploy(self, account: str, template: Path = TEMPLATE, stack: str = "fixture", **parameters: str) -> dict:
        body = {"account": account, "stack": stack, "template": str(template), "binaries": str(self.binaries)}
        return self.request("POST", "deploy", {**body, "parameters": parameters})

    def fault(self, account: str, api: str, kind: str, **fields) -> str:
        return self.request("POST", "faults", {"account": account, "api": api, "kind": kind, **fields})["id"]

    def client(self, service: str, account: str, attempts: int = 1):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=botocore.config.Config(retries={"total_max_attempts": attempts}, max_pool_connections=64),
        )


_shared: list[Cloud] = []
_accounts = itertools.count(100_000_000_001)


def shared_cloud() -> Cloud:
    """The cloud that all tests share."""
    if not _shared:
        _shared.append(Cloud())
        atexit.register(lambda: _shared.pop().stop())
    return _shared[0]


def eventually(check, what: str, seconds: float = 10):
    """The first true value of `check`, which must come within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if value := check():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}
INVOKE_ANYTHING = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}


def task(resource: str, **fields) -> dict:
    return {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": True, **fields}}}


class CloudTest(unittest.TestCase):
    """A test with an account of its own in the shared cloud."""

    def setUp(self) -> None:
        self.cloud = shared_cloud()
        self.account = str(next(_accounts))
        self.clients: dict[tuple[str, int], object] = {}
        self.states = self.client("stepfunctions")

    def client(self, service: str, attempts: int = 1):
        if (service, attempts) not in self.clients:
            self.clients[service, attempts] = self.cloud.client(service, self.account, attempts)
        return self.clients[service, attempts]

    def deploy(self, template: Path = TEMPLATE, **parameters: str) -> dict:
        return self.cloud.deploy(self.account, template, **parameters)

    def fault(self, api: str, kind: str, **fields) -> str:
        return self.cloud.fault(self.account, api, kind, **fields)

    def assert_refused(self, code: str, call, *args, **kwargs) -> str:
        """The call fails with this error code; returns the message."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(*args, **kwargs)
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code, error["Message"])
        return error["Message"]

    def role(self, name: str = "machine", *statements: dict) -> str:
        """A role for Step Functions that allows what the statements allow."""
        iam = self.client("iam")
        principal = {"Service": "states.amazonaws.com"}
        trust = {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return arn

    def machine(self, definition: dict, name: str = "machine", *statements: dict, **options) -> str:
        role = self.role(f"{name}-role", *statements)
        created = self.states.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=role, **options
        )
        return created["stateMachineArn"]

    def start(self, machine: str, data=None, **options) -> str:
        answer = self.states.start_execution(stateMachineArn=machine, input=json.dumps(data or {}), **options)
        return answer["executionArn"]

    def ended(self, execution: str, seconds: float = 10) -> dict:
        """DescribeExecution of an execution, once it is over."""

        def check():
            described = self.states.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        return eventually(check, f"the end of {execution}", seconds)

    def callback(self, **fields) -> dict:
        """A state that sends its token, with what it knows of itself, to a queue, and waits."""
        if not hasattr(self, "queue"):
            self.queue = self.client("sqs").create_queue(QueueName="tokens")["QueueUrl"]
        if fields.get("QueryLanguage") == "JSONata":
            body = {"token": "{% $states.context.Task.Token %}", "state": "{% $states.context.State %}"}
            arguments = {"Arguments": {"QueueUrl": self.queue, "MessageBody": body}}
        else:
            body = {"token.$": "$$.Task.Token", "state.$": "$$.State"}
            arguments = {"Parameters": {"QueueUrl": self.queue, "MessageBody": body}}
        resource = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
        return {"Type": "Task", "Resource": resource, "End": True, **arguments, **fields}

    def sent(self) -> dict:
        """What the next callback state has sent."""
        sqs = self.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=10)["Messages"]
        sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])

    def stub(self, *outcomes: dict, machine: str = "machine", **fields) -> str:
        """Let the tasks of a machine answer by themselves; returns the stub's id."""
        body = {"account": self.account, "machine": machine, "outcomes": list(outcomes), **fields}
        return self.cloud.request("POST", "stubs", body)["id"]

    def stubbed_calls(self, **query: str) -> list[dict]:
        return self.cloud.request("GET", "stubs/calls", account=self.account, **query)["calls"]

    def release(self, **fields) -> int:
        return self.cloud.request("POST", "stubs/release", {"account": self.account, **fields})["released"]

    def held(self, times: int = 1) -> None:
        """Wait until so many stubbed calls are open."""
        eventually(
            lambda: [each["outcome"] for each in self.stubbed_calls()].count("open") == times, f"{times} held calls"
        )

    def output(self, execution: str):
        """The output of an execution that succeeds."""
        described = self.ended(execution)
        self.assertEqual("SUCCEEDED", described["status"], described)
        return json.loads(described["output"])

    def history(self, execution: str, **options) -> list[dict]:
        return self.states.get_execution_history(executionArn=execution, **options)["events"]

    def types(self, execution: str) -> list[str]:
        return [event["type"] for event in self.history(execution)]

    def entered(self, execution: str, state: str) -> None:
        """Wait until the execution has entered a state."""

        def check():
            events = self.states.get_execution_history(executionArn=execution)["events"]
            return any(event.get("stateEnteredEventDetails", {}).get("name") == state for event in events)

        eventually(check, f"{state} entered")

    def status_events(self, execution: str) -> list[dict]:
        """The details of the status change events of an execution, in order."""
        events = self.cloud.request("GET", "events", account=self.account)["events"]
        details = [e["detail"] for e in events if e["detail-type"] == "Step Functions Execution Status Change"]
        return [detail for detail in details if detail["executionArn"] == execution]
