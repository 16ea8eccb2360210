"""Losses as PyTorch modules.

The tree is computed in torch operations, one for each step that the operator table's rows consist of, so that
autograd, `torch.compile` and any device work. `computation` is the only place that knows this; generated code can
take its place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from autoloss._core import Loss
from autoloss.task import Branch, Derived

__all__ = ["BranchLoss", "TorchLoss", "computation", "module"]

REDUCTIONS = ("mean", "sum", "none")

#: A branch's output at every element, given its inputs: all of shape (N, C, spatial), or broadcast to it.
Computation = Callable[[Mapping[str, Tensor]], Tensor]


def module(
    loss: Loss,
    *,
    num_classes: int | None = None,
    from_logits: bool = True,
    ignore_index: int | None = None,
    weight: Sequence[float] | Tensor | Mapping[str, Sequence[float] | Tensor] | None = None,
    reduction: str = "mean",
    normalize: bool | float = False,
    device: str | torch.device | None = None,
) -> BranchLoss | TorchLoss:
    """A loss as an `nn.Module`, called with prediction and target (dictionaries of them for several branches).

    Class predictions have the shape (N, C, spatial) with up to three spatial dimensions, and are logits unless
    `from_logits` is False; their targets are class numbers of shape (N, spatial), or probabilities of the
    prediction's shape. Numbers (a branch with `activation="none"`) have targets of their own shape. `num_classes`
    says that a loss without a task is over classes, and how many; without it targets of integers say so.

    At positions of the class `ignore_index` prediction and target are uniform, as in the search, and no gradient
    flows. `weight` multiplies channel c of the tree's output before the sum over the channels. `reduction` is "mean"
    (over samples and positions), "sum" or "none" (a tensor of shape (N, spatial)). `normalize` divides the loss by
    a number, or, if True, by the size of its gradient beside that of cross entropy (numbers: squared error) at
    random predictions, so that learning rates and sums of losses need no change.

    Under autocast everything is computed in float32: in half precision most losses are not finite.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"Loss.torch: `reduction` is {reduction!r}, expected one of {REDUCTIONS}")
    known = {branch.name: branch for branch in loss._of_task or ()}
    options: dict[str, Any] = {"from_logits": from_logits, "reduction": reduction, "normalize": normalize}
    parts = {}
    for name in loss.branches:
        branch = known.get(name)
        classes = _classes(branch, num_classes)
        ignored = ignore_index if ignore_index is not None or branch is None else branch.ignore_index
        own = weight.get(name) if isinstance(weight, Mapping) else weight
        parts[name] = BranchLoss(
            loss[name] if name or len(loss.branches) > 1 else loss,
            classes=classes,
            numbers=branch is not None and branch.activation == "none",
            ignore_index=ignored,
            weight=own,
            derived=branch.derived if branch is not None else (),
            **options,
        )
    made: BranchLoss | TorchLoss = next(iter(parts.values())) if len(parts) == 1 else TorchLoss(loss, parts)
    return made if device is None else made.to(device)


def _classes(branch: Branch | None, num_classes: int | None) -> int | None:
    if branch is None:
        return num_classes
    if branch.activation == "none":
        return None
    if num_classes is not None and num_classes != branch.channels:
        raise ValueError(
            f"Loss.torch: `num_classes` is {num_classes}, expected {branch.channels}, the channels of the branch "
            f"`{branch.name}`"
        )
    return branch.channels


