"""Arrays for losses: class probabilities, one-hot targets, and further inputs."""

import numpy as np


def fields(shape, dtype=np.float64, seed=0):
    """Class probabilities and one-hot targets."""
    rng = np.random.default_rng(seed)
    yhat = rng.random(shape) + 0.1
    yhat /= yhat.sum(1, keepdims=True)
    classes = np.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    labels = rng.integers(0, shape[1], (shape[0], 1, *shape[2:]))
    return yhat.astype(dtype), (labels == classes).astype(dtype)


def inputs_of(loss, shape, dtype=np.float64):
    yhat, y = fields(shape, dtype)
    rng = np.random.default_rng(1)
    given = {name: (rng.random(shape) + 0.5).astype(dtype) for name in loss.inputs}
    return {**given, **{name: value for name, value in (("yhat", yhat), ("y", y)) if name in loss.inputs}}
