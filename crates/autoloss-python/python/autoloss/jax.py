"""Losses as functions for JAX, by the code that `Loss.code("jax")` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from autoloss import _training
from autoloss._core import Loss
from autoloss._training import BranchOptions, Elements, branch_options, each_branch

__all__ = ["BranchFunction", "SumFunction", "function"]


def function(
    loss: Loss,
    *,
    num_classes: int | None = None,
    from_logits: bool = True,
    ignore_index: int | None = None,
    weight: Sequence[float] | Array | Mapping[str, Sequence[float] | Array] | None = None,
    reduction: str = "mean",
) -> BranchFunction | SumFunction:
    """A loss as a function of prediction and target (dictionaries of them for several branches).

    `jax.jit`, `jax.grad` and `jax.vmap` take it. Class predictions have the shape (N, C, spatial) with up to three
    spatial dimensions, and are logits unless `from_logits` is False; their targets are class numbers of shape
    (N, spatial), or probabilities of the prediction's shape. Numbers (a branch with `activation="none"`) have targets
    of their own shape. `num_classes` says that a loss without a task is over classes, and how many; without it
    targets of integers say so.

    At positions of the class `ignore_index` prediction and target are uniform, as in the search, and no gradient
    flows. `weight` multiplies channel c of the tree's output before the sum over the channels. `reduction` is "mean"
    (over samples and positions), "sum" or "none" (an array of shape (N, spatial)). Half precision is computed in
    single. Native losses, which are no trees of operators, have no code for JAX.
    """
    branches = branch_options(
        "Loss.jax",
        loss,
        num_classes=num_classes,
        from_logits=from_logits,
        ignore_index=ignore_index,
        weight=weight,
        reduction=reduction,
    )
    parts = {name: BranchFunction(options) for name, options in branches.items()}
    return next(iter(parts.values())) if len(parts) == 1 else SumFunction(loss, parts)


class BranchFunction:
    """A loss of one prediction; `autoloss.jax.function` makes it."""

    def __init__(self, options: BranchOptions) -> None:
        self.formula = str(options.loss)
        self.weight = None if options.weight is None else jnp.asarray(options.weight, jnp.float32)
        if self.weight is not None:
            options.check_weight(self.weight.shape)
        self.options = replace(options, weight=None)
        self.elements = Elements(options.loss, "jax")

    def __call__(self, input: Any, target: Any, **inputs: Any) -> Array:
        """The loss of predictions (N, C, spatial) with their targets; further inputs are given by name."""
        input, target = jnp.asarray(input), jnp.asarray(target)
        self.options.check(_form(input), _form(target))
        yhat, y = self._fields(input, target)
        given = {name: jnp.broadcast_to(_wide(jnp.asarray(value)), yhat.shape) for name, value in inputs.items()}
        for derived in self.options.derived:
            given[derived.name] = derived.value(yhat, y)
        output = self.elements(yhat, y, given)
        reduced: Array = self.options.reduced(output, self.weight, yhat.shape, jnp.broadcast_to)
        return reduced

    def _fields(self, input: Array, target: Array) -> tuple[Array, Array]:
        """Prediction and target of one shape, as the tree sees them."""
        yhat, form = _wide(input), _form(target)
        if self.options.from_logits and self.options.is_over_classes(form):
            yhat = jax.nn.softmax(yhat, axis=1)
        if form.floating:
            return yhat, _wide(target).astype(yhat.dtype)
        channels = yhat.shape[1]
        labels = jnp.expand_dims(target, 1)
        y = (labels == jnp.arange(channels).reshape(1, channels, *[1] * (yhat.ndim - 2))).astype(yhat.dtype)
        if self.options.ignore_index is None:
            return yhat, y
        ignored = labels == self.options.ignore_index
        return jnp.where(ignored, 1 / channels, yhat), jnp.where(ignored, 1 / channels, y)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.formula!r})"


class SumFunction:
    """A loss of several branches: the sum of their losses."""

    def __init__(self, loss: Loss, parts: Mapping[str, BranchFunction]) -> None:
        self.formula = str(loss)
        self.parts = dict(parts)

    def __call__(self, input: Mapping[str, Any], target: Mapping[str, Any], **inputs: Mapping[str, Any]) -> Array:
        """The sum over the branches; all arguments are dictionaries by branch."""
        return jnp.stack(each_branch(self.parts, input, target, inputs)).sum()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.formula!r})"


def _form(array: Array) -> _training.Array:
    return _training.Array(array.shape, str(array.dtype), bool(jnp.issubdtype(array.dtype, jnp.floating)))


def _wide(values: Array) -> Array:
    """At least single precision."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))
