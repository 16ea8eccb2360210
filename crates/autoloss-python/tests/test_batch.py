"""Metrics that score several predictions in one call."""

import time

import numpy as np
import pytest
from tasks import CLASSES, SMALL, Linear

import autoloss as al
from autoloss._batch import Batch
from autoloss._bridge import Bridge
from autoloss._scorer import Scorer


class Recall(Linear):
    """Linear, scored by the mean recall of probabilities."""

    metric_input = "probabilities"

    def metric(self, prediction, target):
        right = (prediction["classes"].argmax(1) if prediction["classes"].ndim == 2 else prediction["classes"]) == (
            target["classes"]
        )
        return np.mean([right[target["classes"] == c].mean() for c in range(CLASSES)])


class Batched(Recall):
    """The same for all predictions at once."""

    name = "Recall"

    def __init__(self, pause=0.0):
        self.pause = pause
        self.sizes = []

    def metric_batch(self, predictions, targets):
        self.sizes.append(len(predictions))
        time.sleep(self.pause)
        labels = np.stack([prediction["classes"] for prediction in predictions]).argmax(2)
        target = np.stack([target["classes"] for target in targets])
        of_class = target[..., None] == np.arange(CLASSES)
        recall = ((labels == target)[..., None] & of_class).sum(1) / of_class.sum(1)
        return recall.mean(1)


def searched(tmp_path, task, name="run", **settings):
    given = {**SMALL, "evaluations": 6, "seed": 1, "final_losses": 0, **settings}
    return al.search(task, run=tmp_path / name, **given)


def rows(run):
    return [(row["formula"], row["fate"], row["g"], row["score"]) for row in run._store.candidates()]


def test_a_search_is_the_same_with_a_metric_of_batches(tmp_path):
    calls, trainings = [], []

    class Counted(Batched):
        def metric(self, prediction, target):
            calls.append(1)
            return super().metric(prediction, target)

        def evaluate(self, loss, job):
            trainings.append(1)
            return super().evaluate(loss, job)

    task = Counted()
    assert rows(searched(tmp_path, task, "batched")) == rows(searched(tmp_path, Recall(), "alone"))
    # The try before the run has the predictions and targets of all samples; one worker has one candidate at a time.
    assert task.sizes[0] == 2 * SMALL["samples"]
    assert set(task.sizes[1:]) == {1}
    assert len(calls) == 2 * SMALL["samples"] + len(trainings)


def test_predictions_of_several_threads_are_one_call(tmp_path):
    task = Batched(pause=0.02)
    together = {formula: g for formula, _, g, _ in rows(searched(tmp_path, task, workers=4)) if g is not None}
    assert max(task.sizes[1:]) > 1
    alone = {formula: g for formula, _, g, _ in rows(searched(tmp_path, Recall(), "alone")) if g is not None}
    common = set(together) & set(alone)
    assert len(common) > 3
    assert {formula: together[formula] for formula in common} == {formula: alone[formula] for formula in common}


def test_a_batch_that_fails_is_scored_one_by_one_and_told(tmp_path):
    class Failing(Batched):
        def metric_batch(self, predictions, targets):
            scores = super().metric_batch(predictions, targets)
            if len(self.sizes) % 3 == 0:
                raise ValueError("no memory for a batch")
            return scores

    told = r"(?s)`metric_batch` failed \d+ times, and `metric` scored the predictions one by one.*no memory for a batch"
    with pytest.warns(RuntimeWarning, match=told):
        failing = searched(tmp_path, Failing(), "failing")
    assert rows(failing) == rows(searched(tmp_path, Recall(), "alone"))


def questions(task):
    def scorer(sample):
        return Scorer("metric", task.metric, ["classes"], {"classes": sample.target})

    return [(scorer(sample), [sample.prediction]) for sample in task.screening_samples(3, 5)]


