"""Paths of JSONPath states: what they lead to in the data, in the context object (`$$`) and in variables (`$name`).

Takes the place of the emulator's, which knows neither variables nor slices, filters and `..`, and for which a path
that leads nowhere leads to null. AWS: it fails the state with States.Runtime.
"""

import functools
import json
import operator
import re
from typing import Any

from ministack.services import stepfunctions as upstream

from . import executions, patching
from .context import context_object
from .task_events import Failure


def apply() -> None:
    patching.replace(upstream, "_resolve_path", resolve_in_data, "4ca0c5fe9f70")
    patching.replace(upstream, "_resolve_path_or_ctx", resolve, "39841ce14aef")
    patching.replace(upstream, "_resolve_ctx_path", resolve_in_context, "9d99cf3416f9")
    patching.replace(upstream, "_resolve_params_obj", template, "d41c2e27dd1b")
    # The paths among the arguments of intrinsic functions, and what States.Format makes of null, true and false.
    patching.provide(upstream, _resolve_argument=argument, _as_json=executions.compact)
    patching.substitute(
        upstream,
        "_exec_intrinsic",
        (
            "out.append(str(val) if not isinstance(val, str) else val)",
            "out.append(_as_json(val) if not isinstance(val, str) else val)",
        ),
    )
    patching.substitute(
        upstream,
        "_eval_intrinsic_arg",
        (
            """\
        if path.startswith("$$."):
            return _resolve_ctx_path(path, ctx or {})
        return _resolve_path(path, data)
""",
            "        return _resolve_argument(path, data, ctx)\n",
        ),
    )


class Missing(LookupError):
    """A path that leads nowhere."""


# ---------------------------------------------------------------------------------------------------------------------
# What a path consists of
# ---------------------------------------------------------------------------------------------------------------------

# `$.a.b`, `$$.Execution.Id`, `$name.a`: what it starts from, and the steps.
ROOT = re.compile(r"\$(\$|[^\W\d]\w*)?")
FIELD = re.compile(r"[^.\[\]()]+")
SLICE = re.compile(r"(-?\d+)?\s*:\s*(-?\d+)?(?:\s*:\s*(\d+))?")
COMPARISON = re.compile(r"@([^=!<>\s]*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+))?", re.DOTALL)
OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@functools.lru_cache(maxsize=4096)
def parse(path: str) -> tuple[str, tuple]:
    """The root of a path, which is ``, `$` or a variable's name, and its steps; ValueError if it is none."""
    root = ROOT.match(path)
    if root is None:
        raise ValueError(path)
    steps: list[tuple] = []
    at = root.end()
    while at < len(path):
        if path.startswith("..", at):
            steps.append(("descend", None))
            at += 1 if path.startswith("..[", at) else 0
            if path.startswith(".[", at):
                at += 1
                continue
            at += 1
        if path.startswith(".*", at):
            steps.append(("all", None))
            at += 2
        elif path.startswith(".[", at):
            at += 1
        elif path[at] == ".":
            name = FIELD.match(path, at + 1)
            if name is None:
                raise ValueError(path)
            steps.append(("fields", (name[0],)))
            at = name.end()
        elif path[at] == "[":
            end = _closing(path, at)
            steps.append(_bracket(path[at + 1 : end].strip(), path))
            at = end + 1
        else:
            raise ValueError(path)
    return root[1] or "", tuple(steps)


def _closing(path: str, start: int) -> int:
    """Where the bracket ends that is opened at `start`."""
    depth, quote, at = 0, "", start
    while at < len(path):
        sign = path[at]
        if quote:
            at += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "[]":
            depth += 1 if sign == "[" else -1
            if not depth:
                return at
        at += 1
    raise ValueError(path)


def _bracket(inside: str, path: str) -> tuple:
    if inside == "*":
        return ("all", None)
    if inside.startswith("?"):
        return ("filter", _filter(inside[1:].strip(), path))
    if inside[:1] in ("'", '"'):
        names = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", inside)
        return ("fields", tuple(re.sub(r"\\(['\\])", r"\1", single or double) for single, double in names))
    if part := SLICE.fullmatch(inside):
        return ("slice", slice(*(None if each is None else int(each) for each in part.groups())))
    if re.fullmatch(r"-?\d+(\s*,\s*-?\d+)*", inside):
        return ("indexes", tuple(int(each) for each in inside.split(",")))
    raise ValueError(path)


def _filter(text: str, path: str) -> tuple:
    """Alternatives of conditions that must hold together: a path from `@` each, with an operator and a value or not."""
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError(path)
    return tuple(
        tuple(_condition(each.strip(), path) for each in alternative.split("&&"))
        for alternative in text[1:-1].split("||")
    )


def _condition(text: str, path: str) -> tuple:
    found = COMPARISON.fullmatch(text)
    if found is None:
        raise ValueError(path)
    _root, steps = parse(f"${found[1]}")
    return steps, OPERATORS.get(found[2]), None if found[3] is None else _literal(found[3].strip())


def _literal(text: str) -> Any:
    if text[:1] == "'" == text[-1:]:
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_definite(steps: tuple) -> bool:
    """Whether it leads to one value at most. The other paths lead to an array, whatever they find."""
    return all(kind in ("fields", "indexes") and len(what) == 1 for kind, what in steps)


