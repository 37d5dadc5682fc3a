"""Changing the emulator's functions from outside, in a way that notices when they are no longer what was patched.

A patch either substitutes a piece of a function's source (`substitute`) or replaces the whole function (`replace`).
Both refuse to start the cloud, naming the file and the function, if the code is not the code the patch was written
for: a substitution because the text it replaces is not there exactly once, a replacement because the fingerprint of
the source differs.
"""

import functools
import hashlib
import importlib.metadata
import inspect
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

SUPPORTED_VERSION = "1.5.33"


class UpstreamChanged(RuntimeError):
    """ministack is not the version, or not the code, that the patches were written for."""


def check_version() -> None:
    """Refuse any version of ministack but the supported one."""
    installed = importlib.metadata.version("ministack")
    if installed != SUPPORTED_VERSION:
        raise UpstreamChanged(
            f"ministack {installed} is installed, but the patches of signalbox_cloud are for {SUPPORTED_VERSION}: "
            "install requirements.txt, or review every patch and change SUPPORTED_VERSION"
        )


def fingerprint(function: Callable) -> str:
    """A short hash of a function's source."""
    return hashlib.sha256(_source(function).encode()).hexdigest()[:12]


def substitute(owner: ModuleType | type, name: str, *pairs: tuple[str, str]) -> Callable:
    """Recompile `owner.name` with each (old, new) pair of text replaced; each old text must be there exactly once."""
    original = _lookup(owner, name)
    source = _source(original)
    for old, new in pairs:
        found = source.count(old)
        if found != 1:
            raise UpstreamChanged(f"{_place(owner, name)}: expected this text once, found it {found} times:\n{old}")
        source = source.replace(old, new)
    # Empty lines in front keep the line numbers of tracebacks close to those of the upstream file.
    padding = "\n" * (original.__code__.co_firstlineno - 1)
    namespace: dict[str, Any] = {}
    exec(compile(padding + source, f"{inspect.getfile(original)} (patched)", "exec"), original.__globals__, namespace)
    patched = namespace[name]
    _rebind(owner, name, original, patched)
    return patched


def replace(owner: ModuleType | type, name: str, replacement: Callable, expected: str) -> None:
    """Put `replacement` in the place of `owner.name`, whose source must have the fingerprint `expected`."""
    original = _lookup(owner, name)
    actual = fingerprint(original)
    if actual != expected:
        raise UpstreamChanged(
            f"{_place(owner, name)} has changed (fingerprint {actual}, expected {expected}): "
            "compare it with the patch, then write the new fingerprint there"
        )
    _rebind(owner, name, original, replacement)


def wrap(owner: ModuleType | type, name: str, around: Callable, expected: str | None) -> None:
    """Like `replace`, with `around`, which gets the original function as its first argument.

    None is expected of a function that another patch has changed, and checked, before.
    """
    original = _lookup(owner, name)

    @functools.wraps(original)
    def wrapped(*args, **kwargs):
        return around(original, *args, **kwargs)

    if expected is None:
        _rebind(owner, name, original, wrapped)
    else:
        replace(owner, name, wrapped, expected)


def provide(module: ModuleType, **names: Any) -> None:
    """Add names to a module, for substituted source to call."""
    for name, value in names.items():
        if hasattr(module, name):
            raise UpstreamChanged(f"{module.__name__} now has a {name} of its own")
        setattr(module, name, value)


def _lookup(owner: ModuleType | type, name: str) -> Callable:
    function = getattr(owner, name, None)
    if not inspect.isfunction(function):
        raise UpstreamChanged(f"{_place(owner, name)}: there is no such function any more")
    return function


def _source(function: Callable) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _place(owner: ModuleType | type, name: str) -> str:
    return f"{inspect.getfile(owner)}: {owner.__name__}.{name}"


def _rebind(owner: ModuleType | type, name: str, original: Callable, patched: Callable) -> None:
    """Replace the function wherever ministack holds it: other modules import it by name or list it in a table."""
    setattr(owner, name, patched)
    for module_name, module in list(sys.modules.items()):
        if module is not None and module_name.partition(".")[0] == "ministack":
            _rebind_in(vars(module), original, patched, depth=2)


def _rebind_in(table: dict, original: Callable, patched: Callable, depth: int) -> None:
    for key, value in list(table.items()):
        if value is original:
            table[key] = patched
        elif depth and type(value) is dict:
            _rebind_in(value, original, patched, depth - 1)
