"""ECS, S3 and CloudWatch Logs fail on demand."""

import time
import unittest
import unittest.mock

import botocore.exceptions

from .ecs_support import FARGATE, EcsTest, container
from .support import CloudError


class Calls(EcsTest):
    def setUp(self) -> None:
        super().setUp()
        self.define(container("exit 0"))
        self.arguments = {"cluster": "jobs", "taskDefinition": "etl", **FARGATE}

    def tasks(self) -> list[dict]:
        return self.cloud.request("GET", "ecs", account=self.account)["tasks"]

    def test_throttling_has_the_words_of_ecs(self):
        self.fault("ECS.RunTask", "throttle", times=1)
        message = self.assert_refused("ThrottlingException", self.ecs.run_task, **self.arguments)
        self.assertEqual("Rate exceeded", message)
        self.fault("ECS.RunTask", "error", code="InvalidParameterException", message="Rate exceeded", times=1)
        self.assert_refused("InvalidParameterException", self.ecs.run_task, **self.arguments)
        self.assertEqual([], self.tasks())

    def test_a_call_can_take_effect_and_fail(self):
        self.fault("ECS.RunTask", "applyThenFail", times=1)
        self.assert_refused("ServerException", self.ecs.run_task, **self.arguments, clientToken="x")
        self.fault("ECS.RunTask", "drop", afterEffect=True, times=1)
        with self.assertRaises(botocore.exceptions.ConnectionClosedError):
            self.ecs.run_task(**self.arguments, clientToken="y")
        tasks = {each["taskArn"] for each in self.tasks()}
        again = {self.run_task(clientToken=token)["taskArn"] for token in "xy"}
        self.assertEqual((2, tasks), (len(tasks), again))

    def test_a_call_can_be_late(self):
        self.fault("ECS.DescribeTasks", "delay", seconds=0.3)
        started = time.monotonic()
        self.ecs.describe_tasks(cluster="jobs", tasks=["x"])
        self.assertGreaterEqual(time.monotonic() - started, 0.3)

    def test_a_rate_is_limited_after_a_burst(self):
        # It does not fill while the calls are made, however long they take: that it fills is held below.
        fault = self.fault("ECS.ListTasks", "rateLimit", perSecond=0, burst=3)
        for _ in range(3):
            self.ecs.list_tasks(cluster="jobs")
        for _ in range(3):
            self.assert_refused("ThrottlingException", self.ecs.list_tasks, cluster="jobs")
        faults = self.cloud.request("GET", "faults", account=self.account)["faults"]
        self.assertEqual(3, next(f["hits"] for f in faults if f["id"] == fault))

    def test_a_task_can_find_no_place(self):
        self.fault("ECS.RunTask", "taskFailures", reason="RESOURCE:MEMORY", arn="arn:x", detail="why", times=1)
        answer = self.ecs.run_task(**self.arguments)
        self.assertEqual([], answer["tasks"])
        self.assertEqual([{"arn": "arn:x", "reason": "RESOURCE:MEMORY", "detail": "why"}], answer["failures"])
        self.run_task()
        self.assertEqual(1, len(self.tasks()))

    def test_s3_fails_in_its_own_shape(self):
        s3 = self.client("s3")
        s3.create_bucket(Bucket=f"bucket-{self.account}")
        key = {"Bucket": f"bucket-{self.account}", "Key": "results/a"}
        self.fault("S3.PutObject", "throttle", times=1)
        self.assert_refused("SlowDown", s3.put_object, **key, Body=b"a")
        self.fault("S3.PutObject", "applyThenFail", times=1, match="results/")
        s3.put_object(**{**key, "Key": "other"}, Body=b"a")
        self.assert_refused("InternalError", s3.put_object, **key, Body=b"a")
        self.assertEqual(b"a", s3.get_object(**key)["Body"].read())
        self.fault("S3.GetObject", "error", code="AccessDenied", status=403, message="no")
        self.assertEqual("no", self.assert_refused("AccessDenied", s3.get_object, **key))
        calls = self.cloud.request("GET", "calls", account=self.account)
        counts = {api: calls[api]["count"] for api in calls if api.startswith("S3.")}
        self.assertEqual({"S3.CreateBucket": 1, "S3.PutObject": 3, "S3.GetObject": 2}, counts)

    def test_logs_fail_in_their_own_shape(self):
        arguments = {"logGroupName": "/etl", "logStreamName": "x"}
        self.fault("Logs.GetLogEvents", "throttle", times=1)
        self.assert_refused("ThrottlingException", self.logs.get_log_events, **arguments)
        self.assert_refused("ResourceNotFoundException", self.logs.get_log_events, **arguments)
        calls = self.cloud.request("GET", "calls", account=self.account)
        self.assertEqual(2, calls["Logs.GetLogEvents"]["count"])


