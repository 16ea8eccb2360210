"""Searches: what they find, what they keep, how they end."""

import threading

import numpy as np
import pytest
from runs import formulas, searched
from tasks import CLASSES, SMALL, Failing, Linear, data

import autoloss as al


def test_a_search_finds_and_compares_losses(tmp_path):
    run = searched(tmp_path)
    assert run.info["ended"] is not None
    assert run.info["task"] == "Linear"
    assert run.counts["trained"] == 6
    assert run.best_score == max(row["score"] for row in run._store.candidates() if row["score"] is not None)
    assert isinstance(run.best, al.Loss)
    assert run.best.branches == ("classes",)
    names = [comparison["name"] for comparison in run.comparisons]
    assert "cross_entropy" in names
    assert len(names) == 2
    assert all(len(comparison["trainings"]) == 2 for comparison in run.comparisons)
    assert str(run.recommended) in {comparison["formula"] for comparison in run.comparisons}
    assert run.population[0] == run.best
    assert "trained" in repr(run)
    assert "<table>" in run._repr_html_()


def test_one_seed_is_one_search_and_another_another(tmp_path):
    first = formulas(searched(tmp_path, name="a"))
    assert first == formulas(searched(tmp_path, name="b"))
    assert first != formulas(searched(tmp_path, name="c", seed=2))


def test_a_resumed_search_goes_on_where_it_was(tmp_path):
    whole = formulas(searched(tmp_path, name="whole"))
    searched(tmp_path, name="part", evaluations=3, final_losses=0)
    run = al.open(tmp_path / "part")
    with pytest.raises(TypeError, match="Run.resume: .* expected task="):
        run.resume(evaluations=6)
    run = run.resume(Linear(), evaluations=6, progress=False)
    assert formulas(run) == whole


def test_operators_that_change_nothing_are_not_searched(tmp_path):
    def operators(name, **settings):
        text = searched(tmp_path, name=name, evaluations=1, final_losses=0, **settings)._store.info()["settings"]
        return text.split("operators = [")[1].split("]")[0]

    # Samples of (64, 3): neighbours there are none, channels and samples there are.
    found = operators("own")
    assert "max_pool" not in found
    assert "min_pool" not in found
    assert "mean_c" in found
    assert "mean_nhw" in found
    assert operators("given", operators=["mul", "log", "neg", "max_pool"]) == '"mul", "log", "neg", "max_pool"'


def test_a_run_compares_losses_with_fresh_seeds(tmp_path):
    run = searched(tmp_path, final_losses=0, evaluations=3)
    found = run.compare(seeds=3, progress=False)
    assert [each["name"] for each in found] == ["cross_entropy", f"#{run._store.best()[0]}"]
    seeds = [training["seed"] for training in found[0]["trainings"]]
    assert len(set(seeds)) == 3
    assert seeds == [training["seed"] for training in found[1]["trainings"]]
    assert found[0]["mean"] == pytest.approx(np.mean([t["score"] for t in found[0]["trainings"]]))
    assert found[1]["difference"] == pytest.approx(found[1]["mean"] - found[0]["mean"])
    again = al.open(tmp_path / "run")
    with pytest.raises(TypeError, match="expected task="):
        again.compare()
    named = again.compare({"focal": "zoo:focal", "own": run.best}, task=Linear(), seeds=1, seed=5, progress=False)
    assert [each["name"] for each in named] == ["focal", "own"]
    assert named[0]["trainings"][0]["seed"] not in seeds
    for wrong, text in (({"losses": ["yhatt"]}, "unknown input"), ({"seeds": 0}, "0 seeds"), ({"losses": []}, "of 0")):
        with pytest.raises(ValueError, match=text):
            run.compare(progress=False, **wrong)
    failing = Failing(lambda made: made == 2)
    found = run.compare(["zoo:mse"], task=failing, seeds=2, progress=False)
    assert len(found[0]["trainings"]) == len(found[0]["failed"]) == 1
    assert "no data today" in found[0]["failed"][0][1]


