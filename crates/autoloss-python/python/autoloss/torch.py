"""Losses as PyTorch modules.

The elements of a loss are computed by the code that `Loss.code("pytorch")` shows, so that autograd, `torch.compile`
and any device work; this module gives that code predictions and targets, and reduces its elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from autoloss._core import Loss
from autoloss._training import Array, BranchOptions, Elements, branch_options, each_branch

__all__ = ["BranchLoss", "TorchLoss", "module"]


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
    branches = branch_options(
        "Loss.torch",
        loss,
        num_classes=num_classes,
        from_logits=from_logits,
        ignore_index=ignore_index,
        weight=weight,
        reduction=reduction,
    )
    parts = {name: BranchLoss(options, normalize) for name, options in branches.items()}
    made: BranchLoss | TorchLoss = next(iter(parts.values())) if len(parts) == 1 else TorchLoss(loss, parts)
    return made if device is None else made.to(device)


class BranchLoss(nn.Module):
    """A loss of one prediction; `autoloss.torch.module` makes it."""

    def __init__(self, options: BranchOptions, normalize: bool | float) -> None:
        super().__init__()
        self.formula = str(options.loss)
        given = None if options.weight is None else torch.as_tensor(options.weight, dtype=torch.float32)
        if given is not None:
            options.check_weight(tuple(given.shape))
        self.weight: Tensor | None
        self.register_buffer("weight", given)
        self.options = replace(options, weight=None)
        self.native = options.loss._native() is not None
        self.elements = _Native(options.loss) if self.native else Elements(options.loss, "pytorch")
        self.scale = _scale(options, normalize)

    def forward(self, input: Tensor, target: Tensor, **inputs: Tensor) -> Tensor:
        """The loss of predictions (N, C, spatial) with their targets; further inputs are given by name."""
        if not isinstance(input, Tensor) or not isinstance(target, Tensor):
            found = f"{type(input).__name__} and {type(target).__name__}"
            raise TypeError(f"loss: prediction and target are {found}, expected tensors")
        self.options.check(_form(input), _form(target))
        with torch.autocast(device_type=input.device.type, enabled=False):
            yhat, y = self._fields(input, target)
            given = {name: _wide(value).expand(yhat.shape) for name, value in inputs.items()}
            for derived in self.options.derived:
                given[derived.name] = derived.value(yhat, y)
            return self._reduced(self.elements(yhat, y, given), yhat) / self.scale

    def _fields(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction and target of one shape, as the tree sees them."""
        yhat = _wide(input)
        if self.options.from_logits and self.options.is_over_classes(_form(target)):
            yhat = yhat.softmax(1)
        if target.is_floating_point():
            return yhat, _wide(target).to(yhat.dtype)
        return self._one_hot(yhat, target)

    def _one_hot(self, yhat: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        channels = yhat.shape[1]
        numbers = torch.arange(channels, device=target.device).view(1, channels, *[1] * (yhat.ndim - 2))
        labels = target.unsqueeze(1)
        y = (labels == numbers).to(yhat.dtype)
        if self.options.ignore_index is None:
            return yhat, y
        ignored = labels == self.options.ignore_index
        return yhat.masked_fill(ignored, 1 / channels), y.masked_fill(ignored, 1 / channels)

    def _reduced(self, output: Tensor, yhat: Tensor) -> Tensor:
        if self.native:
            positions = yhat.numel() // yhat.shape[1]
            return output * positions if self.options.reduction == "sum" else output
        reduced: Tensor = self.options.reduced(output, self.weight, yhat.shape, torch.broadcast_to)
        return reduced

    def extra_repr(self) -> str:
        """The formula and the options that differ from the defaults."""
        options = self.options
        parts = [repr(self.formula)]
        parts += [f"num_classes={options.classes}"] if options.classes is not None else []
        parts += ["from_logits=False"] if not options.from_logits else []
        parts += [f"ignore_index={options.ignore_index}"] if options.ignore_index is not None else []
        parts += [f"reduction='{options.reduction}'"] if options.reduction != "mean" else []
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
        return torch.stack(each_branch(dict(self.parts.items()), input, target, inputs)).sum()


class _Native:
    """A native loss: value and gradient at once, by the kernels of this package on the CPU; one number."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, yhat: Tensor, y: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        value: Tensor = _NativeFunction.apply(yhat, y, self.loss)
        return value


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


def _form(tensor: Tensor) -> Array:
    return Array(tuple(tensor.shape), str(tensor.dtype), tensor.is_floating_point())


def _wide(values: Tensor) -> Tensor:
    """At least single precision."""
    return values if values.dtype == torch.float64 else values.float()


def _scale(options: BranchOptions, normalize: bool | float) -> float:
    """The number that the loss is divided by."""
    loss, numbers = options.loss, options.numbers
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
    shape = (16, options.classes or 4, 8, 8)
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
