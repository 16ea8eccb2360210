"""Times Loss.gradient on numpy arrays beside PyTorch's eager forward and backward of the same formula.

python crates/autoloss-python/benches/gradient.py [--threads 2]
"""

import argparse
import os
import time

FORMULAS = [
    "zoo:cross_entropy",
    "zoo:focal",
    "sqrt(yhat) * yhat - tanh(y * log(yhat))",
    "max_pool(square(yhat - y)) * exp(yhat)",
    "zoo:dice",
    "-tanh(sqrt(mean_nhw(yhat * y))) + sqrt(yhat) * yhat",
]


def least(call, times):
    """Least milliseconds of a call, after one to warm up."""
    call()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return 1e3 * min(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--shape", type=int, nargs="+", default=[8, 21, 128, 128])
    arguments = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)

    import torch

    import autoloss as al

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    n, channels, *spatial = arguments.shape
    yhat = torch.randn(arguments.shape).softmax(1)
    labels = torch.randint(channels, (n, *spatial))
    y = torch.nn.functional.one_hot(labels, channels).movedim(-1, 1).float().contiguous()
    print(f"{tuple(arguments.shape)}, {arguments.threads} threads, least of {arguments.times}, milliseconds")
    for formula in FORMULAS:
        loss = al.Loss(formula)
        criterion = loss.torch(num_classes=channels, from_logits=False)
        prediction = yhat.clone().requires_grad_()

        def eager(criterion=criterion, prediction=prediction):
            prediction.grad = None
            criterion(prediction, y).backward()

        ours = least(lambda loss=loss: loss.gradient(yhat.numpy(), y.numpy()), arguments.times)
        theirs = least(eager, arguments.times)
        print(f"{formula:52} numpy {ours:7.1f}   PyTorch eager {theirs:7.1f}   {theirs / ours:.1f} times as fast")


if __name__ == "__main__":
    main()
