"""What a state makes of its input and its result: its output and its variables, in JSONPath and in JSONata.

AWS: all expressions of a state see the variables as they were when it was entered, those of Assign among themselves
and those of Output and OutputPath, too. Takes the place of the emulator's, which assigns one after the other, in
JSONata states alone, and reads the language of a rule or a catcher off the machine instead of the state.
"""

from typing import Any

from ministack.services import stepfunctions as upstream

from . import executions, paths
from .executions import Branch
from .task_events import Failure

# AWS: what a state gives on, and what it assigns, has 256 KiB, all variables of an execution 10 MiB.
MAX_DATA_BYTES = 262_144
MAX_VARIABLES_BYTES = 10_485_760


def is_jsonata(state: dict, context: dict) -> bool:
    return upstream._state_query_language(state, context) == "JSONata"


def effective_input(state: dict, data: Any, context: dict) -> Any:
    """What the paths of a JSONPath state start from."""
    return {} if state.get("InputPath", "$") is None else paths.resolve(state.get("InputPath", "$"), data, context)


def arguments(state: dict, data: Any, context: dict) -> Any:
    """What a Task or the branches of a Parallel state are given."""
    if is_jsonata(state, context):
        return upstream._apply_jsonata_arguments(state, data, context)
    effective = effective_input(state, data, context)
    return paths.template(state["Parameters"], effective, context) if "Parameters" in state else effective


def output_of_result(branch: Branch, state: dict, data: Any, context: dict, result: Any) -> Any:
    """The output of a Task, Parallel or Map state that has a result."""
    if is_jsonata(state, context):
        output = upstream._apply_jsonata_output(state, data, context, result=result, default=result)
        assigned = _jsonata_assign(state, data, context, result=result)
    else:
        # As recorded: Assign sees the result itself, whatever ResultSelector makes of it.
        selected = paths.template(state["ResultSelector"], result, context) if "ResultSelector" in state else result
        output = _output(state, paths.put(state.get("ResultPath", "$"), data, selected), context)
        assigned = paths.template(state.get("Assign", {}), result, context)
    if is_too_large(output):
        raise too_large(context["State"]["Name"])
    _assign(branch, context, assigned)
    return output


def output_of_pass(branch: Branch, state: dict, data: Any, context: dict) -> Any:
    if is_jsonata(state, context):
        output = upstream._apply_jsonata_output(state, data, context, default=data)
        _assign(branch, context, _jsonata_assign(state, data, context, result=output))
        return output
    result = state["Result"] if "Result" in state else arguments(state, data, context)
    output = _output(state, paths.put(state.get("ResultPath", "$"), data, result), context)
    _assign(branch, context, paths.template(state.get("Assign", {}), result, context))
    return output


def output_of_input(branch: Branch, state: dict, data: Any, context: dict, rule: dict | None = None) -> Any:
    """The output of a Wait or a Succeed state, or of a Choice state.

    AWS: a rule that applies has its own Assign and Output, and those of the state are for its Default.
    """
    source = state if rule is None else rule
    if is_jsonata(state, context):
        output = upstream._apply_jsonata_output(source, data, context, default=data)
        _assign(branch, context, _jsonata_assign(source, data, context))
        return output
    effective = effective_input(state, data, context)
    output = _output(state, effective, context)
    _assign(branch, context, paths.template(source.get("Assign", {}), effective, context))
    return output


def output_of_error(branch: Branch, state: dict, catcher: dict, data: Any, context: dict, failure: Exception) -> Any:
    """The output of a state whose failure is caught."""
    error = {"Error": failure.error, "Cause": failure.cause}
    if is_jsonata(state, context):
        output = upstream._apply_jsonata_output(catcher, data, context, error_output=error, default=error)
        assigned = _jsonata_assign(catcher, data, context, error_output=error)
    else:
        output = paths.put(catcher.get("ResultPath", "$"), data, error)
        assigned = paths.template(catcher.get("Assign", {}), error, context)
    _assign(branch, context, assigned)
    return output


def is_too_large(value: Any) -> bool:
    """Whether it is too large to be a state's output, or a task's."""
    return _size(value) > MAX_DATA_BYTES


def too_large(what: str) -> Failure:
    """What a state fails with whose output is too large, or whose task's result is."""
    cause = "returned a result with a size exceeding the maximum number of bytes service limit."
    return Failure("States.DataLimitExceeded", f"The state/task '{what}' {cause}")


def _size(value: Any) -> int:
    return len(executions.compact(value).encode("utf-8", "surrogatepass"))


def _output(state: dict, value: Any, context: dict) -> Any:
    path = state.get("OutputPath", "$")
    return {} if path is None else paths.resolve(path, value, context)


def _jsonata_assign(source: dict, data: Any, context: dict, **bound: Any) -> dict:
    return upstream._apply_jsonata_template(source.get("Assign", {}), data, context, **bound)


def _assign(branch: Branch, context: dict, assigned: dict) -> None:
    if not assigned:
        return
    variables = {**context["variables"], **assigned}
    # The error and its words are a guess: AWS documents the limits alone.
    if is_too_large(assigned) or _size(variables) > MAX_VARIABLES_BYTES:
        raise too_large(context["State"]["Name"])
    context["variables"] = variables
    branch.assigned |= assigned.keys()