# ---------------------------------------------------------------------------------------------------------------------
# What it leads to
# ---------------------------------------------------------------------------------------------------------------------


def find(path: str, data: Any, context: dict | None = None) -> Any:
    """What a path leads to; Missing if that is nothing, ValueError if it is no path."""
    root, steps = parse(path)
    if root == "$":
        data = context_object(context or {})
    elif root:
        variables = (context or {}).get("variables", {})
        if root not in variables:
            raise Missing(path)
        data = variables[root]
    return _follow(steps, data, path)


def _follow(steps: tuple, data: Any, path: str) -> Any:
    values = [data]
    for kind, what in steps:
        values = [found for value in values for found in STEPS[kind](value, what)]
    if not _is_definite(steps):
        return values
    if not values:
        raise Missing(path)
    return values[0]


def _fields(value: Any, names: tuple) -> list:
    return [value[name] for name in names if name in value] if isinstance(value, dict) else []


def _indexes(value: Any, indexes: tuple) -> list:
    # As measured on AWS (published at github.com/floci-io/floci): an index past the end leads to null.
    if not isinstance(value, list):
        return []
    return [value[index] if -len(value) <= index < len(value) else None for index in indexes]


def _all(value: Any, _what: None) -> list:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _descend(value: Any, _what: None) -> list:
    return [value] + [found for each in _all(value, None) for found in _descend(each, None)]


def _filtered(value: Any, alternatives: tuple) -> list:
    return [
        each
        for each in (value if isinstance(value, list) else [value])
        if any(all(_holds(condition, each) for condition in conditions) for conditions in alternatives)
    ]


def _holds(condition: tuple, value: Any) -> bool:
    steps, compare, literal = condition
    try:
        found = _follow(steps, value, "@")
        return compare is None or bool(compare(found, literal))
    except (Missing, TypeError):
        return False


STEPS = {
    "fields": _fields,
    "indexes": _indexes,
    "slice": lambda value, part: value[part] if isinstance(value, list) else [],
    "all": _all,
    "descend": _descend,
    "filter": _filtered,
}


# ---------------------------------------------------------------------------------------------------------------------
# As the states use it
# ---------------------------------------------------------------------------------------------------------------------


def resolve(path: str, data: Any, context: dict | None = None) -> Any:
    """What the path of a field leads to, such as InputPath."""
    try:
        return find(path, data, context)
    except (Missing, ValueError):
        raise Failure("States.Runtime", f"Invalid path '{path}': No results for path: {path}") from None


def resolve_in_data(path: str, data: Any) -> Any:
    return resolve(path, data)


def resolve_in_context(path: str, context: dict) -> Any:
    return resolve(path, None, context)


def argument(path: str, data: Any, context: dict | None) -> Any:
    """What a path leads to that is an argument of an intrinsic function."""
    try:
        return find(path, data, context)
    except (Missing, ValueError):
        shown = executions.compact(data)
        cause = f"The JsonPath argument for the field '{path}' could not be found in the input '{shown}'"
        raise Failure("States.Runtime", cause) from None


def template(value: Any, data: Any, context: dict | None = None) -> Any:
    """A payload template: the fields whose names end in `.$` have what their paths lead to."""
    if isinstance(value, list):
        return [template(each, data, context) for each in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, each in value.items():
        if name.endswith(".$") and isinstance(each, str):
            made[name[:-2]] = _field(name, each, data, context)
        else:
            made[name] = template(each, data, context)
    return made


def _field(name: str, text: str, data: Any, context: dict | None) -> Any:
    if text.startswith("States."):
        return _intrinsic(text, data, context)
    try:
        return find(text, data, context)
    except (Missing, ValueError):
        shown = executions.compact(context_object(context or {}) if text.startswith("$$") else data)
        cause = f"The JSONPath '{text}' specified for the field '{name}' could not be found in the input '{shown}'"
        raise Failure("States.Runtime", cause) from None


def _intrinsic(text: str, data: Any, context: dict | None) -> Any:
    try:
        return upstream._evaluate_intrinsic(text, data, context)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # AWS: States.IntrinsicFailure is "the attempt to invoke an intrinsic function within a payload template".
        cause = f"The function '{text}' had the following error: {error}"
        raise Failure("States.IntrinsicFailure", cause) from None


def put(path: str | None, data: Any, result: Any) -> Any:
    """The input of a state with its result at ResultPath.

    AWS: an input that cannot take it fails the state with States.ResultPathMatchFailure; the emulator puts an object
    in the place of the input.
    """
    if path is None or path == "$":
        return data if path is None else result
    try:
        root, steps = parse(path)
        if root or not _is_definite(steps):
            raise ValueError(path)
        return _put([what[0] for _kind, what in steps], data, result)
    except (ValueError, LookupError):
        cause = f'Unable to apply step "{path}" to input {executions.compact(data)}'
        raise Failure("States.ResultPathMatchFailure", cause) from None


def _put(steps: list, data: Any, result: Any) -> Any:
    """A copy of the data, as far as it changes."""
    if not steps:
        return result
    step, *rest = steps
    if isinstance(step, int):
        if not isinstance(data, list) or not 0 <= step < len(data):
            raise Missing(step)
        return [*data[:step], _put(rest, data[step], result), *data[step + 1 :]]
    if not isinstance(data, dict):
        raise Missing(step)
    return {**data, step: _put(rest, data.get(step, {}), result)}
