"""The command `python -m autoloss.ray`: searches for a built-in task, or any program, on a cluster of Ray."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import autoloss as al

EXAMPLE = """examples:
  python -m autoloss.ray --task voc --data data/VOC2012 --metric miou --time 48h --num-gpus 1 --run runs/voc
  python -m autoloss.ray --evaluator "python3 train.py" --address auto --time 8h --time-limit 30m

The run is an ordinary one: `autoloss show DIR` and `autoloss report DIR` read it. Ctrl-C and SIGTERM end the search in
order; the same command with --resume goes on with it.
"""

#: Beginning of the names of settings that the program of a built-in task reads.
TASK = "task."


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code: 0, 1 where it failed or was interrupted, 2 for wrong use."""
    arguments = _parser().parse_args(words)
    # A scheduler ends jobs by SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        run = _searched(arguments)
    except KeyboardInterrupt:
        return _told("interrupted; go on with --resume", 1)
    except (ValueError, TypeError, FileExistsError) as error:
        return _told(str(error), 2)
    except (al.SearchFailed, ImportError, OSError, RuntimeError) as error:
        return _told(str(error), 1)
    print(json.dumps(_summary(run), indent=2) if arguments.json else _text(run))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m autoloss.ray",
        description="Searches a loss with trainings on a cluster of Ray, by workers that join and leave.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    task = parser.add_argument_group("task, one of the two")
    task.add_argument("--task", metavar="NAME", help="built-in task, such as digits, voc, cityscapes or coco-pose")
    task.add_argument("--evaluator", metavar="CMD", help="program that speaks the messages of docs/worker.md")
    task.add_argument("--program", metavar="FILE", default="autoloss", help="the program of built-in tasks")
    task.add_argument("--data", metavar="DIR", help="folder of the data set, on each node")
    task.add_argument("--metric", metavar="NAME", help="metric of the built-in task, such as miou or bf1")
    task.add_argument("--net", metavar="NAME", help="network of the built-in task")
    task.add_argument("--config", metavar="FILE", help="file of settings of the built-in task")
    task.add_argument("--preset", metavar="NAME", help="settings to start from: paper")
    task.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="setting, as of autoloss search")
    task.add_argument("--device", metavar="NAME", help="device of trainings; default with --num-gpus: cuda")
    search = parser.add_argument_group("search")
    search.add_argument("--run", metavar="DIR", help="folder of the run; default: a new one under runs/")
    search.add_argument("--resume", action="store_true", help="go on with the run in --run, if it is there")
    search.add_argument("--seed", metavar="N", type=int, default=0)
    search.add_argument("--time", metavar="TIME", help="limit, such as 90m or 48h")
    search.add_argument("--evaluations", metavar="N", type=int, help="limit of trainings")
    search.add_argument("--json", action="store_true", help="print the result as JSON")
    cluster = parser.add_argument_group("cluster")
    cluster.add_argument("--address", metavar="HOST:PORT", help="running cluster, or auto; default: one of its own")
    cluster.add_argument("--workers", metavar="N", default="all", help="number; default: all, as many as fit")
    cluster.add_argument("--num-cpus", metavar="X", type=float, default=1.0, help="processors of a worker")
    cluster.add_argument("--num-gpus", metavar="X", type=float, default=0.0, help="GPUs of a worker, or shares of one")
    cluster.add_argument("--time-limit", metavar="TIME", help="longest time of one training")
    return parser


def _searched(arguments: argparse.Namespace) -> al.Run:
    """The run of a search to its end."""
    task = _task(arguments)
    workers = int(arguments.workers) if arguments.workers.isdigit() else arguments.workers
    cluster = al.Ray(
        address=arguments.address,
        workers=workers,
        num_cpus=arguments.num_cpus,
        num_gpus=arguments.num_gpus,
        time_limit=arguments.time_limit,
    )
    limits = {"time": arguments.time, "evaluations": arguments.evaluations}
    settings = _settings([setting for setting in arguments.set if not setting.startswith(TASK)])
    if arguments.resume and arguments.run is None:
        raise ValueError("--resume is given without --run, expected the folder of the run")
    if arguments.resume and os.path.exists(os.path.join(arguments.run, "run.sqlite")):
        return al.open(arguments.run).resume(task, executor=cluster, **limits)
    return al.search(task, run=arguments.run, seed=arguments.seed, executor=cluster, **limits, **settings)


def _task(arguments: argparse.Namespace) -> al.Program:
    if (arguments.task is None) == (arguments.evaluator is None):
        raise ValueError("expected either --task or --evaluator")
    if arguments.evaluator is not None:
        of_task = ("data", "metric", "net", "config", "preset")
        given = [name for name in of_task if getattr(arguments, name)]
        given += [f"set {setting}" for setting in arguments.set if setting.startswith(TASK)]
        if given:
            raise ValueError(f"--{given[0]} is given beside --evaluator, whose data and settings are its own")
        return al.Program(arguments.evaluator, device=arguments.device)
    task = al.Program(
        arguments.program,
        task=arguments.task,
        data=arguments.data,
        metric=arguments.metric,
        net=arguments.net,
        config=arguments.config,
        preset=arguments.preset,
        device=arguments.device,
    )
    # As they are: the program reads them.
    task.command += [word for setting in arguments.set if setting.startswith(TASK) for word in ("--set", setting)]
    return task


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Settings of the search by their names: a value is JSON, or else a text."""
    found: dict[str, Any] = {}
    for setting in given:
        key, equals, text = setting.partition("=")
        section, _, name = key.partition(".")
        if not equals or section not in ("search", "screening") or not name:
            raise ValueError(f"--set {setting}: expected KEY=VALUE with a key such as search.initial")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _summary(run: al.Run) -> dict[str, Any]:
    recommended = run.recommended
    return {
        "run": os.fspath(run.path),
        "best": None if run.best is None else {"loss": str(run.best), "score": run.best_score},
        "recommended": None if recommended is None else str(recommended),
        "counts": run.counts,
        "comparisons": run.comparisons,
    }


def _text(run: al.Run) -> str:
    lines = [str(run)]
    for compared in run.comparisons:
        score = "no score" if compared["mean"] is None else f"{compared['mean']:.4f}"
        lines.append(f"{score}  {compared['name']}: {compared['formula']}")
    if run.recommended is not None:
        lines.append(f"recommended: {run.recommended}")
    lines.append(f"more: autoloss show {run.path}")
    return "\n".join(lines)


def _told(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
