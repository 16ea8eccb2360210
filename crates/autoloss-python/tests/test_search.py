"""Searches over tasks in Python."""

import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tasks import CLASSES, SMALL, Linear, data

import autoloss as al

HERE = Path(__file__).parent


def searched(tmp_path, task=None, name="run", **settings):
    given = {**SMALL, "evaluations": 6, "seed": 1, **settings}
    return al.search(task or Linear(), run=tmp_path / name, **given)


def formulas(run):
    return [(row["formula"], row["fate"], row["score"]) for row in run._store.candidates()]


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


class Failing(Linear):
    def __init__(self, fails):
        self.fails = fails
        self.made = 0

    def evaluate(self, loss, job):
        self.made += 1
        if self.fails(self.made):
            raise ZeroDivisionError("no data today")
        return super().evaluate(loss, job)


def test_an_exception_fails_its_trial_alone_and_keeps_the_traceback(tmp_path):
    run = searched(tmp_path, Failing(lambda made: made == 3), final_losses=0)
    failed = [row for row in run._store.candidates() if row["fate"] == "failed"]
    assert len(failed) == 1
    assert "ZeroDivisionError: no data today" in failed[0]["reason"]
    assert "in evaluate" in failed[0]["reason"]
    assert run.counts["trained"] == 6
    assert run.counts["failed"] == 1


def test_failures_of_everything_end_the_search_with_the_last(tmp_path):
    task = Failing(lambda made: made > 1)
    with pytest.raises(al.SearchFailed, match="(?s)the first 5 evaluations all failed.*no data today") as raised:
        searched(tmp_path, task)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert task.made == 6


def test_a_baseline_that_fails_ends_the_search_at_once(tmp_path):
    with pytest.raises(al.SearchFailed, match="training the baseline `cross_entropy` failed") as raised:
        searched(tmp_path, Failing(lambda made: True))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        (None, "Returning.evaluate returned None, expected a number"),
        (float("nan"), "Returning.evaluate returned nan, expected a finite number"),
        ("0.5", "Returning.evaluate returned the text '0.5', expected a number"),
        ([1, 2], "Returning.evaluate returned a list, expected a number"),
        (al.Evaluation(0.5, {"f": None}), "metric `f` returned None"),
    ],
)
def test_wrong_results_fail_the_training(tmp_path, returned, text):
    class Returning(Linear):
        def evaluate(self, loss, job):
            return returned

    with pytest.raises(al.SearchFailed, match=text):
        searched(tmp_path, Returning())


def test_numbers_of_numpy_are_scores(tmp_path):
    class Returning(Linear):
        def evaluate(self, loss, job):
            return np.array([super().evaluate(loss, job).score], np.float32)

    assert searched(tmp_path, Returning(), evaluations=2, final_losses=0).counts["failed"] == 0


def test_losses_that_are_not_finite_are_stopped(tmp_path):
    class Stopping(Linear):
        def evaluate(self, loss, job):
            if "exp" in str(loss):
                try:
                    job.check(float("inf"))
                except Exception:
                    raise AssertionError("`except Exception` lets it pass") from None
            return super().evaluate(loss, job)

    run = searched(tmp_path, Stopping(), evaluations=12, final_losses=0, start=["exp(-(y * yhat))"])
    stopped = [row for row in run._store.candidates() if row["fate"] == "stopped"]
    assert stopped
    assert all(row["score"] == 0 and "the loss value is inf" in row["reason"] for row in stopped)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(None, TypeError, "`loss` is None"), ("x", TypeError, "`loss` is a str"), ([1, 2], TypeError, "`loss` is a list")],
)
def test_job_names_wrong_values(tmp_path, value, error, text):
    raised = []

    class Checking(Linear):
        def evaluate(self, loss, job):
            calls = [job.check] if value is None else [job.check, lambda value: job.report(0, loss=value)]
            for call in calls:
                with pytest.raises(error, match=text) as caught:
                    call(value)
                raised.append(caught.value)
            with pytest.raises(ValueError, match="`score` is given without `of`"):
                job.report(0, score=0.5)
            return super().evaluate(loss, job)

    searched(tmp_path, Checking(), evaluations=1, final_losses=0)
    assert len(raised) == (2 if value is None else 4)


