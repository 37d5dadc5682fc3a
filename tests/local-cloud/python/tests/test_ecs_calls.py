"""The calls of ECS: what AWS refuses, and what it answers."""

import time

from .ecs_support import FARGATE, NETWORK, EcsTest, container


class RunTask(EcsTest):
    def assert_invalid(self, words: str, definition: str = "etl", **fields) -> None:
        arguments = {"cluster": "jobs", "taskDefinition": definition, **FARGATE, **fields}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        self.assertIn(words, self.assert_refused("InvalidParameterException", self.ecs.run_task, **arguments))

    def setUp(self) -> None:
        super().setUp()
        self.definition = self.define(container("exit 0"))

    def test_a_cluster_is_named_by_its_name_or_its_arn(self):
        for cluster in ("jobs", self.cluster):
            self.assertEqual(self.cluster, self.run_task(cluster=cluster)["clusterArn"])

    def test_a_cluster_must_be_there(self):
        for cluster in ("nope", "default", self.cluster.replace("jobs", "nope")):
            for call, arguments in (
                (self.ecs.run_task, {"taskDefinition": "etl", **FARGATE}),
                (self.ecs.stop_task, {"task": "x"}),
                (self.ecs.describe_tasks, {"tasks": ["x"]}),
                (self.ecs.list_tasks, {}),
            ):
                self.assert_refused("ClusterNotFoundException", call, cluster=cluster, **arguments)

    def test_a_task_definition_must_be_there_and_active(self):
        refused = {"cluster": "jobs", **FARGATE}
        message = self.assert_refused("ClientException", self.ecs.run_task, taskDefinition="nope", **refused)
        self.assertEqual("TaskDefinition not found.", message)
        self.ecs.deregister_task_definition(taskDefinition="etl:1")
        self.assert_invalid("TaskDefinition is inactive", "etl:1")
        self.assert_refused("ClientException", self.ecs.run_task, taskDefinition="etl", **refused)

    def test_a_family_is_its_newest_active_revision(self):
        second, third = self.define(container("exit 0")), self.define(container("exit 0"))
        self.assertEqual(third, self.run_task("etl")["taskDefinitionArn"])
        self.ecs.deregister_task_definition(taskDefinition=third)
        self.assertEqual(second, self.run_task("etl")["taskDefinitionArn"])
        self.assertEqual(self.definition, self.run_task("etl:1")["taskDefinitionArn"])

    def test_the_network_is_given_where_there_is_one(self):
        self.assert_invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.", networkConfiguration=None
        )
        bridge = self.define(container("exit 0", memory=64), networkMode="bridge", requiresCompatibilities=["EC2"])
        self.assert_invalid("Network Configuration is not valid for", bridge, launchType=None)

    def test_launch_type_and_strategy_exclude_each_other(self):
        strategy = [{"capacityProvider": "FARGATE", "weight": 1}]
        self.assert_invalid("Specifying both a launch type and capacity provider", capacityProviderStrategy=strategy)

    def test_a_capacity_provider_is_one_of_the_cluster(self):
        strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        self.assert_invalid("not associated with the cluster", launchType=None, capacityProviderStrategy=strategy)
        providers = {"capacityProviders": ["FARGATE", "FARGATE_SPOT"], "defaultCapacityProviderStrategy": []}
        self.ecs.put_cluster_capacity_providers(cluster="jobs", **providers)
        task = self.ecs.run_task(
            cluster="jobs", taskDefinition="etl", capacityProviderStrategy=strategy, networkConfiguration=NETWORK
        )["tasks"][0]
        self.assertEqual(("FARGATE", "FARGATE_SPOT"), (task["launchType"], task["capacityProviderName"]))

    def test_a_task_definition_for_ec2_does_not_run_on_fargate(self):
        bridge = self.define(container("exit 0", memory=64), networkMode="bridge", requiresCompatibilities=["EC2"])
        self.assert_invalid("Task definition does not support launch_type FARGATE.", bridge)

    def test_overrides_are_of_containers_that_are_there(self):
        overrides = {"containerOverrides": [{"name": "nope"}]}
        words = "Override for container named nope is not a container in the TaskDefinition."
        self.assert_invalid(words, overrides=overrides)

    def test_overrides_have_8192_characters(self):
        def overrides(length: int) -> dict:
            empty = '{"containerOverrides":[{"name":"main","environment":[{"name":"A","value":""}]}]}'
            environment = [{"name": "A", "value": "x" * (length - len(empty))}]
            return {"containerOverrides": [{"name": "main", "environment": environment}]}

        self.run_task(overrides=overrides(8192))
        self.assert_invalid("Container Overrides length must be at most 8192", overrides=overrides(8193))

    def test_who_starts_a_task_has_128_characters_of_a_few_kinds(self):
        name = "signalbox/a_-" + "x" * 115
        self.assertEqual(name, self.run_task(startedBy=name)["startedBy"])
        self.assert_invalid("startedBy longer than 128.", startedBy=name + "x")
        self.assert_invalid("startedBy", startedBy="a b")

    def test_ten_tasks_are_the_most(self):
        self.assertEqual(10, len(self.ecs.run_task(cluster="jobs", taskDefinition="etl", count=10, **FARGATE)["tasks"]))
        self.assert_invalid("count", count=11)

    def test_ecs_must_be_able_to_assume_the_roles(self):
        role = self.role("other")
        definition = self.define(container("exit 0"), taskRoleArn=role)
        arguments = {"cluster": "jobs", "taskDefinition": definition, **FARGATE}
        message = self.assert_refused("ClientException", self.ecs.run_task, **arguments)
        self.assertIn(f"unable to assume the role '{role}'", message)

    def test_tags_are_of_the_call_and_if_asked_for_of_the_definition(self):
        tags = [{"key": "a", "value": "definition"}, {"key": "b", "value": "definition"}]
        self.define(container("exit 0"), tags=tags)
        self.assertEqual([], self.describe(self.run_task(), include=["TAGS"])["tags"])
        task = self.run_task(tags=[{"key": "b", "value": "call"}], propagateTags="TASK_DEFINITION")
        expected = [{"key": "a", "value": "definition"}, {"key": "b", "value": "call"}]
        self.assertEqual(expected, task["tags"])
        self.assertEqual(expected, self.describe(task, include=["TAGS"])["tags"])
        self.assertEqual([], self.describe(task)["tags"])

    def test_a_task_is_in_the_group_of_its_family_unless_it_is_in_another(self):
        self.assertEqual("family:etl", self.run_task()["group"])
        self.assertEqual("mine", self.run_task(group="mine")["group"])

    def test_the_answer_comes_before_the_containers_start(self):
        task = self.run_task()
        self.assertEqual(("PROVISIONING", "RUNNING", 1), (task["lastStatus"], task["desiredStatus"], task["version"]))


