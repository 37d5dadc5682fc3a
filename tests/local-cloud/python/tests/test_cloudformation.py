"""Deployments through CloudFormation's API, as `sam deploy` does them: artifacts in a bucket, a change set, events."""

import io
import json
import time
import zipfile

import botocore.exceptions

from .support import FIXTURE, INVOKE_ANYTHING, TEMPLATE, CloudTest, eventually

STACK = (FIXTURE / "stack.yaml").read_text()
NOTHING = "The submitted information didn't contain changes. Submit different information to create a change set."
PLAIN = """
Parameters:
  Size: {Type: String, Default: "60"}
Resources:
  One: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: !Ref Size}}
  Two: {Type: AWS::SQS::Queue}
Outputs:
  One: {Value: !Ref One}
"""


class Stacks(CloudTest):
    """A stack, and the calls of `sam deploy`."""

    NAME = "fixture"

    def setUp(self) -> None:
        super().setUp()
        self.cfn = self.client("cloudformation")
        self.s3 = self.client("s3")
        self.functions = self.client("lambda")
        self.sets = 0

    def upload(self, first_line: str = "", key: str = "code.zip") -> dict[str, str]:
        """Put the worker into a bucket, as a zip; returns the parameters that say where it is."""
        bucket = f"artifacts-{self.account}"
        self.s3.create_bucket(Bucket=bucket)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o100755 << 16
            text = (self.cloud.binaries / "worker").read_text()
            file.writestr(entry, text.replace("#!/bin/sh\n", f"#!/bin/sh\n{first_line}\n"))
        self.s3.put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
        return {"CodeBucket": bucket, "CodeKey": key}

    def change_set(self, template: str, kind: str, parameters: dict[str, str], **options) -> dict:
        """Create a change set, and describe it when it has been created or has failed."""
        self.sets += 1
        created = self.cfn.create_change_set(
            StackName=self.NAME,
            ChangeSetName=f"set-{self.sets}",
            ChangeSetType=kind,
            TemplateBody=template,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            **{"Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"], **options},
        )

        def settled():
            described = self.cfn.describe_change_set(ChangeSetName=created["Id"], StackName=self.NAME)
            return described if described["Status"] in ("CREATE_COMPLETE", "FAILED") else None

        return eventually(settled, "a change set")

    def run_change_set(self, template: str, kind: str, parameters: dict[str, str], **options) -> dict:
        """Create and execute a change set; returns the stack as it is when that is over."""
        described = self.change_set(template, kind, parameters, **options)
        self.assertEqual("CREATE_COMPLETE", described["Status"], described.get("StatusReason"))
        self.mark = len(self.events())
        self.cfn.execute_change_set(ChangeSetName=described["ChangeSetId"], StackName=self.NAME)
        return self.settled()

    def create(self, template: str = STACK, **parameters: str) -> dict:
        parameters = parameters or self.upload()
        stack = self.run_change_set(template, "CREATE", parameters)
        self.assertEqual("CREATE_COMPLETE", stack["StackStatus"], self.events())
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def update(self, template: str = STACK, **parameters: str) -> dict:
        """Update the stack as `sam deploy` does, and return it."""
        known = {**self.upload(), **parameters} if template.startswith("AWSTemplate") else parameters
        return self.run_change_set(template, "UPDATE", known)

    def stack(self, name: str | None = None) -> dict:
        return self.cfn.describe_stacks(StackName=name or self.NAME)["Stacks"][0]

    def settled(self, name: str | None = None) -> dict:
        def check():
            stack = self.stack(name)
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

        return eventually(check, "the end of the operation")

    def delete(self) -> dict:
        """Delete the stack; returns what is left of it under its id."""
        stack_id = self.stack()["StackId"]
        self.mark = len(self.events())
        self.cfn.delete_stack(StackName=self.NAME, RetainResources=[])
        return self.settled(stack_id)

    def events(self, name: str | None = None) -> list[dict]:
        pages = self.cfn.get_paginator("describe_stack_events").paginate(StackName=name or self.NAME)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def told(self, resource: str, name: str | None = None) -> list[tuple[str, str]]:
        """Status and reason of the events of a resource in the last operation."""
        return [
            (event["ResourceStatus"], event.get("ResourceStatusReason", ""))
            for event in self.events(name)[self.mark :]
            if event["LogicalResourceId"] == resource
        ]

    def touched(self) -> set[str]:
        """The resources that the last operation tells of."""
        return {event["LogicalResourceId"] for event in self.events()[self.mark :]} - {self.NAME}

    def environment(self, name: str) -> dict:
        answer = self.functions.invoke(FunctionName=name, Payload=b'{"environment": true}')
        return json.loads(answer["Payload"].read())


