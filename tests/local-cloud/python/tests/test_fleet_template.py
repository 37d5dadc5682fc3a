"""The fleet's own template: what of it only a person looks at, and what stands beside it."""

import json
import re
import tempfile
from pathlib import Path

from .support import HERE, CloudTest

WORKSPACE = HERE.parents[3]
FLEET = WORKSPACE / "template.yaml"
BINARIES = re.findall(r"^        Binary: (\S+)$", FLEET.read_text(), re.MULTILINE)
GUIDE = WORKSPACE / "docs" / "deploying.md"
POLICIES = WORKSPACE / "policies"
STACK_POLICY = POLICIES / "stack-policy.json"

# Outputs with a managed policy for the roles of pipelines, and those of the functions that it lets them call.
PIPELINE_POLICIES = {
    "PipelinePolicyArn": {"OverlapGuardFunctionArn", "LockAcquireFunctionArn", "LockReleaseFunctionArn"},
    "EcsPipelinePolicyArn": {"EcsLaunchFunctionArn"},
}

# What the services document, with its dimensions. Sources: Lambda developer guide, "Types of metrics for Lambda
# functions"; SQS developer guide, "Available CloudWatch metrics for Amazon SQS"; DynamoDB developer guide, "DynamoDB
# metrics and dimensions"; EventBridge user guide, "Monitoring Amazon EventBridge"; Step Functions developer guide,
# "Monitoring Step Functions metrics using Amazon CloudWatch". What is in Signalbox the functions write themselves.
LAMBDA = {"Invocations", "Errors", "Throttles", "Duration"}
SQS = {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}
DYNAMODB = {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"}
METRICS = {
    ("AWS/Lambda", ("FunctionName",)): LAMBDA,
    ("AWS/SQS", ("QueueName",)): SQS,
    ("AWS/DynamoDB", ("TableName",)): DYNAMODB,
    ("AWS/DynamoDB", ("TableName", "GlobalSecondaryIndexName")): DYNAMODB,
    ("AWS/Events", ("RuleName",)): {"FailedInvocations", "InvocationsFailedToBeSentToDlq"},
    ("Signalbox", ("FunctionName",)): {"Sweeps"},
}
# Of functions that have a URL alone.
URLS = {("FunctionName",): {"Url5xxCount"}}
SEARCHED = {("AWS/States", ("StateMachineArn",)): {"ExecutionsFailed", "ExecutionsTimedOut"}}
SEARCH = re.compile(r"SEARCH\('\{([A-Za-z/]+),([A-Za-z,]+)\} MetricName=\"(\w+)\"', 'Sum', 300\)")
STATISTICS = {"Sum", "Maximum", "p50", "p99"}


def metric(row: list, before: list | None) -> list:
    """A row of a widget's metrics, with what its dots repeat of the row before it, without its options."""
    row = [part for part in row if not isinstance(part, dict)]
    if row[0] == "...":
        return before[: len(before) - len(row) + 1] + row[1:]
    return row


class Fleet(CloudTest):
    def deploy_fleet(self, **parameters: str) -> dict:
        """The whole fleet, with functions that nobody calls."""
        folder = Path(tempfile.mkdtemp(dir=self.cloud.state_dir))
        for name in BINARIES:
            (folder / name).write_text("#!/bin/sh\n")
        body = {"account": self.account, "stack": "signalbox", "template": str(FLEET), "binaries": str(folder)}
        return self.cloud.request("POST", "deploy", {**body, "parameters": parameters})

    def dashboard(self, name: str) -> dict:
        return json.loads(self.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])

    def test_the_dashboard_is_one_and_shows_what_there_is(self):
        fleet = self.deploy_fleet(Dashboard="true")
        names, rows = set(fleet["resources"].values()), []
        body = self.dashboard(fleet["outputs"]["DashboardName"])
        places = set()
        for widget in body["widgets"]:
            self.assertLessEqual({"type", "x", "y", "width", "height", "properties"}, set(widget))
            squares = {
                (x, y)
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            }
            self.assertFalse(places & squares, f"{widget['properties']} lies upon another")
            places |= squares
            self.assertLessEqual(max(x for x, _y in squares), 23)
            properties = widget["properties"]
            if widget["type"] == "log":
                sources = re.findall(r"SOURCE '([^']+)'", properties["query"])
                groups = self.client("logs").describe_log_groups()["logGroups"]
                self.assertEqual({group["logGroupName"] for group in groups}, set(sources))
            if widget["type"] != "metric":
                continue
            self.assertEqual("us-east-1", properties["region"])
            self.assertIn(properties["stat"], STATISTICS)
            self.assertTrue(properties["title"])
            before = None
            for row in properties["metrics"]:
                if "expression" in row[0]:
                    namespace, dimensions, name = SEARCH.fullmatch(row[0]["expression"]).groups()
                    self.assertIn(name, SEARCHED[namespace, tuple(dimensions.split(","))])
                    continue
                before = metric(row, before)
                rows.append(before)
        self.assertTrue(rows)
        for namespace, name, *dimensions in rows:
            self.assertIn(name, METRICS[namespace, tuple(dimensions[::2])])
            # A queue's physical id is its URL, which ends in its name.
            value = dimensions[1]
            self.assertTrue(value in names or any(each.endswith(f"/{value}") for each in names), value)
        undelivered = {row[3] for row in rows if row[1] == "FailedInvocations"}
        self.assertEqual({rule["Name"] for rule in self.client("events").list_rules()["Rules"]}, undelivered)
        for kind, metrics in (("functions", LAMBDA), ("tables", DYNAMODB), ("queues", SQS)):
            for name in metrics:
                of_kind = [row for row in rows if row[1] == name]
                # With its indexes and without.
                for length in {len(row) for row in of_kind}:
                    self.assertEqual(self.existing(kind), {row[3] for row in of_kind if len(row) == length}, name)

    def existing(self, kind: str) -> set[str]:
        if kind == "functions":
            return {function["FunctionName"] for function in self.client("lambda").list_functions()["Functions"]}
        if kind == "tables":
            return set(self.client("dynamodb").list_tables()["TableNames"])
        return {url.rsplit("/", 1)[1] for url in self.client("sqs").list_queues()["QueueUrls"]}

    def test_the_dashboard_has_every_alarm_that_there_is(self):
        for alerts in ("true", "false"):
            fleet = self.deploy_fleet(Alerts=alerts, Dashboard="true")
            body = self.dashboard(fleet["outputs"]["DashboardName"])
            [shown] = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
            alarms = self.client("cloudwatch").describe_alarms()["MetricAlarms"]
            self.assertEqual({alarm["AlarmArn"] for alarm in alarms}, set(shown), f"Alerts={alerts}")
            self.assertEqual(len(alarms), len(shown))
            topic = fleet["outputs"]["AlertTopicArn"]
            for alarm in alarms:
                dimensions = tuple(dimension["Name"] for dimension in alarm["Dimensions"])
                known = METRICS[alarm["Namespace"], dimensions] | URLS.get(dimensions, set())
                self.assertIn(alarm["MetricName"], known, alarm["AlarmName"])
                self.assertEqual([topic], alarm["AlarmActions"])
                if dimensions == ("FunctionName",):
                    self.assertIn(alarm["Dimensions"][0]["Value"], self.existing("functions"))

    def test_the_dashboard_can_be_done_without(self):
        outputs = self.deploy_fleet()["outputs"]
        self.assertNotIn("DashboardName", outputs)
        self.assertEqual([], self.client("cloudwatch").list_dashboards()["DashboardEntries"])

    def test_the_functions_are_named_after_the_stack(self):
        self.deploy_fleet()
        self.assert_named("signalbox")

    def test_the_functions_are_named_as_a_parameter_says(self):
        self.deploy_fleet(FunctionNamePrefix="f" * 50)
        self.assert_named("f" * 50)
        # Those of functions: Lambda API reference, CreateFunction.
        self.assertEqual(64, 50 + max(len(f"-{binary}") for binary in BINARIES))

    def assert_named(self, prefix: str) -> None:
        """Each function has this name, and a log of its own that is named so as well."""
        names = {f"{prefix}-{binary}" for binary in BINARIES}
        functions = self.client("lambda").list_functions()["Functions"]
        self.assertEqual(names, {function["FunctionName"] for function in functions})
        groups = self.client("logs").describe_log_groups()["logGroups"]
        self.assertEqual({f"/aws/lambda/{name}" for name in names}, {group["logGroupName"] for group in groups})
        for function in functions:
            self.assertEqual(f"/aws/lambda/{function['FunctionName']}", function["LoggingConfig"]["LogGroup"])

    def test_a_pipeline_may_call_with_a_policy_its_functions_and_no_others(self):
        fleet = self.deploy_fleet()
        functions = {function["FunctionArn"] for function in self.client("lambda").list_functions()["Functions"]}
        self.assertEqual(len(BINARIES), len(functions))
        for output, names in PIPELINE_POLICIES.items():
            document = self.policy(fleet["outputs"][output])
            for statement in document["Statement"]:
                self.assertEqual(("Allow", "lambda:InvokeFunction"), (statement["Effect"], statement["Action"]))
                self.assertEqual({"Sid", "Effect", "Action", "Resource"}, set(statement), output)
            allowed = {function for function in functions if self.may_invoke(document, function)}
            self.assertEqual({fleet["outputs"][name] for name in names}, allowed, output)
            for function in functions:
                for qualifier in ("1", "live", "$LATEST"):
                    self.assertFalse(self.may_invoke(document, f"{function}:{qualifier}"), output)
                self.assertFalse(self.may_invoke(document, f"{function}-of-another-stack"), output)

    def policy(self, arn: str) -> dict:
        """What a managed policy says."""
        iam = self.client("iam")
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]

    def may_invoke(self, document: dict, function: str) -> bool:
        """Whether who has this policy, and no other, may call the function."""
        [result] = self.client("iam").simulate_custom_policy(
            PolicyInputList=[json.dumps(document)], ActionNames=["lambda:InvokeFunction"], ResourceArns=[function]
        )["EvaluationResults"]
        return result["EvalDecision"] == "allowed"

    def test_the_readmes_name_the_policy_that_their_states_need(self):
        named = {}
        for readme in (WORKSPACE / "functions").glob("*/README.md"):
            text = readme.read_text()
            pasted = set(re.findall(r'"FunctionName": "\$\{(\w+)\}"', text))
            self.assertEqual(bool(pasted), "[policy `" in text, readme)
            for output in re.findall(r"\[policy `(\w+)`\]", text):
                named.setdefault(output, set()).update(pasted)
        self.assertEqual(PIPELINE_POLICIES, named)

    def test_the_guide_has_what_each_policy_allows(self):
        text = section("What pipelines' roles need")
        rows = dict(re.findall(r"^\| `(\w+PolicyArn)` \| (.*?) \|", text, re.MULTILINE))
        binary = dict(re.findall(r"^  (\w+):\n(?: {4}.*\n)*? {8}Binary: (\S+)$", FLEET.read_text(), re.MULTILINE))
        listed = {output: set(re.findall(r"`(\S+)`", row)) for output, row in rows.items()}
        allowed = {
            output: {binary[name.removesuffix("Arn")] for name in names} for output, names in PIPELINE_POLICIES.items()
        }
        self.assertEqual(allowed, listed)
        attached, pasted = text.split("```")[1::2]
        self.assertEqual(set(PIPELINE_POLICIES), set(re.findall(r"- !Ref (\w+)\n", attached)))
        self.assertEqual(set.union(*PIPELINE_POLICIES.values()), set(re.findall(r"- !Ref (\w+)\n", pasted)))
        # IAM deletes no policy that a role has.
        for output in PIPELINE_POLICIES:
            self.assertIn(f"--policy-arn <{output}>\n", section("Removal"))

    def test_the_stack_policy_keeps_what_the_template_retains(self):
        text = FLEET.read_text()
        resources = text[text.index("\nResources:\n") : text.index("\nOutputs:\n")]
        blocks = re.split(r"^  (\w+):\n", resources, flags=re.MULTILINE)
        retained = {name for name, block in zip(blocks[1::2], blocks[2::2]) if "    DeletionPolicy: Retain\n" in block}
        self.assertTrue(retained)
        allow, deny = json.loads(STACK_POLICY.read_text())["Statement"]
        self.assertEqual(("Allow", "*", "*"), (allow["Effect"], allow["Resource"], allow["Principal"]))
        self.assertEqual("Update:*", allow["Action"])
        self.assertEqual(("Deny", "*"), (deny["Effect"], deny["Principal"]))
        self.assertEqual({"Update:Replace", "Update:Delete"}, set(deny["Action"]))
        self.assertEqual({f"LogicalResourceId/{name}" for name in retained}, set(deny["Resource"]))

    def test_the_guide_has_every_parameter_with_its_default(self):
        parameters = part("Parameters")
        listed = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]+)`|empty) \|", section("Parameters"), re.MULTILINE))
        default = re.compile(r"^    Default: \"?([^\"\n]*)\"?$", re.MULTILINE)
        defaults = {name: default.search(block)[1] for name, block in parameters.items()}
        self.assertEqual(defaults, listed)
        for name, block in parameters.items():
            self.assertIn("    Description: ", block, name)
            checks = ("AllowedValues", "AllowedPattern", "MinValue")
            self.assertTrue(any(f"    {check}: " in block for check in checks), name)
            self.assertEqual("AllowedPattern" in block or "Number" in block, "ConstraintDescription" in block, name)
        text = FLEET.read_text()
        groups = re.findall(r"^        Parameters: \[(.*)\]$", text[: text.index("\nParameters:\n")], re.MULTILINE)
        self.assertEqual(sorted(parameters), sorted(", ".join(groups).split(", ")))

    def test_the_guide_has_every_output(self):
        rows = re.findall(r"^\| (`.*?`) \|", section("Outputs"), re.MULTILINE)
        self.assertEqual(set(part("Outputs")), set(re.findall(r"`(\w+)`", " ".join(rows))))

    def test_the_guide_names_every_policy_and_what_it_denies(self):
        for path in POLICIES.iterdir():
            policy = json.loads(path.read_text())
            self.assertIn(f"(../policies/{path.name})", GUIDE.read_text())
            for statement in policy["Statement"]:
                self.assertIn(statement["Effect"], ("Allow", "Deny"))
        for name in json.loads(STACK_POLICY.read_text())["Statement"][1]["Resource"]:
            self.assertIn(f"`{name.removeprefix('LogicalResourceId/')}`", section("Stack policy"))


def part(heading: str) -> dict[str, str]:
    """The entries of a part of the template, by their names."""
    text = FLEET.read_text()
    text = text[text.index(f"\n{heading}:\n") + len(heading) + 2 :].split("\n\n")[0] + "\n"
    entries = re.split(r"^  (\w+):\n", text, flags=re.MULTILINE)
    return dict(zip(entries[1::2], entries[2::2]))


def section(heading: str) -> str:
    """What stands in the guide below a heading."""
    _before, text = GUIDE.read_text().split(f"\n## {heading}\n")
    return text.split("\n## ")[0]
