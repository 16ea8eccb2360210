"""The task of a user as the search sees it: checked, and in the search's own terms."""

from __future__ import annotations

import inspect
import json
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from autoloss import _run_settings, _samples
from autoloss._batch import Batch
from autoloss._core import Loss, Metric, __version__
from autoloss._scorer import Scorer, number
from autoloss._timed import Timed
from autoloss.task import METRIC_INPUTS, Branch, Derived, Evaluation, Task

#: Calls of the metric for 100,000 random losses, from few to many that get so far in screening.
CALLS = (2_400, 14_000)

#: Seconds of metric calls for 100,000 random losses above which people are told.
SLOW = 60.0


class StoredSample:
    """One sample of the search: its branches, and the functions that score predictions for them."""

    def __init__(self, branches: list[StoredBranch], score: Metric | Scorer) -> None:
        self.branches = branches
        self.score = score


class StoredBranch:
    """One branch of a sample: arrays (N, C, spatial) by input, the derived inputs' functions, and a metric."""

    def __init__(self, stored: _samples.Stored, derived: DerivedInputs | None, score: Any) -> None:
        self.prediction = stored.prediction
        self.target = stored.target
        self.labels = np.ascontiguousarray(stored.given, np.int64) if stored.labels else None
        self.derived = derived
        self.score = score


class DerivedInputs:
    """The derived inputs of one branch of a sample, as functions of the prediction alone."""

    def __init__(self, where: str, derived: Sequence[Derived], y: np.ndarray) -> None:
        self.where = where
        self.derived = list(derived)
        self.y = y.astype(np.float64)

    def values(self, yhat: np.ndarray) -> list[np.ndarray]:
        """The derived inputs at a prediction (N, C, spatial), float64."""
        return [self._checked(d.name, d.value(yhat, self.y), yhat) for d in self.derived]

    def pull_back(self, yhat: np.ndarray, gradients: Sequence[np.ndarray | None]) -> np.ndarray:
        """The gradient for the prediction from those of the derived inputs."""
        total = np.zeros_like(yhat)
        for derived, gradient in zip(self.derived, gradients, strict=True):
            if gradient is not None:
                total += self._pulled(derived, yhat, gradient)
        return total

    def _pulled(self, derived: Derived, yhat: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        if derived.pull_back is not None:
            return self._checked(f"{derived.name}.pull_back", derived.pull_back(yhat, self.y, gradient), yhat)
        import torch

        prediction = torch.from_numpy(yhat).requires_grad_()
        value = derived.value(prediction, torch.from_numpy(self.y))
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"{self.where}: `{derived.name}` gave a {type(value).__name__} for torch tensors, expected a tensor; "
                "or give Derived a `pull_back`"
            )
        (pulled,) = torch.autograd.grad(value, prediction, torch.from_numpy(gradient), allow_unused=True)
        return np.zeros_like(yhat) if pulled is None else pulled.numpy()

    def _checked(self, name: str, value: Any, yhat: np.ndarray) -> np.ndarray:
        value = _samples.array(value)
        if value.shape != yhat.shape:
            raise ValueError(f"{self.where}: `{name}` has shape {value.shape}, expected {yhat.shape}")
        return np.ascontiguousarray(value, np.float64)


