"""What cold starts are measured beside: the overlap guard's main path, in Python with boto3.

It asks for the running executions of the state machine, and claims the pipeline with a conditional write, as the guard
does when nothing is in its way. It is called as any function of Lambda is, by the runtime API.
"""

import http.client
import json
import os
import time

import boto3

STEP_FUNCTIONS = boto3.client("stepfunctions")
DYNAMODB = boto3.client("dynamodb")


def handle(event: dict) -> dict:
    execution = event["executionArn"]
    machine = ":".join(execution.split(":")[:-1]).replace(":execution:", ":stateMachine:")
    listed = STEP_FUNCTIONS.list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    others = [each["executionArn"] for each in listed["executions"] if each["executionArn"] != execution]
    DYNAMODB.put_item(
        TableName=os.environ["SIGNALBOX_TABLE_NAME"],
        Item={"pk": {"S": f"PEER#{machine}"}, "sk": {"S": "CLAIM"}, "run": {"S": execution}},
        ConditionExpression="attribute_not_exists(pk) OR #run = :run",
        ExpressionAttributeNames={"#run": "run"},
        ExpressionAttributeValues={":run": {"S": execution}},
    )
    return {"decision": "proceed", "others": len(others), "at": time.time()}


def main() -> None:
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", "/2018-06-01/runtime/invocation/next")
        reply = api.getresponse()
        event = json.loads(reply.read())
        answer = json.dumps(handle(event))
        path = f"/2018-06-01/runtime/invocation/{reply.headers['lambda-runtime-aws-request-id']}/response"
        api.request("POST", path, answer, {"content-type": "application/json"})
        api.getresponse().read()


main()
