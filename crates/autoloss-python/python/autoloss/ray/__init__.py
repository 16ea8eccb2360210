"""Trainings on a cluster of Ray: each worker is an actor with a process of its own, one training at a time.

Workers join and leave while a search runs; the search, its screening and its record stay with the program that calls
it. An actor that dies, or whose node does, loses its training, which another one makes again, at most five times.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autoloss import _run_settings

if TYPE_CHECKING:
    from autoloss._bridge import Bridge
    from autoloss._core import Ear
    from autoloss.program import ProgramBridge

#: Seconds that an actor waits for a line of its process before it answers with none.
PATIENCE = 5.0

#: Seconds between two looks at the nodes of the cluster.
LOOK = 1.0

#: Seconds that a cluster's address is tried.
REACH = 5.0

#: Lines of a process's error output that its end tells.
SHOWN = 5


@dataclass(frozen=True)
class Ray:
    """The workers of a search on a cluster: `search(task, executor=Ray(...))`.

    `address` is that of a running cluster, "auto" for the one of this machine; without one, the cluster that the
    program is connected to, or else one of this machine for as long as the search runs. `num_cpus`, `num_gpus` and
    `resources` are what each worker takes; fractions of a GPU share it. `workers` is their number, or "all" for as many
    as fit, which follows the cluster. `runtime_env` is Ray's, for modules and packages that workers need;
    `time_limit` the longest time of one training.
    """

    address: str | None = None
    workers: int | str = "all"
    num_cpus: float = 1
    num_gpus: float = 0
    resources: Mapping[str, float] = field(default_factory=dict)
    time_limit: float | str | None = None
    runtime_env: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        count = self.workers
        if count != "all" and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"Ray: `workers` is {count!r}, expected a number of at least 1 or 'all'")
        for name, amount in self.needs().items():
            if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0:
                raise ValueError(f"Ray: `{name}` is {amount!r}, expected an amount of at least 0")
        if not any(self.needs().values()):
            raise ValueError("Ray: workers that take nothing are without number, expected `num_cpus` above 0 or others")

    def needs(self) -> dict[str, float]:
        """Resources that a worker takes, by the names of the cluster's resources."""
        return {"CPU": self.num_cpus, "GPU": self.num_gpus, **self.resources}

    @contextmanager
    def crew(self, bridge: Bridge | ProgramBridge) -> Iterator[tuple[Workplace, list[str], float | None]]:
        """The workers of a search for as long as it runs."""
        ray = _ray()
        limit = _run_settings.seconds("time_limit", self.time_limit)
        own = _connect(ray, self)
        place = None
        try:
            place = Workplace(ray, self, _payload(ray, bridge))
            yield place, [bridge.cluster_settings(self.num_gpus > 0)], limit
        finally:
            if place is not None:
                place.close()
            if own:
                ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "autoloss.ray needs Ray, which is not installed: pip install 'autoloss[ray]', or pip install ray"
        ) from error
    return ray


def _connect(ray: Any, options: Ray) -> bool:
    """Connects to the cluster; whether the connection is the search's own."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _check_reachable(options.address)
    try:
        ray.init(address=options.address or "local", log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, SystemExit) as error:
        # Ray ends the process, too, where something else listens there.
        raise ConnectionError(f"Ray: no cluster can be reached at {options.address!r}: {error}") from error
    return True


def _check_reachable(address: str | None) -> None:
    """Refuses an address at which nobody listens: Ray itself tries it for minutes, and then ends the process."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()
    except OSError as error:
        raise ConnectionError(f"Ray: no cluster can be reached at {address!r}: {error}") from error


#: Description of the process that an actor starts: a pickled task, or the command and folder of a program.
Payload = bytes | tuple[list[str], str | None]


def _payload(ray: Any, bridge: Bridge | ProgramBridge) -> Payload:
    """The task with its data, and where this program finds its modules; of a program its command."""
    import pickle

    from autoloss.program import ProgramBridge

    if isinstance(bridge, ProgramBridge):
        return bridge.task.command, bridge.task.folder
    try:
        task = ray.cloudpickle.dumps(bridge.task)
    except Exception as error:
        raise TypeError(f"search: the task {bridge.owner} cannot be pickled, which workers need ({error})") from error
    return pickle.dumps(({"sys_path": list(sys.path)}, task))


