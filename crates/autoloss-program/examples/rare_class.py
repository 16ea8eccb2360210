"""A program as a task, with numpy alone: three classes in the plane of which one is rare, for macro F1.

autoloss search --evaluator "python3 crates/autoloss-program/examples/rare_class.py" --time 3m

It reads and writes the lines of JSON of docs/worker.md. The loss comes as steps, which `Loss` computes forward and
backward; the network has one hidden layer and is trained by Adam.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np

VERSION = 3
CLASSES = 3
#: Updates of a training, by the job's schedule.
UPDATES = {"proxy": 150, "full": 600}
RATE = 0.03


def points(count, seed):
    """Points (N, 2) and their classes (N,): a ring, its inside, and a rare spot between them."""
    rng = np.random.default_rng(seed)
    y = rng.choice(CLASSES, count, p=[0.48, 0.48, 0.04])
    angle = rng.uniform(0, 2 * np.pi, count)
    radius = np.where(y == 0, 2.0, np.where(y == 1, 0.0, 1.2))
    angle = np.where(y == 2, 0.5, angle)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return x + rng.normal(0, 0.55, x.shape), y


SETS = {"train": points(600, 1), "search": points(1500, 2), "validation": points(3000, 3)}


def macro_f1(predicted, y):
    scores = []
    for c in range(CLASSES):
        hits = ((predicted == c) & (y == c)).sum()
        scores.append(2 * hits / max((predicted == c).sum() + (y == c).sum(), 1))
    return float(np.mean(scores))


class Loss:
    """The steps of a loss, over fields (N, C)."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, inputs):
        """The loss value, and its gradient for the prediction."""
        values, shape = [], inputs["yhat"].shape
        for name, *operands in self.steps:
            if name == "input":
                values.append(inputs[operands[0]])
            elif name == "constant":
                values.append(np.float64(operands[0]))
            else:
                values.append(self.forward(name, *[values[i] for i in operands]))
        output = np.broadcast_to(values[-1], shape)
        gradients = [0.0] * len(values)
        gradients[-1] = reduced(np.full(shape, 1 / shape[0]), values[-1])
        total = np.zeros(shape)
        for i in range(len(values) - 1, -1, -1):
            name, *operands = self.steps[i]
            if name == "input":
                total += gradients[i] if operands[0] == "yhat" else 0.0
            elif name != "constant":
                given = [values[k] for k in operands]
                for k, through in zip(operands, self.backward(name, gradients[i], values[i], *given)):
                    gradients[k] = gradients[k] + reduced(through, values[k])
        return output.sum() / shape[0], total

    def forward(self, name, a, b=None):
        match name:
            case "add":
                return a + b
            case "sub":
                return a - b
            case "mul":
                return a * b
            case "div":
                return a / b
            case "neg":
                return -a
            case "recip":
                return 1 / a
            case "ln":
                return np.log(a)
            case "atan":
                return np.arctan(a)
            case "erf":
                return np.vectorize(math.erf)(a)
            case "mean_nhw":
                return a.mean(0, keepdims=True)
            case "mean_c":
                return a.mean(1, keepdims=True)
            case "max_pool" | "min_pool":  # Points have no neighbours.
                return a
            case "softmax_c":
                e = np.exp(a - a.max(1, keepdims=True))
                return e / e.sum(1, keepdims=True)
        return getattr(np, name)(a)  # abs, sign, exp, tanh, sqrt, sin, cos

    def backward(self, name, g, value, a, b=None):
        """Gradient of each operand from the gradient `g` of a step with this value."""
        match name:
            case "add":
                return g, g
            case "sub":
                return g, -g
            case "mul":
                return g * b, g * a
            case "div":
                return g / b, -g * value / b
            case "neg":
                return (-g,)
            case "abs":
                return (g * np.sign(a),)
            case "sign":
                return (np.zeros_like(g),)
            case "recip":
                return (-g * value * value,)
            case "exp":
                return (g * value,)
            case "ln":
                return (g / a,)
            case "tanh":
                return (g * (1 - value * value),)
            case "sqrt":
                return (g * 0.5 / value,)
            case "sin":
                return (g * np.cos(a),)
            case "cos":
                return (-g * np.sin(a),)
            case "atan":
                return (g / (1 + a * a),)
            case "erf":
                return (g * 2 / math.sqrt(math.pi) * np.exp(-a * a),)
            case "mean_nhw":
                return (np.broadcast_to(g / a.shape[0], a.shape),)
            case "mean_c":
                return (np.broadcast_to(g / a.shape[1], a.shape),)
            case "max_pool" | "min_pool":
                return (g,)
            case "softmax_c":
                return (value * (g - (g * value).sum(1, keepdims=True)),)
        raise ValueError(f"no step is named {name}")


