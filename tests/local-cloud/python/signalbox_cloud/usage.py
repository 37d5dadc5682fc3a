"""What AWS would bill for: state transitions, reads and writes of DynamoDB, invocations of functions."""

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass


@dataclass
class Units:
    """What DynamoDB bills for a table and its indexes."""

    write_units: float = 0
    read_units: float = 0
    writes: int = 0
    reads: int = 0

    def add(self, write_units: float = 0, read_units: float = 0, writes: int = 0, reads: int = 0) -> None:
        self.write_units += write_units
        self.read_units += read_units
        self.writes += writes
        self.reads += reads

    def shown(self) -> dict:
        return {
            "writeUnits": _as_integer(self.write_units),
            "readUnits": _as_integer(self.read_units),
            "writes": self.writes,
            "reads": self.reads,
        }


def _as_integer(number: float) -> float:
    return int(number) if number == int(number) else number


_lock = threading.Lock()
# By account, and by state machine, function or table.
_transitions: defaultdict[str, Counter[str]] = defaultdict(Counter)
_invocations: defaultdict[str, Counter[str]] = defaultdict(Counter)
_tables: defaultdict[str, defaultdict[str, Units]] = defaultdict(lambda: defaultdict(Units))


def transition(execution: dict) -> None:
    """Count a state transition.

    AWS: "Step Functions counts a state transition each time a step of your workflow is executed", retries included
    (aws.amazon.com/step-functions/pricing), and "Execution redrives are considered as state transitions" (Redriving
    executions). The start is none.
    """
    parts = execution["stateMachineArn"].split(":")
    with _lock:
        # A child of a distributed Map runs `machine/label`.
        _transitions[parts[4]][parts[6].partition("/")[0]] += 1


def invocation(account: str, function: str) -> None:
    """Count an invocation of a function, by whomever."""
    with _lock:
        _invocations[account][function] += 1


def dynamodb(account: str, tables: dict[str, Units]) -> None:
    """Count what a call of DynamoDB costs its tables."""
    with _lock:
        for name, units in tables.items():
            _tables[account][name].add(**vars(units))


def of_account(account: str) -> dict:
    with _lock:
        return {
            "transitions": dict(_transitions[account]),
            "dynamodb": {name: units.shown() for name, units in _tables[account].items()},
            "lambda": dict(_invocations[account]),
        }


def reset(account: str) -> None:
    with _lock:
        for counts in (_transitions, _invocations, _tables):
            counts.pop(account, None)