def test_a_prediction_that_cannot_be_scored_leaves_the_others_alone():
    task = Batched()
    asked = questions(task)
    expected = [scorer(prediction) for scorer, prediction in asked]
    assert Batch("batch", task.metric_batch, None)(asked) == (expected, None)
    asked.insert(1, (Scorer("metric", lambda p, t: np.nan, ["classes"], asked[0][0].target), asked[0][1]))
    for result in (None, [0.5], "0.5", [0.5, np.nan, 0.5, 0.5], 0.5):
        (first, wrong, *others), failure = Batch("batch", lambda p, t, result=result: result, None)(asked)
        assert [first, *others] == expected
        assert isinstance(wrong, ValueError)
        assert str(wrong) == "metric returned nan, expected a finite number"
        assert str(failure).startswith("batch returned ")


def test_a_batch_may_take_the_limit_for_each_prediction():
    def slow(predictions, targets):
        time.sleep(0.6)
        return [0.5] * len(predictions)

    asked = questions(Batched())
    batch = Batch("batch", slow, 0.5)
    assert batch(asked) == ([0.5] * 3, None)
    scores, failure = batch(asked[:1])
    assert scores == [asked[0][0](asked[0][1])]
    assert str(failure) == "batch took longer than metric_timeout = 0.5 s"


@pytest.mark.parametrize(
    ("method", "error", "text"),
    [
        (lambda s, p, t: None, TypeError, "Wrong.metric_batch returned None, expected a list of 4 numbers"),
        (lambda s, p, t: [0.5], ValueError, "Wrong.metric_batch returned 1 scores for 4 predictions"),
        (lambda s, p, t: [np.nan] * len(p), ValueError, "Wrong.metric_batch returned nan"),
        (lambda s, p, t: [0.5] * len(p), ValueError, r"prediction 0 of 4 where `metric` gives .* expected the same"),
        (lambda s, p, t: 1 / 0, ZeroDivisionError, "division by zero"),
        (lambda s, p: [], TypeError, r"Wrong.metric_batch\(p\) cannot be called, expected \(self, predictions, targ"),
        (3, TypeError, "Wrong.metric_batch is a int, expected a method"),
    ],
)
def test_wrong_batches_are_named_before_the_run_begins(tmp_path, method, error, text):
    with pytest.raises(error, match=text):
        searched(tmp_path, type("Wrong", (Recall,), {"metric_batch": method})())
    assert not (tmp_path / "run").exists()


def test_a_task_without_a_batch_or_with_another_metric_for_screening_asks_none():
    class Native(Batched):
        screening_metric = al.metrics.macro_f1.configured(classes=CLASSES)

    assert Bridge(Recall()).batch is None
    assert Bridge(Native()).batch is None
    assert Bridge(Batched()).batch is not None
    predictions, targets = [{"classes": np.eye(3)}] * 2, [{"classes": np.arange(3)}, {"classes": np.array([0, 2, 1])}]
    expected = [Recall().metric(p, t) for p, t in zip(predictions, targets, strict=True)]
    assert Recall().metric_batch(predictions, targets) == expected


def test_a_task_that_the_package_trains_gets_arrays(tmp_path):
    torch = pytest.importorskip("torch")
    x, y = torch.randn(64, 4), torch.arange(64) % 3
    seen = []

    class Small(al.TorchTask):
        num_classes = 3
        metric_input = "labels"
        steps = 2

        def model(self):
            return torch.nn.Linear(4, 3)

        def train_batches(self, seed):
            yield x, y

        search_batches = test_batches = lambda self: [(x, y)]

        def metric(self, prediction, target):
            return (prediction == target).mean()

        def metric_batch(self, predictions, targets):
            seen.append((predictions[0].shape, targets[0].shape))
            return (np.stack(predictions) == np.stack(targets)).mean(1)

    assert searched(tmp_path, Small(), evaluations=1).counts["trained"] == 1
    assert set(seen) == {((64,), (64,))}
    assert len(seen) > 1
