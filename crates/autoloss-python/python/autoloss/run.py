"""Searches and their runs."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autoloss import _core, _run_settings, _worker, plots
from autoloss._bridge import Bridge
from autoloss._core import Loss
from autoloss.program import ProgramBridge, bridge
from autoloss.progress import Progress
from autoloss.task import Task

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from autoloss.ray import Ray

#: Limit of a search that is given none.
DEFAULT_TIME = "10m"


def search(
    task: Task,
    *,
    time: float | str | None = None,
    evaluations: int | None = None,
    run: str | os.PathLike[str] | None = None,
    seed: int = 0,
    workers: int = 1,
    device: str | Sequence[str] | None = None,
    time_limit: float | str | None = None,
    executor: Ray | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Searches a loss for a task, then compares the best losses found with the task's baselines in full training.

    `time` (seconds, or a text such as "5m") and `evaluations` (trainings) are the limits of the search, by default
    ten minutes; `run` is the folder of the run, by default the first free `runs/NAME-N`. With one worker the
    trainings are made in this process and the same seed gives the same search; more `workers` are processes of
    their own, to which the task is pickled. `device` is that of the trainings, or a list of one for each worker.
    `time_limit` is the longest time of one training, for which it needs a process of its own. With `executor=Ray(...)`
    the trainings are made on a cluster.

    `settings` are those of the search (`operators`, `population`, `depth`, `start`, `final_seeds`, ...) and of the
    screening (`samples`, `steps`, `threshold`, ...); the file of defaults, `autoloss-search/src/default.toml`,
    explains each. Screening counts what share of the possible gain a loss reaches (`normalise=True`), as metrics of
    one's own begin anywhere.

    Ctrl-C ends the search in order and raises `KeyboardInterrupt`; `autoloss.open(folder).resume(task)` goes on.
    """
    devices = [device] if isinstance(device, str) or device is None else list(device)
    limit = _run_settings.seconds("time", time)
    opened = bridge(task, devices[0])
    if limit is None and evaluations is None:
        limit = _run_settings.seconds("time", DEFAULT_TIME)
    given = {"seed": seed, "time": limit, "evaluations": evaluations, **settings}
    with _worker.crew(opened, workers, devices, _run_settings.seconds("time_limit", time_limit), executor) as crew:
        folder, _ = _core.search(
            opened,
            _run_settings.toml(given),
            run,
            _run_settings.about(opened.branch_list, opened.further),
            Progress(progress, limit, evaluations),
            crew,
        )
    found = Run(folder, task)
    if limit is not None and found.counts["trained"] == 0:
        opened.warn(
            f"the limit of time, {limit:.0f} s, held no training of the search beside the full trainings at its end: "
            "allow more time, or train less at the end (final_seeds, finalist_seeds, final_losses)"
        )
    return found


def open(run: str | os.PathLike[str]) -> Run:
    """Opens a run on disk, also one that goes on in another process."""
    return Run(run)


