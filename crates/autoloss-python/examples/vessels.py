"""Searches a loss for clDice, the overlap of thin vessels along their middle lines, with a small U-Net on drawn images.

pip install ./crates/autoloss-python torch scipy
python crates/autoloss-python/examples/vessels.py --time 8m
"""

import argparse

import numpy as np
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from torch import nn

import autoloss as al

#: Pixels of an image's side.
SIDE = 32

#: A pixel and its eight neighbours, in each image of a stack by itself.
NEIGHBOURS = np.ones((1, 3, 3), bool)


def vessels(count, seed):
    """Images (N, 1, SIDE, SIDE) of bright, noisy lines, and their masks (N, SIDE, SIDE) of 0 and 1."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, SIDE, SIDE), bool)
    for mask in masks:
        for _ in range(3):
            draw_line(mask, rng)
    contrast = rng.uniform(0.3, 0.8, (count, 1, 1))
    spots = rng.random((count, SIDE, SIDE)) < 0.02
    images = masks * contrast + 0.5 * spots + rng.normal(0, 0.25, masks.shape)
    return torch.tensor(images[:, None], dtype=torch.float32), torch.tensor(masks.astype(np.int64))


def draw_line(mask, rng):
    """Draws a line of one to three pixels' width that bends at random from one border of the image to another."""
    y, x = rng.uniform(0, SIDE), 0.0
    direction, radius = rng.uniform(-0.6, 0.6), rng.choice([0, 0, 1])
    turned = rng.random() < 0.5
    while 0 <= y < SIDE and x < SIDE:
        row, column = (int(x), int(y)) if turned else (int(y), int(x))
        mask[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1] = True
        direction = np.clip(direction + rng.normal(0, 0.15), -1.2, 1.2)
        x, y = x + 0.5 * np.cos(direction), y + 0.5 * np.sin(direction)


def skeletons(masks):
    """The middle lines of masks (N, H, W): what an opening takes away of each erosion (Lantuéjoul)."""
    lines = np.zeros_like(masks)
    while masks.any():
        smaller = binary_erosion(masks, NEIGHBOURS)
        lines |= masks & ~binary_dilation(smaller, NEIGHBOURS)
        masks = smaller
    return lines


def cldice(prediction, target):
    """Harmonic mean of the shares of each mask's middle lines that lie within the other mask (arXiv 2003.07311)."""
    masks = prediction == 1, target == 1
    lines = [skeletons(mask) for mask in masks]
    shares = [(line & other).sum() / max(line.sum(), 1) for line, other in zip(lines, masks[::-1], strict=True)]
    return 2 * shares[0] * shares[1] / max(sum(shares), 1e-12)


TRAIN, SEARCH, TEST = vessels(200, 1), vessels(60, 2), vessels(120, 3)


def block(channels, out):
    """Two convolutions with normalisation."""
    layers = []
    for given in (channels, out):
        layers += [nn.Conv2d(given, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """A U-Net of three resolutions."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([block(1, 6), block(6, 12), block(12, 24)])
        self.up = nn.ModuleList([block(36, 12), block(18, 6)])
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        seen = []
        for layer in self.down:
            x = layer(x if not seen else nn.functional.max_pool2d(x, 2))
            seen.append(x)
        for layer, skipped in zip(self.up, seen[-2::-1], strict=True):
            x = layer(torch.cat([nn.functional.interpolate(x, scale_factor=2.0), skipped], 1))
        return self.last(x)


class Vessels(al.TorchTask):
    """Masks of vessels, for clDice; losses are screened by the native boundary F1."""

    num_classes = 2
    metric_input = "labels"
    metric_name = "clDice"
    screening_metric = al.metrics.bf1
    baselines = ["cross_entropy", "dice"]
    steps = 100
    full_steps = 300
    learning_rate = 3e-3

    def model(self):
        return UNet()

    def train_batches(self, seed):
        order = torch.randperm(len(TRAIN[1]), generator=torch.Generator().manual_seed(seed))
        for chosen in order.split(8):
            yield TRAIN[0][chosen], TRAIN[1][chosen]

    def search_batches(self):
        yield SEARCH

    def test_batches(self):
        yield TEST

    def metric(self, prediction, target):
        return cldice(prediction, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--time", default="8m")
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--run")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run = al.search(Vessels(), **vars(arguments))
    print(run)
    for found in run.comparisons:
        p = "" if found["p"] is None else f", p = {found['p']:.3g} against {found['against']}"
        print(f"{found['name']:>13}: {found['mean']:.4f} ± {found['std']:.4f}{p}   {found['formula']}")
    print("recommended:", run.recommended)


if __name__ == "__main__":
    main()
