"""What AWS bills for the calls of DynamoDB, by whomever; and one call at a time.

The units are those of the developer guide ("Read and write operations", "Throughput capacity for global secondary
indexes", "Transactions"): a write unit for each KB of the item before or after, whichever is larger, also if its
condition fails; two in a transaction, also if it is cancelled; a read unit for each 4 KB, half of it if eventually
consistent, two in a transaction. The emulator knows the size of an item, and what a write costs an index.
"""

import contextvars
import threading
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import dynamodb as upstream

from . import patching, usage

WRITE_UNIT = 1024
READ_UNIT = 4096

# AWS: the write of an item is one step, whoever else writes it. The emulator's calls over HTTP come one after the
# other; those of state machines (`arn:aws:states:::dynamodb:updateItem`) come from the threads of executions.
_turn = threading.RLock()


class Bill:
    """What the current call costs: by table, write units, read units, writes and reads."""

    def __init__(self, times: int = 1) -> None:
        # Transactions cost double in the table, but not in its indexes.
        self.times = times
        self.tables: dict[str, usage.Units] = {}

    def write(self, table: dict, old: dict | None, new: dict | None) -> None:
        units = self.times * _units(max(_size(old), _size(new)), WRITE_UNIT)
        if old is not new:
            indexes = (table.get("GlobalSecondaryIndexes") or []) + (table.get("LocalSecondaryIndexes") or [])
            units += sum(upstream._index_write_units(table, index, old, new) for index in indexes)
        self._of(table["TableName"]).add(write_units=units, writes=1)

    def read(self, table: dict, size: int, consistent: bool) -> None:
        units = self.times * _units(size, READ_UNIT) * (1 if consistent or self.times > 1 else 0.5)
        self._of(table["TableName"]).add(read_units=units, reads=1)

    def _of(self, table: str) -> "usage.Units":
        return self.tables.setdefault(table, usage.Units())


_bill: contextvars.ContextVar[Bill | None] = contextvars.ContextVar("bill", default=None)
# The size of the items that the current Query or Scan has read.
_page_size: contextvars.ContextVar[int] = contextvars.ContextVar("page_size", default=0)


def apply() -> None:
    for name, fingerprint, account in (
        ("_put_item", "bedd46ca5524", _single_write),
        ("_update_item", None, _single_write),
        ("_delete_item", "548662891530", _single_write),
        ("_batch_write_item", "7c31fe8286ae", _other_write),
        ("_get_item", "40a3e29c3c4d", _get),
        ("_batch_get_item", "d6d516ae8785", _batch_get),
        ("_query", None, _query),
        ("_scan", "7094ff00335e", _query),
    ):
        _meter(name, fingerprint, account)
    _meter("_transact_write_items", None, _transact_write, times=2)
    _meter("_transact_get_items", "4fd2ebad6b20", _transact_get, times=2)
    patching.wrap(upstream, "_conditional_check_failed", conditional_check_failed, "b9dde20342b9")
    patching.wrap(upstream, "_paginate_evaluated_items", paginate_evaluated_items, "d70cfb58e3a2")
    patching.wrap(upstream, "_set_item", set_item, None)
    patching.wrap(upstream, "_remove_item", remove_item, None)


def _meter(name: str, fingerprint: str | None, account, times: int = 1) -> None:
    def metered(original, data: dict) -> tuple:
        bill = Bill(times)
        with _turn:
            token = _bill.set(bill)
            try:
                before = _items_of_transaction(data) if name == "_transact_write_items" else None
                response = original(data)
                account(bill, data, response, before)
            finally:
                _bill.reset(token)
        usage.dynamodb(get_account_id(), bill.tables)
        return response

    patching.wrap(upstream, name, metered, fingerprint)


def _size(item: dict | None) -> int:
    return upstream._item_size_bytes(item) if item else 0


