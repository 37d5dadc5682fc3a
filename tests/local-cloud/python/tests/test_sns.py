"""Topics, and what becomes of what is published to them."""

import http.server
import json
import threading
import time
import urllib.request

from .support import FIXTURE, CloudError, CloudTest, eventually

TOPICS = FIXTURE / "topics.yaml"
TEXTS = {"default": "to all", "email": "to readers", "sqs": "to queues", "http": "to servers"}


class Subscriber:
    """An HTTP server on loopback that collects what SNS posts to it."""

    def __init__(self, *statuses: int) -> None:
        self.posts: list[tuple[dict, dict | str]] = []
        left = list(statuses)
        subscriber = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                try:
                    content = json.loads(body)
                except ValueError:
                    content = body
                confirmation = self.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
                status = 200 if confirmation or not left else left.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                subscriber.posts.append(({key.lower(): value for key, value in self.headers.items()}, content))

            def log_message(self, *arguments) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/alerts?a=1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def got(self, number: int) -> list[tuple[dict, dict | str]]:
        eventually(lambda: len(self.posts) >= number, f"{number} posts")
        return self.posts

    def confirm(self) -> None:
        (_headers, body) = self.got(1)[0]
        urllib.request.urlopen(body["SubscribeURL"], timeout=10).close()


