"""The rules of Choice states in JSONPath: what a comparison compares, and with what."""

import operator
import re
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions as upstream

from . import patching
from .paths import Missing, find
from .task_events import Failure

COMPARISON = re.compile(
    r"(String|Numeric|Boolean|Timestamp)(Equals|LessThanEquals|LessThan|GreaterThanEquals|GreaterThan)(Path)?"
)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}


def apply() -> None:
    # To the emulator, what is null is not present; a path that leads nowhere compares as null; strings and times are
    # not compared with those at paths.
    patching.replace(upstream, "_evaluate_rule", holds, "728e6547c8ca")


def holds(rule: dict, data: Any, context: dict | None = None) -> bool:
    """Whether a rule applies.

    AWS: values of another type than the comparison's are unequal to everything, and only IsPresent may ask for what
    is not there: any other comparison fails the state.
    """
    if "And" in rule:
        return all(holds(each, data, context) for each in rule["And"])
    if "Or" in rule:
        return any(holds(each, data, context) for each in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], data, context)
    present, value = _value(rule.get("Variable", ""), data, context)
    if "IsPresent" in rule:
        return present == rule["IsPresent"]
    if not present:
        cause = "The choice state's condition path references an invalid value."
        raise Failure("States.Runtime", f"Invalid path '{rule.get('Variable')}': {cause}")
    for name, test in TESTS.items():
        if name in rule:
            return test(value) == rule[name]
    if "StringMatches" in rule:
        return isinstance(value, str) and _pattern(rule["StringMatches"]).fullmatch(value) is not None
    name = next((name for name in rule if COMPARISON.fullmatch(name)), None)
    if name is None:
        return False
    kind, compare, by_path = COMPARISON.fullmatch(name).groups()
    other = rule[name]
    if by_path:
        there, other = _value(rule[name], data, context)
        if not there:
            cause = "The choice state's condition path references an invalid value."
            raise Failure("States.Runtime", f"Invalid path '{rule[name]}': {cause}")
    one, other = (COMPARABLE[kind](each) for each in (value, other))
    return one is not None and other is not None and OPERATORS[compare](one, other)


def _value(path: str, data: Any, context: dict | None) -> tuple[bool, Any]:
    try:
        return True, find(path, data, context)
    except (Missing, ValueError):
        return False, None


def _pattern(text: str) -> re.Pattern:
    """`*` stands for any text, `\\*` and `\\\\` for themselves."""
    parts = re.split(r"(\\.|\*)", text)
    return re.compile("".join(".*" if each == "*" else re.escape(each.removeprefix("\\")) for each in parts), re.DOTALL)


TESTS: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": upstream._is_num,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": upstream._is_timestamp,
}
COMPARABLE: dict[str, Callable[[Any], Any]] = {
    "String": lambda value: value if isinstance(value, str) else None,
    "Numeric": lambda value: value if upstream._is_num(value) else None,
    "Boolean": lambda value: value if isinstance(value, bool) else None,
    "Timestamp": upstream._parse_ts,
}
