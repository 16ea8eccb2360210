"""Searches loss functions for a network, data and a metric of your own.

`search` takes a `Task` (an own training loop) or a `TorchTask` (network, batches and metric) and gives a `Run`; a
`Loss` is what it finds: a formula, a function on numpy arrays and, by `Loss.torch`, a PyTorch module.
"""

from typing import Any

from autoloss import metrics
from autoloss._core import Interrupted, Job, Loss, NotFinite, SearchFailed, __version__
from autoloss.program import Program
from autoloss.ray import Ray
from autoloss.run import Run, open, search
from autoloss.study import Study, Trial
from autoloss.task import Branch, Derived, Evaluation, Sample, Task

__all__ = [
    "Branch",
    "Derived",
    "Evaluation",
    "Interrupted",
    "Job",
    "Loss",
    "NotFinite",
    "Program",
    "Ray",
    "Run",
    "Sample",
    "SearchFailed",
    "Study",
    "Task",
    "TorchTask",
    "Trial",
    "__version__",
    "metrics",
    "open",
    "search",
    "zoo",
]


def zoo() -> dict[str, str]:
    """The hand-written losses by name, each with where it comes from.

    >>> import autoloss as al
    >>> al.zoo()["focal"]
    'focal loss with gamma = 2 (Lin et al. 2017, arXiv 1708.02002)'
    """
    from autoloss import _core

    return dict(_core.zoo())


def __getattr__(name: str) -> Any:
    # torch is imported only where it is used.
    if name == "TorchTask":
        from autoloss.torch_task import TorchTask

        return TorchTask
    raise AttributeError(f"module 'autoloss' has no attribute {name!r}")
