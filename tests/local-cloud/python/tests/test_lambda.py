"""Functions as local processes."""

import json
import os
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from .support import Cloud, CloudTest, eventually


def running(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


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

    def test_a_process_that_ends_is_noticed_at_once(self):
        durations = []
        for _ in range(3):
            self.invoke()
            started = time.monotonic()
            self.assertEqual("Runtime.ExitError", self.invoke(exit=1)["errorType"])
            durations.append(time.monotonic() - started)
        self.assertLess(min(durations), 0.9)

    def test_many_calls_at_once_run_at_once(self):
        """More than may start at a time: those that are busy are not in the way."""
        self.invoke()
        with ThreadPoolExecutor(10) as pool:
            pids = {answer["pid"] for answer in pool.map(lambda _: self.invoke(sleep=3), range(10))}
        self.assertEqual(10, len(pids))

    def test_a_deployment_elsewhere_does_not_end_a_call(self):
        with ThreadPoolExecutor() as pool:
            begun = str(self.cloud.binaries / f"begun-{self.account}")
            call = pool.submit(self.invoke, touch=begun, sleep=1)
            eventually(lambda: os.path.exists(begun), "the call to begin")
            self.cloud.deploy(str(int(self.account) + 500_000_000_000))
            self.assertIn("pid", call.result())

    def test_a_silent_function_is_not_waited_for(self):
        """The emulator waits 50 ms for output; the function sends its answer after a millisecond."""
        self.invoke(silent=True)
        durations = []
        for _ in range(20):
            started = time.monotonic()
            self.invoke(silent=True)
            durations.append(time.monotonic() - started)
        self.assertLess(min(durations), 0.04)

    def test_output_is_in_the_log_of_its_call(self):
        lines = [f"line {number}" for number in range(200)]
        self.invoke(lines=lines)
        self.invoke(silent=True)
        events = self.client("logs").filter_log_events(logGroupName="/fixture/fixture/worker")["events"]
        first = events[0]["logStreamName"]
        written = [line for event in events if event["logStreamName"] == first for line in event["message"].split("\n")]
        self.assertLessEqual(set(lines), set(written))

    def test_warm_processes_are_used_again(self):
        self.assertEqual(1, len({self.invoke()["pid"] for _ in range(10)}))

    def test_a_hundred_executions_at_once_invoke_a_function(self):
        started = time.monotonic()
        executions = [self.start(self.outputs["FlowArn"], {"sleep": 0.1}) for _ in range(100)]
        for execution in executions:
            self.assertEqual("SUCCEEDED", self.ended(execution, 30)["status"])
        self.assertLess(time.monotonic() - started, 30)


class Lifetime(CloudTest):
    def start_with_a_busy_function(self) -> tuple[Cloud, int]:
        """A cloud with a function in the middle of a call, which does not notice that the cloud is gone."""
        cloud = Cloud()
        name = cloud.deploy(self.account)["outputs"]["WorkerArn"]
        functions = cloud.client("lambda", self.account)
        pid = json.loads(functions.invoke(FunctionName=name, Payload=b"{}")["Payload"].read())["pid"]
        busy = cloud.binaries / "busy"
        event = json.dumps({"touch": str(busy), "sleep": 60}).encode()
        functions.invoke(FunctionName=name, Payload=event, InvocationType="Event")
        eventually(busy.exists, "the function in its handler")
        return cloud, pid

    def test_the_end_of_stdin_ends_the_cloud_and_its_functions(self):
        cloud, function = self.start_with_a_busy_function()
        self.assertTrue(running(function))
        self.assertEqual(0, cloud.stop())
        self.assertFalse(running(function))

    @unittest.skipUnless(sys.platform == "linux", "the kernel's signal at the death of a parent")
    def test_functions_die_with_a_killed_cloud(self):
        cloud, function = self.start_with_a_busy_function()
        cloud.process.kill()
        eventually(lambda: not running(function), "the end of the function")
        cloud.stop()

    def test_sigint_is_ignored_and_sigterm_ends_the_cloud(self):
        cloud, function = self.start_with_a_busy_function()
        os.kill(cloud.process.pid, 2)
        self.assertTrue(cloud.request("GET", "health")["ready"])
        cloud.process.terminate()
        self.assertEqual(0, cloud.process.wait(timeout=10))
        self.assertFalse(running(function))
        cloud.stop()

    def test_nothing_is_left_in_the_state_directory_but_the_log(self):
        cloud, _function = self.start_with_a_busy_function()
        cloud.process.stdin.close()
        cloud.process.wait(timeout=10)
        self.assertEqual({"bin", "cloud.log"}, {path.name for path in cloud.state_dir.iterdir()})
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

    def test_idle_processes_do_not_pile_up(self):
        cloud = Cloud("--idle-workers", "3")
        self.addCleanup(cloud.stop)
        name = cloud.deploy(self.account)["outputs"]["WorkerArn"]
        functions = cloud.client("lambda", self.account)

        def pid(sleep: float) -> int:
            answer = functions.invoke(FunctionName=name, Payload=json.dumps({"sleep": sleep}).encode())
            return json.loads(answer["Payload"].read())["pid"]

        with ThreadPoolExecutor(6) as pool:
            pids = set(pool.map(pid, [1.5] * 6))
        self.assertEqual(6, len(pids))
        eventually(lambda: sum(map(running, pids)) <= 3, "at most 3 idle processes")
        self.assertIn(pid(0), pids)