# Before the run begins.


def changed(**changes):
    return type("Changed", (Linear,), changes)()


def nothing(self, *arguments):
    return None


BAD_TASKS = {
    "class": (Linear, TypeError, r"`task` is the class Linear, expected an object: Linear\(\)"),
    "other": (3, TypeError, "`task` is a int, expected an autoloss.Task"),
    "no branches": (changed(branches=[]), ValueError, "Changed.branches is empty"),
    "branch": (changed(branches=[3]), TypeError, "Changed.branches holds a int"),
    "not overridden": (type("Bare", (al.Task,), {"branches": Linear.branches})(), TypeError, "no method `screening"),
    "signature": (changed(evaluate=lambda self: 1.0), TypeError, r"Changed.evaluate\(\) cannot be called.*loss, job"),
    "baseline": (changed(baselines=["cross_entrpy"]), ValueError, "Changed.baselines: .*did you mean"),
    "baselines": (changed(baselines="focal"), TypeError, "Changed.baselines is a str"),
    "metric input": (changed(metric_input="logits"), ValueError, "Changed.metric_input is 'logits'"),
    "timeout": (changed(metric_timeout=0), ValueError, "Changed.metric_timeout is 0, expected seconds above 0"),
    "samples none": (changed(screening_samples=nothing), TypeError, "screening_samples returned a NoneType"),
    "samples few": (changed(screening_samples=lambda s, c, d: []), ValueError, "returned 0 samples, expected 2"),
    "sample": (changed(screening_samples=lambda s, c, d: [1, 2]), TypeError, "sample 0 is a int, expected autoloss.S"),
    "metric none": (changed(metric=nothing), TypeError, "Changed.metric returned None, expected a number"),
    "metric nan": (changed(metric=lambda *_: float("nan")), ValueError, "Changed.metric returned nan"),
    "metric text": (changed(metric=lambda *_: "high"), TypeError, "Changed.metric returned a str|the text"),
    "metric above": (changed(metric=lambda *_: 3.0), ValueError, "Changed.metric is 3 .* expected at most 1"),
    "metric raises": (changed(metric=lambda *_: 1 / 0), ZeroDivisionError, "division by zero"),
    "direction": (
        changed(metric=lambda s, p, t: float((p["classes"] != t["classes"]).mean())),
        ValueError,
        "expected more for the targets: higher is better",
    ),
}


@pytest.mark.parametrize("case", BAD_TASKS)
def test_wrong_tasks_are_named_before_the_run_begins(tmp_path, case):
    task, error, text = BAD_TASKS[case]
    with pytest.raises(error, match=text):
        searched(tmp_path, task)
    assert not (tmp_path / "run").exists()


def samples_of(prediction, target, **options):
    return changed(screening_samples=lambda self, count, seed: [al.Sample(prediction, target, **options)] * count)


UNIFORM, LABELS = np.full((8, 3), 1 / 3, np.float32), np.arange(8) % 3
BAD_SAMPLES = {
    "logits": (samples_of(np.random.default_rng(0).normal(size=(8, 3)), LABELS), ValueError, "say from_logits=True"),
    "channels": (samples_of(np.full((8, 4), 0.25), LABELS), ValueError, r"shape \(8, 4\), expected 3 channels"),
    "flat": (samples_of(LABELS, LABELS), ValueError, r"shape \(8,\), expected \(N, 3\)"),
    "volume": (samples_of(np.full((8, 3, 2, 2, 2), 1 / 3), LABELS), ValueError, "up to two spatial dimensions"),
    "nan": (samples_of(UNIFORM * np.nan, LABELS), ValueError, "the prediction holds a value that is not finite"),
    "texts": (samples_of(UNIFORM.astype(str), LABELS), TypeError, "the prediction has dtype"),
    "target shape": (samples_of(UNIFORM, LABELS[:4]), ValueError, r"expected class numbers of shape \(8,\)"),
    "target class": (samples_of(UNIFORM, LABELS + 1), ValueError, "holds the class 3, expected 0 to 2; or set ignore"),
    "target float": (samples_of(UNIFORM, LABELS.astype(float)), ValueError, r"or class numbers \(integers\)"),
    "branch": (samples_of({"x": UNIFORM}, LABELS), ValueError, "the prediction has no branch 'classes'"),
}


