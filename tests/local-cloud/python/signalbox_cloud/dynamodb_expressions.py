"""Expressions of DynamoDB as AWS evaluates them.

What AWS does is taken from ScyllaDB's tests of Alternator (github.com/scylladb/scylladb, test/alternator), which run
against DynamoDB as well.
"""

from itertools import combinations

from ministack.services import dynamodb as upstream

from . import patching

Path = list[str | int]


def apply() -> None:
    patching.wrap(upstream, "_compare_ddb", compare, "59740ef65163")
    patching.provide(upstream, _check_paths=check_paths)
    update = "            item, updated_attrs = _apply_update_expression(item, update_expr, eav, ean, updated_attrs)\n"
    patching.substitute(
        upstream, "_update_item", (update, f"            _check_paths(existing, update_expr, ean)\n{update}")
    )
    names = 'op.get("ExpressionAttributeNames", {})'
    probe = (
        "                    probe, _ = _apply_update_expression("
        f'probe, ue, op.get("ExpressionAttributeValues", {{}}), {names})\n'
    )
    patching.substitute(
        upstream,
        "_transact_write_items",
        (probe, f"                    _check_paths(existing, ue, {names})\n{probe}"),
    )


def compare(original, left, op: str, right) -> bool:
    """AWS: an attribute that is not there is unequal to everything, even to another that is not there."""
    if left is None or right is None:
        return op == "<>"
    return original(left, op, right)


def check_paths(existing: dict | None, expression: str, names: dict[str, str]) -> None:
    """Refuse an update whose paths are none, or get into one another's way.

    AWS: a.b needs a map at a, and a[0] a list, for each kind of update (but for a REMOVE from an item that is not
    there); the emulator asks for something at a, and for SET alone. No path may be part of another.
    """
    paths = _targets(expression, names)
    for (_, one), (_, other) in combinations(paths, 2):
        shared = min(len(one), len(other))
        if one[:shared] == other[:shared]:
            raise ValueError(
                "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of "
                f"these paths; path one: {_listed(one)}, path two: {_listed(other)}"
            )
    for clause, path in paths:
        if len(path) == 1 or (clause == "REMOVE" and not existing):
            continue
        parent = upstream._get_at_path(existing, path[:-1])
        if not isinstance(parent, dict) or ("L" if isinstance(path[-1], int) else "M") not in parent:
            raise ValueError("The document path provided in the update expression is invalid for update")


def _targets(expression: str, names: dict[str, str]) -> list[tuple[str, Path]]:
    """The paths that the expression changes, each with its clause."""
    clauses: list[tuple[str, list]] = []
    for token in upstream._tokenize(expression):
        if token[0] == "IDENT" and token[1].upper() in ("SET", "REMOVE", "ADD", "DELETE"):
            clauses.append((token[1].upper(), []))
        elif clauses and token[0] != "EOF":
            clauses[-1][1].append(token)
    return [
        # The path ends where its value begins: at the `=` of a SET, at the placeholder of an ADD or a DELETE.
        (clause, path)
        for clause, tokens in clauses
        for part in upstream._split_by_comma(tokens)
        if (path := upstream._parse_path_from_tokens(part, names or {}))
    ]


def _listed(path: Path) -> str:
    return f"[{', '.join(f'[{part}]' if isinstance(part, int) else part for part in path)}]"