class Creation(Stacks):
    def test_a_change_set_creates_a_stack_that_runs(self):
        outputs = self.create()
        self.assertEqual({"WorkerName", "TableName", "KeptName", "StoreName", "QueueUrl"}, set(outputs))
        environment = self.environment(outputs["WorkerName"])
        self.assertEqual(("dev", outputs["TableName"]), (environment["STAGE"], environment["TABLE"]))
        self.assertEqual("What the tests of CloudFormation's API deploy.", self.stack()["Description"])

    def test_a_template_in_a_bucket_creates_a_stack(self):
        """Its size is that of a template which no request would hold."""
        parameters = self.upload()
        body = STACK + "#" * 60_000
        self.s3.put_object(Bucket=parameters["CodeBucket"], Key="a.template", Body=body.encode())
        url = f"{self.cloud.endpoint}/{parameters['CodeBucket']}/a.template"
        members = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        created = self.cfn.create_change_set(
            StackName=self.NAME,
            ChangeSetName="big",
            ChangeSetType="CREATE",
            TemplateURL=url,
            Parameters=members,
            Capabilities=["CAPABILITY_IAM"],
        )
        self.cfn.execute_change_set(ChangeSetName=created["Id"])
        self.assertEqual("CREATE_COMPLETE", self.settled()["StackStatus"])

    def test_the_role_of_a_function_is_enforced(self):
        outputs = self.create()
        for table, allowed in ((outputs["TableName"], True), (outputs["KeptName"], False)):
            arguments = {"TableName": table, "Item": {"pk": {"S": "x"}}}
            request = {"aws": {"service": "dynamodb", "operation": "put_item", "arguments": arguments}}
            answer = self.functions.invoke(FunctionName=outputs["WorkerName"], Payload=json.dumps(request).encode())
            self.assertEqual(allowed, "AccessDenied" not in answer["Payload"].read().decode(), table)

    def test_who_deploys_needs_the_permissions(self):
        name = self.create()["WorkerName"]
        arguments = {"StackName": "other", "ChangeSetName": "set", "ChangeSetType": "CREATE", "TemplateBody": PLAIN}
        request = {"aws": {"service": "cloudformation", "operation": "create_change_set", "arguments": arguments}}

        def ask() -> dict:
            answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(request).encode())
            return json.loads(answer["Payload"].read())

        self.assertEqual("AccessDenied", ask()["error"])
        role = self.functions.get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
        statement = {"Effect": "Allow", "Action": "cloudformation:CreateChangeSet", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client("iam").put_role_policy(RoleName=role, PolicyName="deploys", PolicyDocument=policy)
        self.assertIn("answer", ask())
        self.assertEqual("REVIEW_IN_PROGRESS", self.stack("other")["StackStatus"])

    def test_events_tell_of_each_step(self):
        self.create()
        self.assertEqual([("CREATE_IN_PROGRESS", "User Initiated"), ("CREATE_COMPLETE", "")], self.told(self.NAME))
        steps = [("CREATE_IN_PROGRESS", ""), ("CREATE_IN_PROGRESS", "Resource creation Initiated")]
        self.assertEqual([*steps, ("CREATE_COMPLETE", "")], self.told("Worker"))
        self.assertEqual("REVIEW_IN_PROGRESS", self.events()[0]["ResourceStatus"])
        self.assertFalse([event for event in self.events() if event.get("ResourceStatusReason") == ""])

    def test_a_change_set_lists_what_it_would_do(self):
        described = self.change_set(STACK, "CREATE", self.upload())
        changes = [change["ResourceChange"] for change in described["Changes"]]
        self.assertEqual({"Add"}, {change["Action"] for change in changes})
        self.assertEqual(
            {"Table", "Kept", "Store", "Queue", "Worker", "WorkerRole"},
            {change["LogicalResourceId"] for change in changes},
        )
        self.assertEqual("REVIEW_IN_PROGRESS", self.stack()["StackStatus"])
        parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in described["Parameters"]}
        self.assertEqual(("****", "dev"), (parameters["Secret"], parameters["Stage"]))

    def test_a_resource_is_found_by_its_logical_name(self):
        name = self.create()["WorkerName"]
        detail = self.cfn.describe_stack_resource(StackName=self.NAME, LogicalResourceId="Worker")
        self.assertEqual(name, detail["StackResourceDetail"]["PhysicalResourceId"])
        listed = self.cfn.describe_stack_resources(StackName=self.NAME)["StackResources"]
        self.assertIn(("Worker", name), [(r["LogicalResourceId"], r["PhysicalResourceId"]) for r in listed])

    def test_a_failed_creation_rolls_back(self):
        template = STACK.replace("VisibilityTimeout: 60", "VisibilityTimeout: 99999999")
        stack = self.run_change_set(template, "CREATE", self.upload())
        self.assertEqual("ROLLBACK_COMPLETE", stack["StackStatus"])
        status, reason = self.told("Queue")[-1]
        self.assertEqual("CREATE_FAILED", status)
        self.assertIn("VisibilityTimeout", reason)
        reason = "The following resource(s) failed to create: [Queue]. Rollback requested by user."
        self.assertIn(("ROLLBACK_IN_PROGRESS", reason), self.told(self.NAME))
        # The retained table is there still, as with AWS; the other is not.
        self.assertEqual(1, len(self.client("dynamodb").list_tables()["TableNames"]))
        message = self.assert_refused("ValidationError", self.change_set, STACK, "UPDATE", self.upload())
        self.assertRegex(message, r"^Stack:arn:.* is in ROLLBACK_COMPLETE state and can not be updated\.$")
        self.assert_refused("ValidationError", self.change_set, STACK, "CREATE", self.upload())
        self.assertEqual("DELETE_COMPLETE", self.delete()["StackStatus"])
        self.create()

    def test_a_package_that_is_not_there_fails_the_function(self):
        bucket = self.upload()["CodeBucket"]
        stack = self.run_change_set(STACK, "CREATE", {"CodeBucket": bucket, "CodeKey": "nothing"})
        self.assertEqual("ROLLBACK_COMPLETE", stack["StackStatus"])
        self.assertIn(f"no package at s3://{bucket}/nothing", self.told("Worker")[-1][1])


