"""Events on their way: rules, queues, functions, schedules, and what faults make of it."""

import contextvars
import json
import threading
import time
import unittest
import unittest.mock

from .support import FIXTURE, PASS, Cloud, CloudError, CloudTest, eventually

EVENTS = FIXTURE / "events.yaml"
FAIL = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}


class EventTest(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.dynamodb = self.client("dynamodb")

    def consumed(self, outputs: dict) -> list[dict]:
        """The records that the function got, in order: what they were, how often received, and in which batch."""
        items = self.dynamodb.scan(TableName=outputs["TableName"])["Items"]
        items.sort(key=lambda item: float(item["at"]["N"]))
        return [
            {"body": json.loads(item["body"]["S"]), "receives": item["sk"]["S"], "at": float(item["at"]["N"])}
            for item in items
        ]

    def put(self, name: str, status: str = "FAILED", **detail) -> None:
        machine = f"arn:aws:states:us-east-1:{self.account}:stateMachine:seen-m"
        whole = {
            "name": name,
            "status": status,
            "stateMachineArn": machine,
            "startDate": 1,
            "redriveCount": 0,
            **detail,
        }
        entry = {
            "Source": "my.test",
            "DetailType": "Step Functions Execution Status Change",
            "Detail": json.dumps(whole),
        }
        self.client("events").put_events(Entries=[entry])

    def names(self, outputs: dict) -> list[str]:
        return [record["body"]["detail"]["name"] for record in self.consumed(outputs)]


class Flow(EventTest):
    def test_status_changes_reach_a_function(self):
        outputs = self.deploy(EVENTS)["outputs"]
        seen, other = self.machine(FAIL, "seen-fails"), self.machine(PASS, "other")
        execution = self.start(seen)
        self.ended(execution)
        self.ended(self.start(other))
        self.states.redrive_execution(executionArn=execution)
        self.ended(execution)
        eventually(lambda: len(self.consumed(outputs)) >= 3, "three records")
        details = [record["body"]["detail"] for record in self.consumed(outputs)]
        expected = [("FAILED", 0), ("RUNNING", 1), ("FAILED", 1)]
        self.assertCountEqual(expected, [(detail["status"], detail["redriveCount"]) for detail in details])
        body = self.consumed(outputs)[0]["body"]
        self.assertEqual(("aws.states", self.account), (body["source"], body["account"]))
        self.assertEqual([execution], body["resources"])

    def test_a_pattern_takes_what_it_says(self):
        outputs = self.deploy(EVENTS)["outputs"]
        arn = f"arn:aws:states:us-east-1:{self.account}:stateMachine:unseen"
        self.put("running", "RUNNING")
        self.put("unseen", stateMachineArn=arn)
        self.put("unknown status", "PENDING")
        self.put("unwanted")
        self.put("redriven", "RUNNING", redriveCount=2)
        self.put("failed")
        eventually(lambda: len(self.names(outputs)) == 2, "two records")
        self.assertCountEqual(["redriven", "failed"], self.names(outputs))

    def test_an_event_is_there_at_once(self):
        outputs = self.deploy(EVENTS)["outputs"]
        self.put("warms up")
        eventually(lambda: self.names(outputs), "the first record")
        waits = []
        for number in range(3):
            time.sleep(0.3)
            started = time.time()
            self.put(f"n{number}")
            eventually(lambda: len(self.names(outputs)) == len(waits) + 2, "the record")
            waits.append(self.consumed(outputs)[-1]["at"] - started)
        self.assertLess(min(waits), 0.5)

    def deployed_and_warm(self, visibility: int) -> dict:
        """The stack, with a function that has started, and a queue that soon shows again what was not deleted."""
        outputs = self.deploy(EVENTS)["outputs"]
        self.put("warms up")
        eventually(lambda: self.names(outputs), "the first record", 20)
        attributes = {"VisibilityTimeout": str(visibility)}
        self.client("sqs").set_queue_attributes(QueueUrl=outputs["QueueUrl"], Attributes=attributes)
        return outputs

    def test_only_failed_messages_come_again_and_end_in_the_dead_letter_queue(self):
        outputs = self.deployed_and_warm(2)
        for name in ("a", "fail", "b"):
            self.put(name)
        sqs = self.client("sqs")

        def dead():
            return sqs.receive_message(QueueUrl=outputs["DeadUrl"], WaitTimeSeconds=1).get("Messages")

        (message,) = eventually(dead, "the dead letter", 20)
        self.assertEqual("fail", json.loads(message["Body"])["detail"]["name"])
        receives = [(each["body"]["detail"]["name"], each["receives"]) for each in self.consumed(outputs)[1:]]
        self.assertCountEqual([("a", "1"), ("b", "1"), ("fail", "1"), ("fail", "2")], receives)

    def test_an_answer_that_makes_no_sense_fails_the_batch(self):
        outputs = self.deployed_and_warm(2)
        self.put("nonsense")
        eventually(lambda: self.names(outputs).count("nonsense") == 2, "the second delivery", 20)

    def test_no_message_is_lost_in_a_storm(self):
        outputs = self.deploy(EVENTS)["outputs"]
        events = self.client("events")
        machine = f"arn:aws:states:us-east-1:{self.account}:stateMachine:seen-m"
        for start in range(0, 200, 10):
            entries = []
            for number in range(start, start + 10):
                detail = {"name": str(number), "status": "FAILED", "stateMachineArn": machine, "startDate": 1}
                text = json.dumps(detail)
                kind = "Step Functions Execution Status Change"
                entries.append({"Source": "my.test", "DetailType": kind, "Detail": text})
            events.put_events(Entries=entries)
        eventually(lambda: len(set(self.names(outputs))) == 200, "200 records", 30)

    def test_a_message_that_is_sent_while_others_are_deleted_is_kept(self):
        """Without HTTP, because over HTTP it takes luck."""
        from ministack.core.arn import parse_arn
        from ministack.core.responses import request_scope
        from ministack.services import eventbridge, sns, sqs
        from signalbox_cloud import queues

        queues.patch_turns()
        # What it imports when it is first called takes longer than the wait below.
        sqs.queue_policy_allows("", "", "", "")
        arn = "arn:aws:sqs:us-east-1:100000000000:q"
        for send in (
            lambda: eventbridge._dispatch_to_sqs(parse_arn(arn), "{}"),
            lambda: sns._deliver_to_sqs(arn, "{}", raw=False, raw_message="{}"),
        ):
            with self.subTest(send), request_scope("100000000000", "us-east-1"):
                self.assertEqual(["{}"], self.kept_of(sqs, send))

    @staticmethod
    def kept_of(sqs, send) -> list[str]:
        """What is in an empty queue after something was sent to it while something else was deleted."""
        url = sqs._act_create_queue({"QueueName": "q"}, "")["QueueUrl"]
        queue = sqs._get_q(url)
        context = contextvars.copy_context()
        sender = threading.Thread(target=context.run, args=(send,))

        class Messages(list):
            def __iter__(self):
                yield from list.__iter__(self)
                sender.start()
                sender.join(0.2)

        queue["messages"] = Messages()
        sqs._delete_messages_for_esm(url, {"handle"})
        sender.join()
        return [message["body"] for message in queue["messages"]]

    def test_a_queue_takes_what_its_policy_lets_it(self):
        outputs = self.deploy(EVENTS, MaySend="false")["outputs"]
        self.put("refused")
        sqs = self.client("sqs")
        policy = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "*",
            "Condition": {"ArnEquals": {"aws:SourceArn": outputs["RuleArn"]}},
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        sqs.set_queue_attributes(QueueUrl=outputs["QueueUrl"], Attributes={"Policy": document})
        self.put("allowed")
        eventually(lambda: self.names(outputs), "the record")
        self.assertEqual(["allowed"], self.names(outputs))

    def test_the_role_of_the_function_must_allow_the_queue(self):
        with self.assertRaisesRegex(CloudError, "does not have permissions to call ReceiveMessage on SQS"):
            self.deploy(EVENTS, MayReceive="false")
        function = self.deploy()["outputs"]["WorkerArn"]
        queue = self.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{self.account}:{queue.rpartition('/')[2]}"
        create = self.client("lambda").create_event_source_mapping
        self.assert_refused("InvalidParameterValueException", create, FunctionName=function, EventSourceArn=arn)
        self.assertEqual([], self.client("lambda").list_event_source_mappings()["EventSourceMappings"])

    def test_a_queue_must_hide_a_message_for_as_long_as_the_function_works(self):
        with self.assertRaisesRegex(CloudError, "visibility timeout: 1 seconds is less than Function timeout: 20"):
            self.deploy(EVENTS, VisibilityTimeout="1")

    def test_a_sparse_index_of_a_stack(self):
        table = self.deploy(EVENTS)["outputs"]["TableName"]
        described = self.dynamodb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"][0]
        self.assertEqual("KEYS_ONLY", described["Projection"]["ProjectionType"])
        for number in range(3):
            item = {"pk": {"S": "p"}, "sk": {"S": str(number)}, "active": {"S": "y"}, "order": {"N": str(-number)}}
            self.dynamodb.put_item(TableName=table, Item=item)
        self.dynamodb.put_item(TableName=table, Item={"pk": {"S": "p"}, "sk": {"S": "x"}})
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=table,
            IndexName="active",
            KeyConditionExpression="active = :a",
            ExpressionAttributeValues={":a": {"S": "y"}},
            PaginationConfig={"PageSize": 1},
        )
        found = [item["sk"]["S"] for page in pages for item in page["Items"]]
        self.assertEqual(["2", "1", "0"], found)