def _units(size: int, unit: int) -> int:
    return max(1, -(-size // unit))


def _table(name: Any) -> dict | None:
    return upstream._tables.get(upstream._normalize_table_name(name)) if isinstance(name, str) else None


# ---------------------------------------------------------------------------------------------------------------------
# Writes
# ---------------------------------------------------------------------------------------------------------------------


def set_item(original, table: dict, pk_val: Any, sk_val: Any, item: dict) -> dict | None:
    old = original(table, pk_val, sk_val, item)
    if bill := _bill.get():
        bill.write(table, old, item)
    return old


def remove_item(original, table: dict, pk_val: Any, sk_val: Any) -> dict | None:
    old = original(table, pk_val, sk_val)
    if bill := _bill.get():
        bill.write(table, old, None)
    return old


def conditional_check_failed(original, data: dict, old_item: dict | None, *rest: Any) -> tuple:
    """AWS bills a write whose condition fails by the item that is there."""
    bill, table = _bill.get(), _table(data.get("TableName"))
    if bill is not None and table is not None:
        bill.write(table, old_item, old_item)
    return original(data, old_item, *rest)


def _single_write(bill: Bill, data: dict, response: tuple, before: Any) -> None:
    table = _table(data.get("TableName"))
    if response[0] == 200 and not bill.tables and table is not None:
        # The emulator removes nothing where there is no item; AWS bills that, too.
        bill.write(table, None, None)


def _other_write(bill: Bill, data: dict, response: tuple, before: Any) -> None:
    """What a batch writes is counted item by item."""


def _items_of_transaction(data: dict) -> list[tuple[dict, dict | None, dict | None, bool]]:
    """Of each action: its table, the item that is there, the item that it puts, and whether it is a mere check."""
    found = []
    for action in data.get("TransactItems") or []:
        kind, operation = upstream._extract_transact_op(action) if isinstance(action, dict) else (None, None)
        table = _table(operation.get("TableName")) if operation else None
        if table is None:
            continue
        key = operation.get("Item" if kind == "Put" else "Key") or {}
        old = upstream._get_item_by_key(table, key) if table["pk_name"] in key else None
        found.append((table, old, operation.get("Item"), kind == "ConditionCheck"))
    return found


def _transact_write(bill: Bill, data: dict, response: tuple, before: Any) -> None:
    cancelled = b"TransactionCanceledException" in response[2]
    for table, old, new, check in before:
        # A transaction that was done before, by its token, has written nothing now.
        if cancelled or (check and bill.tables):
            size = old if _size(old) >= _size(new) else new
            bill.write(table, size, size)


# ---------------------------------------------------------------------------------------------------------------------
# Reads
# ---------------------------------------------------------------------------------------------------------------------


def paginate_evaluated_items(original, items: Any, limit: Any, table: dict, index_name: str | None = None) -> tuple:
    """The items of a page, before the filter: those that AWS bills, by what of them is in the index."""
    page, more = original(items, limit, table, index_name)
    if index_name:
        _page_size.set(sum(_size(upstream._apply_index_projection(item, table, index_name)) for item in page))
    else:
        _page_size.set(sum(_size(item) for item in page))
    return page, more


def _query(bill: Bill, data: dict, response: tuple, before: Any) -> None:
    table = _table(data.get("TableName"))
    if response[0] == 200 and table is not None:
        bill.read(table, _page_size.get(), bool(data.get("ConsistentRead")))
    _page_size.set(0)


def _get(bill: Bill, data: dict, response: tuple, before: Any) -> None:
    table = _table(data.get("TableName"))
    if response[0] == 200 and table is not None:
        item = upstream._get_item_by_key(table, data["Key"])
        bill.read(table, _size(item), bool(data.get("ConsistentRead")))


def _batch_get(bill: Bill, data: dict, response: tuple, before: Any) -> None:
    if response[0] != 200:
        return
    for name, wanted in data["RequestItems"].items():
        table = _table(name)
        for key in wanted.get("Keys", []) if table is not None else []:
            bill.read(table, _size(upstream._get_item_by_key(table, key)), bool(wanted.get("ConsistentRead")))


def _transact_get(bill: Bill, data: dict, response: tuple, before: Any) -> None:
    if response[0] != 200:
        return
    for each in data["TransactItems"]:
        table = _table(each["Get"]["TableName"])
        if table is not None:
            bill.read(table, _size(upstream._get_item_by_key(table, each["Get"]["Key"])), True)