class ClientTokens(EcsTest):
    def setUp(self) -> None:
        super().setUp()
        self.define(container("exit 0"))
        self.token = "x" * 64

    def test_the_same_call_is_the_same_task_also_when_it_is_dead(self):
        task = self.run_task(clientToken=self.token)
        again = self.run_task(clientToken=self.token, cluster=self.cluster)
        self.assertEqual(task["taskArn"], again["taskArn"])
        self.when(task, "STOPPED")
        again = self.run_task(clientToken=self.token)
        self.assertEqual((task["taskArn"], "STOPPED"), (again["taskArn"], again["lastStatus"]))
        self.assertEqual(1, len(self.cloud.request("GET", "ecs", account=self.account)["tasks"]))

    def test_another_call_with_the_same_token_is_a_conflict(self):
        self.run_task(clientToken=self.token)
        arguments = {"cluster": "jobs", "taskDefinition": "etl", "clientToken": self.token, **FARGATE}
        self.assert_refused("ConflictException", self.ecs.run_task, **arguments, startedBy="other")

    def test_a_token_is_good_in_its_cluster_alone(self):
        self.ecs.create_cluster(clusterName="other")
        first, second = (self.run_task(clientToken=self.token, cluster=cluster) for cluster in ("jobs", "other"))
        self.assertNotEqual(first["taskArn"], second["taskArn"])

    def test_a_token_has_64_characters(self):
        arguments = {"cluster": "jobs", "taskDefinition": "etl", "clientToken": self.token + "x", **FARGATE}
        self.assert_refused("InvalidParameterException", self.ecs.run_task, **arguments)

    def test_a_refused_call_does_not_use_its_token_up(self):
        arguments = {"cluster": "jobs", "clientToken": self.token, **FARGATE}
        self.assert_refused("ClientException", self.ecs.run_task, **arguments, taskDefinition="nope")
        self.run_task(clientToken=self.token)


