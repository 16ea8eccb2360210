"""Screening samples as the search stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoloss.task import Branch, Sample

#: Spatial dimensions of a sample: pooling knows two.
MOST_SPATIAL = 2


@dataclass
class Stored:
    """One branch of a sample: float32 arrays of shape (N, C, spatial) and the target as it was given."""

    prediction: np.ndarray
    target: np.ndarray
    given: np.ndarray

    @property
    def labels(self) -> bool:
        """True if the target was given as class numbers."""
        return self.given.ndim < self.prediction.ndim


def stored(where: str, branch: Branch, prediction: Any, target: Any, from_logits: bool) -> Stored:
    """Checks a branch of a sample and brings it into the form of the search; `where` begins the errors."""
    yhat = _numbers(f"{where}: the prediction", array(prediction))
    shape = yhat.shape
    if not 2 <= yhat.ndim <= 2 + MOST_SPATIAL:
        raise ValueError(
            f"{where}: the prediction has shape {shape}, expected (N, {branch.channels}) with up to two spatial "
            "dimensions (give slices of volumes)"
        )
    if shape[1] != branch.channels:
        raise ValueError(f"{where}: the prediction has shape {shape}, expected {branch.channels} channels")
    if branch.activation == "softmax":
        yhat = _softmax(yhat) if from_logits else _probabilities(where, yhat)
    given = array(target)
    if np.issubdtype(given.dtype, np.integer) and branch.activation == "softmax":
        y = one_hot(where, branch, given, shape)
        if branch.ignore_index is not None:
            ignored = np.broadcast_to(np.expand_dims(given == branch.ignore_index, 1), shape)
            yhat = np.where(ignored, np.float32(1 / branch.channels), yhat)
    else:
        y = _numbers(f"{where}: the target", given)
        if y.shape != shape:
            expected = f"the prediction's shape {shape}"
            if branch.activation == "softmax":
                expected += f", or class numbers (integers) of shape {(shape[0], *shape[2:])}"
            raise ValueError(f"{where}: the target has shape {y.shape} and dtype {given.dtype}, expected {expected}")
    return Stored(np.ascontiguousarray(yhat, np.float32), np.ascontiguousarray(y, np.float32), given)


def one_hot(where: str, branch: Branch, labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Class numbers (N, spatial) as 0 and 1 of shape (N, C, spatial); ignored positions are uniform."""
    expected = (shape[0], *shape[2:])
    if labels.shape != expected:
        raise ValueError(f"{where}: the target has shape {labels.shape}, expected class numbers of shape {expected}")
    ignored = np.zeros(labels.shape, bool) if branch.ignore_index is None else labels == branch.ignore_index
    wrong = ((labels < 0) | (labels >= branch.channels)) & ~ignored
    if wrong.any():
        raise ValueError(
            f"{where}: the target holds the class {labels[wrong][0]}, expected 0 to {branch.channels - 1}"
            + ("; or set ignore_index" if branch.ignore_index is None else f" or {branch.ignore_index}")
        )
    classes = np.arange(branch.channels).reshape(1, -1, *[1] * (labels.ndim - 1))
    y = (np.expand_dims(labels, 1) == classes).astype(np.float32)
    return np.where(np.expand_dims(ignored, 1), np.float32(1 / branch.channels), y)


def parts(where: str, sample: object, branches: list[Branch]) -> list[tuple[Any, Any]]:
    """The prediction and target of each branch of a sample."""
    if not isinstance(sample, Sample):
        raise TypeError(f"{where} is a {type(sample).__name__}, expected autoloss.Sample(prediction, target)")
    found = []
    for branch in branches:
        pair = []
        for name in ("prediction", "target"):
            value = getattr(sample, name)
            if isinstance(value, Mapping):
                if branch.name not in value:
                    raise ValueError(f"{where}: the {name} has no branch '{branch.name}', expected one of each branch")
                value = value[branch.name]
            elif len(branches) > 1:
                raise TypeError(f"{where}: the {name} is a {type(value).__name__}, expected a dictionary by branch")
            pair.append(value)
        found.append((pair[0], pair[1]))
    return found


def array(value: Any) -> np.ndarray:
    """An array, of torch's tensors, too."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _numbers(what: str, values: np.ndarray) -> np.ndarray:
    if values.dtype == object or not np.issubdtype(values.dtype, np.number):
        raise TypeError(f"{what} has dtype {values.dtype}, expected numbers")
    values = values.astype(np.float32)
    if values.size == 0:
        raise ValueError(f"{what} has no elements (shape {values.shape}), expected at least one")
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds a value that is not finite, expected finite numbers")
    return values


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials: np.ndarray = np.exp(logits - logits.max(1, keepdims=True))
    exponentials /= exponentials.sum(1, keepdims=True)
    return exponentials


def _probabilities(where: str, values: np.ndarray) -> np.ndarray:
    sums = values.sum(1)
    if values.min() < -1e-4 or values.max() > 1 + 1e-4 or np.abs(sums - 1).max() > 1e-2:
        raise ValueError(
            f"{where}: the prediction is not probabilities (from {values.min():.3g} to {values.max():.3g}, sums over "
            f"the channels from {sums.min():.3g} to {sums.max():.3g}), expected a softmax; or say from_logits=True"
        )
    return values
