"""What is wrong with the definition of a state machine.

These are the diagnostics of ValidateStateMachineDefinition, for which CreateStateMachine and UpdateStateMachine refuse
it.

The codes are those of the API reference. Words and places are as measured on AWS, published at
github.com/floci-io/floci and in the issues of localstack, asl-validator and cfn-lint; where they are not known, it says
so. Checked is what matters to definitions that are put together by a program; not checked are resources, and the values
of most fields.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ministack.services import stepfunctions as upstream

from . import paths

MAX_DEFINITION_LENGTH = 1_048_576
MAX_NAME_LENGTH = 80

COMMON = {"Type", "Comment", "QueryLanguage"}
INPUT_AND_OUTPUT = {"InputPath", "OutputPath", "Output", "Assign"}
RESULT = {"Parameters", "ResultPath", "Next", "End"} | INPUT_AND_OUTPUT
CONTAINER = {"ResultSelector", "Retry", "Catch"} | RESULT
TIMES = {f"{name}{path}" for name in ("TimeoutSeconds", "HeartbeatSeconds") for path in ("", "Path")}
LIMITS = {
    f"{name}{path}"
    for name in ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")
    for path in ("", "Path")
}
FIELDS = {
    "Pass": {"Result"} | RESULT,
    "Task": {"Resource", "Arguments", "Credentials"} | TIMES | CONTAINER,
    "Choice": {"Choices", "Default"} | INPUT_AND_OUTPUT,
    "Wait": {"Seconds", "SecondsPath", "Timestamp", "TimestampPath", "Next", "End"} | INPUT_AND_OUTPUT,
    "Succeed": INPUT_AND_OUTPUT - {"Assign"},
    "Fail": {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": {"Branches", "Arguments"} | CONTAINER,
    "Map": {"ItemProcessor", "Iterator", "ItemSelector", "Items", "ItemsPath", "ItemReader", "ItemBatcher"}
    | {"ResultWriter", "Label"}
    | LIMITS
    | CONTAINER,
}
# Each of which one must be there: one of several, if it has several.
REQUIRED = {
    "Pass": [("Next", "End")],
    "Task": [("Resource",), ("Next", "End")],
    "Choice": [("Choices",)],
    "Wait": [("Seconds", "SecondsPath", "Timestamp", "TimestampPath"), ("Next", "End")],
    "Parallel": [("Branches",), ("Next", "End")],
    "Map": [("ItemProcessor", "Iterator"), ("Next", "End")],
}
OF_JSONPATH = {"InputPath", "OutputPath", "ResultPath", "ResultSelector", "Parameters", "Result", "ItemsPath"}
OF_JSONPATH |= {"SecondsPath", "TimestampPath", "ErrorPath", "CausePath"}
OF_JSONPATH |= {name for name in TIMES | LIMITS if name.endswith("Path")}
OF_JSONATA = {"Output", "Arguments", "Items"}
REGIONS = ("Branches", "ItemProcessor", "Iterator")
TEMPLATES = ("Parameters", "ResultSelector", "ItemSelector", "Assign")
VARIABLE = re.compile(r"[^\W\d]\w{0,79}")

Diagnostic = dict[str, str]


def refusal(definition: Any) -> str | None:
    """Why a definition is refused, as the message of InvalidDefinition."""
    if found := diagnostics(definition):
        listed = (f"{each['code']}: {each['message']} at {each.get('location', 'null')}" for each in found)
        return f"Invalid State Machine Definition: '{', '.join(listed)}'"
    return None


def diagnostics(text: Any) -> list[Diagnostic]:
    """All that is wrong with a definition; nothing if it can be created."""
    try:
        definition = json.loads(text)
        if not isinstance(definition, dict):
            raise ValueError("the definition is no JSON object")
    except (ValueError, TypeError) as error:
        return [_error("INVALID_JSON_DESCRIPTION", str(error))]
    found = list(_region(definition, "", _language(definition, {}), set()))
    # As measured, what is wrong with the fields comes before what is wrong with the graph.
    return found or [*_names(definition, "", set()), *_graph(definition, "")]


def _error(code: str, message: str, location: str | None = None) -> Diagnostic:
    diagnostic = {"severity": "ERROR", "code": code, "message": message}
    return diagnostic if location is None else {**diagnostic, "location": location}


def _schema(message: str, location: str) -> Diagnostic:
    return _error("SCHEMA_VALIDATION_FAILED", message, location or "/")


def _language(has_it: dict, around: dict) -> str:
    return "JSONata" if has_it.get("QueryLanguage", around.get("QueryLanguage")) == "JSONata" else "JSONPath"


def _list(state: dict, name: str) -> list:
    return state[name] if isinstance(state.get(name), list) else []


def _is_object(state: dict, name: str) -> bool:
    return isinstance(state.get(name), dict)


def _within(state: dict) -> Iterator[tuple[str, dict]]:
    """The regions within a state, and where they are in it."""
    for index, branch in enumerate(_list(state, "Branches")):
        yield f"/Branches[{index}]", branch
    for name in REGIONS[1:]:
        if name in state:
            yield f"/{name}", state[name]


# ---------------------------------------------------------------------------------------------------------------------
# Fields
# ---------------------------------------------------------------------------------------------------------------------


def _region(region: Any, place: str, machine_language: str, outer: set[str]) -> Iterator[Diagnostic]:
    """What is wrong with the fields of the states of a region. `outer` has the variables of the scopes around it."""
    if not isinstance(region, dict):
        yield _schema("Value is not an object", place)
        return
    if missing := [name for name in ("StartAt", "States") if name not in region]:
        yield _schema(f"These fields are required: [{', '.join(missing)}]", place)
        return
    if place and "QueryLanguage" in region:
        yield _schema("Field 'QueryLanguage' is not supported", place)
    states = region["States"] if isinstance(region["States"], dict) else {"": region["States"]}
    wrong = [name for name, state in states.items() if not isinstance(state, dict)]
    for name in wrong:
        yield _schema("Value is not an object", f"{place}/States/{name}".rstrip("/"))
    if wrong:
        return
    own = {name for state in states.values() for name in _assigned(state)}
    for name, state in states.items():
        at = f"{place}/States/{name}"
        yield from _state(state, at, machine_language, outer)
        config = state["ItemProcessor"].get("ProcessorConfig", {}) if _is_object(state, "ItemProcessor") else {}
        distributed = config.get("Mode") == "DISTRIBUTED"
        for inner_place, inner in _within(state):
            # AWS: the states of a distributed Map see no variables of the states around it.
            seen = set() if distributed else outer | own
            yield from _region(inner, at + inner_place, machine_language, seen)


def _state(state: dict, place: str, machine_language: str, outer: set[str]) -> Iterator[Diagnostic]:
    kind = state.get("Type")
    if kind not in FIELDS:
        yield _schema("These fields are required: [Type]" if kind is None else f"Unknown state type: {kind}", place)
        return
    language = _language(state, {"QueryLanguage": machine_language})
    if machine_language == "JSONata" and language != "JSONata":
        whole = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
        yield _schema(whole, place)
        return
    for name in state:
        if name not in FIELDS[kind] | COMMON:
            yield _schema(f"Field '{name}' is not supported", place)
    other, of_other = ("JSONPath", OF_JSONPATH) if language == "JSONata" else ("JSONata", OF_JSONATA)
    for name in state.keys() & FIELDS[kind] & of_other:
        but = f"but field '{name}' is only supported for the '{other}' QueryLanguage"
        yield _schema(f"The QueryLanguage is set to '{language}', {but}", place)
    for names in REQUIRED.get(kind, []):
        given = [name for name in names if name in state and state[name] is not False]
        if not given:
            yield _schema(f"These fields are required: [{' or '.join(names)}]", place)
        elif len(given) > 1:
            yield _schema(f"There should only be one of the following fields: [{', '.join(sorted(given))}]", place)
    if language == "JSONata":
        yield from _expressions({name: state[name] for name in state if name not in REGIONS}, place)
    else:
        for source_place, source in _sources(state):
            for name in TEMPLATES:
                if name in source:
                    yield from _template(source[name], f"{place}{source_place}/{name}")
    for source_place, source in _sources(state):
        for name in source["Assign"] if _is_object(source, "Assign") else {}:
            variable = name.removesuffix(".$") if language == "JSONPath" else name
            # The words are a guess.
            if not VARIABLE.fullmatch(variable) or variable == "states":
                yield _schema(f"Variable name '{variable}' is not valid", f"{place}{source_place}/Assign")
            elif variable in outer:
                cause = f"Variable '{variable}' is assigned in an outer scope and cannot be assigned in an inner scope"
                yield _schema(cause, f"{place}{source_place}/Assign")


def _sources(state: dict) -> Iterator[tuple[str, dict]]:
    """What of a state can assign variables: itself, its rules, its catchers."""
    yield "", state
    for name in ("Choices", "Catch"):
        for index, each in enumerate(_list(state, name)):
            if isinstance(each, dict):
                yield f"/{name}[{index}]", each


def _assigned(state: dict) -> Iterator[str]:
    for _place, source in _sources(state):
        for name in source["Assign"] if _is_object(source, "Assign") else {}:
            yield name.removesuffix(".$")


def _template(value: Any, place: str) -> Iterator[Diagnostic]:
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _template(each, f"{place}[{index}]")
    if not isinstance(value, dict):
        return
    for name, each in value.items():
        if not name.endswith(".$"):
            yield from _template(each, f"{place}/{name}")
        elif not isinstance(each, str) or not (each.startswith("States.") or _is_path(each)):
            yield _schema(
                f"The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call",
                f"{place}/{name}",
            )


def _is_path(text: str) -> bool:
    try:
        paths.parse(text)
        return True
    except ValueError:
        return False


def _expressions(value: Any, place: str) -> Iterator[Diagnostic]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _expressions(each, f"{place}/{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _expressions(each, f"{place}[{index}]")
    elif isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        try:
            upstream.jsonata.Jsonata.jsonata(value[2:-2].strip())
        except Exception as error:
            yield _error("INVALID_JSONATA_EXPRESSION", str(error), place)


# ---------------------------------------------------------------------------------------------------------------------
# Names and transitions
# ---------------------------------------------------------------------------------------------------------------------


def _names(region: dict, place: str, seen: set[str]) -> Iterator[Diagnostic]:
    """AWS: names are unique in the whole machine, and have 80 characters at most."""
    for name in region["States"]:
        at = f"{place}/States/{name}"
        if name in seen:
            yield _error("DUPLICATE_STATE_NAME", f"Duplicate State name: {name}", at)
        seen.add(name)
        if len(name) > MAX_NAME_LENGTH:
            limit = f"State '{name}' exceeds the {MAX_NAME_LENGTH}-character limit allowed by the service"
            yield _error("INVALID_STATE_NAME", f"Invalid State name: {limit}", at)
    for name, state in region["States"].items():
        for inner_place, inner in _within(state):
            yield from _names(inner, f"{place}/States/{name}{inner_place}", seen)


def _graph(region: dict, place: str) -> Iterator[Diagnostic]:
    """Transitions to where there is no state, no end, and states that nothing leads to.

    As measured: whatever the field, the missing target is one of 'Next', and without an end only such targets are
    told of besides.
    """
    states = region["States"]
    if region["StartAt"] not in states:
        yield _missing(region["StartAt"], f"{place}/StartAt")
    for name, state in states.items():
        for where, target in _transitions(state):
            if target not in states:
                yield _missing(target, f"{place}/States/{name}{where}")
    if not any(state.get("End") is True or state["Type"] in ("Succeed", "Fail") for state in states.values()):
        yield _error("MISSING_END_STATE", "Workflow has no terminal state")
    else:
        reached = _reached(region["StartAt"], states)
        for name in states:
            if name not in reached:
                at = f"{place}/States/{name}"
                yield _error("MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', at)
    for name, state in states.items():
        for inner_place, inner in _within(state):
            yield from _graph(inner, f"{place}/States/{name}{inner_place}")


def _missing(target: str, location: str) -> Diagnostic:
    return _error("MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {target}", location)


def _transitions(state: dict) -> Iterator[tuple[str, str]]:
    for name in ("Next", "Default"):
        if name in state:
            yield f"/{name}", state[name]
    for where, each in _sources(state):
        if where:
            yield f"{where}/Next", each.get("Next", "null")


def _reached(start: str, states: dict) -> set[str]:
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in states and name not in reached:
            reached.add(name)
            waiting += (target for _where, target in _transitions(states[name]))
    return reached
