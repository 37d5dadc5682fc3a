"""The events of tasks, in the order and in the shape of those that AWS sends."""

import json
import re
import time

from .ecs_support import EcsTest, container
from .support import eventually

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")
# What every event of a task on Fargate has, and what comes later.
ALWAYS = set(
    "attachments attributes availabilityZone clusterArn containers cpu createdAt desiredStatus enableExecuteCommand "
    "ephemeralStorage group launchType lastStatus memory overrides platformVersion taskArn taskDefinitionArn updatedAt "
    "version".split()
)
CONNECTED = {"connectivity", "connectivityAt"}
STARTED = {"pullStartedAt", "pullStoppedAt", "startedAt"}
ENDED = {"executionStoppedAt", "stoppingAt", "stoppedReason", "stopCode"}


class Events(EcsTest):
    def test_a_task_on_fargate_is_told_of_five_times(self):
        task = self.run_to_the_end(container("exit 3"))
        events = self.events(task)
        statuses = [(event["lastStatus"], event["desiredStatus"], event["version"]) for event in events]
        self.assertEqual(
            [
                ("PROVISIONING", "RUNNING", 1),
                ("PENDING", "RUNNING", 2),
                ("RUNNING", "RUNNING", 3),
                ("DEPROVISIONING", "STOPPED", 4),
                ("STOPPED", "STOPPED", 5),
            ],
            statuses,
        )
        self.assertEqual(5, task["version"])

    def test_events_have_what_those_of_aws_have(self):
        events = self.events(self.run_to_the_end(container("exit 3")))
        later = [set(), set(), CONNECTED | STARTED]
        later += [later[-1] | ENDED, later[-1] | ENDED | {"stoppedAt"}]
        for event, expected in zip(events, later, strict=True):
            with self.subTest(event["lastStatus"]):
                self.assertEqual(ALWAYS | expected, set(event))
                for name, value in event.items():
                    if name.endswith("At"):
                        self.assertRegex(value, DATE)
        self.assertEqual(
            [("eni", "PRECREATED"), *[("eni", "ATTACHED")] * 3, ("eni", "DELETED")],
            [(each["type"], each["status"]) for event in events for each in event["attachments"]],
        )

    def test_the_first_event_of_the_end_has_the_exit_code(self):
        events = self.events(self.run_to_the_end(container("exit 3")))
        containers = [event["containers"][0] for event in events]
        self.assertEqual([None, None, None, 3, 3], [each.get("exitCode") for each in containers])
        self.assertEqual(["PENDING"] * 2 + ["RUNNING"] + ["STOPPED"] * 2, [each["lastStatus"] for each in containers])
        self.assertEqual("EssentialContainerExited", events[3]["stopCode"])
        names = {"containerArn", "exitCode", "lastStatus", "name", "image", "imageDigest", "runtimeId", "taskArn"}
        self.assertEqual(names | {"networkInterfaces", "cpu"}, set(containers[-1]))

    def test_an_event_is_one_of_its_account(self):
        task = self.run_to_the_end(container("exit 0"))
        event = self.cloud.request("GET", "events", account=self.account)["events"][0]
        self.assertEqual(("aws.ecs", "ECS Task State Change"), (event["source"], event["detail-type"]))
        self.assertEqual(([task["taskArn"]], self.account), (event["resources"], event["account"]))

    def test_the_overrides_are_in_the_event_and_the_tags_are_not(self):
        override = {"name": "main", "environment": [{"name": "A", "value": "b"}]}
        self.define(container("exit 0"), container("exit 0", "sidecar", essential=False))
        task = self.run_task(
            startedBy="me", tags=[{"key": "a", "value": "b"}], overrides={"containerOverrides": [override]}
        )
        for event in self.events(self.when(task, "STOPPED")):
            self.assertEqual({"containerOverrides": [override, {"name": "sidecar"}]}, event["overrides"])
            self.assertEqual("me", event["startedBy"])
            self.assertNotIn("tags", event)

    def test_a_task_on_ec2_without_a_network_of_its_own_has_no_such_steps(self):
        definition = self.define(container("exit 0", memory=64), networkMode="bridge", requiresCompatibilities=["EC2"])
        task = self.ecs.run_task(cluster="jobs", taskDefinition=definition)["tasks"][0]
        events = self.events(self.when(task, "STOPPED"))
        self.assertEqual(["PENDING", "RUNNING", "STOPPED"], [event["lastStatus"] for event in events])
        self.assertEqual([], events[-1]["attachments"])
        self.assertIn("containerInstanceArn", events[-1])

    def test_the_wish_to_stop_is_an_event(self):
        task = self.run_task(self.define(container("sleep 60")))
        self.when(task, "RUNNING")
        self.ecs.stop_task(cluster="jobs", task=task["taskArn"])
        events = self.events(self.when(task, "STOPPED"))[3:]
        self.assertEqual(
            [("RUNNING", "STOPPED"), ("DEPROVISIONING", "STOPPED"), ("STOPPED", "STOPPED")],
            [(event["lastStatus"], event["desiredStatus"]) for event in events],
        )
        self.assertEqual(["UserInitiated"] * 3, [event["stopCode"] for event in events])

    def test_an_interruption_of_spot_is_a_warning_first(self):
        task = self.run_task(self.define(container("sleep 60")))
        self.when(task, "RUNNING")
        self.stop(task, stopCode="SpotInterruption")
        warning, *_rest, stopped = self.events(self.when(task, "STOPPED"))[3:]
        self.assertEqual(("RUNNING", "STOPPED"), (warning["lastStatus"], warning["desiredStatus"]))
        self.assertNotIn("exitCode", warning["containers"][0])
        for event in (warning, stopped):
            self.assertEqual("SpotInterruption", event["stopCode"])
            self.assertEqual("Your Spot Task was interrupted.", event["stoppedReason"])
        self.assertEqual(143, stopped["containers"][0]["exitCode"])

    def test_the_steps_take_as_long_as_they_are_told(self):
        settings = self.settings(startSeconds=0.6, deprovisioningSeconds=0.5)
        self.assertEqual((0.6, 0.5), (settings["startSeconds"], settings["deprovisioningSeconds"]))
        started = time.monotonic()
        task = self.run_task(self.define(container("exit 0")))
        self.when(task, "DEPROVISIONING")
        self.assertGreaterEqual(time.monotonic() - started, 0.6)
        self.when(task, "STOPPED")
        self.assertGreaterEqual(time.monotonic() - started, 1.1)


