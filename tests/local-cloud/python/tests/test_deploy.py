"""Deployments through `/_local/deploy`."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .support import TEMPLATE, CloudError, CloudTest


class Deployment(CloudTest):
    def template(self, old: str, new: str) -> Path:
        """The fixture's template with a change, in a folder of its own with the definition beside it."""
        folder = Path(tempfile.mkdtemp(dir=self.cloud.state_dir))
        (folder / "flow.asl.json").write_text((TEMPLATE.parent / "flow.asl.json").read_text())
        text = TEMPLATE.read_text()
        self.assertIn(old, text)
        (folder / "template.yaml").write_text(text.replace(old, new))
        return folder / "template.yaml"

    def test_a_real_template_deploys_and_runs(self):
        deployed = self.deploy()
        outputs = deployed["outputs"]
        self.assertEqual({"TableName", "WorkerArn", "FlowArn", "OutcastArn"}, set(outputs))
        self.assertEqual(outputs["TableName"], deployed["resources"]["Table"])
        execution = self.start(outputs["FlowArn"], {"a": 1})
        self.assertEqual({"a": 1}, json.loads(self.ended(execution)["output"])["event"])
        groups = self.client("logs").describe_log_groups(logGroupNamePrefix="/fixture/")["logGroups"]
        self.assertEqual([("/fixture/fixture/worker", 14)], [(g["logGroupName"], g["retentionInDays"]) for g in groups])
        events = self.client("logs").filter_log_events(logGroupName="/fixture/fixture/worker")["events"]
        self.assertTrue(any("working for" in event["message"] for event in events))

    def test_time_to_live_is_applied(self):
        dynamodb, table = self.client("dynamodb"), self.deploy()["outputs"]["TableName"]

        def time_to_live() -> tuple:
            description = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
            return description["TimeToLiveStatus"], description.get("AttributeName")

        self.assertEqual(("ENABLED", "expires"), time_to_live())
        line = "      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}\n"
        self.deploy(self.template(line, line.replace("expires", "other")))
        self.assertEqual(("ENABLED", "other"), time_to_live())
        self.deploy(self.template(line, ""))
        self.assertEqual("DISABLED", time_to_live()[0])

    def test_point_in_time_recovery_follows_its_condition(self):
        dynamodb, table = self.client("dynamodb"), self.deploy()["outputs"]["TableName"]

        def status() -> str:
            backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
            return backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]

        self.assertEqual("DISABLED", status())
        self.assertEqual("yes", self.deploy(Stage="prod")["outputs"]["ProdOnly"])
        self.assertEqual("ENABLED", status())

    def test_deletion_protection_can_come_from_a_parameter(self):
        dynamodb, table = self.client("dynamodb"), self.deploy()["outputs"]["TableName"]
        self.assertFalse(dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"])
        self.deploy(Protect="true")
        self.assertTrue(dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"])
        self.cloud.request("DELETE", "stacks", account=self.account, stack="fixture")
        self.assert_refused("ResourceNotFoundException", dynamodb.describe_table, TableName=table)

    def test_parameters_are_checked(self):
        for parameters in ({"Stage": "moon"}, {"Prefix": "Not This"}):
            with self.assertRaisesRegex(CloudError, next(iter(parameters))):
                self.deploy(**parameters)

    def test_an_unchanged_stack_stays_and_a_changed_one_is_updated(self):
        first = self.deploy()
        self.assertEqual(first["resources"], self.deploy()["resources"])
        changed = self.deploy(self.template("MemorySize: 128", "MemorySize: 256"))
        self.assertEqual(first["resources"], changed["resources"])
        configuration = self.client("lambda").get_function_configuration(FunctionName=first["outputs"]["WorkerArn"])
        self.assertEqual(256, configuration["MemorySize"])

    def test_a_changed_binary_is_what_runs_next(self):
        functions, name = self.client("lambda"), self.deploy()["outputs"]["WorkerArn"]
        functions.invoke(FunctionName=name)
        binary = self.cloud.binaries / "worker"
        text = binary.read_text()
        try:
            binary.write_text(text.replace("#!/bin/sh\n", "#!/bin/sh\nexport NEW=1\n"))
            self.deploy()
        finally:
            binary.write_text(text)
        answer = functions.invoke(FunctionName=name, Payload=b'{"environment": true}')
        self.assertEqual("1", json.loads(answer["Payload"].read())["NEW"])

    def test_several_accounts_deploy_at_the_same_time(self):
        accounts = [f"{self.account[:-4]}9{number:03}" for number in range(20)]
        with ThreadPoolExecutor(len(accounts)) as pool:
            outputs = [answer["outputs"] for answer in pool.map(self.cloud.deploy, accounts)]
        for account, output in zip(accounts, outputs, strict=True):
            self.assertIn(f":{account}:", output["WorkerArn"])

    def test_a_resource_type_that_is_not_known_fails_the_deployment(self):
        with self.assertRaisesRegex(CloudError, "AWS::Nobody::Knows"):
            self.deploy(self.template("AWS::CloudWatch::Alarm", "AWS::Nobody::Knows"))

    def test_a_failed_resource_is_named(self):
        template = self.template("LogGroupName:", "KmsKeyId: !GetAtt Table.Nonsense\n      LogGroupName:")
        with self.assertRaisesRegex(CloudError, "WorkerLogs"):
            self.deploy(template)

    def test_what_is_missing_is_named(self):
        with self.assertRaisesRegex(CloudError, "Worker: binaries: cannot read .*/nobody"):
            self.deploy(self.template("Binary: worker", "Binary: nobody"))
        with self.assertRaisesRegex(CloudError, "Flow: DefinitionUri: cannot read"):
            self.deploy(self.template("flow.asl.json", "nobody.asl.json"))
        with self.assertRaisesRegex(CloudError, "template: cannot read /nobody"):
            self.deploy(Path("/nobody"))
        with self.assertRaisesRegex(CloudError, "Worker: .*BuildMethod"):
            self.deploy(self.template("BuildMethod: rust-cargolambda", "BuildMethod: makefile"))
        with self.assertRaisesRegex(CloudError, "account: 'x' is not 12 digits"):
            self.cloud.deploy("x")

    def test_a_package_that_is_not_there_fails_the_function(self):
        with self.assertRaisesRegex(CloudError, "Worker.*no package at s3://nobody/nothing"):
            self.deploy(self.template("CodeUri: ../", "CodeUri: {Bucket: nobody, Key: nothing}"))