class Workplace:
    """The actors of a search."""

    def __init__(self, ray: Any, options: Ray, payload: Payload) -> None:
        self.ray = ray
        self.options = options
        self.payload = ray.put(payload)
        self.actor = ray.remote(
            concurrency_groups={"put": 1, "take": 1}, max_restarts=0, max_task_retries=0, num_cpus=options.num_cpus
        )(Actor)
        self.workers: dict[Any, Worker] = {}
        self.changed = threading.Condition()
        self.closed = threading.Event()
        self.places = self._places()
        if self.places == 0:
            raise ValueError(self._too_small())
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._look)]
        for thread in self.threads:
            thread.start()

    # Calls of the search.

    def count(self) -> int:
        """Workers that fit the cluster now, or as many as were asked for."""
        return self.places if self.options.workers == "all" else int(self.options.workers)

    def start(self, place: int, ear: Ear) -> Worker:
        """Starts an actor; it waits for room where there is none."""
        options = self.options
        actor = self.actor.options(
            num_gpus=options.num_gpus, resources=dict(options.resources), runtime_env=options.runtime_env
        ).remote(self.payload)
        worker = Worker(self, actor, ear)
        self._take(worker)
        return worker

    # The actors' lines.

    def _take(self, worker: Worker) -> None:
        """Asks an actor for its next lines."""
        reference = worker.actor.lines.remote()
        with self.changed:
            self.workers[reference] = worker
            self.changed.notify()

    def _listen(self) -> None:
        while True:
            with self.changed:
                while not self.workers and not self.closed.is_set():
                    self.changed.wait()
                if self.closed.is_set():
                    return
                asked = list(self.workers)
            ready, waiting = self.ray.wait(asked, num_returns=1, timeout=0.2)
            if ready and waiting:
                ready += self.ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
            for reference in ready:
                with self.changed:
                    worker = self.workers.pop(reference)
                self._hear(worker, reference)

    def _hear(self, worker: Worker, reference: Any) -> None:
        try:
            lines, end = self.ray.get(reference)
        except Exception as error:  # Ray's own, of many kinds: whatever it is, the actor is of no more use.
            worker.over(f"its actor is gone ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
            return
        for line in lines:
            if not worker.ear.line(line):
                end = end or "it is of no more use"
                break
        if end is None:
            self._take(worker)
        else:
            worker.over(end)

    # The nodes.

    def _places(self) -> int:
        needs = {name: amount for name, amount in self.options.needs().items() if amount > 0}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return sum(int(min(have.get(name, 0) / amount + 1e-9 for name, amount in needs.items())) for have in nodes)

    def _look(self) -> None:
        while not self.closed.wait(LOOK):
            try:
                self.places = self._places()
            except Exception:  # The cluster is gone; its actors tell it.
                return

    def _too_small(self) -> str:
        needs = ", ".join(f"{amount:g} {name}" for name, amount in self.options.needs().items() if amount)
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        names = ["CPU", "GPU", *self.options.resources]
        have = "; ".join(", ".join(f"{node.get(name, 0):g} {name}" for name in names) for node in nodes)
        return f"Ray: no node of the cluster has room for a worker, which takes {needs}; the nodes have {have}"

    def close(self) -> None:
        """Ends all actors."""
        with self.changed:
            self.closed.set()
            workers = list(self.workers.values())
            self.changed.notify()
        for worker in workers:
            worker.end()
        for thread in self.threads:
            thread.join(LOOK + 1)


class Worker:
    """An actor and the ear of the search for it."""

    def __init__(self, place: Workplace, actor: Any, ear: Ear) -> None:
        self.place = place
        self.actor = actor
        self.ear = ear

    def send(self, line: str) -> None:
        """Sends a line to the actor's process."""
        self.actor.put.remote(line)

    def kill(self) -> None:
        """Ends the actor with its process."""
        self.place.ray.kill(self.actor)

    end = kill

    def over(self, reason: str) -> None:
        """Tells the actor's end."""
        self.kill()
        self.ear.ended(reason)


class Actor:
    """A process that trains for the search, where Ray has room for it; the process ends with the actor."""

    def __init__(self, payload: Payload) -> None:
        self.written: queue.Queue[str | None] = queue.Queue()
        self.said: list[str] = []
        self.threads: list[threading.Thread] = []
        self.process: Any = None
        if isinstance(payload, bytes):
            self.folder = tempfile.TemporaryDirectory(prefix="autoloss-")
            path = os.path.join(self.folder.name, "task.pickle")
            with open(path, "wb") as file:
                file.write(payload)
            command, folder = [sys.executable, "-m", "autoloss._worker", path], None
        else:
            command, folder = payload
        try:
            self._start(command, folder)
        except OSError as error:
            reason = f"{command[0]} cannot be started on {socket.gethostname()}: {error}"
            self.written.put(json.dumps({"refused": {"reason": reason}}))
            self.written.put(None)

    def _start(self, command: list[str], folder: str | None) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._keep)]
        for thread in self.threads:
            thread.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.written.put(line.rstrip("\n"))
        self.written.put(None)

    def _keep(self) -> None:
        for line in self.process.stderr:
            self.said = [*self.said, line.rstrip()][-SHOWN:]

    def put(self, line: str) -> None:
        """Hands a line to the process; one that has ended says so by its output."""
        if self.process is None:
            return
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except OSError:
            pass

    def lines(self) -> tuple[list[str], str | None]:
        """Lines that the process wrote since, after a wait for the first; and its end in words, if it has ended."""
        lines: list[str] = []
        try:
            written = self.written.get(timeout=PATIENCE)
            while written is not None:
                lines.append(written)
                written = self.written.get_nowait()
        except queue.Empty:
            return lines, None
        for thread in self.threads[1:]:
            thread.join(0.2)
        return lines, "it ended" + (f": {' | '.join(self.said)}" if self.said else " without a word")


Actor.put.__ray_concurrency_group__ = "put"  # type: ignore[attr-defined]
Actor.lines.__ray_concurrency_group__ = "take"  # type: ignore[attr-defined]


def _end_with_parent() -> None:
    """Asks Linux to end this process with its parent, however that ends."""
    import ctypes
    import signal

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
