"""Searches a loss for the area under the ROC curve of predicted clicks, which are rare and partly accidental.

pip install ./crates/autoloss-python torch scikit-learn
python crates/autoloss-python/examples/clicks.py --time 5m
"""

import argparse

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

import autoloss as al

#: Numbers that describe a person, and as many that describe what is shown to them.
TRAITS = 8

#: Share of clicks that have nothing to do with what is shown, in training.
ACCIDENTS = 0.03


def clicks(count, seed, accidents):
    """Traits (N, 2 * TRAITS) of persons and things, and whether there was a click: 0 or 1."""
    taste = np.random.default_rng(0).normal(size=(TRAITS, TRAITS)) / TRAITS
    rng = np.random.default_rng(seed)
    person, thing = rng.normal(size=(2, count, TRAITS))
    likes = np.einsum("ni,ij,nj->n", person, taste, thing) + np.tanh(person[:, 0] * thing[:, 0])
    clicked = rng.random(count) < 1 / (1 + np.exp(4.5 - 2.5 * likes))
    clicked |= rng.random(count) < accidents
    traits = np.concatenate([person, thing], 1)
    return torch.tensor(traits, dtype=torch.float32), torch.tensor(clicked.astype(np.int64))


TRAIN, SEARCH, TEST = clicks(3000, 1, ACCIDENTS), clicks(3000, 2, 0.0), clicks(6000, 3, 0.0)


class Clicks(al.TorchTask):
    """Clicks, for the area under the ROC curve."""

    num_classes = 2
    metric_name = "AUC"
    baselines = ["cross_entropy", "focal", "weighted_cross_entropy"]
    steps = 300
    learning_rate = 3e-3

    def model(self):
        return torch.nn.Sequential(torch.nn.Linear(2 * TRAITS, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))

    def train_batches(self, seed):
        order = torch.randperm(len(TRAIN[1]), generator=torch.Generator().manual_seed(seed))
        for chosen in order.split(128):
            yield TRAIN[0][chosen], TRAIN[1][chosen]

    def search_batches(self):
        yield SEARCH

    def test_batches(self):
        yield TEST

    def metric(self, prediction, target):
        return roc_auc_score(target, prediction[:, 1]) if 0 < target.mean() < 1 else 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--time", default="5m")
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--run")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run = al.search(Clicks(), **vars(arguments))
    print(run)
    for found in run.comparisons:
        p = "" if found["p"] is None else f", p = {found['p']:.3g} against {found['against']}"
        print(f"{found['name']:>22}: {found['mean']:.4f} ± {found['std']:.4f}{p}   {found['formula']}")
    print("recommended:", run.recommended)


if __name__ == "__main__":
    main()
