"""Wrong tasks, samples, settings and folders: named before a run begins."""

import time

import numpy as np
import pytest
from runs import searched
from tasks import Linear

import autoloss as al


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