def test_trainings_are_asked_for_the_right_sets_and_schedules(tmp_path):
    seen = []

    class Watched(Linear):
        def evaluate(self, loss, job):
            seen.append((job.schedule, job.split, job.device, repr(job)))
            return super().evaluate(loss, job)

    searched(tmp_path, Watched(), evaluations=3)
    kinds = {(schedule, split) for schedule, split, *_ in seen}
    assert kinds == {("proxy", "search"), ("full", "search"), ("full", "test")}
    assert {device for _, _, device, _ in seen} == {"cpu"}
    assert seen[0][3].startswith("Job(schedule='proxy', split='search', seed=")


def test_curves_and_metrics_are_kept(tmp_path):
    run = searched(tmp_path, evaluations=3, final_losses=0)
    row = next(row for row in run._store.candidates() if row["fate"] == "scored")
    assert row["metrics"] == {"steps": 30.0}
    curve = run._store.curve(row["id"])
    assert [step for step, _ in curve] == list(range(30))
    assert all(np.isfinite(value) for _, value in curve)


def test_labels_are_scored_once(tmp_path):
    calls = []

    class Counted(Linear):
        def metric(self, prediction, target):
            calls.append(prediction["classes"].tobytes())
            return super().metric(prediction, target)

        def evaluate(self, loss, job):
            evaluated = super().evaluate(loss, job)
            calls.pop()
            return evaluated

    searched(tmp_path, Counted(), evaluations=4, final_losses=0)
    # Beside the two tries of each sample before the run no label map is scored twice.
    assert len(calls) - len(set(calls)) <= 2 * 2
    assert len(calls) > 10


def test_a_native_metric_screens_as_the_same_in_python(tmp_path):
    class Native(Linear):
        screening_metric = al.metrics.macro_f1.configured(classes=CLASSES)

        def metric(self, prediction, target):
            raise AssertionError("screening asks the native metric")

        def evaluate(self, loss, job):
            return Linear().evaluate(loss, job)

    assert formulas(searched(tmp_path, Native(), name="native")) == formulas(searched(tmp_path, name="python"))


def test_probabilities_reach_the_metric_as_they_are(tmp_path):
    shapes = set()

    class Probabilities(Linear):
        metric_input = "probabilities"

        def metric(self, prediction, target):
            values = prediction["classes"]
            if values.ndim == 2:
                shapes.add((values.shape, values.dtype, target["classes"].dtype))
                values = values.argmax(1)
            return super().metric({"classes": values}, target)

    run = searched(tmp_path, Probabilities(), evaluations=3, final_losses=0)
    assert shapes == {((64, CLASSES), np.dtype(np.float32), np.dtype(np.int64))}
    assert run.counts["trained"] == 3


# Failures.


def test_losing_trainings_are_ended_at_rungs(tmp_path):
    ended = []

    class Rungs(Linear):
        def evaluate(self, loss, job):
            try:
                for step in range(self.steps):
                    job.report(step, score=lambda: min(1.0, 1 / (1 + job.seed % 7 + len(ended))), of=self.steps)
            except al.Interrupted:
                ended.append(step)
                raise
            return super().evaluate(loss, job)

    run = searched(tmp_path, Rungs(), evaluations=12, final_losses=0, rungs=[0.5], rung_share=0.5)
    assert run.counts["trained"] == 12
    assert run.counts["pruned"] == len(ended)


# Processes.


def test_searches_run_in_other_threads(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(searched(tmp_path, evaluations=2, final_losses=0)))
    thread.start()
    thread.join(120)
    assert found[0].counts["trained"] == 2


# Several branches and derived inputs.


def test_progress_is_told_and_harmless(tmp_path, capsys):
    given = {**SMALL, "progress": True}
    al.search(Linear(), run=tmp_path / "run", evaluations=2, seed=1, **given)
    shown = capsys.readouterr().err
    assert f"run {tmp_path / 'run'}" in shown
    assert "screened" in shown.splitlines()[-1]


def test_data_differ_by_seed():
    assert not np.array_equal(data(1)[0], data(2)[0])
