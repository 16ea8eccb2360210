"""Scores of several predictions in one call of a task's `metric_batch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Any

import numpy as np

from autoloss._scorer import Scorer, number
from autoloss._timed import Timed

#: Greatest difference, absolute and relative, between the scores of `metric_batch` and of `metric`.
AGREEMENT = 1e-6

#: A prediction to score: the metric with the target, and an array for each branch.
Question = tuple[Scorer, list[np.ndarray]]


class Batch:
    """A task's `metric_batch`, called with what several threads of the screening ask."""

    def __init__(self, where: str, function: Callable[[list[Any], list[Any]], Any], limit: float | None) -> None:
        self.where = where
        self.timed = None if limit is None else Timed(where, function, limit)
        self.function = function

    def __call__(self, questions: Sequence[Question]) -> tuple[list[float | BaseException], BaseException | None]:
        """The score of each prediction, or the exception of one that has none; and the exception of the call.

        Where the call fails, `metric` scores the predictions one by one.
        """
        try:
            return list(self.together(questions)), None
        except BaseException as error:  # whatever it is, it must not reach the other predictions
            return [_alone(scorer, predictions) for scorer, predictions in questions], error

    def together(self, questions: Sequence[Question]) -> list[float]:
        """The score of each prediction by one call."""
        predictions = [scorer.seen(arrays) for scorer, arrays in questions]
        targets = [scorer.target for scorer, _ in questions]
        if self.timed is None:
            scores = self.function(predictions, targets)
        else:
            scores = self.timed.of_several(len(questions), predictions, targets)
        if isinstance(scores, (str, bytes, dict)) or not isinstance(scores, Sized) or not hasattr(scores, "__iter__"):
            shown = "None" if scores is None else f"a {type(scores).__name__}"
            raise TypeError(f"{self.where} returned {shown}, expected a list of {len(questions)} numbers")
        if len(scores) != len(questions):
            raise ValueError(f"{self.where} returned {len(scores)} scores for {len(questions)} predictions")
        return [number(self.where, score) for score in scores]

    def check(self, questions: Sequence[Question], expected: Sequence[float]) -> None:
        """Compares the scores of one call with those of `metric`."""
        for place, (found, alone) in enumerate(zip(self.together(questions), expected, strict=True)):
            if abs(found - alone) > AGREEMENT * max(1.0, abs(alone)):
                raise ValueError(
                    f"{self.where} gives {found:.9g} for prediction {place} of {len(questions)} where `metric` gives "
                    f"{alone:.9g}, expected the same"
                )


def _alone(scorer: Scorer, predictions: list[np.ndarray]) -> float | BaseException:
    try:
        return scorer(predictions)
    except BaseException as error:  # as above
        return error