class Refusals(Stacks):
    def test_parameters_are_named(self):
        code = self.upload()
        for parameters, words in (
            ({"CodeBucket": "b"}, "Parameters: [CodeKey] must have values"),
            ({**code, "Nobody": "x"}, "Parameters: [Nobody] do not exist in the template"),
            ({**code, "Stage": "moon"}, "Parameter 'Stage' must be one of AllowedValues"),
        ):
            refused = self.assert_refused("ValidationError", self.change_set, STACK, "CREATE", parameters)
            self.assertEqual(words, refused)
        self.assert_refused("ValidationError", self.stack)

    def test_what_the_transform_brings_to_light_fails_the_change_set(self):
        for template, reason in (
            (STACK.replace("AWS::SNS::Topic", "AWS::Nobody::Knows"), None),
            (
                STACK.replace("AWS::SQS::Queue", "AWS::Nobody::Knows"),
                "Template format error: Unrecognized resource types: [AWS::Nobody::Knows]",
            ),
            (
                STACK.replace("Handler: bootstrap", "Handlebar: bootstrap"),
                "Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application Specification "
                "document. Number of errors found: 1. Resource with id [Worker] is invalid. property Handlebar not "
                "defined for resource of type AWS::Serverless::Function",
            ),
        ):
            described = self.change_set(template, "CREATE", self.upload())
            # A resource whose condition is false is none.
            self.assertEqual("FAILED" if reason else "CREATE_COMPLETE", described["Status"])
            self.assertEqual(reason or "", described.get("StatusReason", ""))
        self.assertEqual("UNAVAILABLE", described["ExecutionStatus"])
        execute = self.cfn.execute_change_set
        self.assert_refused("InvalidChangeSetStatus", execute, ChangeSetName=described["ChangeSetId"])
        self.assertEqual("REVIEW_IN_PROGRESS", self.stack()["StackStatus"])

    def test_a_stack_in_review_stays_the_same(self):
        broken = STACK.replace("AWS::SQS::Queue", "AWS::Nobody::Knows")
        failed = self.change_set(broken, "CREATE", self.upload())
        self.assert_refused("ValidationError", self.change_set, STACK, "CREATE", {})
        good = self.change_set(STACK, "CREATE", self.upload())
        self.assertEqual(failed["StackId"], good["StackId"])
        listed = self.cfn.list_change_sets(StackName=self.NAME)["Summaries"]
        self.assertEqual(["FAILED", "CREATE_COMPLETE"], [change_set["Status"] for change_set in listed])
        self.assertEqual(["REVIEW_IN_PROGRESS"], [event["ResourceStatus"] for event in self.events()])

    def test_a_role_needs_a_capability(self):
        described = self.change_set(STACK, "CREATE", self.upload(), Capabilities=[])
        self.assertEqual("FAILED", described["Status"])
        self.assertEqual("Requires capabilities : [CAPABILITY_IAM]", described["StatusReason"])
        plain = PLAIN.replace("AWS::SQS::Queue}", "AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}")
        self.assert_refused("InsufficientCapabilitiesException", self.change_set, plain, "CREATE", {}, Capabilities=[])

    def test_an_unknown_type_without_a_transform_is_refused_at_once(self):
        template = PLAIN.replace("Two: {Type: AWS::SQS::Queue}", "Two: {Type: AWS::Nobody::Knows}")
        message = self.assert_refused("ValidationError", self.change_set, template, "CREATE", {})
        self.assertIn("[AWS::Nobody::Knows]", message)

    def test_a_template_has_no_empty_values(self):
        template = PLAIN.replace("Two: {Type: AWS::SQS::Queue}", "Two: {Type: AWS::SQS::Queue, Properties: {Tags: }}")
        message = self.assert_refused("ValidationError", self.change_set, template, "CREATE", {})
        self.assertIn("[/Resources/Two/Properties/Tags] 'null' values are not allowed in templates", message)

    def test_what_is_not_there_says_so(self):
        role = "arn:aws:iam::123456789012:role/deployer"
        for options, name in (
            ({"RoleARN": role}, "RoleARN"),
            ({"NotificationARNs": ["arn:aws:sns:us-east-1:123456789012:told"]}, "NotificationARNs"),
            ({"IncludeNestedStacks": True}, "IncludeNestedStacks"),
            ({"RollbackConfiguration": {"MonitoringTimeInMinutes": 5}}, "RollbackConfiguration"),
        ):
            message = self.assert_refused("ValidationError", self.change_set, PLAIN, "CREATE", {}, **options)
            self.assertEqual(f"{name}: the local cloud does not have it for CreateChangeSet", message)
        create = self.cfn.create_stack
        message = self.assert_refused(
            "ValidationError", create, StackName="s", TemplateBody=PLAIN, StackPolicyBody="{}", TimeoutInMinutes=1
        )
        self.assertTrue(message.startswith("StackPolicyBody: "), message)
        self.create(PLAIN, Size="60")
        self.assert_refused("ValidationError", self.cfn.set_stack_policy, StackName=self.NAME, StackPolicyBody="{}")
        for attribute in ("UpdatePolicy: {}", "CreationPolicy: {}"):
            template = PLAIN.replace("Two: {", f"Two: {{{attribute}, ")
            message = self.assert_refused("ValidationError", self.change_set, template, "UPDATE", {})
            self.assertIn(f"Two: {attribute.partition(':')[0]}: the local cloud", message)

    def test_an_empty_list_asks_for_nothing(self):
        self.assertEqual("CREATE_COMPLETE", self.change_set(PLAIN, "CREATE", {}, NotificationARNs=[])["Status"])

    def test_a_stack_is_created_once(self):
        self.create(PLAIN, Size="60")
        message = self.assert_refused("ValidationError", self.change_set, PLAIN, "CREATE", {})
        self.assertRegex(message, r"^Stack \[fixture\] already exists and cannot be created again with the changeSet")

    def test_an_update_needs_a_stack_and_a_template(self):
        message = self.assert_refused("ValidationError", self.change_set, PLAIN, "UPDATE", {})
        self.assertIn("does not exist", message)
        self.create(PLAIN, Size="60")
        with self.assertRaisesRegex(botocore.exceptions.ClientError, "Either Template URL or Template Body"):
            self.cfn.create_change_set(StackName=self.NAME, ChangeSetName="none")