class Bridge:
    """A user's task; what it returns is checked and named here."""

    def __init__(self, task: Task, device: str | None = None) -> None:
        if isinstance(task, type) and issubclass(task, Task):
            raise TypeError(f"search: `task` is the class {task.__name__}, expected an object: {task.__name__}()")
        if not isinstance(task, Task):
            raise TypeError(f"search: `task` is a {type(task).__name__}, expected an autoloss.Task")
        self.task = task
        self.owner = type(task).__name__
        self.branch_list = _branches(self.owner, task)
        #: Names of inputs that the branches do not hold themselves, by branch: none.
        self.further: dict[str, list[str]] = {}
        self.device = device or task.device or _device()
        self.name = _text(self.owner, "name", task.name) or self.owner
        self.metric_name = _text(self.owner, "metric_name", task.metric_name) or "metric"
        self.metric_input = task.metric_input
        if self.metric_input not in METRIC_INPUTS:
            raise ValueError(f"{self.owner}.metric_input is {self.metric_input!r}, expected one of {METRIC_INPUTS}")
        limit = task.metric_timeout
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0):
            raise ValueError(f"{self.owner}.metric_timeout is {limit!r}, expected seconds above 0 or None")
        self.timed: dict[str, Timed] = {}
        #: The cost of the metric in words, once the task was checked; None where the metric is native.
        self.forecast: str | None = None
        for method, arguments in (("screening_samples", 2), ("metric", 2), ("evaluate", 2)):
            _check_method(task, method, arguments)
        #: `metric_batch` where screening asks it: the task has its own, and screening asks `metric`.
        self.batch: Batch | None = None
        if _is_own(task, "metric_batch"):
            _check_method(task, "metric_batch", 2)
            if task.screening_metric is None:
                self.batch = Batch(f"{self.owner}.metric_batch", task.metric_batch, limit)
        self.of_task = _run_settings.without_functions(self.branch_list)
        self._samples: tuple[tuple[int, int], list[StoredSample]] | None = None

    @property
    def branches(self) -> list[tuple[str, int, bool, list[str]]]:
        """(name, channels, whether it is a softmax, names of the derived inputs) of each branch."""
        return [(b.name, b.channels, b.activation == "softmax", [d.name for d in b.derived]) for b in self.branch_list]

    @property
    def fingerprint(self) -> str:
        """The user's text that tells their data from others."""
        return _text(self.owner, "fingerprint()", self.task.fingerprint())

    def worker_settings(self, device: str | None = None) -> str:
        """The text that a worker is sent first: its device, and the version of the package."""
        return json.dumps({"device": device or self.device, "version": __version__})

    def cluster_settings(self, gpus: bool) -> str:
        """The same of a worker of a cluster."""
        return self.worker_settings(self.task.device or ("cuda" if gpus else "cpu"))

    @property
    def baselines(self) -> list[tuple[str, str]]:
        """(name, formula or name of the zoo) of each loss to compare with."""
        names = self.task.baselines
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise TypeError(f"{self.owner}.baselines is a {type(names).__name__}, expected a list of losses")
        found = []
        for given in names:
            text = str(given) if isinstance(given, Loss) else given
            if not isinstance(text, str):
                raise TypeError(f"{self.owner}.baselines holds a {type(given).__name__}, expected formulas or names")
            zoo = text.isidentifier() and len(self.branch_list) == 1
            found.append((text.removeprefix("zoo:"), f"zoo:{text}" if zoo else text))
        return found

    def samples(self, count: int, seed: int) -> list[StoredSample]:
        """The screening samples; asked for once."""
        if self._samples is None or self._samples[0] != (count, seed):
            self._samples = ((count, seed), self._make_samples(count, seed))
        return self._samples[1]

    def _make_samples(self, count: int, seed: int) -> list[StoredSample]:
        where = f"{self.owner}.screening_samples"
        given = self.task.screening_samples(count, seed)
        if isinstance(given, (str, bytes, dict)) or not isinstance(given, Sequence):
            raise TypeError(f"{where} returned a {type(given).__name__}, expected a list of {count} autoloss.Sample")
        if len(given) != count:
            raise ValueError(f"{where} returned {len(given)} samples, expected {count}")
        return [self._sample(f"{where}: sample {number}", sample) for number, sample in enumerate(given)]

    def _sample(self, where: str, sample: Any) -> StoredSample:
        pairs = _samples.parts(where, sample, self.branch_list)
        branches, targets = [], {}
        for branch, (prediction, target) in zip(self.branch_list, pairs, strict=True):
            place = f"{where}, branch `{branch.name}`" if len(pairs) > 1 else where
            stored = _samples.stored(place, branch, prediction, target, sample.from_logits)
            targets[branch.name] = stored.given
            derived = DerivedInputs(place, branch.derived, stored.target) if branch.derived else None
            score: Any = branch.metric
            if score is not None and not isinstance(score, Metric):
                score = self._python_scorer(f"Branch('{branch.name}').metric", branch.metric, None, stored.given)
            branches.append(StoredBranch(stored, derived, score))
        return StoredSample(branches, self._scorer(targets))

    def _scorer(self, targets: dict[str, np.ndarray]) -> Any:
        own = self.task.screening_metric
        if isinstance(own, Metric):
            if len(targets) > 1:
                raise TypeError(f"{self.owner}.screening_metric is {own!r}, expected a function of all branches")
            return own
        name, metric = ("metric", self.task.metric) if own is None else ("screening_metric", own)
        by_branch = self.task._by_branch or len(targets) > 1
        names = list(targets) if by_branch else None
        target = targets if by_branch else next(iter(targets.values()))
        return self._python_scorer(f"{self.owner}.{name}", metric, names, target)

    def _python_scorer(self, where: str, metric: Any, names: list[str] | None, target: Any) -> Scorer:
        if self.task.metric_timeout is not None:
            metric = self.timed.setdefault(where, Timed(where, metric, self.task.metric_timeout))
        return Scorer(where, metric, names, target)

    def check(self, count: int, seed: int) -> str | None:
        """Tries the task's methods before the run begins and forecasts the metric's cost; a remark on a slow one."""
        self.task.check()
        tried: list[tuple[float, str]] = []
        asked: list[tuple[Scorer, list[np.ndarray]]] = []
        scores: list[float] = []
        for place, sample in enumerate(self.samples(count, seed)):
            where = f"sample {place}"
            for branch in sample.branches:
                if branch.derived is not None:
                    values = branch.derived.values(branch.prediction.astype(np.float64))
                    branch.derived.pull_back(branch.prediction.astype(np.float64), values)
                if isinstance(branch.score, Metric):
                    self._check_native(where, branch.score, branch)
                elif branch.score is not None:
                    self._try(where, branch.score, [branch])
            if isinstance(sample.score, Metric):
                self._check_native(where, sample.score, sample.branches[0])
                continue
            seconds, found = self._try(where, sample.score, sample.branches)
            tried.append((seconds, sample.score.where))
            asked += [(sample.score, self._seen(given)) for given in _ends(sample.branches)]
            scores += found
        if self.batch is not None:
            self.batch.check(asked, scores)
        if not tried:
            return None
        # The first call may load modules.
        seconds, where = min(tried)
        self.forecast, slow = _forecast(where, seconds)
        if not slow:
            return None
        return f"{self.forecast}; a native `screening_metric`, such as autoloss.metrics.bf1, takes none"

    def _check_native(self, where: str, score: Metric, branch: StoredBranch) -> None:
        if branch.labels is None:
            raise TypeError(f"{self.owner}: {score!r} needs class numbers as targets, {where} has none")

    def _try(self, where: str, score: Scorer, branches: list[StoredBranch]) -> tuple[float, list[float]]:
        """Checks a metric on a sample: seconds of a call, and the scores of predictions and targets."""
        first, last = _ends(branches)
        start = time.perf_counter()
        before = score(self._seen(first))
        seconds = time.perf_counter() - start
        perfect = score(self._seen(last))
        if before > 1:
            raise ValueError(
                f"{score.where} is {before:.4g} for the predictions of {where}, expected at most 1, higher is better; "
                "an error e can be given as 1 / (1 + e)"
            )
        if perfect < before:
            raise ValueError(
                f"{score.where} is {perfect:.4g} for the targets of {where} as predictions and {before:.4g} for the "
                "untrained network's predictions, expected more for the targets: higher is better"
            )
        return seconds, [before, perfect]

    def _seen(self, predictions: list[np.ndarray]) -> list[np.ndarray]:
        """The predictions as the metric sees them."""
        if self.metric_input == "labels":
            return [p.argmax(1).astype(np.int64) for p in predictions]
        return predictions

    def evaluate(self, loss: Loss, job: Any) -> tuple[float, dict[str, float], list[tuple[int, float]] | None]:
        """Trains: (score, metrics, curve)."""
        result = self.task.evaluate(loss, job)
        where = f"{self.owner}.evaluate"
        if not isinstance(result, Evaluation):
            return number(where, result), {}, None
        metrics = {str(name): number(f"{where}: metric `{name}`", v) for name, v in result.metrics.items()}
        curve = None if result.curve is None else [(int(step), float(value)) for step, value in result.curve]
        return number(where, result.score), metrics, curve

    def expected_seconds(self, schedule: str) -> float | None:
        """Seconds that a training is expected to take; None where it is not known."""
        seconds = self.task.expected_seconds(schedule)
        if seconds is None:
            return None
        found = number(f"{self.owner}.expected_seconds", seconds)
        if found < 0:
            raise ValueError(f"{self.owner}.expected_seconds returned {found}, expected at least 0")
        return found

    def warn(self, message: str) -> None:
        """Tells a person of something that does not end the run."""
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def _ends(branches: list[StoredBranch]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The untrained predictions of a sample, and the perfect ones."""
    return [branch.prediction for branch in branches], [branch.target for branch in branches]


def _forecast(where: str, seconds: float) -> tuple[str, bool]:
    """The cost of a metric in words, and whether it is slow.

    >>> _forecast("Vessels.metric", 0.02)
    ('Vessels.metric takes 20 ms a call: screening 100,000 losses takes 48 to 280 s of it', False)
    """
    few, many = (calls * seconds for calls in CALLS)
    expected = f"{few:.0f} to {many:.0f} s" if many >= 1 else "less than 1 s"
    return f"{where} takes {seconds * 1e3:.3g} ms a call: screening 100,000 losses takes {expected} of it", few >= SLOW


def _branches(owner: str, task: Task) -> list[Branch]:
    given = task.branches
    if isinstance(given, (str, Branch)) or not isinstance(given, Sequence):
        raise TypeError(f"{owner}.branches is a {type(given).__name__}, expected a list of autoloss.Branch")
    if not given:
        raise ValueError(f"{owner}.branches is empty, expected at least one autoloss.Branch(name, channels)")
    for branch in given:
        if not isinstance(branch, Branch):
            raise TypeError(f"{owner}.branches holds a {type(branch).__name__}, expected autoloss.Branch")
    names = [branch.name for branch in given]
    if len(set(names)) < len(names):
        raise ValueError(f"{owner}.branches has the names {names}, expected distinct ones")
    return list(given)


def _is_own(task: Task, name: str) -> bool:
    """True if a task does not leave a method to `Task`."""
    method = getattr(task, name)
    return getattr(method, "__func__", method) is not getattr(Task, name)


def _check_method(task: Task, name: str, arguments: int) -> None:
    owner = type(task).__name__
    method = getattr(task, name, None)
    if not callable(method):
        raise TypeError(f"{owner}.{name} is a {type(method).__name__}, expected a method")
    if not _is_own(task, name):
        raise TypeError(f"{owner} has no method `{name}`, which autoloss.Task asks for")
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        expected = ", ".join(inspect.signature(getattr(Task, name)).parameters)
        raise TypeError(f"{owner}.{name}{signature} cannot be called, expected ({expected})") from None


def _text(owner: str, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{owner}.{name} is a {type(value).__name__}, expected a text")
    return value


def _device() -> str:
    import sys

    torch = sys.modules.get("torch")
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"
