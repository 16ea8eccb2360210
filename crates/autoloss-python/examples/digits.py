"""Searches a loss for macro F1 on unbalanced digits: a network, batches and a metric; the package trains.

pip install ./crates/autoloss-python torch scikit-learn
python crates/autoloss-python/examples/digits.py --time 5m
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score

import autoloss as al

#: Examples of each even digit that the training set keeps.
RARE = 10


def unbalanced_digits():
    """Training, search and test set of (pixels from 0 to 1, digits); even digits are rare in the first."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = torch.tensor(x[order] / 16, dtype=torch.float32), torch.tensor(y[order])
    pool, search, test = torch.arange(len(y)).split([900, 450, 447])
    kept = [pool[y[pool] == digit] for digit in range(10)]
    train = torch.cat([places[:RARE] if digit % 2 == 0 else places for digit, places in enumerate(kept)])
    return [(x[places], y[places]) for places in (train, search, test)]


TRAIN, SEARCH, TEST = unbalanced_digits()


class Digits(al.TorchTask):
    """Digits of which the even ones are rare, for macro F1."""

    num_classes = 10
    metric_input = "labels"
    metric_name = "macro F1"
    baselines = ["cross_entropy", "focal", "weighted_cross_entropy"]
    steps = 300
    learning_rate = 1e-2

    def model(self):
        return torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))

    def train_batches(self, seed):
        order = torch.randperm(len(TRAIN[1]), generator=torch.Generator().manual_seed(seed))
        for chosen in order.split(64):
            yield TRAIN[0][chosen], TRAIN[1][chosen]

    def search_batches(self):
        yield SEARCH

    def test_batches(self):
        yield TEST

    def metric(self, prediction, target):
        return f1_score(target, prediction, average="macro", zero_division=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--time", default="5m")
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--run")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run = al.search(Digits(), **vars(arguments))
    print(run)
    for found in run.comparisons:
        p = "" if found["p"] is None else f", p = {found['p']:.3g} against {found['against']}"
        print(f"{found['name']:>22}: {found['mean']:.4f} ± {found['std']:.4f}{p}   {found['formula']}")
    print("recommended:", run.recommended)


if __name__ == "__main__":
    main()
