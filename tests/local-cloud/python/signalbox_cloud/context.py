"""The context object: `$$` and `$states.context`."""

from ministack.services import stepfunctions as upstream

from . import patching


def apply() -> None:
    patching.provide(upstream, _context_object=context_object)
    patching.substitute(upstream, "_evaluate_jsonata", ('"context": ctx,', '"context": _context_object(ctx),'))
    # AWS: `$$` alone is the whole object; to the emulator it is null.
    patching.substitute(
        upstream,
        "_resolve_ctx_path",
        ('if not path.startswith("$$."):', 'if not path.startswith("$$"):'),
        ("_resolve_path(path[1:], ctx)", "_resolve_path(path[1:], _context_object(ctx))"),
    )
    patching.substitute(upstream, "_resolve_path_or_ctx", ('if path.startswith("$$."):', 'if path.startswith("$$"):'))
    patching.substitute(
        upstream, "_resolve_params_obj", ('elif value.startswith("$$."):', 'elif value.startswith("$$"):')
    )


def context_object(context: dict) -> dict:
    """What `$$` and `$states.context` are: not the emulator's own notes beside it."""
    names = ("Execution", "StateMachine", "State", "Task", "Map")
    return {name: context[name] for name in names if name in context}
