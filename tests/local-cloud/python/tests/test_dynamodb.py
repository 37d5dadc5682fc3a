"""DynamoDB: expressions, queries, concurrent writes, and what AWS would bill for."""

import time
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions

from .support import CloudTest, eventually, task

TABLE = "table"


def s(text: str) -> dict:
    return {"S": text}


def n(number: int | str) -> dict:
    return {"N": str(number)}


def m(**members: dict) -> dict:
    return {"M": members}


class TableTest(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.dynamodb = self.client("dynamodb")
        types = {"pk": "S", "sk": "S", "active": "S", "order": "N"}
        keys = {"HASH": "active", "RANGE": "order"}
        index = {
            "IndexName": "active",
            "KeySchema": [{"AttributeName": name, "KeyType": kind} for kind, name in keys.items()],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        self.dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[index],
        )

    def key(self, sk: str = "s", pk: str = "p") -> dict:
        return {"pk": s(pk), "sk": s(sk)}

    def put(self, sk: str = "s", pk: str = "p", **attributes: dict) -> None:
        self.dynamodb.put_item(TableName=TABLE, Item=self.key(sk, pk) | attributes)

    def get(self, sk: str = "s", pk: str = "p") -> dict:
        item = self.dynamodb.get_item(TableName=TABLE, Key=self.key(sk, pk), ConsistentRead=True).get("Item", {})
        return {name: value for name, value in item.items() if name not in ("pk", "sk")}

    def update(self, expression: str, condition: str | None = None, sk: str = "s", **options) -> dict:
        """UpdateItem; `v` are the values without their colons, `n` the names without their hashes."""
        values = {f":{name}": value for name, value in options.pop("v", {}).items()}
        names = {f"#{name}": value for name, value in options.pop("n", {}).items()}
        arguments = {"UpdateExpression": expression} | ({"ConditionExpression": condition} if condition else {})
        arguments |= {"ExpressionAttributeValues": values} if values else {}
        arguments |= {"ExpressionAttributeNames": names} if names else {}
        return self.dynamodb.update_item(TableName=TABLE, Key=self.key(sk), **arguments, **options)

    def assert_condition_fails(self, condition: str, **options) -> None:
        self.assert_refused("ConditionalCheckFailedException", self.update, "SET z = :z", condition, **options)

    def assert_invalid(self, words: str, expression: str, **options) -> None:
        self.assertIn(words, self.assert_refused("ValidationException", self.update, expression, **options))


class Expressions(TableTest):
    def test_right_sides_see_the_item_as_it_was(self):
        self.put(a=m(), b=n(5))
        self.update("SET a.#t = b + :one, b = b + :one, c = if_not_exists(c, :one)", v={"one": n(1)}, n={"t": "x#1"})
        self.assertEqual({"a": m(**{"x#1": n(6)}), "b": n(6), "c": n(1)}, self.get())

    def test_the_size_of_a_map_can_be_compared_with_an_attribute(self):
        self.put(holders=m(a=n(1)), slots=n(2))
        options = {"v": {"h": m(by=s("x"))}, "n": {"t": "b"}}
        condition = "size(holders) < slots AND attribute_not_exists(holders.#t)"
        self.update("SET holders.#t = :h", condition, **options)
        with self.assertRaises(botocore.exceptions.ClientError):
            self.update("SET holders.#t = :h", condition, v=options["v"], n={"t": "c"})
        self.assertEqual({"a", "b"}, self.get()["holders"]["M"].keys())

    def test_maps_are_compared_in_depth(self):
        self.put(holders=m(a=m(n=n("1.50"), l={"L": [{"SS": ["x", "y"]}, {"NS": ["1", "2"]}]}, t={"BOOL": True})))
        same = m(t={"BOOL": True}, l={"L": [{"SS": ["y", "x"]}, {"NS": ["2.0", "1"]}]}, n=n("1.5"))
        self.update("SET z = :z", "holders.#t = :h", v={"z": n(1), "h": same}, n={"t": "a"})
        other = m(t={"BOOL": True}, l={"L": [{"NS": ["1", "2"]}, {"SS": ["x", "y"]}]}, n=n("1.5"))
        self.assert_condition_fails("holders.#t = :h", v={"z": n(1), "h": other}, n={"t": "a"})

    def test_what_is_not_there_is_unequal_to_everything(self):
        self.put()
        self.update("SET z = :z", "contended <> :true", v={"z": n(1), "true": {"BOOL": True}})
        self.update("SET z = :z", "q <> r", v={"z": n(1)})
        for condition in ("q = r", "q < r", "q = :z", "size(q) < :z"):
            self.assert_condition_fails(condition, v={"z": n(1)})

    def test_add_and_remove(self):
        self.put(a=m(x=n(1), y=n(2)), granted=n(1))
        self.update("REMOVE a.x ADD granted :two, fresh :two", v={"two": n(2)})
        self.assertEqual({"a": m(y=n(2)), "granted": n(3), "fresh": n(2)}, self.get())

    def test_an_update_needs_the_document_it_goes_into(self):
        """As on AWS, by the tests of ScyllaDB's Alternator."""
        self.put(a=s("hello"), b={"L": [s("hi")]}, d=m(x=n(1)))
        for target in ("a.c", "b.c", "c.c", "d.y.z", "d[0]"):
            for expression in (f"SET {target} = :v", f"ADD {target} :v"):
                self.assert_invalid("document path", expression, v={"v": n(1)})
            self.assert_invalid("document path", f"REMOVE {target}")
        self.update("REMOVE d.nothing")
        self.update("REMOVE x.y", sk="nobody")
        self.assert_refused("ValidationException", self.update, "SET x.y = :v", sk="none", v={"v": n(1)})

    def test_paths_must_not_overlap(self):
        self.put(a=m())
        for expression in ("SET a = :v, a.b = :v", "SET a.b = :v REMOVE a", "ADD c :v SET c = :v"):
            self.assert_invalid("Two document paths overlap with each other", expression, v={"v": n(1)})
        self.update("SET a.b = :v, a.bc = :v, a1 = :v", v={"v": n(1)})

    def test_reserved_words_and_empty_keys_are_refused(self):
        self.assert_invalid("reserved keyword", "SET status = :v", v={"v": n(1)})
        self.update("SET #s = :v", v={"v": n(1)}, n={"s": "status"})
        self.assert_refused("ValidationException", self.put, "")
        self.assert_refused("ValidationException", self.put, active=s(""), order=n(1))

    def test_return_values(self):
        self.put(a=m(x=n(1)), b=n(1))
        update = {"expression": "SET a.x = :two, c = :two", "v": {"two": n(2)}}
        answers = {}
        for wanted in ("ALL_OLD", "UPDATED_NEW", "ALL_NEW"):
            self.put(a=m(x=n(1)), b=n(1))
            answers[wanted] = self.update(
                **{k: dict(v) if k == "v" else v for k, v in update.items()}, ReturnValues=wanted
            )["Attributes"]
        self.assertEqual(self.key() | {"a": m(x=n(1)), "b": n(1)}, answers["ALL_OLD"])
        self.assertEqual({"a": m(x=n(2)), "c": n(2)}, answers["UPDATED_NEW"])
        self.assertEqual(self.key() | {"a": m(x=n(2)), "b": n(1), "c": n(2)}, answers["ALL_NEW"])

    def test_a_failed_condition_answers_the_item(self):
        self.put(a=n(1))
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.update("SET a = :v", "a = :v", v={"v": n(2)}, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        self.assertEqual(self.key() | {"a": n(1)}, caught.exception.response["Item"])


class Queries(TableTest):
    def query(self, condition: str, *, n: dict | None = None, v: dict, **options) -> dict:
        arguments = {"ExpressionAttributeNames": n} if n else {}
        return self.dynamodb.query(
            TableName=TABLE, KeyConditionExpression=condition, ExpressionAttributeValues=v, **arguments, **options
        )

    def keys(self, condition: str, pages: int | None = None, **options) -> list[str]:
        found, answers, more = [], 0, {}
        while more is not None:
            answer = self.query(condition, **options, **more)
            answers += 1
            found += [item["sk"]["S"] for item in answer["Items"]]
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]} if "LastEvaluatedKey" in answer else None
        if pages is not None:
            self.assertEqual(pages, answers)
        return found

    def test_conditions_on_the_sort_key(self):
        names = ["A", "HEAD", "WAIT#1#1", "WAIT#1#2", "WAIT#4#1", "WAIU", "Z", "é"]
        for name in reversed(names):
            self.put(name)
        self.put("WAIT#1", pk="other")
        pk = {":p": s("p")}
        for condition, values, expected in (
            ("pk = :p", {}, names),
            ("pk = :p AND begins_with(sk, :a)", {":a": s("WAIT#")}, names[2:5]),
            ("begins_with(sk, :a) AND :p = pk", {":a": s("WAIT#1#1")}, names[2:3]),
            ("pk = :p AND begins_with(sk, :a)", {":a": s("none")}, []),
            ("pk = :p AND sk BETWEEN :a AND :b", {":a": s("HEAD"), ":b": s("WAIT#1#2")}, names[1:4]),
            ("(pk = :p) AND (sk >= :a)", {":a": s("WAIT#4#1")}, names[4:]),
            ("pk = :p AND sk > :a", {":a": s("WAIT#4#1")}, names[5:]),
            ("pk = :p AND sk < :a", {":a": s("HEAD")}, names[:1]),
            ("pk = :p AND sk <= :a", {":a": s("HEAD")}, names[:2]),
            ("pk = :p AND sk = :a", {":a": s("HEAD")}, names[1:2]),
        ):
            with self.subTest(condition, **values):
                values |= pk
                self.assertEqual(expected, self.keys(condition, v=values))
                self.assertEqual(expected[::-1], self.keys(condition, v=values, ScanIndexForward=False))
                self.assertEqual(expected, self.keys(condition, v=values, Limit=1, pages=len(expected) + 1))
                backwards = self.keys(condition, v=values, Limit=2, ScanIndexForward=False, ConsistentRead=True)
                self.assertEqual(expected[::-1], backwards)

    def test_the_order_follows_the_writes(self):
        for name in "bd":
            self.put(name)
        self.assertEqual(["b", "d"], self.keys("pk = :p", v={":p": s("p")}))
        for name in "aec":
            self.put(name)
        self.dynamodb.delete_item(TableName=TABLE, Key=self.key("d"))
        self.assertEqual(["a", "b", "c", "e"], self.keys("pk = :p", v={":p": s("p")}))

    def test_a_page_holds_a_megabyte_and_counts_before_the_filter(self):
        for number in range(5):
            self.put(str(number), blob=s("x" * 300_000), odd={"BOOL": bool(number % 2)})
        answer = self.query(
            "pk = :p", v={":p": s("p"), ":t": {"BOOL": True}}, FilterExpression="odd = :t", Select="COUNT"
        )
        self.assertEqual((1, 3), (answer["Count"], answer["ScannedCount"]))
        self.assertEqual(s("2"), answer["LastEvaluatedKey"]["sk"])
        rest = self.query("pk = :p", v={":p": s("p")}, Select="COUNT", ExclusiveStartKey=answer["LastEvaluatedKey"])
        self.assertEqual((2, None), (rest["Count"], rest.get("LastEvaluatedKey")))

    def test_a_sparse_index(self):
        for number in (3, 10, 1, 2):
            self.put(f"s{number}", active=s("yes"), order=n(number), more=s("x"))
        self.put("half", active=s("yes"))
        query = {"IndexName": "active", "v": {":a": s("yes")}}
        self.assertEqual(["s1", "s2", "s3", "s10"], self.keys("active = :a", Limit=3, pages=2, **query))
        self.update("SET #o = :o", sk="s1", v={"o": n(5)}, n={"o": "order"})
        self.update("REMOVE active", sk="s2")
        self.update("SET more = :o", sk="s3", v={"o": n(5)})
        self.assertEqual(["s3", "s1", "s10"], self.keys("active = :a", **query))
        over = {"n": {"#o": "order"}, "v": {":a": s("yes"), ":o": n(4)}}
        self.assertEqual(["s1", "s10"], self.keys("active = :a AND #o > :o", IndexName="active", **over))
        item = self.query("active = :a", Limit=1, **query)["Items"][0]
        self.assertEqual({"pk", "sk", "active", "order"}, item.keys())
        self.assert_refused("ValidationException", self.query, "active = :a", ConsistentRead=True, **query)

    def test_a_large_partition_is_as_quick_as_a_small_one(self):
        def fill(pk: str, first: int, last: int) -> None:
            for start in range(first, last, 25):
                numbers = range(start, min(start + 25, last))
                items = [self.key(f"{i:06}", pk) | {"active": s(pk), "order": n(i)} for i in numbers]
                requests = [{"PutRequest": {"Item": item}} for item in items]
                self.dynamodb.batch_write_item(RequestItems={TABLE: requests})

        def calls(pk: str) -> dict:
            index = {"IndexName": "active", "v": {":a": s(pk)}, "Limit": 1}
            return {
                "query": lambda: self.query("pk = :p", v={":p": s(pk)}, Limit=1),
                "range": lambda: self.query(
                    "pk = :p AND begins_with(sk, :b)", v={":p": s(pk), ":b": s("00000")}, Limit=1
                ),
                "index": lambda: self.query("active = :a", **index),
                "get": lambda: self.dynamodb.get_item(TableName=TABLE, Key=self.key("000001", pk)),
                "put": lambda: self.put("000001", pk, active=s(pk), order=n(time.time_ns() % 1000)),
            }

        def seconds(call) -> float:
            started = time.perf_counter()
            call()
            return time.perf_counter() - started

        fill("small", 0, 5)
        fill("large", 0, 5000)
        small, large = calls("small"), calls("large")
        for name in small:
            # The fastest of some, in turns. On a busy machine it may take more of them until one is undisturbed.
            few = many = float("inf")
            for number in range(300):
                few, many = min(few, seconds(small[name])), min(many, seconds(large[name]))
                if number >= 10 and many < few * 1.5 + 0.001:
                    break
            self.assertLess(many, few * 1.5 + 0.001, name)