class SnsTest(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.sns, self.sqs = self.client("sns"), self.client("sqs")

    def topic(self) -> str:
        return self.sns.create_topic(Name="t")["TopicArn"]

    def subscriber(self, *statuses: int) -> Subscriber:
        subscriber = Subscriber(*statuses)
        self.addCleanup(subscriber.close)
        return subscriber

    def mails(self) -> list[dict]:
        return self.cloud.request("GET", "mails", account=self.account)["mails"]

    def received(self, url: str) -> str:
        (message,) = self.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return message["Body"]


class Publish(SnsTest):
    def refused(self, **fields) -> str:
        return self.assert_refused("InvalidParameter", self.sns.publish, **{"Message": "m", **fields})

    def test_a_subject_is_short_and_printable(self):
        topic = self.topic()
        for subject in ("", " a", "a\nb", "a\tb", "a\x7f", "café", "a" * 100):
            with self.subTest(subject):
                self.assertEqual("Invalid parameter: Subject", self.refused(TopicArn=topic, Subject=subject))
        for subject in ("a" * 99, '[FAILED] orders-nightly at "Charge"'):
            self.sns.publish(TopicArn=topic, Message="m", Subject=subject)

    def test_a_message_by_protocol_has_a_default(self):
        topic = self.topic()
        refusals = {
            "{}": "No default entry in JSON message body",
            '{"default": 1}': "No default entry in JSON message body",
            '{"email": "m"}': "No default entry in JSON message body",
            '{"default": "m"': "JSON message body failed to parse",
            '["default"]': "JSON message body failed to parse",
            '{"default": "m", "sqs": "m", "sqs": "n"}': "JSON message body failed to parse",
        }
        for message, words in refusals.items():
            with self.subTest(message):
                reason = self.refused(TopicArn=topic, Message=message, MessageStructure="json")
                self.assertEqual(f"Invalid parameter: Message Structure - {words}", reason)
        self.refused(TopicArn=topic, Message='{"default": "m"}', MessageStructure="JSON")

    def test_a_message_is_not_empty_and_has_256_kib_at_most(self):
        topic = self.topic()
        self.assertEqual("Invalid parameter: Empty message", self.refused(TopicArn=topic, Message=""))
        self.assertIn("Message too long", self.refused(TopicArn=topic, Message="é" * 131_073))
        self.sns.publish(TopicArn=topic, Message="é" * 131_072)

    def test_a_topic_must_be_there(self):
        topic = self.topic()
        self.assertIn("no value for required parameter", self.refused())
        self.assertIn("An ARN must have at least 6 elements, not 1", self.refused(TopicArn="alerts"))
        self.assert_refused("NotFound", self.sns.publish, TopicArn=f"{topic}s", Message="m")
        self.sns.publish(TargetArn=topic, Message="m")


class Stack(SnsTest):
    def publish(self, outputs: dict, **fields) -> dict:
        """What a function gets that publishes."""
        arguments = {"TopicArn": outputs["TopicArn"], "Message": "m", **fields}
        event = {"aws": {"service": "sns", "operation": "publish", "arguments": arguments}}
        answer = self.client("lambda").invoke(FunctionName=outputs["WorkerArn"], Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def test_each_protocol_gets_its_text(self):
        subscriber = self.subscriber()
        outputs = self.deploy(TOPICS, Endpoint=subscriber.endpoint)["outputs"]
        subscriber.confirm()
        texts = json.dumps(TEXTS)
        answer = self.publish(outputs, Subject="[FAILED] s", Message=texts, MessageStructure="json")
        message_id = answer["answer"]["MessageId"]

        (mail,) = self.mails()
        self.assertAlmostEqual(time.time(), mail.pop("at") / 1000, delta=60)
        whom = {"topicArn": outputs["TopicArn"], "endpoint": "a@example.com"}
        self.assertEqual({**whom, "subject": "[FAILED] s", "body": "to readers"}, mail)

        envelope = json.loads(self.received(outputs["QueueUrl"]))
        expected = {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": outputs["TopicArn"],
            "Subject": "[FAILED] s",
            "Message": "to queues",
            "SignatureVersion": "1",
        }
        self.assertEqual(expected, {key: envelope[key] for key in expected})
        self.assertRegex(envelope["Timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

        headers, body = subscriber.got(2)[1]
        self.assertEqual({**expected, "Message": "to servers"}, {key: body[key] for key in expected})
        self.assertEqual(
            ("Notification", message_id, outputs["TopicArn"], outputs["SubscriptionArn"]),
            tuple(
                headers[f"x-amz-sns-{each}"] for each in ("message-type", "message-id", "topic-arn", "subscription-arn")
            ),
        )
        self.assertEqual("text/plain; charset=UTF-8", headers["content-type"])

    def test_a_raw_message_is_the_text_alone(self):
        outputs = self.deploy(TOPICS, Raw="true")["outputs"]
        self.sns.publish(TopicArn=outputs["TopicArn"], Message='{"default": "d"}', MessageStructure="json", Subject="s")
        self.assertEqual("d", self.received(outputs["QueueUrl"]))

    def test_a_role_may_publish_what_its_policies_let_it(self):
        outputs = self.deploy(TOPICS)["outputs"]
        self.assertIn("answer", self.publish(outputs))
        answer = self.publish(outputs, TopicArn=outputs["OtherTopicArn"])
        self.assertEqual("AuthorizationError", answer.get("error"), answer)
        self.assertIn("is not authorized to perform: SNS:Publish on resource", answer["message"])
        self.assertIn("because no identity-based policy allows the SNS:Publish action", answer["message"])

    def test_a_topic_can_bring_its_subscriptions(self):
        topic = self.deploy(TOPICS)["outputs"]["OtherTopicArn"]
        self.sns.publish(TopicArn=topic, Message="m")
        self.assertEqual(["b@example.com"], [mail["endpoint"] for mail in self.mails()])
        (subscription,) = self.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        arn = subscription["SubscriptionArn"]
        attributes = self.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        self.assertEqual(("email", "false"), (attributes["Protocol"], attributes["PendingConfirmation"]))

    def test_a_topic_has_its_key(self):
        for key in ("alias/aws/sns", "other", ""):
            outputs = self.deploy(TOPICS, Key=key)["outputs"]
            attributes = self.sns.get_topic_attributes(TopicArn=outputs["TopicArn"])["Attributes"]
            self.assertEqual(key or None, attributes.get("KmsMasterKeyId"))

    def test_what_a_condition_leaves_out_need_not_be_known(self):
        self.assertNotIn("BySlack", self.deploy(TOPICS)["resources"])

    def test_a_subscription_needs_its_topic(self):
        template = self.cloud.state_dir / "lonely.yaml"
        properties = {"TopicArn": f"arn:aws:sns:us-east-1:{self.account}:none", "Protocol": "email", "Endpoint": "a@b"}
        resource = {"Type": "AWS::SNS::Subscription", "Properties": properties}
        template.write_text(json.dumps({"Resources": {"Lonely": resource}}))
        with self.assertRaisesRegex(CloudError, "Lonely .*: Invalid parameter: TopicArn"):
            self.deploy(template)


class Mails(SnsTest):
    def test_mails_are_kept_by_account(self):
        topic = self.topic()
        self.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
        self.sns.subscribe(TopicArn=topic, Protocol="email-json", Endpoint="b@example.com")
        self.sns.publish(TopicArn=topic, Message="m")
        self.sns.publish(TopicArn=topic, Message="n", Subject="s")
        mails = self.mails()
        readable = [(mail["endpoint"], mail["subject"], mail["body"]) for mail in mails if mail["endpoint"][0] == "a"]
        expected = [("a@example.com", "AWS Notification Message", "m"), ("a@example.com", "s", "n")]
        self.assertEqual(expected, readable)
        self.assertEqual("m", json.loads(mails[1]["body"])["Message"])
        self.assertEqual([], self.cloud.request("GET", "mails", account="999999999997")["mails"])
        self.cloud.request("DELETE", "mails", account=self.account)
        self.assertEqual([], self.mails())


class Http(SnsTest):
    def subscribed(self, *statuses: int, retries: dict | None = None, **attributes: str) -> tuple[str, Subscriber]:
        """A topic and its one subscriber, which has confirmed."""
        topic, subscriber = self.topic(), self.subscriber(*statuses)
        if retries is not None:
            attributes["DeliveryPolicy"] = json.dumps({"healthyRetryPolicy": retries})
        self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.endpoint, Attributes=attributes)
        subscriber.confirm()
        return topic, subscriber

    def test_an_endpoint_confirms_before_it_gets_anything(self):
        topic, subscriber = self.topic(), self.subscriber()
        answer = self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.endpoint)
        self.assertEqual("pending confirmation", answer["SubscriptionArn"])
        headers, body = subscriber.got(1)[0]
        self.assertEqual(("SubscriptionConfirmation", topic), (body["Type"], body["TopicArn"]))
        self.assertEqual("SubscriptionConfirmation", headers["x-amz-sns-message-type"])
        self.assertTrue(body["SubscribeURL"].startswith(self.cloud.endpoint))
        self.sns.publish(TopicArn=topic, Message="too early")
        self.sns.confirm_subscription(TopicArn=topic, Token=body["Token"])
        self.sns.publish(TopicArn=topic, Message="in time")
        self.assertEqual("in time", subscriber.got(2)[1][1]["Message"])

    def test_a_raw_delivery_says_so(self):
        topic, subscriber = self.subscribed(RawMessageDelivery="true")
        self.sns.publish(TopicArn=topic, Message="m")
        headers, body = subscriber.got(2)[1]
        self.assertEqual(("m", "true"), (body, headers["x-amz-sns-rawdelivery"]))

    def test_what_the_server_fails_is_tried_again(self):
        retries = {"numRetries": 3, "numNoDelayRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 1}
        topic, subscriber = self.subscribed(503, 429, 500, retries=retries)
        self.sns.publish(TopicArn=topic, Message="m")
        posts = subscriber.got(5)[1:]
        self.assertEqual(1, len({headers["x-amz-sns-message-id"] for headers, _ in posts}))
        self.sns.publish(TopicArn=topic, Message="n")
        self.assertEqual("n", subscriber.got(6)[5][1]["Message"])

    def test_what_the_server_refuses_is_not_tried_again(self):
        topic, subscriber = self.subscribed(403, retries={"numRetries": 3, "numNoDelayRetries": 3})
        self.sns.publish(TopicArn=topic, Message="refused")
        subscriber.got(2)
        self.sns.publish(TopicArn=topic, Message="accepted")
        self.assertEqual(["refused", "accepted"], [body["Message"] for _, body in subscriber.got(3)[1:]])

    def test_attempts_end(self):
        topic, subscriber = self.subscribed(500, 500, retries={"numRetries": 1, "numNoDelayRetries": 1})
        self.sns.publish(TopicArn=topic, Message="lost")
        subscriber.got(3)
        self.sns.publish(TopicArn=topic, Message="next")
        self.assertEqual(["lost", "lost", "next"], [body["Message"] for _, body in subscriber.got(4)[1:]])

    def test_nothing_leaves_the_machine(self):
        topic = self.topic()
        self.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint="http://sns.invalid/alerts")
        eventually(lambda: "nothing leaves the machine: no SubscriptionConfirmation" in self.cloud.log(), "the refusal")

    def test_waits_follow_the_policy(self):
        from signalbox_cloud import sns_http

        policies = {
            "": [20, 20, 20],
            '{"healthyRetryPolicy": {"numRetries": 3, "numNoDelayRetries": 3}}': [0, 0, 0],
            '{"healthyRetryPolicy": {"numRetries": 7, "numNoDelayRetries": 1, "numMinDelayRetries": 1, '
            '"numMaxDelayRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 5}}': [0, 1, 1, 3, 5, 5, 5],
        }
        for policy, waits in policies.items():
            with self.subTest(policy):
                subscription = {"arn": "s", "attributes": {"DeliveryPolicy": policy}}
                self.assertEqual(waits, sns_http._waits(subscription))
        with self.assertLogs("signalbox_cloud.sns_http"):
            self.assertEqual([], sns_http._waits({"arn": "s", "attributes": {"DeliveryPolicy": "{"}}))


class Faults(SnsTest):
    def test_a_throttled_topic_is_told_apart_by_its_arn(self):
        """A form escapes what is in an ARN."""
        one, other = (self.sns.create_topic(Name=name)["TopicArn"] for name in ("one", "other"))
        self.fault("SNS.Publish", "throttle", match=one)
        self.sns.publish(TopicArn=other, Message="m")
        self.assert_refused("Throttling", self.sns.publish, TopicArn=one, Message="m")

    def test_a_throttled_publication_is_sent_once_by_an_sdk_that_tries_again(self):
        topic = self.topic()
        self.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
        self.fault("SNS.Publish", "throttle", times=2)
        self.client("sns", attempts=3).publish(TopicArn=topic, Message="m")
        self.assertEqual(["m"], [mail["body"] for mail in self.mails()])

    def test_a_publication_that_seems_to_fail_is_sent(self):
        topic = self.topic()
        self.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
        self.fault("SNS.Publish", "applyThenFail", times=1)
        self.assert_refused("InternalError", self.sns.publish, TopicArn=topic, Message="m")
        self.fault("SNS.Publish", "error", times=1, code="KMSThrottling", message="enough")
        self.assertEqual("enough", self.assert_refused("KMSThrottling", self.sns.publish, TopicArn=topic, Message="n"))
        self.assertEqual(["m"], [mail["body"] for mail in self.mails()])
