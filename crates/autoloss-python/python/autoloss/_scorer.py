"""Metrics of the user with their targets, and the numbers that the user's code returns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


class Scorer:
    """A metric in Python with the target of a sample."""

    def __init__(self, where: str, metric: Any, names: list[str] | None, target: Any) -> None:
        if not callable(metric):
            raise TypeError(f"{where} is a {type(metric).__name__}, expected a function of prediction and target")
        self.where = where
        self.metric = metric
        self.names = names
        self.target = target

    def __call__(self, predictions: list[np.ndarray]) -> float:
        """The score of the branches' predictions."""
        return number(self.where, self.metric(self.seen(predictions), self.target))

    def seen(self, predictions: list[np.ndarray]) -> Any:
        """The branches' predictions in the form of the metric's argument."""
        return predictions[0] if self.names is None else dict(zip(self.names, predictions, strict=True))


def number(where: str, value: Any) -> float:
    """A finite number that the user's code returned."""
    try:
        found = float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError):
        shown = "None" if value is None else f"a {type(value).__name__}"
        raise TypeError(f"{where} returned {shown}, expected a number") from None
    if isinstance(value, str):
        raise TypeError(f"{where} returned the text {value!r}, expected a number")
    if not math.isfinite(found):
        raise ValueError(f"{where} returned {found}, expected a finite number")
    return found