@pytest.mark.parametrize("case", BAD_SAMPLES)
def test_wrong_samples_are_named_before_the_run_begins(tmp_path, case):
    task, error, text = BAD_SAMPLES[case]
    with pytest.raises(error, match=f"Changed.screening_samples: sample 0.*{text}"):
        searched(tmp_path, task)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"popluation": 3}, ValueError, "no setting `search.popluation`; did you mean `population`"),
        ({"population": "many"}, ValueError, '`search.population` is "many", expected a whole number'),
        ({"threshold": 7.0}, ValueError, "`screening.threshold` is 7"),
        ({"time": "soon"}, ValueError, "`time` is 'soon', expected a duration"),
        ({"time": -1}, ValueError, "`time` is -1"),
        ({"time": []}, TypeError, "`time` is a list"),
        ({"workers": 0}, ValueError, "`workers` is 0"),
        ({"operators": ["ad"]}, ValueError, "`ad`, which is no operator; did you mean `add`"),
        ({"start": [object()]}, TypeError, "`start` is a object"),
    ],
)
def test_wrong_settings_are_named_before_the_run_begins(tmp_path, settings, error, text):
    with pytest.raises(error, match=text):
        searched(tmp_path, **settings)
    assert not (tmp_path / "run").exists()


def test_folders_that_hold_runs_or_none_are_named(tmp_path):
    searched(tmp_path, evaluations=1, final_losses=0)
    with pytest.raises(FileExistsError, match="already holds a run"):
        searched(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        al.open(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="the run is of task `Linear`, not `Other`"):
        al.open(tmp_path / "run").resume(type("Other", (Linear,), {})(), evaluations=2, progress=False)


def test_a_limit_of_time_that_holds_no_training_is_told(tmp_path):
    class Slow(Linear):
        def evaluate(self, loss, job):
            time.sleep(0.2)
            return super().evaluate(loss, job)

    with pytest.warns(RuntimeWarning, match="held no training of the search"):
        run = searched(tmp_path, Slow(), evaluations=None, time=0.5)
    assert run.counts["trained"] == 0

    class Told(Slow):
        def expected_seconds(self, schedule):
            return 100.0

    with pytest.raises(ValueError, match="one proxy training and the 6 full trainings at the end, of about 100 s each"):
        searched(tmp_path, Told(), name="told", evaluations=None, time=0.5)

    class Wrong(Linear):
        def expected_seconds(self, schedule):
            return "long"

    with pytest.raises(al.SearchFailed, match="Wrong.expected_seconds returned a str, expected a number"):
        searched(tmp_path, Wrong(), name="wrong", time=60)


def test_the_cost_of_the_metric_is_forecast_before_the_search(tmp_path, capsys):
    searched(tmp_path, evaluations=2, final_losses=0, progress=True)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert re.match(r"Linear.metric takes [\d.]+ ms a call: screening 100,000 losses takes .* s of it$", first)
    assert second.startswith("run ")


def test_a_slow_metric_is_told_with_a_forecast(tmp_path):
    class Slow(Linear):
        def metric(self, prediction, target):
            time.sleep(0.03)
            return super().metric(prediction, target)

    with pytest.warns(RuntimeWarning, match=r"Slow.metric takes [3-9]\d(\.\d)? ms a call: .*screening_metric"):
        searched(tmp_path, Slow(), evaluations=1, final_losses=0)


def test_a_metric_that_fails_in_screening_rejects_and_is_told(tmp_path):
    calls = []

    class Fragile(Linear):
        metric_input = "probabilities"

        def metric(self, prediction, target):
            values = prediction["classes"]
            calls.append(1)
            if len(calls) in (9, 12, 15) and values.ndim == 2:
                raise ValueError("cannot score this")
            return super().metric({"classes": values.argmax(1) if values.ndim == 2 else values}, target)

    with pytest.warns(RuntimeWarning, match=r"the metric or a derived input failed for \d+ predictions"):
        run = searched(tmp_path, Fragile(), evaluations=3, final_losses=0)
    assert any("the metric is NaN" in (row["reason"] or "") for row in run._store.candidates())


def test_a_metric_that_sleeps_for_ever_is_left_to_itself(tmp_path):
    calls = []

    class Sleepy(Linear):
        metric_timeout = 0.2

        def metric(self, prediction, target):
            calls.append(1)
            if len(calls) == 9:
                time.sleep(1000)
            return super().metric(prediction, target)

        def evaluate(self, loss, job):
            return Linear().evaluate(loss, job)

    with pytest.warns(RuntimeWarning, match="Sleepy.metric took longer than metric_timeout = 0.2 s"):
        run = searched(tmp_path, Sleepy(), evaluations=3, final_losses=0)
    assert run.counts["trained"] == 3

    class Asleep(Sleepy):
        def metric(self, prediction, target):
            time.sleep(1000)

    with pytest.raises(TimeoutError, match="Asleep.metric took longer"):
        searched(tmp_path, Asleep(), name="asleep")


# Ends.


class Endless(Linear):
    """Trains for ever, with or without reports."""

    reports = True

    def evaluate(self, loss, job):
        step = 0
        while True:
            time.sleep(0.001)
            if self.reports:
                job.report(step)
            step += 1


@pytest.mark.parametrize("reports", [True, False])
def test_ctrl_c_ends_a_search_in_order(tmp_path, reports):
    task = type("Endless", (Endless,), {"reports": reports})()
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, task)
    assert time.monotonic() - begun < 8
    finite = type("Endless", (Linear,), {})()
    assert al.open(tmp_path / "run").resume(finite, evaluations=2, progress=False).counts["trained"] == 2


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


