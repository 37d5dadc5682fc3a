"""Objects of S3, URLs that are signed for them, and URLs of functions that lead there."""

import json
import subprocess
import time
import urllib.parse

from .ecs_support import TEMPLATE, StackTest

SIZE = 5_000_000


class UploadTest(StackTest):
    def setUp(self) -> None:
        super().setUp()
        self.s3, self.bucket = self.client("s3"), self.outputs["BucketName"]
        self.file = self.cloud.state_dir / "upload"
        self.file.write_bytes(b"x" * SIZE)

    def presign(self, key: str = "results/a", **fields) -> str:
        return self.invoke({"presign": {"key": key, **fields}})

    def curl(self, *arguments: str) -> tuple[int, str]:
        command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def upload(self, url: str) -> tuple[int, str]:
        return self.curl("-L", "-T", str(self.file), url)

    def size(self, key: str) -> int:
        return self.s3.head_object(Bucket=self.bucket, Key=key)["ContentLength"]


class Objects(UploadTest):
    def test_an_object_that_is_not_there_is_missing_for_those_who_may_list(self):
        key = {"Bucket": self.bucket, "Key": "results/missing"}
        answer = self.call("s3", "get_object", **key)
        self.assertEqual("AccessDenied", answer["error"])
        self.assertIn(f's3:ListBucket on resource: "arn:aws:s3:::{self.bucket}" because no', answer["message"])
        self.assertEqual("403", self.call("s3", "head_object", **key)["error"])

        def may_list(statement: dict) -> None:
            if "s3:GetObject" in statement["Action"]:
                statement["Action"] = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
                statement["Resource"] = [statement["Resource"], f"arn:aws:s3:::{self.bucket}"]

        self.change_policy(may_list)
        self.assertEqual("NoSuchKey", self.call("s3", "get_object", **key)["error"])
        self.assertEqual("404", self.call("s3", "head_object", **key)["error"])

    def test_http_on_loopback_stands_for_tls(self):
        """The bucket's policy denies everything that does not come by TLS."""
        key = {"Bucket": self.bucket, "Key": "results/a"}
        self.assertIn("answer", self.call("s3", "put_object", **key))
        self.assertIn("answer", self.call("s3", "head_object", **key))

    def test_each_call_needs_its_action(self):
        key = {"Bucket": self.bucket, "Key": "results/a"}
        self.assertIn("answer", self.call("s3", "put_object", **key))
        self.assertIn("answer", self.call("s3", "head_object", **key))
        self.assertEqual("AccessDenied", self.call("s3", "put_object", **{**key, "Key": "other"})["error"])
        self.assertEqual("AccessDenied", self.call("s3", "list_objects_v2", Bucket=self.bucket)["error"])


class PresignedUrls(UploadTest):
    def test_plain_curl_can_use_one(self):
        self.assertEqual((200, ""), self.upload(self.presign()))
        self.assertEqual(SIZE, self.size("results/a"))
        url = self.presign(operation="get_object")
        self.assertEqual((200, SIZE), (self.curl(url)[0], len(self.curl(url)[1])))
        calls = self.cloud.request("GET", "calls", account=self.account)
        self.assertEqual(1, calls["S3.PutObject"]["functions"])

    def test_it_is_good_for_its_method_and_its_key_alone(self):
        url = self.presign()
        for status, body in (self.upload(url.replace("results/a", "results/b")), self.curl(url)):
            self.assertEqual(403, status)
            self.assertIn("<Code>SignatureDoesNotMatch</Code>", body)

    def test_an_upload_says_how_long_it_is(self):
        done = subprocess.run(
            ["curl", "--silent", "-T", "-", self.presign()], input=b"some", capture_output=True, check=True
        )
        self.assertIn(b"<Code>NotImplemented</Code>", done.stdout)

    def test_it_ends(self):
        url = self.presign(expires=1)
        time.sleep(2.1)
        status, body = self.upload(url)
        self.assertEqual(403, status)
        self.assertIn("<Code>AccessDenied</Code><Message>Request has expired</Message>", body)

    def test_it_can_do_no_more_than_who_has_signed_it(self):
        status, body = self.upload(self.presign("other/a"))
        self.assertEqual(403, status)
        self.assertIn("<Code>AccessDenied</Code>", body)


class FunctionUrls(UploadTest):
    def test_it_leads_to_the_function(self):
        status, body = self.curl("-X", "POST", "-H", "X-Mine: yes", "-d", "data", self.outputs["Url"] + "a/b?x=1&y=2")
        event = json.loads(body)
        self.assertEqual(200, status)
        self.assertEqual(("2.0", "/a/b", "x=1&y=2"), (event["version"], event["rawPath"], event["rawQueryString"]))
        self.assertEqual("POST", event["requestContext"]["http"]["method"])
        self.assertEqual("yes", event["headers"]["x-mine"])
        self.assertEqual("/a%20b", json.loads(self.curl(self.outputs["Url"] + "a%20b")[1])["rawPath"])
        self.assertIn("x-seen: yes", self.curl("--include", self.outputs["Url"])[1])

    def test_an_upload_can_be_redirected_to_a_presigned_url(self):
        self.file.write_bytes(b"x" * 4_000_000)
        self.assertEqual((200, ""), self.upload(self.outputs["Url"] + "results/via"))
        self.assertEqual(4_000_000, self.size("results/via"))

    def test_what_a_function_is_invoked_with_has_6_mib(self):
        """And a body that is no text is a third longer in it."""
        status, body = self.upload(self.outputs["Url"] + "results/via")
        self.assertEqual(413, status)
        self.assertIn("Request must be smaller than 6291456 bytes", body)

    def test_both_permissions_are_needed(self):
        for may_be_called in ("url", "none"):
            self.deploy(TEMPLATE, MayBeCalled=may_be_called)
            status, body = self.curl(self.outputs["Url"])
            self.assertEqual(403, status)
            self.assertIn("Forbidden", body)

    def test_there_is_an_address_without_a_name(self):
        url_id = urllib.parse.urlsplit(self.outputs["Url"]).hostname.partition(".")[0]
        status, body = self.curl(f"{self.cloud.endpoint}/_aws/lambda-url/{url_id}/a")
        self.assertEqual((200, "/a"), (status, json.loads(body)["rawPath"]))