class Storm(TableTest):
    def test_one_item_takes_the_writes_of_many_one_after_the_other(self):
        """Over HTTP, and by state machines within the emulator, at the same time."""
        # A write that takes a while, so that another would come in between.
        ballast = m(**{f"m{number}": n(number) for number in range(1000)})
        self.put(holders=m(), slots=n(7), granted=n(0), ballast=ballast)
        condition = "size(holders) < slots AND attribute_not_exists(holders.#t)"

        def take(number: int) -> bool:
            update = "SET holders.#t = :h, #n = #n + :one"
            try:
                self.update(
                    update, condition, v={"h": m(by=n(number)), "one": n(1)}, n={"t": f"t{number}", "n": "granted"}
                )
            except botocore.exceptions.ClientError:
                return False
            return True

        parameters = {
            "TableName": TABLE,
            "Key": self.key(),
            "UpdateExpression": "ADD granted :one",
            "ExpressionAttributeValues": {":one": n(1)},
        }
        resource = "arn:aws:states:::dynamodb:updateItem"
        state = task(resource, Parameters=parameters)["States"]["T"]
        branches = [{"StartAt": f"T{number}", "States": {f"T{number}": state}} for number in range(20)]
        parallel = {"Type": "Parallel", "Branches": branches, "End": True}
        machine = self.machine({"StartAt": "P", "States": {"P": parallel}})
        executions = [self.start(machine) for _ in range(3)]
        with ThreadPoolExecutor(24) as pool:
            taken = sum(pool.map(take, range(60)))
        for execution in executions:
            self.assertEqual("SUCCEEDED", self.ended(execution)["status"])
        item = self.get()
        self.assertEqual((7, 7, n(67)), (taken, len(item["holders"]["M"]), item["granted"]))


