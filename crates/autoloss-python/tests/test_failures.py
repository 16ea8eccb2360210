"""Trainings and metrics that fail, and wrong results of them."""

import re
import time

import numpy as np
import pytest
from runs import searched
from tasks import Failing, Linear

import autoloss as al


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
