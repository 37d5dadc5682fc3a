"""Functions as local processes."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

from .support import Cloud, CloudTest, eventually


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Functions(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.outputs = self.deploy()["outputs"]
        self.functions = self.client("lambda")

    def invoke(self, **event) -> dict:
        answer = self.functions.invoke(FunctionName=self.outputs["WorkerArn"], Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def test_nothing_of_the_host_is_in_the_environment(self):
        environment = self.invoke(environment=True)
        # Set by the shell that stands for the binary in these tests, or by the interpreter.
        own = {"PYTHONPATH", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
        expected = {"AWS_ENDPOINT_URL", "STAGE", "TABLE", "PATH", "LANG", "TZ", "_HANDLER", "LAMBDA_TASK_ROOT"}
        rest = {name for name in environment if not name.startswith("AWS_")} - own
        self.assertEqual(expected - {"AWS_ENDPOINT_URL"}, rest)
        self.assertEqual(self.cloud.endpoint, environment["AWS_ENDPOINT_URL"])
        self.assertEqual("/usr/local/bin:/usr/bin/:/bin:/opt/bin", environment["PATH"])
        self.assertEqual("/fixture/fixture/worker", environment["AWS_LAMBDA_LOG_GROUP_NAME"])

    def test_a_warm_call_does_not_wait_for_nagle(self):
        self.invoke()
        durations = []
        for _ in range(20):
            started = time.monotonic()
            self.invoke()
            durations.append(time.monotonic() - started)
        # Each of two delayed acknowledgements takes 40 ms.
        self.assertLess(min(durations), 0.035)

    def test_warm_processes_are_used_again(self):
        self.assertEqual(1, len({self.invoke()["pid"] for _ in range(10)}))

    def test_idle_processes_do_not_pile_up(self):
        limit = 64
        with ThreadPoolExecutor(limit + 16) as pool:
            pids = {answer["pid"] for answer in pool.map(lambda _: self.invoke(sleep=6), range(limit + 16))}
        self.assertGreater(len(pids), limit)
        eventually(lambda: sum(map(running, pids)) <= limit, f"at most {limit} idle processes")

    def test_a_hundred_executions_at_once_invoke_a_function(self):
        started = time.monotonic()
        executions = [self.start(self.outputs["FlowArn"], {"sleep": 0.1}) for _ in range(100)]
        for execution in executions:
            self.assertEqual("SUCCEEDED", self.ended(execution, 30)["status"])
        self.assertLess(time.monotonic() - started, 30)


class Lifetime(CloudTest):
    def start_with_a_function(self) -> tuple[Cloud, int]:
        cloud = Cloud()
        cloud.deploy(self.account)
        functions = cloud.client("lambda", self.account)
        name = functions.list_functions()["Functions"][0]["FunctionName"]
        return cloud, json.loads(functions.invoke(FunctionName=name, Payload=b"{}")["Payload"].read())["pid"]

    def test_the_end_of_stdin_ends_the_cloud_and_its_functions(self):
        cloud, function = self.start_with_a_function()
        self.assertTrue(running(function))
        self.assertEqual(0, cloud.stop())
        self.assertFalse(running(function))

    def test_functions_die_with_a_killed_cloud(self):
        cloud, function = self.start_with_a_function()
        cloud.process.kill()
        eventually(lambda: not running(function), "the end of the function")
        cloud.stop()

    def test_sigint_is_ignored_and_sigterm_ends_the_cloud(self):
        cloud, function = self.start_with_a_function()
        os.kill(cloud.process.pid, 2)
        self.assertTrue(cloud.request("GET", "health")["ready"])
        cloud.process.terminate()
        self.assertEqual(0, cloud.process.wait(timeout=10))
        self.assertFalse(running(function))
        cloud.stop()

    def test_a_port_can_be_asked_for(self):
        cloud = Cloud()
        port = cloud.hello["port"]
        cloud.stop()
        again = Cloud("--port", str(port))
        self.assertEqual(f"http://127.0.0.1:{port}", again.endpoint)
        try:
            with self.assertRaisesRegex(RuntimeError, f"cannot listen on 127.0.0.1:{port}"):
                Cloud("--port", str(port))
        finally:
            again.stop()
