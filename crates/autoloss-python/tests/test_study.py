"""Ask and tell; branches with derived inputs; losses of a run."""

import pickle

import numpy as np
import pytest
from runs import formulas, searched
from tasks import CLASSES, SMALL, Linear

import autoloss as al


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