class BranchLoss(nn.Module):
    """A loss of one prediction; `autoloss.torch.module` makes it."""

    def __init__(
        self,
        loss: Loss,
        *,
        classes: int | None,
        numbers: bool,
        from_logits: bool,
        ignore_index: int | None,
        weight: Sequence[float] | Tensor | None,
        reduction: str,
        normalize: bool | float,
        derived: Sequence[Derived],
    ) -> None:
        super().__init__()
        self.formula = str(loss)
        self.classes = classes
        self.numbers = numbers
        self.from_logits = from_logits
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.derived = tuple(d for d in derived if d.name in loss.inputs)
        self.native = loss._native() is not None
        self.compute = computation(loss)
        self.scale = _scale(loss, classes, numbers, normalize)
        given = None if weight is None else torch.as_tensor(weight, dtype=torch.float32)
        if given is not None and given.ndim != 1:
            raise ValueError(f"Loss.torch: `weight` has shape {tuple(given.shape)}, expected one number a channel")
        if given is not None and classes is not None and len(given) != classes:
            raise ValueError(f"Loss.torch: `weight` has {len(given)} numbers, expected {classes}, one a channel")
        if self.native and (given is not None or reduction == "none"):
            raise ValueError(
                f"Loss.torch: `{self.formula}` is one number of the whole batch, expected no `weight` and the "
                "`reduction` 'mean' or 'sum'"
            )
        self.weight: Tensor | None
        self.register_buffer("weight", given)

    def forward(self, input: Tensor, target: Tensor, **inputs: Tensor) -> Tensor:
        """The loss of predictions (N, C, spatial) with their targets; further inputs are given by name."""
        self._check(input, target)
        with torch.autocast(device_type=input.device.type, enabled=False):
            yhat, y = self._fields(input, target)
            given = {name: _wide(value) for name, value in inputs.items()}
            for derived in self.derived:
                given[derived.name] = derived.value(yhat, y)
            output = self.compute({"yhat": yhat, "y": y, **given})
            return self._reduced(output, yhat) / self.scale

    def _fields(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction and target of one shape, as the tree sees them."""
        yhat = _wide(input)
        over_classes = not self.numbers and (self.classes is not None or not target.is_floating_point())
        if over_classes and self.from_logits:
            yhat = yhat.softmax(1)
        if target.is_floating_point():
            return yhat, _wide(target).to(yhat.dtype)
        return self._one_hot(yhat, target)

    def _one_hot(self, yhat: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        channels = yhat.shape[1]
        numbers = torch.arange(channels, device=target.device).view(1, channels, *[1] * (yhat.ndim - 2))
        labels = target.unsqueeze(1)
        y = (labels == numbers).to(yhat.dtype)
        if self.ignore_index is None:
            return yhat, y
        ignored = labels == self.ignore_index
        return yhat.masked_fill(ignored, 1 / channels), y.masked_fill(ignored, 1 / channels)

    def _check(self, input: Tensor, target: Tensor) -> None:
        if not isinstance(input, Tensor) or not isinstance(target, Tensor):
            found = f"{type(input).__name__} and {type(target).__name__}"
            raise TypeError(f"loss: prediction and target are {found}, expected tensors")
        if not 2 <= input.ndim <= 5 or not input.is_floating_point():
            raise ValueError(
                f"loss: the prediction has shape {tuple(input.shape)} and dtype {input.dtype}, expected numbers of "
                "shape (N, C) with up to three spatial dimensions"
            )
        if self.classes is not None and input.shape[1] != self.classes:
            raise ValueError(f"loss: the prediction has {input.shape[1]} channels, expected {self.classes}")
        if target.is_floating_point():
            if target.shape != input.shape:
                raise ValueError(
                    f"loss: the target has shape {tuple(target.shape)} and dtype {target.dtype}, expected the "
                    f"prediction's shape {tuple(input.shape)}, or class numbers (integers) without the channels"
                )
            if self.ignore_index is not None:
                raise ValueError("loss: `ignore_index` needs class numbers as targets, found probabilities")
            return
        if self.numbers:
            raise TypeError(f"loss: the target has dtype {target.dtype}, expected floating-point numbers")
        expected = (input.shape[0], *input.shape[2:])
        if tuple(target.shape) != expected:
            raise ValueError(f"loss: the target has shape {tuple(target.shape)}, expected class numbers of {expected}")

    def _reduced(self, output: Tensor, yhat: Tensor) -> Tensor:
        positions = yhat.numel() // yhat.shape[1]
        if self.native:
            return output * positions if self.reduction == "sum" else output
        if self.weight is not None:
            output = output * self.weight.to(output.dtype).view(1, -1, *[1] * (yhat.ndim - 2))
        summed = output.expand(yhat.shape).sum(1)
        if self.reduction == "none":
            return summed
        return summed.sum() if self.reduction == "sum" else summed.mean()

    def extra_repr(self) -> str:
        """The formula and the options that differ from the defaults."""
        parts = [repr(self.formula)]
        parts += [f"num_classes={self.classes}"] if self.classes is not None else []
        parts += ["from_logits=False"] if not self.from_logits else []
        parts += [f"ignore_index={self.ignore_index}"] if self.ignore_index is not None else []
        parts += [f"reduction='{self.reduction}'"] if self.reduction != "mean" else []
        parts += [f"scale={self.scale:.4g}"] if self.scale != 1 else []
        return ", ".join(parts)


class TorchLoss(nn.Module):
    """A loss of several branches: the sum of their losses."""

    def __init__(self, loss: Loss, parts: Mapping[str, BranchLoss]) -> None:
        super().__init__()
        self.formula = str(loss)
        self.parts = nn.ModuleDict(parts)

    def forward(
        self, input: Mapping[str, Tensor], target: Mapping[str, Tensor], **inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """The sum over the branches; all arguments are dictionaries by branch."""
        for what, given in (("prediction", input), ("target", target)):
            missing = [name for name in self.parts if name not in given]
            if missing:
                raise ValueError(f"loss: the {what} has no branch '{missing[0]}', expected {list(self.parts)}")
        values = []
        for name, part in self.parts.items():
            own = {key: given[name] for key, given in inputs.items() if name in given}
            values.append(part(input[name], target[name], **own))
        return torch.stack(values).sum()


def computation(loss: Loss) -> Computation:
    """The output of a loss of one branch at every element, in torch operations.

    A native loss gives one number instead, by the kernels of this package on the CPU.
    """
    return _Native(loss) if loss._native() is not None else _Steps(loss)


class _Steps:
    """A tree, step by step."""

    def __init__(self, loss: Loss) -> None:
        steps, self.last = loss._steps()
        self.steps: list[tuple[str, Any]] = []
        for step in steps:
            self.steps.append(self._folded(*step))

    def _folded(self, word: str, given: Any) -> tuple[str, Any]:
        """A step, as a constant where its operands are."""
        if word in ("input", "constant", "softmax_c") or any(self.steps[n][0] != "constant" for n in given):
            return word, given
        constants = [torch.tensor(self.steps[number][1], dtype=torch.float64) for number in given]
        # Means and pools of a constant are the constant.
        like = constants[0]
        return "constant", float(_WORDS[word](like, *constants) if word in _POINTWISE else like)

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        like = inputs["yhat"]
        values: list[Any] = []
        for word, given in self.steps:
            if word == "input":
                if given not in inputs:
                    raise TypeError(f"loss: the input `{given}` is missing, expected it by name")
                values.append(inputs[given])
            elif word == "constant":
                values.append(given)
            else:
                values.append(_WORDS[word](like, *[values[number] for number in given]))
        return _field(like, values[self.last])


class _Native:
    """A native loss: value and gradient at once, on the CPU."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return _NativeFunction.apply(inputs["yhat"], inputs["y"], self.loss)


class _NativeFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, yhat: Tensor, y: Tensor, loss: Loss) -> Tensor:
        arrays = [t.detach().cpu().contiguous().numpy() for t in (yhat, y)]
        value, gradient = loss.value_and_gradient(*arrays)
        ctx.save_for_backward(torch.from_numpy(gradient).to(yhat.device))
        return yhat.new_tensor(value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, adjoint: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * adjoint, None, None


def _wide(values: Tensor) -> Tensor:
    """At least single precision."""
    return values if values.dtype == torch.float64 else values.float()


def _field(like: Tensor, value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.full_like(like, value)


def _mean_nhw(like: Tensor, x: Any) -> Any:
    return x.mean([0, *range(2, like.ndim)], keepdim=True) if isinstance(x, Tensor) else x


def _mean_c(like: Tensor, x: Any) -> Any:
    return x.expand(like.shape).mean(1, keepdim=True) if isinstance(x, Tensor) else x


def _max_pool(like: Tensor, x: Any) -> Any:
    spatial = like.ndim - 2
    if spatial == 0 or not isinstance(x, Tensor):
        return x
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[spatial - 1]
    return pool(x.expand(like.shape), 3, 1, 1)


def _on_each(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda like, *operands: function(*operands)


#: What each word of the operator table's rows is in torch, given a field of the loss and the operands.
_POINTWISE: dict[str, Callable[..., Any]] = {
    "add": _on_each(operator.add),
    "sub": _on_each(operator.sub),
    "mul": _on_each(operator.mul),
    "neg": _on_each(operator.neg),
    "abs": _on_each(torch.abs),
    "sign": _on_each(torch.sign),
    "recip": _on_each(torch.reciprocal),
    "exp": _on_each(torch.exp),
    "ln": _on_each(torch.log),
    "tanh": _on_each(torch.tanh),
    "sqrt": _on_each(torch.sqrt),
    "sin": _on_each(torch.sin),
    "cos": _on_each(torch.cos),
    "atan": _on_each(torch.atan),
    "erf": _on_each(torch.erf),
}
_WORDS: dict[str, Callable[..., Any]] = {
    **_POINTWISE,
    "mean_nhw": _mean_nhw,
    "mean_c": _mean_c,
    "max_pool": _max_pool,
    "min_pool": lambda like, x: -_max_pool(like, -x),
    "softmax_c": lambda like, x: _field(like, x).expand(like.shape).softmax(1),
}


def _scale(loss: Loss, classes: int | None, numbers: bool, normalize: bool | float) -> float:
    """The number that the loss is divided by."""
    if normalize is False:
        return 1.0
    if normalize is not True:
        if not float(normalize) > 0:
            raise ValueError(f"Loss.torch: `normalize` is {normalize!r}, expected True, False or a number above 0")
        return float(normalize)
    usual = Loss("zoo:mse" if numbers else "zoo:cross_entropy")
    further = [name for name in loss.inputs if name not in ("yhat", "y")]
    if "yhat" not in loss.inputs:
        raise ValueError(f"Loss.torch: `normalize` is True for `{loss}`, which does not use `yhat`")
    if further:
        raise ValueError(f"Loss.torch: `normalize` is True for a loss with the input `{further[0]}`, expected a number")
    generator = torch.Generator().manual_seed(0)
    shape = (16, classes or 4, 8, 8)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    if numbers:
        yhat, y = drawn, torch.randn(shape, generator=generator, dtype=torch.float64)
    else:
        labels = torch.randint(shape[1], (16, 8, 8), generator=generator)
        yhat, y = drawn.softmax(1), functional.one_hot(labels, shape[1]).movedim(-1, 1).double()
    sizes = [_slope(each, yhat, y, numbers) for each in (loss, usual)]
    scale = sizes[0] / sizes[1]
    if not 0 < scale < float("inf"):
        raise ValueError(f"Loss.torch: the gradient of `{loss}` is {sizes[0]}, so that nothing can be normalized by it")
    return scale


def _slope(loss: Loss, yhat: Tensor, y: Tensor, numbers: bool) -> float:
    """Root mean square of the gradient for the logits, or for the numbers."""
    gradient = torch.from_numpy(loss.gradient(yhat.contiguous().numpy(), y.contiguous().numpy()))
    if not numbers:
        gradient = yhat * (gradient - (gradient * yhat).sum(1, keepdim=True))
    return gradient.square().mean().sqrt().item()