class Properties(Stacks):
    """What nothing is done with is no part of a stack."""

    def test_a_bucket_has_its_tags(self):
        store = self.create()["StoreName"]

        def tags() -> list[tuple[str, str]]:
            return [(tag["Key"], tag["Value"]) for tag in self.s3.get_bucket_tagging(Bucket=store)["TagSet"]]

        self.assertEqual([("stage", "dev")], tags())
        self.update(Stage="prod")
        self.assertEqual([("stage", "prod")], tags())
        without = STACK.replace("    Properties:\n      Tags: [{Key: stage, Value: !Ref Stage}]\n", "")
        self.assertEqual("UPDATE_COMPLETE", self.update(without)["StackStatus"])
        self.assert_refused("NoSuchTagSet", tags)

    def test_a_property_that_is_not_there_fails_its_resource(self):
        template = PLAIN.replace(
            "Two: {Type: AWS::SQS::Queue}", "Two: {Type: AWS::SQS::Queue, Properties: {Colour: 1}}"
        )
        stack = self.run_change_set(template, "CREATE", {})
        self.assertEqual("ROLLBACK_COMPLETE", stack["StackStatus"])
        words = "Colour: the local cloud has no such property of AWS::SQS::Queue"
        self.assertEqual(("CREATE_FAILED", words), self.told("Two")[-1])
        self.assertEqual([], self.client("sqs").list_queues().get("QueueUrls", []))

    def test_a_table_is_no_exception(self):
        template = STACK.replace("      BillingMode: PAY_PER_REQUEST\n", "      BillingModus: PAY_PER_REQUEST\n")
        self.assertEqual("ROLLBACK_COMPLETE", self.run_change_set(template, "CREATE", self.upload())["StackStatus"])
        reasons = [event.get("ResourceStatusReason", "") for event in self.events()]
        self.assertIn("BillingModus: the local cloud has no such property of AWS::DynamoDB::Table", reasons)
        self.assertEqual([], self.client("dynamodb").list_tables()["TableNames"])

    def test_a_change_that_cannot_be_made_is_undone(self):
        name = self.create()["WorkerName"]
        template = STACK.replace("Timeout: 10", "Timeout: 20\n      ReservedConcurrentExecutions: 3")
        self.assertEqual("UPDATE_ROLLBACK_COMPLETE", self.update(template)["StackStatus"])
        reason = dict(self.told("Worker"))["UPDATE_FAILED"]
        self.assertTrue(reason.startswith("ReservedConcurrentExecutions: the local cloud cannot change it"), reason)
        self.assertEqual(10, self.functions.get_function_configuration(FunctionName=name)["Timeout"])

    def test_a_refused_change_keeps_what_is_there(self):
        alarm = (
            "  Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {Namespace: N, MetricName: M, Statistic: Sum, "
            "Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold}}\nOutputs:"
        )
        self.create(PLAIN.replace("Outputs:", alarm), Size="60")
        template = PLAIN.replace("Outputs:", alarm.replace("Threshold: 1", "Threshold: 2, Colour: 1"))
        self.assertEqual("UPDATE_ROLLBACK_COMPLETE", self.update(template)["StackStatus"])
        alarms = self.client("cloudwatch").describe_alarms()["MetricAlarms"]
        self.assertEqual([1.0], [alarm["Threshold"] for alarm in alarms])