class Deliveries(EcsTest):
    def setUp(self) -> None:
        super().setUp()
        sqs, events = self.client("sqs"), self.client("events")
        self.queue = sqs.create_queue(QueueName="tasks")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = json.dumps({"Statement": [{**statement, "Resource": arn}]})
        sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        detail = {"startedBy": [{"prefix": "signalbox/"}], "lastStatus": ["DEPROVISIONING", "STOPPED"]}
        pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": detail}
        events.put_rule(Name="tasks", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="tasks", Targets=[{"Id": "queue", "Arn": arn}])
        self.define(container("exit 0"))

    def received(self, number: int) -> list[str]:
        statuses: list[str] = []

        def check() -> bool:
            answer = self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            statuses.extend(json.loads(each["Body"])["detail"]["lastStatus"] for each in answer.get("Messages", []))
            return len(statuses) >= number

        eventually(check, f"{number} messages")
        return statuses

    def test_a_rule_gets_what_it_asks_for(self):
        self.run_task(startedBy="other")
        self.run_task(startedBy="signalbox/x")
        self.assertEqual(["DEPROVISIONING", "STOPPED"], self.received(2))

    def test_deliveries_meet_their_faults(self):
        self.fault("EventBridge.Deliver", "drop", match='"DEPROVISIONING"')
        self.fault("EventBridge.Deliver", "double", match='"STOPPED"')
        self.run_task(startedBy="signalbox/x")
        self.assertEqual(["STOPPED", "STOPPED"], self.received(2))

    def test_customers_cannot_send_events_of_ecs(self):
        entry = {"Source": "aws.ecs", "DetailType": "ECS Task State Change", "Detail": "{}"}
        (answer,) = self.client("events").put_events(Entries=[entry])["Entries"]
        self.assertEqual("NotAuthorizedForSourceException", answer["ErrorCode"])