class Dying(Linear):
    """Ends its process at the third candidate that it sees, once."""

    def __init__(self, mark):
        self.mark = str(mark)

    def evaluate(self, loss, job):
        print("what trainings print does no harm")
        if "log" in str(loss) and not os.path.exists(self.mark) and job.schedule == "proxy":
            Path(self.mark).touch()
            os._exit(3)
        return super().evaluate(loss, job)


def test_workers_are_processes_and_lost_trainings_are_made_again(tmp_path):
    run = searched(tmp_path, Dying(tmp_path / "mark"), workers=2)
    assert (tmp_path / "mark").exists()
    assert run.counts["trained"] == 6
    assert run.counts["failed"] == run.counts["lost"] == 0


class Sleeping(Linear):
    def evaluate(self, loss, job):
        if "exp" in str(loss):
            time.sleep(1000)
        return super().evaluate(loss, job)


def test_trainings_of_processes_have_a_limit_of_time(tmp_path):
    settings = {"start": ["exp(-(y * yhat))"], "start_screened": False, "time_limit": 0.5}
    run = searched(tmp_path, Sleeping(), evaluations=1, final_losses=0, **settings)
    assert run.counts["lost"] == 1
    row = next(row for row in run._store.candidates() if row["fate"] == "lost")
    assert "longer than search.trial_time" in row["reason"]


def test_tasks_that_cannot_be_pickled_are_named(tmp_path):
    task = Linear()
    task.loader = lambda: None
    with pytest.raises(TypeError, match="the task Linear cannot be pickled.*or use workers=1"):
        searched(tmp_path, task, workers=2)


