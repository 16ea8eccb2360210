"""Losses for the trainer of Hugging Face, which is not needed to make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from autoloss._core import Loss
from autoloss._training import branch_options
from autoloss.torch import BranchLoss

__all__ = ["ComputeLoss", "function"]

#: Label of positions that the trainer does not count among the items of a batch.
UNCOUNTED = -100


def function(
    loss: Loss,
    *,
    channel_dim: int = -1,
    ignore_index: int | None = None,
    weight: Sequence[float] | Tensor | None = None,
    normalize: bool | float = False,
) -> ComputeLoss:
    """A loss as the `compute_loss_func` of `transformers.Trainer`: `(outputs, labels, num_items_in_batch=None)`.

    The outputs' `logits` have the classes in the dimension `channel_dim`: the last one for classification of sequences
    (N, C) and tokens (N, T, C); 1 for segmentation (N, C, H, W). Labels are class numbers, of the logits' shape
    without the classes. Positions of the class `ignore_index`, by default that of the loss's task or else -100, have no
    gradient and do not count in the mean.

    The value is the mean over the positions that count. Where the trainer accumulates gradients, it tells the number
    of items (labels other than -100) of all batches that one update is made of; each batch's mean then has its share
    of them, and the sum over the batches is the mean over all. That is the loss of the whole for losses that are
    means of positions, `batch_coupled` False; of the others, such as "zoo:dice", each batch has a loss of its own.
    """
    if len(loss.branches) > 1:
        raise ValueError(f"Loss.hf: `{loss}` has several branches, expected a loss of one, such as loss['NAME']")
    (options,) = branch_options(
        "Loss.hf",
        loss,
        num_classes=None,
        from_logits=True,
        ignore_index=ignore_index,
        weight=weight,
        reduction="none" if loss._native() is None else "mean",
    ).values()
    if options.numbers:
        raise ValueError(f"Loss.hf: `{loss}` is a loss of numbers, expected one of classes")
    ignored = UNCOUNTED if options.ignore_index is None else options.ignore_index
    return ComputeLoss(BranchLoss(replace(options, ignore_index=ignored), normalize), channel_dim, ignored)


class ComputeLoss:
    """A loss of the outputs of a model; `autoloss.hf.function` makes it."""

    def __init__(self, criterion: BranchLoss, channel_dim: int, ignored: int) -> None:
        self.criterion = criterion
        self.channel_dim = channel_dim
        self.ignored = ignored

    def __call__(self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """The loss of a batch, or its share of that of several batches with so many items."""
        logits = _logits(outputs)
        if not isinstance(labels, Tensor) or labels.is_floating_point():
            found = f"dtype {labels.dtype}" if isinstance(labels, Tensor) else f"type {type(labels).__name__}"
            raise TypeError(f"loss: `labels` has {found}, expected a tensor of class numbers (integers)")
        self.criterion.to(logits.device)
        value: Tensor = self.criterion(logits.movedim(self.channel_dim, 1), labels)
        if not self.criterion.native:
            kept = labels.ne(self.ignored)
            value = torch.where(kept, value, 0).sum() / kept.sum().clamp(min=1)
        if num_items_in_batch is None:
            return value
        items = labels.ne(UNCOUNTED).sum()
        return value * (items / torch.as_tensor(num_items_in_batch, device=value.device))

    def __repr__(self) -> str:
        return f"ComputeLoss({self.criterion.extra_repr()}, channel_dim={self.channel_dim})"


def _logits(outputs: Any) -> Tensor:
    """The logits of outputs: of an object or dictionary that has them, or of a tuple that begins with them."""
    if isinstance(outputs, Mapping) and "logits" in outputs:
        outputs = outputs["logits"]
    elif hasattr(outputs, "logits"):
        outputs = outputs.logits
    elif isinstance(outputs, (tuple, list)) and outputs:
        outputs = outputs[0]
    if not isinstance(outputs, Tensor):
        raise TypeError(f"loss: `outputs` is a {type(outputs).__name__}, expected one with a tensor `logits`")
    return outputs