class Status(EventTest):
    """The detail of status events, in the shape of those in AWS's documentation."""

    def both_events(self, execution: str) -> list[dict]:
        return eventually(lambda: self.status_events(execution)[1:] and self.status_events(execution), "the last event")

    def test_a_failure(self):
        execution = self.start(self.machine({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}))
        described = self.ended(execution)
        running, failed = self.both_events(execution)
        common = {
            "executionArn": execution,
            "stateMachineArn": described["stateMachineArn"],
            "name": described["name"],
            "startDate": round(described["startDate"].timestamp() * 1000),
            "input": "{}",
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": None,
            "stateMachineVersionArn": None,
            "stateMachineAliasArn": None,
            "redriveCount": 0,
            "redriveDate": None,
            "cause": None,
        }
        before = {
            "status": "RUNNING",
            "stopDate": None,
            "error": None,
            "redriveStatus": "NOT_REDRIVABLE",
            "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
        }
        after = {
            "status": "FAILED",
            "stopDate": round(described["stopDate"].timestamp() * 1000),
            "error": "E",
            "redriveStatus": "REDRIVABLE",
            "redriveStatusReason": None,
        }
        self.assertEqual([common | before, common | after], [running, failed])

    def test_long_data_is_left_out(self):
        """The limit is 248 KiB of escaped text, of the input together with the output."""
        limit = 248 * 1024
        machine = self.machine(PASS)
        cases = {
            (limit // 2 - 100, "x"): (True, True),
            (limit // 2 + 100, "x"): (False, True),
            (limit // 4 + 100, "\\"): (False, True),
            (limit - 100, "x"): (False, True),
            (limit + 100, "x"): (False, False),
        }
        for (length, character), included in cases.items():
            execution = self.start(machine, character * (length // len(json.dumps(character)[1:-1])))
            self.ended(execution)
            _running, detail = self.both_events(execution)
            with self.subTest((length, character)):
                self.assertEqual(included, tuple(detail[f"{name}Details"]["included"] for name in ("input", "output")))
                self.assertEqual(included, tuple(detail[name] is not None for name in ("input", "output")))

    def test_patterns_of_status_events(self):
        """What a rule may say of them."""
        matches = self.client("events").test_event_pattern
        detail = {"status": "FAILED", "stateMachineArn": "arn:aws:states:us-east-1:1:stateMachine:orders-nightly"}
        event = {"id": "1", "source": "aws.states", "account": "1", "time": "2026-01-01T00:00:00Z", "region": "r"}
        event |= {"detail-type": "Step Functions Execution Status Change", "resources": [], "detail": detail}
        prefix = "arn:aws:states:us-east-1:1:stateMachine:orders"
        for pattern, expected in (
            ({"status": ["FAILED", "TIMED_OUT"], "stateMachineArn": [{"prefix": prefix}]}, True),
            ({"status": ["ABORTED"]}, False),
            ({"status": [{"anything-but": ["RUNNING", "SUCCEEDED"]}]}, True),
            ({"status": [{"anything-but": "FAILED"}]}, False),
            ({"stateMachineArn": [{"suffix": "-nightly"}]}, True),
            ({"stateMachineArn": [{"anything-but": {"prefix": prefix}}]}, False),
        ):
            with self.subTest(pattern):
                answer = matches(EventPattern=json.dumps({"detail": pattern}), Event=json.dumps(event))
                self.assertEqual(expected, answer["Result"])


class DeliveryFaults(EventTest):
    def deliver(self, kind: str, names: list[str], expected: int, **fields) -> tuple[list[str], float]:
        """What reaches the queue, in order, and how long the last took."""
        sqs, events = self.client("sqs"), self.client("events")
        url = sqs.create_queue(QueueName="deliveries")["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{self.account}:deliveries"
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events.put_rule(Name="r", EventPattern=json.dumps({"source": ["my.test"]}))
        events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": arn}])
        fault = self.fault("EventBridge.Deliver", kind, **fields)
        for name in names:
            self.put(name)
        started, found = time.monotonic(), []

        def received():
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                found.append(json.loads(message["Body"])["detail"]["name"])
            return len(found) >= expected

        eventually(received, f"{expected} deliveries")
        took = time.monotonic() - started
        self.cloud.request("DELETE", "faults", id=fault)
        self.assertEqual(len(names), len(self.cloud.request("GET", "events", account=self.account)["events"]))
        return found, took

    def test_dropped(self):
        found, _ = self.deliver("drop", ["a", "b", "c"], 2, times=1, match='"b"')
        self.assertEqual(["a", "c"], found)

    def test_doubled(self):
        self.assertEqual(["a", "a", "b"], self.deliver("double", ["a", "b"], 3, times=1)[0])

    def test_delayed(self):
        found, took = self.deliver("delay", ["a", "b"], 2, seconds=0.5, match='"a"')
        self.assertEqual(["b", "a"], found)
        self.assertGreater(took, 0.4)

    def test_reordered(self):
        names = [str(number) for number in range(10)]
        found, _ = self.deliver("reorder", names, 10, seconds=0.5)
        self.assertNotEqual(names, found)
        self.assertCountEqual(names, found)

    def test_nonsense_is_refused(self):
        for fields, words in (
            ({"api": "EventBridge.Deliver", "kind": "throttle"}, "kind: 'throttle' is not one of drop, double"),
            ({"api": "EventBridge.Deliver", "kind": "reorder"}, "seconds"),
            ({"api": "Events.PutEvents", "kind": "double"}, "kind: 'double' is not one of"),
        ):
            with self.subTest(fields), self.assertRaisesRegex(CloudError, words):
                self.cloud.request("POST", "faults", {"account": self.account, **fields})

    def test_faults_of_all_calls_spare_deliveries(self):
        self.assertEqual(["a"], self.deliver("drop", ["a"], 1, match="none")[0])
        fault = self.fault("*", "delay", seconds=0)
        self.put("b")
        faults = self.cloud.request("GET", "faults", account=self.account)["faults"]
        self.assertEqual([(fault, 1)], [(each["id"], each["hits"]) for each in faults])


class Schedules(CloudTest):
    def test_schedules_are_deployed_and_do_not_run(self):
        self.deploy(EVENTS)
        rules = self.client("events").list_rules()["Rules"]
        self.assertIn("rate(1 minute)", [rule.get("ScheduleExpression") for rule in rules])
        self.assertFalse(self.cloud.request("GET", "health")["schedules"])

    def test_schedules_run_if_asked_for(self):
        cloud = Cloud("--schedules")
        self.addCleanup(cloud.stop)
        self.assertTrue(cloud.request("GET", "health")["schedules"])

    def test_a_scheduled_event_has_the_shape_of_aws(self):
        from ministack.core.responses import request_scope
        from ministack.services import eventbridge

        account = "100000000000"
        with request_scope(account, "us-east-1"):
            eventbridge._ensure_default_bus()
            eventbridge._put_rule({"Name": "tick", "ScheduleExpression": "rate(1 minute)"})
            queue = f"arn:aws:sqs:us-east-1:{account}:q"
            eventbridge._put_targets({"Rule": "tick", "Targets": [{"Id": "t", "Arn": queue}]})
            self.addCleanup(eventbridge.reset)
            (rule,) = eventbridge._rules.values()
            rule["CreationTime"] = time.time() - 61
            with unittest.mock.patch.object(eventbridge, "_dispatch_to_sqs") as dispatch:
                eventbridge._tick_scheduled_rules()
        event = json.loads(dispatch.call_args.args[1])
        self.assertEqual(
            ("aws.events", "Scheduled Event", {}), (event["source"], event["detail-type"], event["detail"])
        )
        self.assertEqual([rule["Arn"]], event["resources"])
        self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