class Run:
    """A search on disk: its losses, scores and comparisons, as far as they are there.

    `path` is its folder. A run that `search` returns knows its task; one that was opened is given it where trainings
    are to be made.
    """

    def __init__(self, path: str | os.PathLike[str], task: Task | None = None) -> None:
        self.path = os.fspath(path)
        self.task = task
        self._store = _core.Store(self.path)

    @property
    def info(self) -> dict[str, Any]:
        """Description of the run: `task`, `metric`, `seed`, `elapsed` (seconds), `ended` (why, or None)."""
        info = self._store.info()
        return {name: info[name] for name in ("program", "task", "metric", "seed", "elapsed", "ended")}

    @property
    def counts(self) -> dict[str, int]:
        """The funnel of the search: how many candidates were drawn, and what became of them."""
        return self._store.tally()

    @property
    def best(self) -> Loss | None:
        """The loss with the best score in the search's own trainings; None before there is one."""
        best = self._store.best()
        return None if best is None else self._loss(best[2])

    @property
    def best_score(self) -> float | None:
        """The score of `best` on the search set."""
        best = self._store.best()
        return None if best is None else best[1]

    @property
    def recommended(self) -> Loss | None:
        """The loss to use: the winner of the final comparison in full training, before that `best`."""
        found = self._store.recommended()
        return None if found is None else self._loss(found[1])

    @property
    def comparisons(self) -> list[dict[str, Any]]:
        """The final comparison on the test set, the highest mean first.

        Each loss is a dictionary of `name`, `formula`, `mean`, `std`, `trainings`, `failed`, and where it is not the
        usual one `against` (that one's name), `difference` and `p` (paired t-test over the seeds).
        """
        return self._store.comparisons()

    @property
    def population(self) -> list[Loss]:
        """The distinct losses with a score, the best first."""
        rows = [row for row in self._store.candidates() if row["fate"] == "scored"]
        rows.sort(key=lambda row: (-row["score"], row["id"]))
        return [self._loss(formula) for formula in dict.fromkeys(row["formula"] for row in rows)]

    def loss(self, number: int) -> Loss:
        """The loss of a candidate, by its number."""
        return self._loss(self._store.formula(number))

    def to_pandas(self) -> pandas.DataFrame:
        """Every candidate as a row of a table: number, parent, formula, fate, score, metrics.

        The score of a loss that was trained several times is the mean of its `trainings`.
        """
        import pandas

        rows = self._store.candidates()
        for row in rows:
            row.update({f"metric.{name}": value for name, value in row.pop("metrics").items()})
        columns = ["id", "parent", "origin", "formula", "fate", "reason", "g", "score", "trainings", "equivalent_to"]
        table = pandas.DataFrame(rows, columns=None if rows else [*columns, "joined", "seconds", "elapsed"])
        return table.set_index("id")

    def resume(
        self,
        task: Task | None = None,
        *,
        time: float | str | None = None,
        evaluations: int | None = None,
        workers: int = 1,
        device: str | Sequence[str] | None = None,
        time_limit: float | str | None = None,
        executor: Ray | None = None,
        progress: bool = True,
    ) -> Run:
        """Goes on with the search; `time` and `evaluations`, its earlier parts included, replace the limits."""
        opened, devices = self._opened("Run.resume", task, device)
        limit = _run_settings.seconds("time", time)
        with _worker.crew(opened, workers, devices, _run_settings.seconds("time_limit", time_limit), executor) as crew:
            _core.resume(opened, self.path, evaluations, limit, Progress(progress, None, evaluations), crew)
        return Run(self.path, opened.task)

    def compare(
        self,
        losses: Sequence[Loss | str] | Mapping[str, Loss | str] | None = None,
        *,
        task: Task | None = None,
        seeds: int = 5,
        seed: int = 0,
        workers: int = 1,
        device: str | Sequence[str] | None = None,
        executor: Ray | None = None,
        progress: bool = True,
    ) -> list[dict[str, Any]]:
        """Trains losses in full with seeds that the search has not seen, and scores them on the test set.

        `losses` are losses, formulas or names of the zoo, or a dictionary of them by name; by default the task's
        baselines and `best`. The result has the form of `comparisons`, in the order of the losses, each against the
        first. `seed` chooses the seeds.
        """
        opened, devices = self._opened("Run.compare", task, device)
        if losses is None:
            named = dict(opened.baselines)
            best = self._store.best()
            if best is not None:
                named[f"#{best[0]}"] = best[2]
        elif isinstance(losses, Mapping):
            named = {name: str(loss) for name, loss in losses.items()}
        else:
            named = {str(loss): str(loss) for loss in losses}
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1 or not named:
            raise ValueError(f"Run.compare: {seeds!r} seeds of {len(named)} losses, expected at least one of each")
        with _worker.crew(opened, workers, devices, None, executor) as crew:
            return _core.compare(opened, list(named.items()), (seed, seeds), Progress(progress), crew)

    def fidelity(
        self,
        losses: Mapping[str, Loss | str] | None = None,
        *,
        task: Task | None = None,
        found: int = 10,
        seeds: int = 2,
        proxy_seeds: int = 1,
        seed: int = 0,
        workers: int = 1,
        device: str | Sequence[str] | None = None,
        executor: Ray | None = None,
        progress: bool = True,
    ) -> dict[str, Any]:
        """Measures how well the proxy's ranking of losses predicts that of full training.

        A panel of losses, the task's baselines, `found` losses of this run from its best to its worst, and `losses` by
        name, is trained by the proxy and scored on the search set, and trained in full and scored on the test set; all
        with seeds that no search has. The result has `spearman` and `kendall` (rank correlations, each with a 95 %
        interval over resampled panels, `..._interval`), `regret` (best score in full training less that of the three
        losses that the proxy ranks first), `cost_ratio` (seconds of a full training by those of a proxy training) and
        `losses`, the best in full training first. `seed` chooses the seeds.
        """
        opened, devices = self._opened("Run.fidelity", task, device)
        for name, count in (("found", found), ("seeds", seeds), ("proxy_seeds", proxy_seeds)):
            if isinstance(count, bool) or not isinstance(count, int) or count < (name != "found"):
                raise ValueError(f"Run.fidelity: `{name}` is {count!r}, expected a number of losses or trainings")
        panel: dict[str, tuple[str, bool]] = {}
        given = (losses or {}).items()
        for written, some in ((True, opened.baselines), (False, self._spread(found)), (False, given)):
            for name, loss in some:
                panel.setdefault(str(self._loss(str(loss))), (name, written))
        named = [(name, formula, written) for formula, (name, written) in panel.items()]
        if len({name for name, *_ in named}) < len(named):
            raise ValueError(f"Run.fidelity: two losses have one name among {[name for name, *_ in named]}")
        with _worker.crew(opened, workers, devices, None, executor) as crew:
            return _core.fidelity(opened, named, (seed, proxy_seeds, seeds), Progress(progress), crew)

    def _spread(self, count: int) -> list[tuple[str, str]]:
        """(name, formula) of so many distinct losses with a score, evenly from the best to the worst."""
        rows = [row for row in self._store.candidates() if row["fate"] == "scored"]
        rows.sort(key=lambda row: (-row["score"], row["id"]))
        distinct = {row["formula"]: f"#{row['id']}" for row in reversed(rows)}
        ranked = [(distinct[formula], formula) for formula in dict.fromkeys(row["formula"] for row in rows)]
        count = min(count, len(ranked))
        return [ranked[round(k * (len(ranked) - 1) / max(1, count - 1))] for k in range(count)]

    def plot(self, kind: str = "scores", ax: Axes | None = None) -> Axes:
        """Draws a picture of the run, into `ax` where it is given.

        - "scores": scores against trainings: each candidate, the best so far, and the task's usual loss.
        - "funnel": numbers of candidates by their fates.
        - "loss": the value of the best loss over the prediction p, for y = 1 and y = 0.
        - "fidelity": scores in full training against proxy scores, of the losses that have both.
        """
        return plots.draw(self, kind, ax)

    def report(self, path: str | os.PathLike[str] | None = None) -> str:
        """Writes the run as a page of HTML that needs no other file, by default `report.html` in its folder.

        The page answers whether the loss found is better, and shows losses, search and trainings; the command
        `autoloss report` writes the same. The result is the page's path.
        """
        page = self._store.report()
        path = os.path.join(self.path, "report.html") if path is None else os.fspath(path)
        folder, name = os.path.split(path)
        # The page appears whole or not at all.
        aside = os.path.join(folder, f".{name}.{os.getpid()}")
        with builtins.open(aside, "w", encoding="utf-8") as file:
            file.write(page)
        os.replace(aside, path)
        return path

    def _opened(
        self, call: str, task: Task | None, device: str | Sequence[str] | None
    ) -> tuple[Bridge | ProgramBridge, list[str | None]]:
        """The bridge to the task, given or known, and the devices of trainings."""
        task = task or self.task
        if task is None:
            raise TypeError(f"{call}: the run was opened from disk and knows no task, expected task=...")
        devices: list[str | None] = [device] if isinstance(device, str) or device is None else list(device)
        return bridge(task, devices[0]), devices

    def _loss(self, formula: str) -> Loss:
        branches, inputs = _run_settings.recorded(self._store.info()["about"])
        if self.task is not None:
            branches = list(_run_settings.without_functions(self.task.branches)) or branches
        if not branches:
            return Loss(formula)
        return Loss._make(formula, inputs, [branch.name for branch in branches], tuple(branches))

    def __repr__(self) -> str:
        best, counts = self._store.best(), self.counts
        found = "no score yet" if best is None else f"best {best[1]:.4f}: {best[2]}"
        return f"Run({self.path!r}: {counts['screened']:,} screened, {counts['trained']} trained, {found})"

    def _repr_html_(self) -> str:
        import html

        info, counts = self.info, self.counts
        lines = [f"<b>{html.escape(info['task'])}</b> for {html.escape(info['metric'])}, seed {info['seed']}: "]
        lines.append(f"{counts['screened']:,} screened, {counts['trained']} trained")
        recommended = self.recommended
        if recommended is not None:
            lines.append(f"<br>recommended: {recommended._repr_latex_()}")
        compared = self.comparisons
        if compared:
            cells = "".join(
                f"<tr><td style='text-align:left'>{html.escape(c['name'])}</td>"
                f"<td>{_shown(c['mean'])} ± {_shown(c['std'])}</td><td>{_shown(c['p'], 3)}</td></tr>"
                for c in compared
            )
            lines.append(f"<table><tr><th>loss</th><th>test score</th><th>p</th></tr>{cells}</table>")
        return "".join(lines)


def _shown(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
