"""Tasks: the network, data and metric that a search is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import torch

    from autoloss import Job, Loss

ACTIVATIONS = ("softmax", "none")
METRIC_INPUTS = ("probabilities", "labels")


@dataclass(frozen=True)
class Derived:
    """A named input of a branch that follows from its prediction, such as the intersection of two boxes.

    `value(yhat, y)` gives an array of the shape of `yhat` (N, C, spatial), numpy in screening and torch in training,
    so write it in operations that both know. `pull_back(yhat, y, gradient)` gives the gradient for `yhat`, an
    array of its shape, from the gradient of the derived input; without it torch's autograd is asked.

    >>> Derived("i", lambda yhat, y: yhat * y).name
    'i'
    """

    name: str
    value: Callable[[Any, Any], Any]
    pull_back: Callable[[Any, Any, Any], Any] | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        _check_name("Derived", self.name)
        for name, function in (("value", self.value), ("pull_back", self.pull_back)):
            if function is not None and not callable(function):
                raise TypeError(f"Derived: `{name}` is a {type(function).__name__}, expected a function")


@dataclass(frozen=True)
class Branch:
    """A prediction of the network that has a loss of its own.

    Its tree sees the prediction `yhat` of shape (N, `channels`, spatial) and the target `y` of the same shape. With
    `activation="softmax"` the prediction is class probabilities and the target is given as class numbers of shape
    (N, spatial); positions of the class `ignore_index` count nowhere. With `activation="none"` both are numbers.
    `derived` adds inputs that follow from the prediction. `metric(prediction, target)` is the branch's own metric,
    by which a task of several branches screens each by itself.

    >>> Branch("mask", channels=2, ignore_index=255).activation
    'softmax'
    """

    name: str
    channels: int
    activation: str = "softmax"
    ignore_index: int | None = None
    derived: Sequence[Derived] = ()
    metric: Callable[[Any, Any], float] | None = None

    def __post_init__(self) -> None:
        """Checks the fields."""
        _check_name("Branch", self.name)
        if isinstance(self.channels, bool) or not isinstance(self.channels, int) or self.channels < 1:
            raise ValueError(f"Branch: `channels` is {self.channels!r}, expected a whole number of at least 1")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"Branch: `activation` is {self.activation!r}, expected 'softmax' or 'none'")
        if self.ignore_index is not None and self.activation != "softmax":
            raise ValueError("Branch: `ignore_index` needs class targets, expected `activation='softmax'` with it")
        taken = {"yhat", "y"}
        for derived in self.derived:
            if not isinstance(derived, Derived):
                raise TypeError(f"Branch: `derived` holds a {type(derived).__name__}, expected autoloss.Derived")
            if derived.name in taken:
                raise ValueError(f"Branch: `derived` has the name `{derived.name}` twice, expected distinct names")
            taken.add(derived.name)


@dataclass(frozen=True)
class Sample:
    """Stored predictions of the untrained network and their targets, by which losses are screened.

    `prediction` is an array or tensor of shape (N, C, spatial) with up to two spatial dimensions, float; `target`
    holds class numbers of shape (N, spatial), integers, or numbers of the prediction's shape. A task of several
    branches gives dictionaries by branch. `from_logits=True` says that class predictions are logits; else they are
    probabilities. For classification a sample is a batch of, say, 64: a metric of one prediction means little.
    """

    prediction: np.ndarray | torch.Tensor | Mapping[str, Any]
    target: np.ndarray | torch.Tensor | Mapping[str, Any]
    from_logits: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Result of a training: the score, higher is better, further metrics by name, and the curve of loss values.

    `curve` is a list of (step, loss value); without it the curve is that of `Job.report`.
    """

    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: Sequence[tuple[int, float]] | None = None


class Task:
    """A network, data and metric of one's own, trained in a loop of one's own.

    A subclass sets `branches` and writes `screening_samples`, `metric` and `evaluate`, and `metric_batch` where scoring
    several predictions at once is faster than one by one. What the optional attributes mean:

    - `name`, `metric_name`: names in the run; by default those of the class and of the metric.
    - `baselines`: losses to compare with, formulas or names of the zoo; the first is the task's usual one, which
      the search trains first.
    - `metric_input`: "probabilities" (arrays (N, C, spatial), the default) or "labels" (the largest channel,
      (N, spatial)). Scores of equal labels are computed once.
    - `screening_metric`: a metric for screening alone, such as `autoloss.metrics.bf1`, which is computed without
      Python; by default `metric`.
    - `metric_timeout`: seconds that a call of the metric in screening may take; a prediction whose score takes longer
      counts as one that cannot be scored. `metric_batch` may take as many for each of its predictions.
    - `device`: the device of `Job.device`; by default "cuda" where torch finds one, else "cpu".
    """

    name: str = ""
    metric_name: str = ""
    branches: Sequence[Branch] = ()
    baselines: Sequence[str] = ()
    metric_input: str = "probabilities"
    screening_metric: Callable[[Any, Any], float] | None = None
    metric_timeout: float | None = None
    device: str | None = None

    #: True if the metric sees dictionaries by branch.
    _by_branch: ClassVar[bool] = True

    def screening_samples(self, count: int, seed: int) -> list[Sample]:
        """Gives `count` samples of the training data, run through the untrained network."""
        raise NotImplementedError

    def metric(self, prediction: Any, target: Any) -> float:
        """Scores a prediction, 0 to 1, higher is better; both are dictionaries of arrays by branch."""
        raise NotImplementedError

    def metric_batch(self, predictions: list[Any], targets: list[Any]) -> Sequence[float]:
        """Scores several predictions, each with its target, as `metric` scores each by itself.

        Screening asks it, where a task has it and no `screening_metric`, for the predictions of candidates that are
        screened at the same time: fewer than there are threads for that, which are as many as workers that train on
        this machine's cores, else as many as cores. With one worker each call has one prediction. Its scores of the
        stored samples are compared with those of `metric` before a run begins. Where a call raises an exception, takes
        too long or gives anything but a finite number for each prediction, `metric` scores the predictions one by one,
        and a warning at the end of the search tells of it.
        """
        return [self.metric(prediction, target) for prediction, target in zip(predictions, targets, strict=True)]

    def evaluate(self, loss: Loss, job: Job) -> float | Evaluation:
        """Trains a fresh network with the loss on the training data and scores it on `job.split`."""
        raise NotImplementedError

    def expected_seconds(self, schedule: str) -> float | None:
        """Estimates the seconds of a training, "proxy" or "full", its scoring included; None where it is not known.

        A search with a limit of time keeps time for the full trainings at its end by this, else by what the first
        trainings took.
        """
        return None

    def fingerprint(self) -> str:
        """Text that is equal where the data are: a worker, on another machine, say, with another one is refused."""
        return ""

    def check(self) -> None:
        """Checks the task before a run begins; raises what is wrong with it."""


def _check_name(owner: str, name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{owner}: `name` is a {type(name).__name__}, expected a text")
    if not name.isidentifier() or not name.isascii():
        raise ValueError(f"{owner}: `name` is {name!r}, expected letters, digits and `_`, as formulas use it")
