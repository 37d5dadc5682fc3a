"""What a stubbed task comes to: which calls an outcome is for. What its fields are is in `stubs`."""

import json
from dataclasses import dataclass
from typing import Any

RESULTS = ("succeed", "fail", "timeOut", "real")
CONDITIONS = ("state", "whenInput", "whenIteration", "execution", "call", "times")
BEFORE = ("delaySeconds", "hold", "submitted")


class BadStub(Exception):
    """A stub that makes no sense; the message names the field."""


@dataclass
class Outcome:
    given: dict
    fits: int = 0
    hits: int = 0

    def takes(self, call: Any) -> bool:
        """Whether this call is one to decide, and if so count it."""
        given = self.given
        if "state" in given and given["state"] != call.original:
            return False
        if "execution" in given and given["execution"] != call.execution:
            return False
        if "whenIteration" in given and given["whenIteration"] != call.iteration:
            return False
        if "whenInput" in given and canonical(given["whenInput"]) != canonical(call.input):
            return False
        self.fits += 1
        if self.fits != given.get("call", self.fits) or self.hits >= given.get("times", self.hits + 1):
            return False
        self.hits += 1
        return True


def checked(outcome: Any) -> dict:
    """An outcome as it was given, if it makes sense."""
    if not isinstance(outcome, dict):
        raise BadStub("outcomes: must be objects")
    if unknown := outcome.keys() - {*CONDITIONS, *BEFORE, *RESULTS}:
        raise BadStub(f"{min(unknown)}: there is no such field of an outcome")
    if len(outcome.keys() & set(RESULTS)) > 1:
        raise BadStub(f"outcomes: {' and '.join(sorted(outcome.keys() & set(RESULTS)))} exclude one another")
    for name in ("whenIteration", "call", "times"):
        value = outcome.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < (name != "whenIteration"):
            raise BadStub(f"{name}: must be a number that counts")
    for name in ("timeOut", "real", "hold"):
        if outcome.get(name, True) is not True:
            raise BadStub(f"{name}: must be true if it is given")
    fail = outcome.get("fail", {})
    if not isinstance(fail, dict) or fail.keys() - {"error", "cause"}:
        raise BadStub("fail: must be an object of error and cause")
    delay = outcome.get("delaySeconds", 0)
    if isinstance(delay, bool) or not isinstance(delay, (int, float)):
        raise BadStub("delaySeconds: must be a number")
    return outcome


def canonical(value: Any) -> str:
    """JSON that is the same for what is the same."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