def test_tasks_of_a_prompt_are_named_before_processes_start(tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import autoloss as al
from tasks import SMALL, Linear
class Own(Linear): pass
al.search(Own(), evaluations=2, workers=2, run={str(tmp_path / "run")!r}, **SMALL)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "the class Own is defined in a notebook or a prompt" in result.stderr
    assert not (tmp_path / "run").exists()


def test_scripts_with_several_workers_need_no_module_of_their_own(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import autoloss as al
        from tasks import SMALL, Linear

        class Own(Linear):
            pass

        if __name__ == "__main__":
            run = al.search(Own(), evaluations=3, workers=2, run={str(tmp_path / "run")!r}, **SMALL)
            print(run.counts["trained"], run.info["task"])
        """)
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "3 Own", result.stderr


def test_ctrl_c_ends_the_processes_too(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, sys, time
        sys.path.insert(0, {str(HERE)!r})
        import autoloss as al
        from tasks import SMALL, Linear

        class Endless(Linear):
            def evaluate(self, loss, job):
                open(os.path.join({str(tmp_path)!r}, f"{{os.getpid()}}.pid"), "w").close()
                while True:
                    time.sleep(0.01)

        if __name__ == "__main__":
            al.search(Endless(), evaluations=3, workers=2, run={str(tmp_path / "run")!r}, **SMALL)
        """)
    )
    search = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True)
    begun = time.monotonic()
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() - begun < 60:
        time.sleep(0.05)
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(workers) == 2
    # As a terminal does: to the search and its workers.
    os.killpg(search.pid, signal.SIGINT)
    _, errors = search.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert search.returncode != 0
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    assert al.open(tmp_path / "run").counts["trained"] == 0


def test_searches_run_in_other_threads(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(searched(tmp_path, evaluations=2, final_losses=0)))
    thread.start()
    thread.join(120)
    assert found[0].counts["trained"] == 2


# Several branches and derived inputs.


class Boxes(al.Task):
    """A class and an interval: its loss may use the overlap with the target."""

    baselines = ["cls = zoo:cross_entropy; box = abs(yhat - y)"]

    def __init__(self, pull_back=None):
        overlap = al.Derived("i", lambda yhat, y: yhat * y, pull_back)
        self.branches = [
            al.Branch("cls", channels=3, metric=lambda p, t: float((p.argmax(1) == t).mean())),
            al.Branch("box", channels=2, activation="none", derived=[overlap], metric=self.nearness),
        ]

    @staticmethod
    def nearness(prediction, target):
        return float(1 / (1 + np.abs(prediction - target).mean()))

    def screening_samples(self, count, seed):
        rng = np.random.default_rng(seed)
        logits = {"cls": rng.normal(size=(16, 3)), "box": rng.normal(size=(16, 2))}
        target = {"cls": rng.integers(0, 3, 16), "box": rng.normal(size=(16, 2))}
        return [al.Sample(logits, target, from_logits=True)] * count

    def metric(self, prediction, target):
        right = (prediction["cls"].argmax(1) == target["cls"]).mean()
        return float((right + self.nearness(prediction["box"], target["box"])) / 2)

    def evaluate(self, loss, job):
        assert loss.branches == ("cls", "box")
        rng = np.random.default_rng(job.seed)
        box, y = rng.random((2, 8, 2))
        inputs = {"i": {"box": box * y}} if "i" in loss.inputs else {}
        cls = np.full((8, 3), 1 / 3)
        value = loss.value({"cls": cls, "box": box}, {"cls": cls, "box": y}, **inputs)
        return 1 / (1 + np.exp(-np.clip(value, -5, 5)))


@pytest.mark.parametrize("pull_back", [None, lambda yhat, y, gradient: gradient * y])
def test_branches_with_derived_inputs(tmp_path, pull_back):
    if pull_back is None:
        pytest.importorskip("torch")
    run = searched(tmp_path, Boxes(pull_back), threshold=0.05, evaluations=3, steps=20, samples=1, final_losses=0)
    assert run.counts["trained"] == 3
    assert run.best.branches == ("cls", "box")
    assert "yhat" in run.best.inputs or "i" in run.best.inputs


