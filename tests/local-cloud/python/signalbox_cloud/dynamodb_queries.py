"""Queries that take as long for a partition of thousands of items as for one of five.

The emulator sorts a partition, and holds every item of it against the condition, at each Query. Here the order of a
partition is kept from its first Query on, and the condition on the sort key is a range in it.
"""

import bisect
from collections.abc import Iterator
from typing import Any

from ministack.services import dynamodb as upstream

from . import patching

# In a table: (index or None, partition) -> the order of its items.
ORDERS = "_signalbox_orders"

Entry = tuple[tuple, Any, Any]


def apply() -> None:
    patching.provide(upstream, _in_order=in_order)
    patching.substitute(
        upstream,
        "_query",
        (
            "    members = _index_members(table).get(index_name) if index_name else None\n",
            """\
    ordered = None
    if key_cond and not key_conditions and not multi_key:
        ordered = _in_order(table, index, pk_val, key_cond, eav, ean, range_names, esk, scan_forward)
    members = {} if ordered is not None else _index_members(table).get(index_name) if index_name else None
""",
        ),
        (
            "_paginate_evaluated_items(candidates, limit,",
            "_paginate_evaluated_items(candidates if ordered is None else ordered, limit,",
        ),
    )
    patching.wrap(upstream, "_set_item", set_item, "4e78ad492132")
    patching.wrap(upstream, "_remove_item", remove_item, "5cce50c99688")
    patching.wrap(upstream, "_items_replaced", items_replaced, "b48626c371f7")


def in_order(
    table: dict,
    index: dict | None,
    partition: Any,
    condition: str,
    values: dict,
    names: dict,
    range_names: list[str],
    after: dict | None,
    forward: bool,
) -> Iterator[dict] | None:
    """The items of a partition that the condition takes, in order; None for a condition that is beyond this."""
    try:
        # The emulator's own refusals, which it has for items alone.
        upstream._evaluate_condition(condition, {}, values, names, slot="KeyConditionExpression")
        order = _order_of(table, index, partition)
        low, high = _range(table, condition, values, names, range_names, order)
    except ValueError:
        return None
    if after:
        cursor = _keys(table, index)(after)
        if forward:
            low = max(low, bisect.bisect_right(order, cursor, key=_position))
        else:
            high = min(high, bisect.bisect_left(order, cursor, key=_position))
    chosen = order[low:high] if forward else order[low:high][::-1]
    items = table["items"]
    return (items[pk][sk] for _keys_of_item, pk, sk in chosen)


def _position(entry: Entry) -> tuple:
    return entry[0]


def _keys(table: dict, index: dict | None):
    """What an item, or a cursor, is ordered by within its partition."""
    ranges = upstream._index_key_lists(index)[1] if index else [table["sk_name"]] if table["sk_name"] else []
    keys = (
        upstream._index_order_keys(table, ranges) if index else [(n, upstream._get_attr_type(table, n)) for n in ranges]
    )
    return lambda item: tuple(upstream._index_order_value(item, name, kind) for name, kind in keys)


def _order_of(table: dict, index: dict | None, partition: Any) -> list[Entry]:
    orders = table.setdefault(ORDERS, {})
    name = index["IndexName"] if index else None
    order = orders.get((name, partition))
    if order is None:
        items, keys = table["items"], _keys(table, index)
        if index:
            places = upstream._index_members(table).get(name, {}).get(partition, ())
        else:
            places = [(partition, sk) for sk in items.get(partition, ())]
        order = sorted(((keys(items[pk][sk]), pk, sk) for pk, sk in places), key=_position)
        orders[(name, partition)] = order
    return order


def _range(
    table: dict, condition: str, values: dict, names: dict, range_names: list[str], order: list[Entry]
) -> tuple[int, int]:
    """Where in the order the items are that the condition on the sort key takes."""
    low, high = 0, len(order)
    for clause in upstream._key_condition_clauses(upstream._tokenize(condition)):
        clause = _without_parentheses(clause)
        named = [names.get(text, text) for kind, text in clause if kind in ("NAME_REF", "IDENT")]
        if not range_names or range_names[0] not in named:
            continue
        kind = upstream._get_attr_type(table, range_names[0])
        operands = [upstream._sort_key_value(values[text], kind) for what, text in clause if what == "VALUE_REF"]
        words = [text.lower() for what, text in clause if what == "IDENT"]
        first = lambda entry: entry[0][0]
        if words[:1] == ["begins_with"]:
            length = len(operands[0])
            head = lambda entry: entry[0][0][:length]
            return bisect.bisect_left(order, operands[0], key=head), bisect.bisect_right(order, operands[0], key=head)
        if "between" in words:
            return bisect.bisect_left(order, operands[0], key=first), bisect.bisect_right(order, operands[1], key=first)
        operator = clause[1][1]
        if len(clause) != 3 or clause[0][0] == "VALUE_REF" or operator not in ("=", "<", "<=", ">", ">="):
            raise ValueError(condition)
        if operator in ("=", ">=", "<"):
            edge = bisect.bisect_left(order, operands[0], key=first)
            low, high = (low, edge) if operator == "<" else (edge, high)
        if operator in ("=", "<=", ">"):
            edge = bisect.bisect_right(order, operands[0], key=first)
            low, high = (edge, high) if operator == ">" else (low, edge)
    return low, high


def _without_parentheses(clause: list) -> list:
    while clause and clause[0][0] == "LPAREN" and clause[-1][0] == "RPAREN":
        clause = clause[1:-1]
    return clause


def set_item(original, table: dict, pk_val: Any, sk_val: Any, item: dict) -> dict | None:
    old = original(table, pk_val, sk_val, item)
    _reorder(table, pk_val, sk_val, old, item)
    return old


def remove_item(original, table: dict, pk_val: Any, sk_val: Any) -> dict | None:
    old = original(table, pk_val, sk_val)
    _reorder(table, pk_val, sk_val, old, None)
    return old


def items_replaced(original, table: dict) -> None:
    table.pop(ORDERS, None)
    original(table)


def _reorder(table: dict, pk_val: Any, sk_val: Any, old: dict | None, new: dict | None) -> None:
    """Keep the orders that there are."""
    orders = table.get(ORDERS)
    if not orders:
        return
    for index in (None, *table.get("GlobalSecondaryIndexes", []), *table.get("LocalSecondaryIndexes", [])):
        before, after = (_place(table, index, item) for item in (old, new))
        if before == after:
            continue
        for place, add in ((before, False), (after, True)):
            order = orders.get(place[0]) if place else None
            if order is None:
                continue
            at = bisect.bisect_left(order, place[1], key=_position)
            if add:
                order.insert(at, (place[1], pk_val, sk_val))
            elif at < len(order) and order[at][1:] == (pk_val, sk_val):
                del order[at]


def _place(table: dict, index: dict | None, item: dict | None) -> tuple[tuple, tuple] | None:
    """The order that an item is in, and where; None if it is not in the index."""
    if item is None:
        return None
    if index is None:
        partition: Any = upstream._extract_key_val(item.get(table["pk_name"]))
    else:
        partition = upstream._index_partition(item, *upstream._index_key_lists(index))
        if partition is None:
            return None
    return (index["IndexName"] if index else None, partition), _keys(table, index)(item)
