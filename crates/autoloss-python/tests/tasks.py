"""Tasks for the tests: a linear classifier in numpy that trains in milliseconds."""

import numpy as np

import autoloss as al

CLASSES, FEATURES = 3, 4


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def data(seed, count=64):
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES, count, p=[0.6, 0.3, 0.1])
    centres = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], float)
    return centres[labels] + 0.6 * rng.standard_normal((count, FEATURES)), labels


class Linear(al.Task):
    """Three unbalanced classes by a linear classifier; macro F1."""

    branches = [al.Branch("classes", channels=CLASSES)]
    baselines = ["cross_entropy"]
    metric_input = "labels"
    steps = 30

    def weights(self, seed):
        return 0.1 * np.random.default_rng(seed).standard_normal((FEATURES, CLASSES))

    def screening_samples(self, count, seed):
        weights = self.weights(seed)
        drawn = [data(seed + number) for number in range(count)]
        return [al.Sample(x @ weights, labels, from_logits=True) for x, labels in drawn]

    def metric(self, prediction, target):
        return float(al.metrics.macro_f1(prediction["classes"], target["classes"], classes=CLASSES))

    def evaluate(self, loss, job):
        weights = self.weights(job.seed)
        for step in range(self.steps):
            x, labels = data([job.seed, step])
            yhat = softmax(x @ weights)
            y = np.eye(CLASSES)[labels]
            value, gradient = loss.value_and_gradient(yhat, y)
            job.check(value)
            job.check(np.abs(gradient).max())
            inner = (gradient * yhat).sum(1, keepdims=True)
            weights -= 2.0 * x.T @ (yhat * (gradient - inner))
            job.report(step, loss=value)
        x, labels = data([job.seed, 10_000 if job.split == "search" else 20_000], 400)
        prediction = (x @ weights).argmax(1)
        return al.Evaluation(self.metric({"classes": prediction}, {"classes": labels}), {"steps": self.steps})


SMALL = {
    "choices": 1,
    "samples": 2,
    "steps": 60,
    "step_size": 0.05,
    "threshold": 0.3,
    "initial": 4,
    "final_losses": 2,
    "final_seeds": 2,
    "finalist_seeds": 1,
    "max_draws": 20_000,
    "progress": False,
}


class Failing(Linear):
    def __init__(self, fails):
        self.fails = fails
        self.made = 0

    def evaluate(self, loss, job):
        self.made += 1
        if self.fails(self.made):
            raise ZeroDivisionError("no data today")
        return super().evaluate(loss, job)
