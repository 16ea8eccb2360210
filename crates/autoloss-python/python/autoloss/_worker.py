"""Worker processes: this package, run by the search to train the user's task in a process of its own."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autoloss._bridge import Bridge
from autoloss._core import __version__
from autoloss.program import ProgramBridge

if TYPE_CHECKING:
    from autoloss.ray import Ray, Workplace

Crew = tuple[list[str], str | None, list[str], float | None, bool]
Elsewhere = tuple["Workplace", list[str], float | None]


@contextmanager
def crew(
    bridge: Bridge | ProgramBridge,
    workers: int,
    devices: Sequence[str | None],
    time_limit: float | None,
    executor: Ray | None = None,
) -> Iterator[Crew | Elsewhere | None]:
    """The workers of a search: None where one worker trains in this process."""
    if executor is not None:
        if not hasattr(executor, "crew"):
            raise TypeError(f"search: `executor` is a {type(executor).__name__}, expected autoloss.Ray(...) or None")
        if workers != 1 or list(devices) != [None] or time_limit is not None:
            raise ValueError(
                "search: `workers`, `device` and `time_limit` are given beside `executor`, which has its own"
            )
        with executor.crew(bridge) as elsewhere:
            yield elsewhere
        return
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"search: `workers` is {workers!r}, expected a whole number of at least 1")
    count = max(workers, len(devices))
    names = [devices[number % len(devices)] or bridge.device for number in range(count)]
    settings = [bridge.worker_settings(device) for device in names]
    shares_cores = all(device is None or device.startswith(("cpu", "flex")) for device in names)
    if isinstance(bridge, ProgramBridge):
        yield bridge.task.command, bridge.task.folder, settings, time_limit, shares_cores
        return
    if count == 1 and time_limit is None:
        yield None
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="autoloss-") as folder:
        path = os.path.join(folder, "task.pickle")
        with open(path, "wb") as file:
            file.write(_pickled(bridge))
        yield [sys.executable, "-m", "autoloss._worker", path], None, settings, time_limit, shares_cores


def _pickled(bridge: Bridge) -> bytes:
    """The task, and what a new interpreter needs to find its class."""
    main = sys.modules["__main__"]
    if type(bridge.task).__module__ == "__main__" and not hasattr(main, "__file__"):
        raise TypeError(
            f"search: the class {bridge.owner} is defined in a notebook or a prompt, where processes do not find it; "
            "define it in a module and import it, or use workers=1"
        )
    try:
        task = pickle.dumps(bridge.task)
    except Exception as error:
        raise TypeError(
            f"search: the task {bridge.owner} cannot be pickled, which processes need ({error}); define it and its "
            "functions at the top of a module, not in a function or as a lambda, or use workers=1"
        ) from error
    from multiprocessing import spawn

    preparation = spawn.get_preparation_data("autoloss worker")
    # A secret between processes that talk through multiprocessing, which these do not.
    preparation.pop("authkey", None)
    return pickle.dumps((preparation, task))


def _open(settings: str) -> Bridge:
    """The bridge to the task of a search."""
    about = json.loads(settings)
    if about["version"] != __version__:
        raise RuntimeError(
            f"the search is of autoloss {about['version']}, this worker of {__version__}: install the same version of "
            "the package on all machines"
        )
    with open(sys.argv[1], "rb") as file:
        preparation, task = pickle.load(file)
    from multiprocessing import spawn

    spawn.prepare(preparation)
    return Bridge(pickle.loads(task), about["device"])


def main() -> None:
    """Trains the task of the file that the command names, until the search ends."""
    from autoloss import _core

    # Ctrl-C reaches all processes of a terminal; the search's own ends the trainings in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The standard output is the search's: what the user's code prints goes to the standard error.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    _core.serve(_open, answers)


if __name__ == "__main__":
    # Under its own name, so that classes of the package are there once.
    from autoloss._worker import main as run

    run()
