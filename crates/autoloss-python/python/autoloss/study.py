"""Ask and tell: a search that a scheduler of one's own drives."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from typing import Any

from autoloss import _core, _run_settings
from autoloss._core import Loss
from autoloss._scorer import number
from autoloss.program import bridge
from autoloss.run import DEFAULT_TIME, Run
from autoloss.task import Evaluation, Task


@dataclass(frozen=True)
class Trial:
    """A training to make: `loss`, `seed` and the trial's number.

    The search's trainings share one seed, but for further trainings of the losses that lead.
    """

    id: int
    loss: Loss
    seed: int
    attempt: int = 0


class Study:
    """A search that gives trainings and takes their scores, in any order and from anywhere.

    Arguments are those of `autoloss.search`; a folder that holds a run already is gone on with. Drawing and
    screening happen within `ask`, in Rust.
    """

    def __init__(
        self,
        task: Task,
        *,
        time: float | str | None = None,
        evaluations: int | None = None,
        run: str | os.PathLike[str] | None = None,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        self.task = task
        opened = bridge(task)
        given: dict[str, Any] = {**settings, "evaluations": evaluations, "seed": seed}
        given["time"] = _run_settings.seconds("time", time)
        is_new = run is None or not os.path.exists(os.path.join(run, "run.sqlite"))
        if is_new and time is None and evaluations is None:
            given["time"] = _run_settings.seconds("time", DEFAULT_TIME)
        self._study = _core.Study(opened, _run_settings.toml(given), run, _run_settings.about(opened.branch_list, opened.further))

    @property
    def run(self) -> Run:
        """The run on disk."""
        return Run(self._study.folder, self.task)

    def ask(self) -> Trial | None:
        """Gives the next training; None when the search has ended."""
        asked = self._study.ask()
        if asked is None:
            return None
        number, attempt, loss, seed = asked
        return Trial(number, loss, seed, attempt)

    def tell(self, trial: Trial | int, result: float | Evaluation, *, seconds: float | None = None) -> bool:
        """Takes the score of a training; False if the trial was told before, or never given out."""
        metrics: list[tuple[str, float]] = []
        curve: list[tuple[int, float]] = []
        if isinstance(result, Evaluation):
            metrics = [(str(name), number("Study.tell: a metric", value)) for name, value in result.metrics.items()]
            curve = [(int(step), float(value)) for step, value in result.curve or ()]
            result = result.score
        score = number("Study.tell: the score", result)
        return self._study.tell_score(_number(trial), score, metrics, curve, seconds)

    def stopped(self, trial: Trial | int, reason: str = "the loss value is not finite") -> bool:
        """Takes a training that met a loss value that is not finite; it scores 0."""
        return self._study.tell_stopped(_number(trial), reason)

    def failed(self, trial: Trial | int, error: BaseException | str) -> bool:
        """Takes a training that went wrong: its candidate has no score."""
        if isinstance(error, BaseException):
            error = "".join(traceback.format_exception(error)).rstrip()
        return self._study.tell_failed(_number(trial), error)

    def lost(self, trial: Trial | int, reason: str = "its worker ended") -> bool:
        """Takes a training whose worker was lost: it is given out again, at most five times."""
        return self._study.tell_lost(_number(trial), reason)

    def report(self, trial: Trial | int, share: float, score: float) -> bool:
        """Takes the score on the search set after a share of a training; False if the training is to end."""
        return self._study.report(_number(trial), share, number("Study.report: the score", score))


def _number(trial: Trial | int) -> int:
    return trial.id if isinstance(trial, Trial) else trial