class StopTask(EcsTest):
    def test_a_stopped_task_was_stopped_by_the_user(self):
        task = self.run_task(self.define(container("sleep 60")))
        self.when(task, "RUNNING")
        answer = self.ecs.stop_task(cluster="jobs", task=task["taskArn"], reason="enough")["task"]
        self.assertEqual(("RUNNING", "STOPPED"), (answer["lastStatus"], answer["desiredStatus"]))
        stopped = self.when(task, "STOPPED")
        self.assertEqual(("UserInitiated", "enough"), (stopped["stopCode"], stopped["stoppedReason"]))
        self.assertEqual(143, stopped["containers"][0]["exitCode"])

    def test_stopping_again_changes_nothing(self):
        task = self.run_task(self.define(container("sleep 60")))
        self.when(task, "RUNNING")
        for reason in ("first", "second"):
            self.ecs.stop_task(cluster="jobs", task=task["taskArn"], reason=reason)
        stopped = self.when(task, "STOPPED")
        self.ecs.stop_task(cluster="jobs", task=task["taskArn"], reason="third")
        self.assertEqual(stopped, self.describe(task))
        self.assertEqual("first", stopped["stoppedReason"])

    def test_a_task_can_be_stopped_before_it_starts(self):
        self.settings(startSeconds=1)
        task = self.run_task(self.define(container("exit 0")))
        self.ecs.stop_task(cluster="jobs", task=task["taskArn"].rpartition("/")[2])
        stopped = self.when(task, "STOPPED")
        self.assertEqual("Task stopped by user", stopped["stoppedReason"])
        self.assertNotIn("exitCode", stopped["containers"][0])
        time.sleep(1)
        self.assertEqual(stopped, self.describe(task))

    def test_an_unknown_task_is_refused(self):
        message = self.assert_refused("InvalidParameterException", self.ecs.stop_task, cluster="jobs", task="nope")
        self.assertEqual("The referenced task was not found.", message)


class Reading(EcsTest):
    def test_unknown_tasks_are_missing(self):
        task = self.run_task(self.define(container("exit 0")))
        unknown = task["taskArn"][:-1] + "x"
        answer = self.ecs.describe_tasks(cluster="jobs", tasks=[task["taskArn"], unknown, "short"])
        self.assertEqual([task["taskArn"]], [each["taskArn"] for each in answer["tasks"]])
        short = f"{task['taskArn'].rpartition('/')[0]}/short"
        self.assertEqual([{"arn": arn, "reason": "MISSING"} for arn in (unknown, short)], answer["failures"])

    def test_a_stopped_task_can_be_described_for_an_hour(self):
        """Without HTTP, because nobody has the time."""
        from signalbox_cloud.ecs_tasks import Task

        now = time.time()
        seen = [Task({"stoppedAt": now - seconds}, [], None, "").visible() for seconds in (0, 3590, 3610)]
        self.assertEqual([True, True, False], seen)
        self.assertTrue(Task({}, [], None, "").visible())

    def test_a_hundred_tasks_are_described_at_once(self):
        self.assertEqual(100, len(self.ecs.describe_tasks(cluster="jobs", tasks=["x"] * 100)["failures"]))
        for references in ([], ["x"] * 101):
            self.assert_refused("InvalidParameterException", self.ecs.describe_tasks, cluster="jobs", tasks=references)

    def test_tasks_are_listed_by_what_they_shall_do(self):
        running = self.run_task(self.define(container("sleep 60"), family="long"), startedBy="me")
        stopped = self.when(self.run_task(self.define(container("exit 0"))), "STOPPED")
        for arguments, expected in (
            ({}, running),
            ({"desiredStatus": "STOPPED"}, stopped),
            ({"family": "long"}, running),
            ({"startedBy": "me"}, running),
        ):
            with self.subTest(arguments):
                listed = self.ecs.list_tasks(cluster="jobs", **arguments)["taskArns"]
                self.assertEqual([expected["taskArn"]], listed)
        arguments = {"cluster": "jobs", "startedBy": "me", "family": "long"}
        message = self.assert_refused("InvalidParameterException", self.ecs.list_tasks, **arguments)
        self.assertEqual("cannot specify startedBy with other arguments", message)
        self.stop(running, stopCode="UserInitiated")

    def test_lists_come_in_pages(self):
        self.define(container("sleep 60"))
        tasks = {self.run_task()["taskArn"] for _ in range(5)}
        pages = self.ecs.get_paginator("list_tasks").paginate(cluster="jobs", PaginationConfig={"PageSize": 2})
        listed = [page["taskArns"] for page in pages]
        self.assertEqual([2, 2, 1], [len(page) for page in listed])
        self.assertEqual(tasks, {arn for page in listed for arn in page})
        self.assert_refused("InvalidParameterException", self.ecs.list_tasks, cluster="jobs", nextToken="nope")
        for arn in tasks:
            self.stop({"taskArn": arn}, stopCode="UserInitiated")

    def test_a_definition_has_its_tags_if_asked_for(self):
        tags = [{"key": "a", "value": "b"}]
        arn = self.define(container("exit 0"), tags=tags)
        for reference in ("etl", "etl:1", arn):
            with_tags = self.ecs.describe_task_definition(taskDefinition=reference, include=["TAGS"])
            self.assertEqual(tags, with_tags["tags"])
            described = self.ecs.describe_task_definition(taskDefinition=reference)
            self.assertEqual([], described["tags"])
            self.assertEqual(arn, described["taskDefinition"]["taskDefinitionArn"])
        self.assertNotIn("taskRoleArn", described["taskDefinition"])
        message = self.assert_refused("ClientException", self.ecs.describe_task_definition, taskDefinition="nope")
        self.assertEqual("Unable to describe task definition.", message)
