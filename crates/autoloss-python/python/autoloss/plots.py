"""Pictures of a run, in matplotlib; `Run.plot` draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from autoloss._core import Loss, Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Drawn(Protocol):
    """The part of a run that pictures show; `Run` has it."""

    _store: Store

    @property
    def info(self) -> dict[str, Any]:
        """Description of the run."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of candidates by their fates."""
        ...

    @property
    def best(self) -> Loss | None:
        """The loss with the best score."""
        ...


def draw(run: Drawn, kind: str, ax: Axes | None) -> Axes:
    """Draws a picture of a run into the axes, or into new ones."""
    picture = KINDS.get(kind)
    if picture is None:
        raise ValueError(f"Run.plot: `kind` is {kind!r}, expected one of {', '.join(map(repr, KINDS))}")
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    picture(run, ax)
    return ax


def scores(run: Drawn, ax: Axes) -> None:
    """Scores against trainings: each candidate, the best so far, and the task's usual loss."""
    rows = [row for row in run._store.candidates() if row["fate"] in ("scored", "stopped")]
    rows.sort(key=lambda row: row["joined"])
    found = [row["score"] for row in rows]
    best = [max(found[: end + 1]) for end in range(len(found))]
    ax.plot(range(1, len(found) + 1), found, ".", alpha=0.5, label="candidates")
    ax.step(range(1, len(best) + 1), best, where="post", label="best so far")
    reference = run._store.reference()
    if reference is not None:
        ax.axhline(reference["score"], linestyle="--", color="gray", label=reference["name"])
    ax.set(xlabel="trainings", ylabel=run.info["metric"], title=run.info["task"])
    ax.legend()


def funnel(run: Drawn, ax: Axes) -> None:
    """Number of candidates by their fates, from all that were drawn to those that were trained."""
    counts = {name: count for name, count in run.counts.items() if count or name in ("screened", "trained")}
    bars = ax.barh(list(counts), list(counts.values()))
    ax.bar_label(bars, [f" {count:,}" for count in counts.values()])
    # A search draws thousands of candidates and trains dozens.
    ax.set_xscale("symlog")
    ax.set_xlim(0, 10 * max(1, *counts.values()))
    ax.invert_yaxis()
    ax.set(xlabel="candidates", title=run.info["task"])


def loss(run: Drawn, ax: Axes) -> None:
    """The value of the best loss over the prediction at a single element, where means and pooling are the identity.

    A branch of class probabilities p has a curve for y = 0 and one for y = 1, as every branch of numbers.
    """
    best = run.best
    if best is None:
        raise ValueError("Run.plot: the run has no score yet, expected one for the curves of its best loss")
    known = {branch.name: branch.activation == "none" for branch in best._of_task or ()}
    axes = set()
    for name in best.branches:
        numbers = known[name] if name in known else not run._store.is_probabilities(name)
        drawn = best._curves(name, numbers)
        if drawn is None:
            continue
        x, curves = drawn
        axes.add("p" if x == "yhat" and not numbers else x)
        for label, value, _ in curves:
            shown = f"{name}, {label}" if len(best.branches) > 1 else label
            ax.plot(*zip(*value, strict=True), label=shown)
    if not axes:
        raise ValueError(f"Run.plot: `{best}` has no value at a single element, expected a formula of operators")
    ax.set(xlabel=" or ".join(sorted(axes)), ylabel="loss value", title=f"best loss of {run.info['task']}")
    ax.legend()


def fidelity(run: Drawn, ax: Axes) -> None:
    """Scores in full training against proxy scores: finalists on the search set, compared losses on the test set."""
    proxy = {f"#{row['id']}": row["score"] for row in run._store.candidates() if row["fate"] == "scored"}
    reference = run._store.reference()
    if reference is not None:
        proxy[reference["name"]] = reference["score"]
    sets = {"search set": run._store.finalists(), "test set": run._store.comparisons()}
    shown = 0
    for name, compared in sets.items():
        known = [each for each in compared if each["mean"] is not None and each["name"] in proxy]
        if not known:
            continue
        shown += len(known)
        x, y = [proxy[each["name"]] for each in known], [each["mean"] for each in known]
        ax.errorbar(x, y, yerr=[each["std"] for each in known], fmt="o", capsize=3, label=name)
        for each, where in zip(known, zip(x, y, strict=True), strict=True):
            ax.annotate(each["name"], where, xytext=(4, 4), textcoords="offset points", fontsize="small")
    if not shown:
        raise ValueError("Run.plot: no loss of the run was trained by the proxy and in full, expected at least one")
    metric = run.info["metric"]
    ax.set(xlabel=f"{metric} of the proxy", ylabel=f"{metric} in full training", title=run.info["task"])
    ax.legend()


#: The pictures by name.
KINDS: dict[str, Callable[[Drawn, Any], None]] = {
    "scores": scores,
    "funnel": funnel,
    "loss": loss,
    "fidelity": fidelity,
}
