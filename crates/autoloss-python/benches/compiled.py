"""Times a loss's module, compiled, beside PyTorch's own cross entropy: forward and backward for logits.

python crates/autoloss-python/benches/compiled.py [--threads 2] [FORMULA ...]
"""

import argparse
import os

from gradient import least


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("formulas", nargs="*", default=["zoo:cross_entropy", "zoo:dice"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--shape", type=int, nargs="+", default=[8, 21, 128, 128])
    arguments = parser.parse_args()

    import torch

    import autoloss as al

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    n, channels, *spatial = arguments.shape
    logits = torch.randn(arguments.shape, requires_grad=True)
    labels = torch.randint(channels, (n, *spatial))

    def milliseconds(criterion):
        def step():
            logits.grad = None
            criterion(logits, labels).backward()

        return least(step, arguments.times)

    criteria = {"PyTorch's cross entropy": torch.nn.CrossEntropyLoss()}
    criteria.update({formula: al.Loss(formula).torch(num_classes=channels) for formula in arguments.formulas})
    eager = {name: milliseconds(criterion) for name, criterion in criteria.items()}
    compiled = {name: milliseconds(torch.compile(criterion)) for name, criterion in criteria.items()}
    own = min(eager["PyTorch's cross entropy"], compiled["PyTorch's cross entropy"])
    print(f"{tuple(arguments.shape)}, {arguments.threads} threads, least of {arguments.times}, milliseconds")
    for name in criteria:
        times = compiled[name] / own
        print(f"{name:30} eager {eager[name]:7.1f}   compiled {compiled[name]:7.1f}, {times:.2f} times PyTorch's faster one")


if __name__ == "__main__":
    main()
