"""Measures what a cluster of Ray costs beside its trainings, on two workers of this machine.

pip install ./crates/autoloss-python ray
python crates/autoloss-python/benches/cluster.py
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

import autoloss as al


class Sleep(al.Task):
    """Trainings that take a time and nothing else, and write when they began and ended."""

    branches = [al.Branch("output", channels=2)]
    baselines = ["cross_entropy"]

    def __init__(self, seconds, folder):
        self.seconds, self.folder = seconds, folder

    def screening_samples(self, count, seed):
        rng = np.random.default_rng(seed)
        return [al.Sample(rng.normal(size=(8, 2)), rng.integers(0, 2, 8), from_logits=True) for _ in range(count)]

    def metric(self, prediction, target):
        return float((prediction["output"].argmax(1) == target["output"]).mean())

    def evaluate(self, loss, job):
        begun = time.monotonic()
        time.sleep(self.seconds)
        with open(f"{self.folder}/{os.getpid()}.txt", "a") as file:
            file.write(f"{begun} {time.monotonic()}\n")
        return len(str(loss)) / 1000


def trainings(seconds, evaluations):
    """Begin and end of the trainings of each worker, in seconds."""
    unscreened = {"rejection": False, "equivalence": False, "choices": 1, "samples": 1, "final_losses": 0}
    with tempfile.TemporaryDirectory() as folder:
        task, workers = Sleep(seconds, folder), al.Ray(workers=2)
        al.search(task, evaluations=evaluations, run=f"{folder}/run", executor=workers, progress=False, **unscreened)
        return [np.loadtxt(path) for path in Path(folder).glob("*.txt")]


def main():
    gaps = np.concatenate([times[1:, 0] - times[:-1, 1] for times in trainings(2.0, 20)])
    print(f"between trainings of 2 s: {1e3 * gaps.mean():.1f} ms in the mean, {gaps.mean() / 0.02:.2f} %")
    times = trainings(0.0, 3000)
    begun, ended = max(t[0, 0] for t in times), max(t[-1, 1] for t in times)
    count = sum((t[:, 0] >= begun).sum() for t in times)
    print(f"trainings of no time: {count / (ended - begun):.0f} a second")


if __name__ == "__main__":
    main()