class Updates(Stacks):
    def test_a_changed_parameter_keeps_the_data(self):
        outputs = self.create()
        dynamodb, sqs = self.client("dynamodb"), self.client("sqs")
        dynamodb.put_item(TableName=outputs["TableName"], Item={"pk": {"S": "kept"}})
        sqs.send_message(QueueUrl=outputs["QueueUrl"], MessageBody="kept")
        self.s3.put_object(Bucket=outputs["StoreName"], Key="kept", Body=b"kept")
        stack = self.update(Stage="prod")
        self.assertEqual("UPDATE_COMPLETE", stack["StackStatus"])
        self.assertEqual("prod", self.environment(outputs["WorkerName"])["STAGE"])
        self.assertEqual(1, len(dynamodb.scan(TableName=outputs["TableName"])["Items"]))
        self.assertEqual("kept", sqs.receive_message(QueueUrl=outputs["QueueUrl"])["Messages"][0]["Body"])
        self.assertEqual(b"kept", self.s3.get_object(Bucket=outputs["StoreName"], Key="kept")["Body"].read())
        self.assertEqual(outputs, {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]})

    def test_an_update_tells_of_what_it_touches(self):
        self.create()
        described = self.change_set(STACK, "UPDATE", {**self.upload(), "Stage": "prod"})
        changes = {
            change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]["Action"]
            for change in described["Changes"]
        }
        self.assertEqual({"Worker": "Modify", "Store": "Modify", "OnlyInProd": "Add"}, changes)
        self.update(Stage="prod")
        self.assertEqual({"Worker", "Store", "OnlyInProd"}, self.touched())
        self.assertEqual(["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"], [status for status, _ in self.told("Worker")])
        created = ["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
        self.assertEqual(created, [status for status, _ in self.told("OnlyInProd")])
        phases = ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]
        self.assertEqual(phases, [status for status, _ in self.told(self.NAME)])
        # And back: the topic goes when the update has worked.
        described = self.change_set(STACK, "UPDATE", {**self.upload(), "Stage": "dev"})
        self.assertIn("Remove", [change["ResourceChange"]["Action"] for change in described["Changes"]])
        self.update(Stage="dev")
        self.assertEqual(["DELETE_IN_PROGRESS", "DELETE_COMPLETE"], [status for status, _ in self.told("OnlyInProd")])
        order = [event["ResourceStatus"] for event in self.events()[self.mark :]]
        self.assertLess(order.index("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), order.index("DELETE_IN_PROGRESS"))
        self.assertEqual([], self.client("sns").list_topics()["Topics"])

    def test_changed_code_is_what_runs_next(self):
        name = self.create()["WorkerName"]
        self.assertNotIn("NEW", self.environment(name))
        self.update(**self.upload("export NEW=1", key="new.zip"))
        self.assertEqual({"Worker"}, self.touched())
        self.assertEqual("1", self.environment(name)["NEW"])

    def test_running_executions_keep_on(self):
        """The stack's function is in the midst of its work, and the execution that waits for it stays too."""
        name = self.create()["WorkerName"]
        busy = self.cloud.state_dir / f"busy-{self.account}"
        definition = {
            "StartAt": "T",
            "States": {
                "T": {
                    "Type": "Task",
                    "Resource": f"arn:aws:lambda:us-east-1:{self.account}:function:{name}",
                    "Parameters": {"touch": str(busy), "sleep": 2},
                    "End": True,
                }
            },
        }
        execution = self.start(self.machine(definition, "machine", INVOKE_ANYTHING))
        eventually(busy.exists, "the function in its handler")
        self.assertEqual("UPDATE_COMPLETE", self.update(Stage="prod")["StackStatus"])
        self.assertEqual("RUNNING", self.states.describe_execution(executionArn=execution)["status"])
        self.assertEqual("SUCCEEDED", self.ended(execution)["status"])

    def test_no_changes_are_a_failed_change_set(self):
        code = self.upload()
        self.create(**code)
        described = self.change_set(STACK, "UPDATE", code)
        self.assertEqual(("FAILED", "UNAVAILABLE"), (described["Status"], described["ExecutionStatus"]))
        self.assertEqual(NOTHING, described["StatusReason"])
        self.assertEqual("CREATE_COMPLETE", self.stack()["StackStatus"])

    def test_outputs_can_change_alone(self):
        self.create(PLAIN, Size="60")
        template = PLAIN + "  Two: {Value: !Ref Two}\n"
        self.assertEqual([], self.change_set(template, "UPDATE", {})["Changes"])
        stack = self.update(template)
        self.assertEqual({"One", "Two"}, {output["OutputKey"] for output in stack["Outputs"]})
        self.assertEqual(set(), self.touched())

    def test_another_reference_is_a_change(self):
        template = PLAIN + "  Of: {Value: !Ref Size}\n"
        topic = "  Told: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt One.QueueName}}\nOutputs:"
        template = template.replace("Outputs:", topic)
        self.create(template, Size="60")
        described = self.change_set(template.replace("One.QueueName", "Two.QueueName"), "UPDATE", {"Size": "60"})
        changes = [change["ResourceChange"]["LogicalResourceId"] for change in described["Changes"]]
        self.assertEqual(["Told"], changes)

    def test_a_failed_update_rolls_back(self):
        outputs = self.create()
        broken = STACK.replace("VisibilityTimeout: 60", "VisibilityTimeout: 99999999").replace(
            "Timeout: 10", "Timeout: 20"
        )
        stack = self.update(broken, Stage="prod")
        self.assertEqual("UPDATE_ROLLBACK_COMPLETE", stack["StackStatus"])
        self.assertEqual("UPDATE_FAILED", self.told("Queue")[1][0])
        reasons = dict(self.told(self.NAME))
        self.assertIn("failed to update: [Queue]", reasons["UPDATE_ROLLBACK_IN_PROGRESS"])
        self.assertEqual("dev", self.environment(outputs["WorkerName"])["STAGE"])
        self.assertEqual([], self.client("sns").list_topics()["Topics"])
        self.assertEqual("UPDATE_COMPLETE", self.update(Stage="prod")["StackStatus"])

    def test_a_stack_is_the_same_through_both_doors(self):
        """What `/_local/deploy` has created, a change set updates, and the other way round."""
        first = self.deploy()
        body = json.loads(json.dumps(self.cfn.get_template(StackName="fixture", TemplateStage="Original")))
        template = body["TemplateBody"]
        template = template if isinstance(template, str) else json.dumps(template)
        stack = self.run_change_set(template, "UPDATE", {"RetentionInDays": "30"})
        self.assertEqual("UPDATE_COMPLETE", stack["StackStatus"])
        self.assertEqual({"WorkerLogs"}, self.touched())
        again = self.deploy(TEMPLATE, RetentionInDays="7")
        self.assertEqual(first["resources"], again["resources"])

    def test_a_review_is_no_hindrance_to_a_deployment(self):
        self.change_set(PLAIN, "CREATE", {})
        self.deploy()
        self.assertEqual("CREATE_COMPLETE", self.stack()["StackStatus"])


class Deletion(Stacks):
    def test_what_is_retained_stays_and_is_told_of(self):
        outputs = self.create()
        self.s3.put_object(Bucket=outputs["StoreName"], Key="x", Body=b"x")
        self.s3.delete_object(Bucket=outputs["StoreName"], Key="x")
        gone = self.delete()
        self.assertEqual("DELETE_COMPLETE", gone["StackStatus"])
        self.assertEqual([("DELETE_SKIPPED", "")], self.told("Kept", gone["StackId"]))
        steps = [("DELETE_IN_PROGRESS", "User Initiated"), ("DELETE_COMPLETE", "")]
        self.assertEqual(steps, self.told(self.NAME, gone["StackId"]))
        self.assertEqual([outputs["KeptName"]], self.client("dynamodb").list_tables()["TableNames"])
        self.assertEqual([], self.functions.list_functions()["Functions"])

    def test_a_deleted_stack_has_its_id_alone(self):
        self.create(PLAIN, Size="60")
        stack_id = self.delete()["StackId"]
        self.assertIn("does not exist", self.assert_refused("ValidationError", self.stack))
        for call in (self.cfn.describe_stack_events, self.cfn.get_template, self.cfn.describe_stack_resources):
            self.assert_refused("ValidationError", call, StackName=self.NAME)
        self.assertEqual("DELETE_COMPLETE", self.events(stack_id)[-1]["ResourceStatus"])
        self.cfn.delete_stack(StackName=self.NAME)

    def test_a_bucket_with_objects_fails_the_deletion(self):
        outputs = self.create()
        self.s3.put_object(Bucket=outputs["StoreName"], Key="x", Body=b"x")
        stack = self.delete()
        self.assertEqual("DELETE_FAILED", stack["StackStatus"])
        self.assertEqual("The following resource(s) failed to delete: [Store].", stack["StackStatusReason"])
        status, reason = self.told("Store")[-1]
        self.assertEqual("DELETE_FAILED", status)
        self.assertIn("The bucket you tried to delete is not empty", reason)
        self.assertEqual(b"x", self.s3.get_object(Bucket=outputs["StoreName"], Key="x")["Body"].read())
        message = self.assert_refused("ValidationError", self.change_set, STACK, "UPDATE", self.upload())
        self.assertIn("is in DELETE_FAILED state and can not be updated", message)
        self.s3.delete_object(Bucket=outputs["StoreName"], Key="x")
        self.assertEqual("DELETE_COMPLETE", self.delete()["StackStatus"])

    def test_a_bucket_with_versions_is_not_empty(self):
        store = self.create()["StoreName"]
        self.s3.put_bucket_versioning(Bucket=store, VersioningConfiguration={"Status": "Enabled"})
        self.s3.put_object(Bucket=store, Key="x", Body=b"x")
        self.s3.delete_object(Bucket=store, Key="x")
        self.assertEqual("DELETE_FAILED", self.delete()["StackStatus"])

    def test_a_protected_table_fails_the_deletion(self):
        outputs = self.create(**self.upload(), Protect="true")
        self.assertEqual("DELETE_FAILED", self.delete()["StackStatus"])
        self.assertIn("protected against deletion", self.told("Table")[-1][1])
        self.assertIn(outputs["TableName"], self.client("dynamodb").list_tables()["TableNames"])

    def test_what_is_in_a_stack_does_not_hold_the_harness(self):
        outputs = self.create(**self.upload(), Protect="true")
        self.s3.put_object(Bucket=outputs["StoreName"], Key="x", Body=b"x")
        self.cloud.request("DELETE", "stacks", account=self.account, stack=self.NAME)
        self.assert_refused("ValidationError", self.stack)

    def test_what_failed_can_be_retained(self):
        outputs = self.create()
        self.s3.put_object(Bucket=outputs["StoreName"], Key="x", Body=b"x")
        stack_id = self.delete()["StackId"]
        self.cfn.delete_stack(StackName=self.NAME, RetainResources=["Store"])
        self.assertEqual("DELETE_COMPLETE", self.settled(stack_id)["StackStatus"])
        self.assertEqual(b"x", self.s3.get_object(Bucket=outputs["StoreName"], Key="x")["Body"].read())