def test_autograd_and_a_pull_back_of_ones_own_agree(tmp_path):
    pytest.importorskip("torch")
    settings = {"threshold": 0.05, "evaluations": 3, "steps": 20, "samples": 1, "final_losses": 0}
    own = searched(tmp_path, Boxes(lambda yhat, y, gradient: gradient * y), name="own", **settings)
    assert formulas(own) == formulas(searched(tmp_path, Boxes(), name="autograd", **settings))


# Ask and tell.


def test_a_study_is_driven_by_ask_and_tell(tmp_path):
    study = al.Study(Linear(), run=tmp_path / "run", seed=1, evaluations=6, **small())
    job = TestJob()
    while trial := study.ask():
        assert study.tell(trial, Linear().evaluate(trial.loss, TestJob(trial.seed)))
        assert not study.tell(trial.id, 0.5)
    assert job is not None
    assert study.run.counts["trained"] == 6
    searchedlike = searched(tmp_path, name="search", final_losses=0)
    assert [f for f, *_ in formulas(study.run)] == [f for f, *_ in formulas(searchedlike)]


def small():
    return {name: value for name, value in SMALL.items() if name != "progress"} | {"final_losses": 0}


class TestJob:
    """A scheduler's stand-in for the search's job."""

    __test__ = False
    split = "search"

    def __init__(self, seed=0):
        self.seed = seed

    def check(self, value):
        assert np.isfinite(value)

    def report(self, step, loss):
        pass


def test_a_study_takes_every_outcome_and_goes_on_from_disk(tmp_path):
    study = al.Study(Linear(), run=tmp_path / "run", seed=1, evaluations=5, **small())
    reference = study.ask()
    assert str(reference.loss) == "-(y * log(yhat))"
    assert study.tell(reference, 0.5, seconds=2.0)
    first = study.ask()
    assert study.lost(first, "node removed")
    again = study.ask()
    assert (again.id, again.attempt) == (first.id, 1)
    assert study.failed(again, ValueError("bad luck"))
    second = study.ask()
    assert study.stopped(second)
    third = study.ask()
    assert study.report(third, 0.5, 0.4)
    with pytest.raises(TypeError, match="Study.tell: the score returned None"):
        study.tell(third, None)
    with pytest.raises(ValueError, match="returned nan"):
        study.tell(third, float("nan"))
    assert study.tell(third, al.Evaluation(0.7, {"other": 0.1}, [(0, 2.0)]))
    del study
    again = al.Study(Linear(), run=tmp_path / "run")
    assert again.run.counts["trained"] == 3
    while trial := again.ask():
        again.tell(trial, 0.6)
    counts = again.run.counts
    assert (counts["trained"], counts["failed"], counts["stopped"]) == (5, 1, 1)
    with pytest.raises(ValueError, match="holds a run, which has its settings already"):
        al.Study(Linear(), run=tmp_path / "run", population=10)


def test_a_study_says_when_it_waits(tmp_path):
    study = al.Study(Linear(), run=tmp_path / "run", seed=1, evaluations=2, **small())
    trials = [study.ask(), study.ask(), study.ask()]
    assert len({trial.id for trial in trials}) == 3
    with pytest.raises(RuntimeError, match="3 trainings are under way"):
        study.ask()
    for trial in trials:
        study.tell(trial, 0.5)
    assert study.ask() is None
    assert study.run.info["ended"] is not None


def test_losses_of_a_run_survive_pickling_with_their_branches(tmp_path):
    run = searched(tmp_path, evaluations=2, final_losses=0)
    for loss in (run.best, al.open(tmp_path / "run").best):
        again = pickle.loads(pickle.dumps(loss))
        assert again == loss
        assert again._of_task[0].channels == CLASSES


def test_progress_is_told_and_harmless(tmp_path, capsys):
    given = {**SMALL, "progress": True}
    al.search(Linear(), run=tmp_path / "run", evaluations=2, seed=1, **given)
    shown = capsys.readouterr().err
    assert f"run {tmp_path / 'run'}" in shown
    assert "screened" in shown.splitlines()[-1]


def test_data_differ_by_seed():
    assert not np.array_equal(data(1)[0], data(2)[0])
