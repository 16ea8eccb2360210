"""Programs as tasks: any that speaks the messages of `docs/worker.md`, and the built-in tasks of `autoloss`."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from autoloss import _core, _run_settings
from autoloss._bridge import Bridge
from autoloss.task import Branch, Task


class Program(Task):
    """A task whose network, data and metric are a program.

    `command` is a program that speaks the messages of `docs/worker.md`, in any language: a list of words, or a text
    that is split into words as a shell does; no shell runs it. It is started once for screening, and once a worker for
    trainings; on a cluster these are started where the workers are. `folder` is where it runs, by default the folder of
    the process that starts it, `answer_time` the most seconds of an answer that is no training, and `device` is told to
    each process that trains.

    With `task`, the program is `autoloss` itself, or `command` is where it is, and the task is one of its own, such as
    "voc" or "coco-detection". `metric`, `data`, `classes`, `net`, `config` and `preset` are as in `autoloss search`,
    `settings` single ones by their names in its file of settings.

    >>> Program("python3 rare_class.py").command
    ['python3', 'rare_class.py']
    >>> Program(task="digits", metric="miou", settings={"task.training.steps": 50}).command
    ['autoloss', 'worker', '--task', 'digits', '--metric', 'miou', '--set', 'task.training.steps=50']
    """

    def __init__(
        self,
        command: str | Sequence[str] = "autoloss",
        *,
        task: str | None = None,
        metric: str | None = None,
        data: str | os.PathLike[str] | None = None,
        classes: Sequence[str] | None = None,
        net: str | None = None,
        config: str | os.PathLike[str] | None = None,
        preset: str | None = None,
        settings: Mapping[str, Any] | None = None,
        device: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        answer_time: float = 300.0,
    ) -> None:
        options: list[tuple[str, Any]] = [
            ("task", task),
            ("metric", metric),
            # Workers run in other folders.
            ("data", data and os.path.abspath(data)),
            ("classes", classes and ",".join(classes)),
            ("net", net),
            ("config", config and os.path.abspath(config)),
            ("preset", preset),
        ]
        flags = [word for name, value in options if value is not None for word in (f"--{name}", str(value))]
        for name, value in _run_settings.toml(settings or {}):
            flags += ["--set", f"{name}={value}"]
        self.command = _words(command)
        if flags and task is None and config is None:
            raise TypeError(f"Program: {flags[0]} is of built-in tasks, expected `task` or `config` with it")
        if flags:
            self.command += ["worker", *flags]
        self.device = device
        self.folder = None if folder is None else os.path.abspath(folder)
        self.answer_time = _run_settings.seconds("answer_time", answer_time) or 300.0

    def __repr__(self) -> str:
        return f"Program({shlex.join(self.command)!r})"


def _words(command: str | Sequence[str]) -> list[str]:
    try:
        words = shlex.split(command) if isinstance(command, str) else [os.fspath(word) for word in command]
    except ValueError as error:
        raise ValueError(f"Program: `command` is {command!r}, which cannot be split into words: {error}") from error
    if not words:
        raise ValueError("Program: `command` is empty, expected a program and its arguments")
    return words


class ProgramBridge:
    """A program as the search sees it, running for screening."""

    def __init__(self, task: Program, device: str | None = None) -> None:
        self.task = task
        self.owner = repr(task)
        self.device = device or task.device
        self.program = _core.ProgramTask(shlex.join(task.command), task.folder, task.answer_time)
        self.branch_list = [
            Branch(name, channels, "softmax" if softmax else "none", ignore_index)
            for name, channels, softmax, ignore_index, _ in self.program.branches
        ]
        #: Names of the further inputs of each branch, which the program knows alone.
        self.further = {name: further for name, *_, further in self.program.branches}
        self.of_task = tuple(self.branch_list)
        #: The cost of the metric is not known before the search.
        self.forecast: str | None = None

    @property
    def baselines(self) -> list[tuple[str, str]]:
        """(name, formula) of each loss to compare with."""
        return self.program.baselines

    def worker_settings(self, device: str | None = None) -> str:
        """The text that a process which trains is sent first: its device, empty for the program's own choice."""
        return device or self.device or ""

    def cluster_settings(self, gpus: bool) -> str:
        """The same of a worker of a cluster."""
        return self.worker_settings("cuda" if gpus and self.device is None else None)

    def warn(self, message: str) -> None:
        """Tells a person of something that does not end the run."""
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def bridge(task: Task, device: str | None = None) -> Bridge | ProgramBridge:
    """The bridge to a task of either kind."""
    return ProgramBridge(task, device) if isinstance(task, Program) else Bridge(task, device)