class Rates(unittest.TestCase):
    def test_a_bucket_of_tokens_fills_steadily(self):
        from signalbox_cloud import faults

        clock = unittest.mock.Mock()
        clock.monotonic.return_value = 0.0
        with unittest.mock.patch.object(faults, "time", clock):
            bucket = faults.Bucket(per_second=2, burst=3, filled=0.0)
            for now, taken in (
                (0.0, [True, True, True, False]),
                # What is refused takes nothing: half a token was there already.
                (0.25, [False]),
                (0.5, [True, False]),
                (1.5, [True, True, False]),
                # It holds no more than a burst.
                (60.0, [True, True, True, False]),
            ):
                clock.monotonic.return_value = now
                self.assertEqual(taken, [bucket.take() for _ in taken], now)


class Starts(EcsTest):
    def test_a_task_can_fail_to_start(self):
        reason = "ResourceInitializationError: unable to pull secrets or registry auth: ..."
        self.fault("ECS.Start", "fail", reason=reason, times=1)
        task = self.run_to_the_end(container("exit 0"))
        self.assertEqual(("TaskFailedToStart", reason), (task["stopCode"], task["stoppedReason"]))
        self.assertEqual(["main"], [each["name"] for each in task["containers"]])
        for name in ("exitCode", "reason"):
            self.assertNotIn(name, task["containers"][0])
        self.assertEqual("EssentialContainerExited", self.when(self.run_task(), "STOPPED")["stopCode"])

    def test_a_container_can_have_the_reason(self):
        self.fault("ECS.Start", "fail", reason="Task failed to start", containerReason="CannotPullContainerError: x")
        task = self.run_to_the_end(container("exit 0"))
        self.assertEqual("CannotPullContainerError: x", task["containers"][0]["reason"])

    def test_there_can_be_no_containers_at_all(self):
        reason = "Timeout waiting for network interface provisioning to complete."
        self.fault("ECS.Start", "fail", reason=reason, containers=False)
        task = self.run_to_the_end(container("exit 0"))
        self.assertEqual(([], reason), (task["containers"], task["stoppedReason"]))
        self.assertEqual([], self.events(task)[-1]["containers"])

    def test_it_strikes_the_tasks_that_it_is_for(self):
        self.fault("ECS.Start", "fail", reason="x", match="unlucky")
        override = {"name": "main", "environment": [{"name": "A", "value": "unlucky"}]}
        task = self.run_to_the_end(container("exit 0"), overrides={"containerOverrides": [override]})
        self.assertEqual("TaskFailedToStart", task["stopCode"])
        self.assertEqual("EssentialContainerExited", self.when(self.run_task(), "STOPPED")["stopCode"])


class Nonsense(EcsTest):
    def test_faults_that_make_no_sense_are_refused(self):
        for fields, words in (
            ({"api": "ECS.Start", "kind": "throttle"}, "kind"),
            ({"api": "ECS.RunTask", "kind": "fail", "reason": "x"}, "kind"),
            ({"api": "ECS.Start", "kind": "fail"}, "reason"),
            ({"api": "ECS.StopTask", "kind": "taskFailures", "reason": "x"}, "has no failures"),
            ({"api": "ECS.RunTask", "kind": "rateLimit"}, "perSecond"),
        ):
            with self.subTest(fields), self.assertRaisesRegex(CloudError, words):
                self.cloud.request("POST", "faults", {"account": self.account, **fields})

    def test_settings_and_images_that_make_no_sense_are_refused(self):
        for path, fields, words in (
            ("ecs", {"startSecond": 1}, "startSecond: there is no such field"),
            ("ecs", {"startSeconds": "1"}, "must be a number"),
            ("images", {}, "image: a name is required"),
            ("images", {"image": "x", "entrypoint": "/bin/sh"}, "entrypoint: must be a list"),
            ("images", {"image": "x", "environment": {"A": 1}}, "environment: must be an object of strings"),
            ("ecs/stop", {"task": "nope", "stopCode": "x"}, "there is no task"),
            ("ecs/stop", {"task": "nope"}, "stopCode"),
            ("ecs/kill", {"task": "nope", "signal": 999}, "signal"),
        ):
            with self.subTest(fields), self.assertRaisesRegex(CloudError, words):
                self.cloud.request("POST", path, {"account": self.account, **fields})
