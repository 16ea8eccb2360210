"""Searches a loss for the median absolute error of a regression whose targets have outliers.

pip install ./crates/autoloss-python torch scikit-learn
python crates/autoloss-python/examples/diabetes.py --time 5m
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_diabetes

import autoloss as al

#: Share of the training targets that are replaced by far ones.
OUTLIERS = 0.1


def diabetes():
    """Training, search and test set of (inputs, standardised targets); the training set has outliers."""
    x, y = load_diabetes(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    x, y = x[order] / x.std(0), (y[order] - y.mean()) / y.std()
    learnt, half = int(0.6 * len(y)), int(0.8 * len(y))
    wrong = rng.random(learnt) < OUTLIERS
    y[:learnt][wrong] += rng.choice([-8.0, 8.0], wrong.sum())
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]
    return [(x[part], y[part]) for part in (slice(learnt), slice(learnt, half), slice(half, None))]


TRAIN, SEARCH, TEST = diabetes()


class Diabetes(al.TorchTask):
    """Progression of diabetes, for the median absolute error e, scored as 1 / (1 + e)."""

    metric_name = "1 / (1 + median absolute error)"
    baselines = ["mse", "l1", "smooth_l1"]
    steps = 150
    learning_rate = 3e-3

    def model(self):
        return torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))

    def train_batches(self, seed):
        order = torch.randperm(len(TRAIN[1]), generator=torch.Generator().manual_seed(seed))
        for chosen in order.split(64):
            yield TRAIN[0][chosen], TRAIN[1][chosen]

    def search_batches(self):
        yield SEARCH

    def test_batches(self):
        yield TEST

    def metric(self, prediction, target):
        return 1 / (1 + np.median(np.abs(prediction - target)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--time", default="5m")
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--run")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run = al.search(Diabetes(), **vars(arguments))
    print(run)
    for found in run.comparisons:
        error = 1 / found["mean"] - 1
        p = "" if found["p"] is None else f", p = {found['p']:.3g} against {found['against']}"
        print(f"{found['name']:>10}: {found['mean']:.4f} (error {error:.4f}){p}   {found['formula']}")
    print("recommended:", run.recommended)


if __name__ == "__main__":
    main()
