"""Losses in training, whatever the framework: options and arguments checked, and generated code as a function."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from autoloss._core import Loss
from autoloss.task import Branch, Derived

REDUCTIONS = ("mean", "sum", "none")


class Array(NamedTuple):
    """The form of an array or tensor of any framework."""

    shape: tuple[int, ...]
    dtype: str
    floating: bool


@dataclass(frozen=True)
class BranchOptions:
    """A loss of one prediction, and the form of its arguments and of its result.

    `where` is the call that errors name; `classes` is the number of classes, if it is known; `numbers` says that the
    prediction is none of classes.
    """

    where: str
    loss: Loss
    classes: int | None
    numbers: bool
    from_logits: bool
    ignore_index: int | None
    weight: Any
    reduction: str
    derived: tuple[Derived, ...]

    def is_over_classes(self, target: Array) -> bool:
        """True if the prediction is of classes."""
        return not self.numbers and (self.classes is not None or not target.floating)

    def check_weight(self, shape: tuple[int, ...]) -> None:
        """Raises an error if the shape of the weights does not fit."""
        if len(shape) != 1:
            raise ValueError(f"{self.where}: `weight` has shape {shape}, expected one number a channel")
        if self.classes is not None and shape[0] != self.classes:
            raise ValueError(f"{self.where}: `weight` has {shape[0]} numbers, expected {self.classes}, one a channel")

    def check(self, prediction: Array, target: Array) -> None:
        """Raises an error if the arguments of a call do not fit."""
        if not 2 <= len(prediction.shape) <= 5 or not prediction.floating:
            raise ValueError(
                f"loss: the prediction has shape {prediction.shape} and dtype {prediction.dtype}, expected numbers of "
                "shape (N, C) with up to three spatial dimensions"
            )
        if self.classes is not None and prediction.shape[1] != self.classes:
            raise ValueError(f"loss: the prediction has {prediction.shape[1]} channels, expected {self.classes}")
        if target.floating:
            self._check_soft(prediction, target)
        elif self.numbers:
            raise TypeError(f"loss: the target has dtype {target.dtype}, expected floating-point numbers")
        else:
            expected = (prediction.shape[0], *prediction.shape[2:])
            if target.shape != expected:
                raise ValueError(f"loss: the target has shape {target.shape}, expected class numbers of {expected}")

    def _check_soft(self, prediction: Array, target: Array) -> None:
        if target.shape != prediction.shape:
            raise ValueError(
                f"loss: the target has shape {target.shape} and dtype {target.dtype}, expected the prediction's shape "
                f"{prediction.shape}, or class numbers (integers) without the channels"
            )
        if self.ignore_index is not None:
            raise ValueError("loss: `ignore_index` needs class numbers as targets, found probabilities")

    def reduced(self, output: Any, weight: Any, shape: tuple[int, ...], broadcast: Callable[[Any, Any], Any]) -> Any:
        """The result of the elements `output`, which `broadcast(output, shape)` gives the prediction's shape."""
        if weight is not None:
            output = output * weight.reshape(1, -1, *[1] * (len(shape) - 2))
        summed = broadcast(output, shape).sum(1)
        if self.reduction == "none":
            return summed
        return summed.sum() if self.reduction == "sum" else summed.mean()


def branch_options(
    where: str,
    loss: Loss,
    *,
    num_classes: int | None,
    from_logits: bool,
    ignore_index: int | None,
    weight: Any,
    reduction: str,
) -> dict[str, BranchOptions]:
    """The options of each branch of a loss by its name, completed from the loss's task."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{where}: `reduction` is {reduction!r}, expected one of {REDUCTIONS}")
    known = {branch.name: branch for branch in loss._of_task or ()}
    found = {}
    for name in loss.branches:
        branch = known.get(name)
        own = loss[name] if name or len(loss.branches) > 1 else loss
        options = BranchOptions(
            where=where,
            loss=own,
            classes=_classes(where, branch, num_classes),
            numbers=branch is not None and branch.activation == "none",
            from_logits=from_logits,
            ignore_index=ignore_index if ignore_index is not None or branch is None else branch.ignore_index,
            weight=weight.get(name) if isinstance(weight, Mapping) else weight,
            reduction=reduction,
            derived=tuple(d for d in branch.derived if d.name in own.inputs) if branch is not None else (),
        )
        if own._native() is not None and (options.weight is not None or reduction == "none"):
            raise ValueError(
                f"{where}: `{own}` is one number of the whole batch, expected no `weight` and the `reduction` 'mean' "
                "or 'sum'"
            )
        found[name] = options
    return found


def _classes(where: str, branch: Branch | None, num_classes: int | None) -> int | None:
    if branch is None:
        return num_classes
    if branch.activation == "none":
        return None
    if num_classes is not None and num_classes != branch.channels:
        raise ValueError(
            f"{where}: `num_classes` is {num_classes}, expected {branch.channels}, the channels of the branch "
            f"`{branch.name}`"
        )
    return branch.channels


def each_branch(
    parts: Mapping[str, Callable[..., Any]],
    input: Mapping[str, Any],
    target: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
) -> list[Any]:
    """The losses of the branches; predictions, targets and further inputs are dictionaries by branch."""
    for what, given in (("prediction", input), ("target", target)):
        missing = [name for name in parts if name not in given]
        if missing:
            raise ValueError(f"loss: the {what} has no branch '{missing[0]}', expected {list(parts)}")
    values = []
    for name, part in parts.items():
        own = {key: given[name] for key, given in inputs.items() if name in given}
        values.append(part(input[name], target[name], **own))
    return values


class Elements:
    """The elements of a loss of one branch, by the code of `Loss.code` before its mean.

    It is called with arrays of one shape (N, C, spatial) of the framework `target`, the further inputs by name, and
    gives an array of that shape, or one that broadcasts to it.
    """

    def __init__(self, loss: Loss, target: str) -> None:
        self.loss = loss
        self.target = target
        code, self.further = loss._elements(target)
        self.function = _function(code)

    def __call__(self, yhat: Any, y: Any, given: Mapping[str, Any]) -> Any:
        """The elements at these inputs."""
        for name in self.further:
            if name not in given:
                raise TypeError(f"loss: the input `{name}` is missing, expected it by name")
        return self.function(yhat, y, *[given[name] for name in self.further])

    def __reduce__(self) -> tuple[type[Elements], tuple[Loss, str]]:
        # A generated function cannot be pickled; its code is written again.
        return Elements, (self.loss, self.target)


def _function(code: str) -> Callable[..., Any]:
    """The function `loss` of generated code, whose lines tracebacks show."""
    file = f"<autoloss-{hashlib.sha256(code.encode()).hexdigest()[:16]}>"
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(code, file, "exec"), names)
    function: Callable[..., Any] = names["loss"]
    return function
