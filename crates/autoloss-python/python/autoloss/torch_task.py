"""The short way to a task: a network, batches and a metric; the package trains."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from autoloss._core import Loss
from autoloss._scorer import number
from autoloss.task import Branch, Evaluation, Sample, Task

if TYPE_CHECKING:
    from autoloss import Job

#: Samples of a stored batch without spatial dimensions, of which a metric of one would mean little.
STORED = 64

#: Steps that an estimate of a training's seconds makes before it measures, that it measures at most, and for how long.
WARM, MEASURED, SECONDS = 3, 20, 2.0

#: Updates between two checks of the loss value, each of which waits for the device.
CHECK = 10


class TorchTask(Task):
    """A task that the package trains: a subclass gives the network, batches of the data and the metric.

    - `model()` makes a network that gives logits (N, `num_classes`, spatial), or numbers where `num_classes` is None.
    - `train_batches(seed)`, `search_batches()` and `test_batches()` give batches, pairs of input and target. The
      network learns from the first, which are asked for again when they end; losses are chosen on the second; the
      third are for the final comparison alone. The three share no example.
    - `metric(prediction, target)` scores arrays of numpy over a whole set, 0 to 1, higher is better: class
      probabilities (N, C, spatial), or labels (N, spatial) with `metric_input = "labels"`, or the network's numbers.

    `steps` is the number of updates of a proxy training and `full_steps` that of a full one, by default the same;
    `optimizer(parameters)` makes the optimizer, by default Adam with the step size `learning_rate`.
    """

    num_classes: int | None = None
    ignore_index: int | None = None
    steps: int = 300
    full_steps: int | None = None
    learning_rate: float = 1e-3
    _by_branch: ClassVar[bool] = False

    def model(self) -> nn.Module:
        """Makes a fresh network; torch's generator is seeded before."""
        raise NotImplementedError

    def train_batches(self, seed: int) -> Iterable[tuple[Any, Any]]:
        """Gives batches of the training set in an order that follows from the seed."""
        raise NotImplementedError

    def search_batches(self) -> Iterable[tuple[Any, Any]]:
        """Gives the batches that losses are chosen by."""
        raise NotImplementedError

    def test_batches(self) -> Iterable[tuple[Any, Any]]:
        """Gives the batches of the final comparison."""
        raise NotImplementedError

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Makes the optimizer of a training."""
        return torch.optim.Adam(parameters, lr=self.learning_rate)

    @property
    def branches(self) -> list[Branch]:  # type: ignore[override]
        """The only branch of the task."""
        if self.num_classes is not None:
            return [Branch("output", self.num_classes, ignore_index=self.ignore_index)]
        return [Branch("output", self._channels(), activation="none")]

    def _channels(self) -> int:
        """Channels of a network that gives numbers."""
        if not hasattr(self, "_known_channels"):
            prediction = self._predict(self._network(0, "cpu"), self._first(self.train_batches(0)), "cpu")
            self._known_channels = prediction.shape[1]
        return self._known_channels

    def check(self) -> None:
        """Checks network and batches before a run begins."""
        for name in ("model", "train_batches", "search_batches", "test_batches"):
            if getattr(type(self), name) is getattr(TorchTask, name):
                raise TypeError(f"{self._owner} has no method `{name}`, which autoloss.TorchTask asks for")
        for name in ("search_batches", "test_batches"):
            self._pair(name, self._first(getattr(self, name)(), name))

    @property
    def _owner(self) -> str:
        return type(self).__name__

    def screening_samples(self, count: int, seed: int) -> list[Sample]:
        """Training batches as the untrained network sees them."""
        network = self._network(seed, "cpu")
        network.eval()
        batches = itertools.islice(self._again(seed), count)
        return [self._stored(*self._outputs(network, batch)) for batch in batches]

    def _outputs(self, network: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        prediction = self._predict(network, batch, "cpu")
        channels = self.num_classes
        if channels is not None and prediction.shape[1] != channels:
            raise ValueError(
                f"{self._owner}.model gives predictions of shape {tuple(prediction.shape)}, expected "
                f"(N, {channels}) with num_classes = {channels}"
            )
        return prediction, torch.as_tensor(self._pair("train_batches", batch)[1])

    def _stored(self, prediction: Tensor, target: Tensor) -> Sample:
        most = STORED if prediction.ndim == 2 else 1
        return Sample(prediction[:most], target[:most], from_logits=self.num_classes is not None)

    def evaluate(self, loss: Loss, job: Job) -> Evaluation:
        """Trains a fresh network with the loss and scores it on the job's set."""
        network = self._network(job.seed, job.device)
        criterion = loss.torch(device=job.device)
        optimizer = self.optimizer(network.parameters())
        steps = self._steps(job.schedule)
        network.train()
        for step, batch in enumerate(itertools.islice(self._again(job.seed), steps)):
            value = self._step(network, criterion, optimizer, batch, job.device)
            checked = step % CHECK == 0 or step == steps - 1
            if checked:
                job.check(value)
            job.report(step, value if checked else None, score=lambda: self._score(network, "search", job), of=steps)
        return Evaluation(self._score(network, job.split, job), {})

    def _steps(self, schedule: str) -> int:
        return self.steps if schedule == "proxy" else self.full_steps or self.steps

    def _step(
        self, network: nn.Module, criterion: nn.Module, optimizer: torch.optim.Optimizer, batch: Any, device: str
    ) -> Tensor:
        x, target = (torch.as_tensor(each).to(device) for each in self._pair("train_batches", batch))
        value: Tensor = criterion(self._call(network, x), target)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return value

    def expected_seconds(self, schedule: str) -> float:
        """Estimates the seconds of a training from a few steps and one scoring, which are made once."""
        if not hasattr(self, "_measured"):
            self._measured = self._measure(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        step, scoring = self._measured
        return self._steps(schedule) * step + scoring

    def _measure(self, device: str) -> tuple[float, float]:
        """Seconds of a step, and of scoring on the search set."""
        network = self._network(0, device)
        usual = Loss._make("abs(yhat - y)", ["yhat", "y"], ["output"], tuple(self.branches))
        criterion, optimizer = usual.torch(device=device), self.optimizer(network.parameters())
        batches = self._again(0)
        # The first steps take longer than any later one.
        for _ in range(WARM):
            value = self._step(network, criterion, optimizer, next(batches), device)
        start, made = time.perf_counter(), 0
        while made < MEASURED and (made == 0 or time.perf_counter() - start < SECONDS):
            value = self._step(network, criterion, optimizer, next(batches), device)
            made += 1
        value.item()
        step = (time.perf_counter() - start) / made
        start = time.perf_counter()
        self._score(network, "search", None, device)
        return step, time.perf_counter() - start

    def _score(self, network: nn.Module, split: str, job: Job | None, device: str = "") -> float:
        network.eval()
        name = f"{split}_batches"
        predictions, targets = [], []
        for batch in getattr(self, name)():
            _, target = self._pair(name, batch)
            predictions.append(self._seen(self._predict(network, batch, device if job is None else job.device)))
            targets.append(torch.as_tensor(target).cpu().numpy())
            if job is not None and job.interrupted:
                job.report(0)
        if not predictions:
            raise ValueError(f"{self._owner}.{name} gave no batches, expected at least one")
        network.train()
        return number(f"{self._owner}.metric", self.metric(np.concatenate(predictions), np.concatenate(targets)))

    def _seen(self, prediction: Tensor) -> np.ndarray:
        """Predictions as the metric sees them."""
        if self.num_classes is None:
            return prediction.cpu().numpy()
        if self.metric_input == "labels":
            return prediction.argmax(1).cpu().numpy()
        return prediction.softmax(1).cpu().numpy()

    def _network(self, seed: int, device: str) -> nn.Module:
        torch.manual_seed(seed)
        network = self.model()
        if not isinstance(network, nn.Module):
            raise TypeError(f"{self._owner}.model returned a {type(network).__name__}, expected a torch.nn.Module")
        return network.to(device)

    def _call(self, network: nn.Module, x: Tensor) -> Tensor:
        prediction = network(x)
        if not isinstance(prediction, Tensor) or prediction.ndim < 2:
            shown = tuple(prediction.shape) if isinstance(prediction, Tensor) else type(prediction).__name__
            raise TypeError(f"{self._owner}.model gives {shown}, expected a tensor (N, C) or (N, C, spatial)")
        return prediction

    @torch.no_grad()
    def _predict(self, network: nn.Module, batch: Any, device: str) -> Tensor:
        x, _ = self._pair("batches", batch)
        return self._call(network, torch.as_tensor(x).to(device)).float()

    def _pair(self, name: str, batch: Any) -> tuple[Any, Any]:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise TypeError(f"{self._owner}.{name} gave a {type(batch).__name__}, expected pairs (input, target)")
        return batch[0], batch[1]

    def _first(self, batches: Iterable[Any], name: str = "train_batches") -> Any:
        if not isinstance(batches, Iterable):
            raise TypeError(f"{self._owner}.{name} returned a {type(batches).__name__}, expected batches")
        for batch in batches:
            return batch
        raise ValueError(f"{self._owner}.{name} gave no batches, expected at least one")

    def _again(self, seed: int) -> Iterator[Any]:
        """Training batches without end; each round has an order of its own."""
        for turn in itertools.count():
            batches = self.train_batches(seed + turn)
            yield self._first(batches := iter(batches))
            yield from batches