def reduced(gradient, like):
    """A gradient summed over the dimensions in which the value was repeated."""
    gradient = np.asarray(gradient, float)
    axes = tuple(i for i, extent in enumerate(np.shape(like)) if extent == 1 < gradient.shape[i])
    return gradient.sum(axes, keepdims=True) if np.ndim(like) else gradient.sum()


class Network:
    """Two layers of weights."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.weights = [rng.normal(0, 1, (3, 16)), rng.normal(0, 0.3, (17, CLASSES))]
        self.means = [(np.zeros_like(w), np.zeros_like(w)) for w in self.weights]
        self.updates = 0

    def probabilities(self, x):
        self.x = with_one(x)
        self.hidden = with_one(np.tanh(self.x @ self.weights[0]))
        logits = self.hidden @ self.weights[1]
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def update(self, p, of_p):
        """Makes a step of Adam for the gradient of the probabilities `p` of the last call."""
        of_logits = p * (of_p - (of_p * p).sum(1, keepdims=True))
        of_hidden = (of_logits @ self.weights[1].T * (1 - self.hidden**2))[:, :-1]
        self.updates += 1
        for i, gradient in enumerate([self.x.T @ of_hidden, self.hidden.T @ of_logits]):
            first, second = self.means[i]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            step = first / (1 - 0.9**self.updates) / (np.sqrt(second / (1 - 0.999**self.updates)) + 1e-8)
            self.weights[i] = self.weights[i] - RATE * step


def with_one(x):
    return np.concatenate([x, np.ones((len(x), 1))], 1)


def train(order):
    """Trains with a loss and gives the outcome of the trial."""
    loss = Loss(order["forms"]["steps"]["branches"][0]["steps"])
    job = order["job"]
    x, y = SETS["train"]
    target, network = np.eye(CLASSES)[y], Network(job["seed"])
    for update in range(UPDATES[job["schedule"]]):
        p = network.probabilities(x)
        with np.errstate(all="ignore"):
            value, gradient = loss({"yhat": p, "y": target})
        if job["stop_on_invalid"] and not (np.isfinite(value) and np.isfinite(gradient).all()):
            return {"trained": {"fate": "stopped", "score": 0.0, "reason": f"not finite at update {update + 1}"}}
        network.update(p, gradient)
    x, y = SETS[job["set"]]
    return {"trained": {"score": macro_f1(network.probabilities(x).argmax(1), y)}}


def samples(count, seed, folder):
    """Batches of the training set as the untrained network sees them, written as files."""
    rng, given = np.random.default_rng(seed), []
    network = Network(seed)
    for number in range(count):
        chosen = rng.choice(len(SETS["train"][1]), 200, replace=False)
        x, y = (part[chosen] for part in SETS["train"])
        files = {"prediction": f"prediction-{number}.npy", "target": f"target-{number}.npy"}
        np.save(Path(folder) / files["prediction"], network.probabilities(x).astype(np.float32))
        np.save(Path(folder) / files["target"], y)
        given.append({"branches": [files]})
        TARGETS.append(y)
    return given


#: Classes of the screening samples.
TARGETS = []


def scores(predictions):
    """Macro F1 of each prediction for a screening sample."""
    found = []
    for predicted in predictions:
        p = np.load(predicted["files"][0])
        found.append(macro_f1(p.argmax(1), TARGETS[predicted["sample"]]))
    return found


def answer(kind, message):
    match kind:
        case "hello":
            task = {
                "name": "rare-class",
                "metric": "macro-f1",
                "branches": [{"name": "class", "channels": CLASSES, "activation": "softmax"}],
                "baselines": ["zoo:cross_entropy", "zoo:focal", "zoo:weighted_cross_entropy"],
                "seconds": {"proxy": 0.2, "full": 0.8},
            }
            return {"ready": {"version": VERSION, "forms": ["steps"], "task": task}}
        case "samples":
            TARGETS.clear()
            return {"samples": samples(message["count"], message["seed"], message["folder"])}
        case "score":
            return {"scores": {"id": message["id"], "scores": scores(message["predictions"])}}
        case "train":
            return {"done": {"id": message["id"], "outcome": train(message)}}
    return None  # "cancel": trainings are short.


for line in sys.stdin:
    for kind, message in json.loads(line).items():
        reply = answer(kind, message)
        if reply is not None:
            print(json.dumps(reply), flush=True)