class Integrations(TableTest):
    def run_task(self, action: str, language: str, arguments: dict, **fields) -> dict:
        name = "Arguments" if language == "JSONata" else "Parameters"
        resource = f"arn:aws:states:::dynamodb:{action}"
        definition = task(resource, QueryLanguage=language, **{name: {"TableName": TABLE, **arguments}}, **fields)
        if "Catch" in fields:
            definition["States"]["Done"] = {"Type": "Pass", "End": True}
        machines = self.client("stepfunctions").list_state_machines()["stateMachines"]
        execution = self.start(self.machine(definition, f"m{len(machines)}"))
        return self.ended(execution)

    def test_state_machines_write_and_read_items(self):
        for language in ("JSONPath", "JSONata"):
            with self.subTest(language):
                put = {"Item": self.key() | {"a": n(1)}, "ConditionExpression": "attribute_not_exists(pk)"}
                self.assertEqual("SUCCEEDED", self.run_task("putItem", language, put)["status"])
                again = self.run_task("putItem", language, put)
                self.assertEqual("DynamoDB.ConditionalCheckFailedException", again["error"])
                caught = {"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"], "Next": "Done"}
                self.assertEqual("SUCCEEDED", self.run_task("putItem", language, put, Catch=[caught])["status"])
                update = {
                    "Key": self.key(),
                    "UpdateExpression": "ADD a :one",
                    "ExpressionAttributeValues": {":one": n(1)},
                }
                self.assertEqual("SUCCEEDED", self.run_task("updateItem", language, update)["status"])
                got = self.run_task("getItem", language, {"Key": self.key()})
                self.assertIn('"a":{"N":"2"}', got["output"])
                self.assertEqual("SUCCEEDED", self.run_task("deleteItem", language, {"Key": self.key()})["status"])
                self.assertEqual({}, self.get())


