"""The context object: `$$` and `$states.context`."""

from typing import Any

from ministack.services import stepfunctions as upstream

from . import executions, patching


def apply() -> None:
    patching.provide(upstream, _context_object=context_object)
    patching.substitute(upstream, "_evaluate_jsonata", ('"context": ctx,', '"context": _context_object(ctx),'))
    # As recorded: the cause shows the expression, and its value as AWS writes JSON.
    patching.provide(upstream, _expression_of=expression_of, _value_shown=executions.compact)
    patching.substitute(
        upstream,
        "_jsonata_state_field",
        ("The JSONata expression specified", "The JSONata expression{_expression_of(state_def[field])} specified"),
        ("for value: {json.dumps(value)}", "for value: {_value_shown(value)}"),
    )


def expression_of(value: Any) -> str:
    is_expression = isinstance(value, str) and value.startswith("{%") and value.endswith("%}")
    return f" '{value[2:-2].strip()}'" if is_expression else ""


def context_object(context: dict) -> dict:
    """What `$$` and `$states.context` are: not the emulator's own notes beside it. To the emulator, `$$` is null."""
    names = ("Execution", "StateMachine", "State", "Task", "Map")
    return {name: context[name] for name in names if name in context}
