"""Keywords of a search: durations, settings, and the record of the task in a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from autoloss.task import Branch

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(name: str, given: Any) -> float | None:
    """A duration in seconds, of a number of seconds, a timedelta, or a text such as "90s", "5m" and "1h30m".

    >>> seconds("time", "1h30m")
    5400.0
    """
    if given is None:
        return None
    if isinstance(given, timedelta):
        found = given.total_seconds()
    elif isinstance(given, bool) or not isinstance(given, (int, float, str)):
        raise TypeError(f"search: `{name}` is a {type(given).__name__}, expected seconds or a text such as '5m'")
    elif isinstance(given, str):
        if not re.fullmatch(r"(\d+(\.\d+)?[smhd]\s*)+", given.strip()):
            raise ValueError(f"search: `{name}` is {given!r}, expected a duration such as '90s', '5m' or '1h30m'")
        found = sum(float(n) * _UNITS[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)([smhd])", given))
    else:
        found = float(given)
    if not found > 0:
        raise ValueError(f"search: `{name}` is {given!r}, expected a duration above 0")
    return found


def toml(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings as pairs of names and values in TOML; those that are None are left out.

    >>> toml({"seed": 3, "start": ["zoo:focal"], "time": None})
    [('seed', '3'), ('start', '["zoo:focal"]')]
    """
    return [(name, _value(name, value)) for name, value in given.items() if value is not None]


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(str(k))} = {_value(name, v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(name, v) for v in value)}]"
    raise TypeError(f"search: `{name}` is a {type(value).__name__}, expected a number, text, list or dictionary")


def about(branches: Sequence[Branch], further: Mapping[str, Sequence[str]]) -> str:
    """The task as a run records it, in TOML: what a loss of the run needs of its branches.

    `further` are names of inputs by branch that the branches do not hold themselves.
    """
    known = [
        {
            "name": b.name,
            "channels": b.channels,
            "activation": b.activation,
            "ignore_index": b.ignore_index,
            "derived": [*(d.name for d in b.derived), *further.get(b.name, ())],
        }
        for b in branches
    ]
    return f"branches = {json.dumps(json.dumps(known), ensure_ascii=False)}\n"


def recorded(text: str) -> tuple[list[Branch], list[str]]:
    """The branches of a run's record, and the names of all inputs; none of a run of another program."""
    match = re.match(r"branches = (\".*\")$", text, re.MULTILINE)
    if match is None:
        return [], ["yhat", "y"]
    known = json.loads(json.loads(match[1]))
    inputs = ["yhat", "y"]
    branches = []
    for branch in known:
        inputs += [name for name in branch.pop("derived") if name not in inputs]
        branches.append(Branch(**branch))
    return branches, inputs


def without_functions(branches: Sequence[Branch]) -> tuple[Branch, ...]:
    """The branches without their metrics, for losses that are pickled."""
    return tuple(replace(branch, metric=None) for branch in branches)