class Usage(TableTest):
    def usage(self) -> dict:
        return self.cloud.request("GET", "usage", account=self.account)

    def cost(self, call) -> tuple:
        """What a call costs: write units, read units, writes, reads."""
        self.cloud.request("DELETE", "usage", account=self.account)
        try:
            call()
        except botocore.exceptions.ClientError:
            pass
        units = self.usage()["dynamodb"].get(TABLE, {})
        return tuple(units.get(name, 0) for name in ("writeUnits", "readUnits", "writes", "reads"))

    def test_writes_cost_by_the_larger_item(self):
        big = s("x" * 1500)
        self.assertEqual((1, 0, 1, 0), self.cost(self.put))
        self.assertEqual((2, 0, 1, 0), self.cost(lambda: self.put(a=big)))
        self.assertEqual((2, 0, 1, 0), self.cost(lambda: self.update("REMOVE a")))
        self.assertEqual((1, 0, 1, 0), self.cost(lambda: self.update("SET b = :v", v={"v": n(1)})))
        delete = lambda: self.dynamodb.delete_item(TableName=TABLE, Key=self.key())
        self.assertEqual((1, 0, 1, 0), self.cost(delete))
        self.assertEqual((1, 0, 1, 0), self.cost(delete))
        self.assertEqual((0, 0, 0, 0), self.cost(lambda: self.update("SET status = :v", v={"v": n(1)})))

    def test_failed_conditions_cost(self):
        fail = lambda: self.update("SET b = :v", "b = :v", v={"v": n(1)})
        self.assertEqual((1, 0, 1, 0), self.cost(fail))
        self.put(a=s("x" * 1500))
        self.assertEqual((2, 0, 1, 0), self.cost(fail))

    def test_an_index_costs_by_what_changes_in_it(self):
        self.put()
        yes, order = {"active": s("yes")}, {"order": n(1)}
        for what, call, units in (
            ("half a key", lambda: self.put(**yes), 1),
            ("enters", lambda: self.put(**yes, **order), 2),
            ("not projected", lambda: self.update("SET more = :v", v={"v": n(1)}), 1),
            ("moves", lambda: self.update("SET #o = :v", v={"v": n(2)}, n={"o": "order"}), 3),
            ("leaves", lambda: self.update("REMOVE active"), 2),
        ):
            with self.subTest(what):
                self.assertEqual((units, 0, 1, 0), self.cost(call))

    def test_transactions_cost_double(self):
        def transact(sk: str) -> None:
            condition = {"ConditionExpression": "attribute_not_exists(pk)"}
            check = {"TableName": TABLE, "Key": self.key("none"), **condition}
            put = {"TableName": TABLE, "Item": self.key(sk) | {"a": s("x" * 1500)}, **condition}
            self.dynamodb.transact_write_items(TransactItems=[{"ConditionCheck": check}, {"Put": put}])

        self.assertEqual((6, 0, 2, 0), self.cost(lambda: transact("a")))
        self.assertEqual((6, 0, 2, 0), self.cost(lambda: transact("a")))
        get = {"TableName": TABLE, "Key": self.key("a")}
        read = lambda: self.dynamodb.transact_get_items(TransactItems=[{"Get": get}])
        self.assertEqual((0, 2, 0, 1), self.cost(read))

    def test_reads_cost_by_four_kilobytes(self):
        def get(sk: str, consistent: bool) -> None:
            self.dynamodb.get_item(TableName=TABLE, Key=self.key(sk), ConsistentRead=consistent)

        self.put("small")
        self.put("large", a=s("x" * 5000))
        for sk, units in (("none", 1), ("small", 1), ("large", 2)):
            self.assertEqual((0, units, 0, 1), self.cost(lambda sk=sk: get(sk, True)))
            self.assertEqual((0, units / 2, 0, 1), self.cost(lambda sk=sk: get(sk, False)))
        keys = {TABLE: {"Keys": [self.key("small"), self.key("large")]}}
        batch = lambda: self.dynamodb.batch_get_item(RequestItems=keys)
        self.assertEqual((0, 1.5, 0, 2), self.cost(batch))

    def test_a_query_costs_by_all_it_reads(self):
        for number in range(10):
            self.put(str(number), a=s("x" * 1000), active=s("yes"), order=n(number))

        def query(**options) -> None:
            arguments = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": s("p")}} | options
            self.dynamodb.query(TableName=TABLE, **arguments)

        self.assertEqual((0, 1.5, 0, 1), self.cost(query))
        self.assertEqual((0, 3, 0, 1), self.cost(lambda: query(ConsistentRead=True)))
        none = {"FilterExpression": "a = :p", "ConsistentRead": True}
        self.assertEqual((0, 3, 0, 1), self.cost(lambda: query(**none)))
        self.assertEqual((0, 1, 0, 1), self.cost(lambda: query(Limit=1, ConsistentRead=True)))
        index = {"IndexName": "active", "KeyConditionExpression": "active = :p"}
        self.assertEqual((0, 0.5, 0, 1), self.cost(lambda: query(**index)))
        values = {"ExpressionAttributeValues": {":p": s("yes")}}
        self.assertEqual((0, 0.5, 0, 1), self.cost(lambda: query(**index, **values)))

    def test_state_machines_and_functions_are_counted(self):
        outputs = self.deploy()["outputs"]
        put = {"TableName": TABLE, "Item": self.key()}
        retried = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 0, "MaxAttempts": 2}
        resource = "arn:aws:states:::dynamodb:putItem"
        definition = task(resource, Parameters=put | {"ConditionExpression": "pk = sk"}, Retry=[retried])
        definition["States"]["T"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "F"}]
        definition["States"]["F"] = {
            "Type": "Task",
            "Resource": outputs["WorkerArn"],
            "Next": "P",
        }
        iteration = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}
        items = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": iteration, "End": True}
        definition["States"]["P"] = {"Type": "Pass", "Result": {"items": [1, 2]}, "Next": "M"}
        definition["States"]["M"] = items
        allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
        machine = self.machine(definition, "counted", allowed)
        self.cloud.request("DELETE", "usage", account=self.account)
        self.assertEqual("SUCCEEDED", self.ended(self.start(machine))["status"])
        self.client("lambda").invoke(FunctionName=outputs["WorkerArn"], Payload=b"{}")
        usage = self.usage()
        # T and two retries, F, P, M and two iterations.
        self.assertEqual({"counted": 8}, usage["transitions"])
        self.assertEqual({TABLE: {"writeUnits": 3, "readUnits": 0, "writes": 3, "reads": 0}}, usage["dynamodb"])
        self.assertEqual({outputs["WorkerArn"].rpartition(":")[2]: 2}, usage["lambda"])
        self.cloud.request("DELETE", "usage", account=self.account)
        self.assertEqual({"transitions": {}, "dynamodb": {}, "lambda": {}}, self.usage())

    def test_a_redrive_is_a_transition(self):
        machine = self.machine({"StartAt": "F", "States": {"F": {"Type": "Fail"}}}, "redriven")
        execution = self.start(machine)
        self.ended(execution)
        self.assertEqual({"redriven": 1}, self.usage()["transitions"])
        self.states.redrive_execution(executionArn=execution)
        eventually(lambda: self.usage()["transitions"] == {"redriven": 2}, "the redrive counted")
