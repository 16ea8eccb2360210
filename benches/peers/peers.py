"""Milliseconds a step of optimising predictions with Adam, in PyTorch (eager, compiled) and JAX.

Prints one JSON object: for each way, for each formula, milliseconds a step; for the compiled ways
also the seconds that a new formula takes before its first step. With --plain, one line a formula:
both numbers, or what went wrong.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

EPSILON = 1e-12
LEARNING_RATE = 0.01


def formulas(only=""):
    text = Path(__file__).with_name("formulas.txt").read_text()
    return [line for line in text.splitlines() if line.strip() and only in line]


def example(shape):
    """The fields that the bench of the crate makes."""
    import numpy as np

    i = np.arange(np.prod(shape), dtype=np.float32)
    yhat = (0.5 + 0.4 * np.sin(i * np.float32(0.71))).astype(np.float32)
    y = np.round(0.5 + 0.4 * np.sin(i * np.float32(1.37))).astype(np.float32)
    return yhat.reshape(shape), y.reshape(shape)


def torch_operators():
    import torch
    import torch.nn.functional as F

    return {
        "log": lambda x: torch.sign(x) * torch.log(torch.abs(x) + EPSILON),
        "sqrt": lambda x: torch.sign(x) * torch.sqrt(torch.abs(x) + EPSILON),
        "inv": lambda x: 1.0 / (x + EPSILON),
        "exp": torch.exp,
        "tanh": torch.tanh,
        "abs": torch.abs,
        "square": torch.square,
        "mean_nhw": lambda x: x.mean((0, 2, 3), keepdim=True).expand_as(x),
        "mean_c": lambda x: x.mean(1, keepdim=True).expand_as(x),
        "max_pool": lambda x: F.max_pool2d(x, 3, 1, 1),
        "min_pool": lambda x: -F.max_pool2d(-x, 3, 1, 1),
    }


def torch_step(formula, shape, compiled):
    import torch

    yhat, y = (torch.from_numpy(a) for a in example(shape))
    yhat = yhat.clone().requires_grad_(True)
    names = torch_operators()
    code = compile(formula, formula, "eval")

    def loss(yhat, y):
        value = eval(code, names, {"yhat": yhat, "y": y})
        return value.sum() / (shape[0] * shape[2] * shape[3])

    optimiser = torch.optim.Adam([yhat], lr=LEARNING_RATE)

    def step():
        optimiser.zero_grad()
        loss(yhat, y).backward()
        optimiser.step()

    return torch.compile(step) if compiled else step


def timed(step, seconds=4.0, at_least=10):
    """Median milliseconds of a step."""
    times = []
    end = time.perf_counter() + seconds
    while len(times) < at_least or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def eager(formula, shape):
    step = torch_step(formula, shape, compiled=False)
    for _ in range(3):
        step()
    return {"ms": timed(step)}


def compiled(formula, shape):
    import torch

    torch._dynamo.reset()
    step = torch_step(formula, shape, compiled=True)
    start = time.perf_counter()
    for _ in range(3):
        step()
    first = time.perf_counter() - start
    ms = timed(step)
    return {"ms": ms, "compile_seconds": max(0.0, first - 3 * ms / 1e3)}


def jax_jit(formula, shape):
    import jax
    import jax.numpy as jnp

    def pool(x):
        low = -jnp.inf
        return jax.lax.reduce_window(x, low, jax.lax.max, (1, 1, 3, 3), (1, 1, 1, 1), "SAME")

    names = {
        "log": lambda x: jnp.sign(x) * jnp.log(jnp.abs(x) + EPSILON),
        "sqrt": lambda x: jnp.sign(x) * jnp.sqrt(jnp.abs(x) + EPSILON),
        "inv": lambda x: 1.0 / (x + EPSILON),
        "exp": jnp.exp,
        "tanh": jnp.tanh,
        "abs": jnp.abs,
        "square": jnp.square,
        "mean_nhw": lambda x: jnp.broadcast_to(x.mean((0, 2, 3), keepdims=True), x.shape),
        "mean_c": lambda x: jnp.broadcast_to(x.mean(1, keepdims=True), x.shape),
        "max_pool": pool,
        "min_pool": lambda x: -pool(-x),
    }
    code = compile(formula, formula, "eval")
    yhat, y = (jnp.asarray(a) for a in example(shape))

    def loss(yhat):
        value = eval(code, names, {"yhat": yhat, "y": y})
        return value.sum() / (shape[0] * shape[2] * shape[3])

    gradient = jax.grad(loss)

    def one(t, state):
        yhat, m, v = state
        g = gradient(yhat)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        rate = LEARNING_RATE / (1 - 0.9 ** (t + 1.0))
        scale = 1 / jnp.sqrt(1 - 0.999 ** (t + 1.0))
        return yhat - rate * m / (jnp.sqrt(v) * scale + 1e-8), m, v

    @jax.jit
    def steps(state, count):
        return jax.lax.fori_loop(0, count, one, state)

    state = (yhat, jnp.zeros_like(yhat), jnp.zeros_like(yhat))
    start = time.perf_counter()
    jax.block_until_ready(steps(state, 1))
    first = time.perf_counter() - start
    count = 20
    ms = timed(lambda: jax.block_until_ready(steps(state, count)), at_least=3) / count
    return {"ms": ms, "compile_seconds": max(0.0, first - ms / 1e3)}


WAYS = {"eager": eager, "compile": compiled, "jax": jax_jit}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="5x21x128x128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="part of the formulas to time")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("ways", nargs="*", default=["eager"], metavar="eager|compile|jax")
    arguments = parser.parse_args()
    shape = tuple(int(n) for n in arguments.shape.split("x"))
    import torch

    torch.set_num_threads(arguments.threads)
    result = {}
    for way in arguments.ways:
        result[way] = {}
        for formula in formulas(arguments.only):
            try:
                result[way][formula] = WAYS[way](formula, shape)
            except Exception as error:  # a peer that cannot do a formula is a result, too
                result[way][formula] = {"error": " ".join(str(error).split())[:200]}
            print(way, formula, result[way][formula], file=sys.stderr)
    if arguments.plain:
        for formula in formulas(arguments.only):
            for way in arguments.ways:
                one = result[way][formula]
                print(one.get("error") or f"{one['ms']} {one.get('compile_seconds', 0.0)}")
    else:
        json.dump(result, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
