"""Compares exported losses with the library, whose numbers `export_cases` wrote.

PyTorch and JAX: value and gradients in float64. ONNX Runtime: the value, the model made one of float64 where the
runtime has all its operators in it. `torch.compile(fullgraph=True)` and `torch.export` on some of them; half
precision under autocast on all. Ends with an error if anything differs, or if a comparison was not made.
"""

import argparse
import concurrent.futures
import itertools
import json
import math
import multiprocessing
import pathlib
import sys
import time

import numpy as np

TOLERANCE = 1e-5
ROUNDING = 1e-9
COMPILED = 20


class Report:
    """Comparisons made, left out and failed, by kind."""

    def __init__(self):
        self.made, self.left_out, self.failed = {}, {}, []

    def count(self, kind):
        self.made[kind] = self.made.get(kind, 0) + 1

    def leave_out(self, kind):
        self.left_out[kind] = self.left_out.get(kind, 0) + 1

    def add(self, other):
        for mine, others in ((self.made, other.made), (self.left_out, other.left_out)):
            for kind, number in others.items():
                mine[kind] = mine.get(kind, 0) + number
        self.failed += other.failed

    def fail(self, kind, case, why):
        self.failed.append(f"{kind}: {case['name']}: {case['formula']}: {why}")


def close(got, want):
    """Whether two fields agree, relative to the largest element of the one that is wanted."""
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    scale = max(np.abs(want).max(), ROUNDING)
    with np.errstate(invalid="ignore"):
        return bool((np.abs(got - want) <= TOLERANCE * scale + ROUNDING * min(scale, 1)).all())


def loaded(code, name):
    namespace = {"__name__": "exported"}
    exec(compile(code, name, "exec"), namespace)  # noqa: S102
    return namespace["loss"]


def arguments_of(loss):
    code = loss.__code__
    return code.co_varnames[: code.co_argcount]


def is_finite(expected):
    fields = itertools.chain.from_iterable(expected["gradients"].values())
    return expected["value"] is not None and all(g is not None for g in fields)


def compared(report, kind, case, expected, value, gradients):
    """Compares a value and gradients with those of the library, where these are finite.

    Results that the library itself has otherwise with other rounding, as of a pooling of values that are equal but for
    rounding, may differ and are counted.
    """
    if not is_finite(expected):
        report.leave_out(kind)
        return
    fault = None
    if not close([value], [expected["value"]]):
        fault = f"value {value}, expected {expected['value']}"
    for name, field in expected["gradients"].items():
        if gradients is not None and not close(gradients[name], field):
            worst = int(np.argmax(np.abs(np.asarray(gradients[name]) - field)))
            fault = f"gradient of {name}[{worst}]: {gradients[name][worst]}, expected {field[worst]}"
    if fault is None:
        report.count(kind)
    elif expected["sensitive"]:
        report.leave_out(f"{kind}, decided by rounding")
    else:
        report.fail(kind, case, fault)


def torch_value_and_gradients(loss, names, fields, shape, dtype):
    import torch

    given = [torch.tensor(fields[n], dtype=dtype).reshape(shape).requires_grad_() for n in names]
    value = loss(*given)
    gradients = [None] * len(given)
    if value.requires_grad:
        gradients = torch.autograd.grad(value, given, allow_unused=True)
    zero = np.zeros(math.prod(shape))
    flat = [zero if g is None else g.double().numpy().ravel() for g in gradients]
    return value.item(), dict(zip(names, flat))


def check_torch(report, case, sets, shape):
    import torch

    loss = loaded(case["pytorch"], "pytorch")
    for fields, expected in zip(sets, case["expected"]):
        value, gradients = torch_value_and_gradients(loss, arguments_of(loss), fields, shape, torch.float64)
        compared(report, "pytorch", case, expected, value, gradients)


def check_dimensions(report, case, sets, shape):
    """The same numbers with 0, 1 and 3 dimensions of positions, where nothing looks at neighbours."""
    import torch

    if "pool" in case["formula"]:
        report.leave_out("dimensions")
        return
    loss = loaded(case["pytorch"], "pytorch")
    names = arguments_of(loss)
    n, c, h, w = shape
    given = [torch.tensor(sets[0][name], dtype=torch.float64).reshape(n, c, h, w) for name in names]
    want = loss(*given)
    forms = {
        "three": lambda x: x.reshape(n, c, h, w // 2, 2),
        "one": lambda x: x.reshape(n, c, h * w),
        "none": lambda x: x.movedim(1, 3).reshape(n * h * w, c),
    }
    for form, shaped in forms.items():
        got = loss(*[shaped(x) for x in given])
        if not close([got.item()], [want.item()]) and math.isfinite(want.item()):
            report.fail("dimensions", case, f"{form}: {got.item()}, expected {want.item()}")
            return
    report.count("dimensions")


def check_jax(report, case, sets, shape):
    import jax
    import jax.numpy as jnp

    loss = loaded(case["jax"], "jax")
    names = arguments_of(loss)
    for fields, expected in zip(sets, case["expected"]):
        given = [jnp.asarray(fields[name]).reshape(shape) for name in names]
        value, gradients = jax.value_and_grad(loss, argnums=tuple(range(len(given))))(*given)
        gradients = {name: np.asarray(g).ravel() for name, g in zip(names, gradients)}
        compared(report, "jax", case, expected, float(value), gradients)


# Operators that ONNX Runtime has in single precision alone.
SINGLE = {"Atan", "Erf"}


def doubled(model):
    """A model with float64 in place of float32."""
    import onnx

    graph = model.graph
    for info in list(graph.input) + list(graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            # The name has all digits of the number, the tensor those of single precision.
            value = float(tensor.name.removeprefix("constant:"))
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(value), tensor.name))
    return model


def check_onnx(report, case, directory, sets, shape):
    """The value by ONNX Runtime; by ONNX's own evaluator where the former lacks an operator in float64, so that there
    the former only has to run."""
    import onnx
    import onnx.reference
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    model = onnx.load(directory / case["onnx"])
    onnx.checker.check_model(model, full_check=True)
    names = [info.name for info in model.graph.input]

    def runtime(model):
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    kind, session = "onnx", None
    if any(node.op_type in SINGLE for node in model.graph.node):
        single = {name: np.asarray(sets[0][name], dtype=np.float32).reshape(shape) for name in names}
        runtime(model).run(None, single)
        kind, session = "onnx, its own evaluator", onnx.reference.ReferenceEvaluator(doubled(model))
    else:
        session = runtime(doubled(model))
    for fields, expected in zip(sets, case["expected"]):
        if not is_finite(expected):
            # ONNX's own evaluator fails on poolings of NaN.
            report.leave_out(kind)
            continue
        given = {name: np.asarray(fields[name], dtype=np.float64).reshape(shape) for name in names}
        with np.errstate(all="ignore"):
            (value,) = session.run(None, given)
        compared(report, kind, case, {**expected, "gradients": {}}, float(value), None)


def check_half(report, case, sets, shape):
    """Half precision under autocast is finite wherever single precision is."""
    import torch

    loss = loaded(case["pytorch"], "pytorch")
    names = arguments_of(loss)
    if "yhat" not in names or "from_logits" not in loss.__kwdefaults__:
        report.leave_out("half precision")
        return
    largest = 60_000.0

    def run(dtype):
        logits = 6 * torch.tensor(sets[0]["yhat"], dtype=torch.float32) - 3
        logits = logits.reshape(shape).to(dtype).requires_grad_()
        given = [logits if n == "yhat" else torch.tensor(sets[0][n]).float().reshape(shape) for n in names]
        with torch.autocast("cpu", dtype=torch.bfloat16 if dtype == torch.float32 else dtype):
            value = loss(*given, from_logits=True)
        if value.requires_grad:
            value.backward()
        gradient = torch.zeros(1) if logits.grad is None else logits.grad
        return value, gradient

    value, gradient = run(torch.float32)
    if not math.isfinite(value.item()) or not (gradient.abs() < largest).all():
        report.leave_out("half precision")
        return
    for dtype in (torch.float16, torch.bfloat16):
        value, gradient = run(dtype)
        if value.dtype != torch.float32:
            report.fail("half precision", case, f"the value is of {value.dtype}")
        if not math.isfinite(value.item()) or not gradient.isfinite().all():
            report.fail("half precision", case, f"not finite in {dtype}")
            return
    report.count("half precision")


def check_compiled(report, case, sets, shape):
    """One graph by `torch.compile`, and a program by `torch.export`, that give the same numbers."""
    import torch

    torch._dynamo.reset()
    loss = loaded(case["pytorch"], "pytorch")
    expected = case["expected"][0]
    compiled = torch.compile(loss, fullgraph=True)
    names = arguments_of(loss)
    value, gradients = torch_value_and_gradients(compiled, names, sets[0], shape, torch.float64)
    compared(report, "torch.compile", case, expected, value, gradients)

    class Module(torch.nn.Module):
        def forward(self, *fields):
            return loss(*fields)

    given = tuple(torch.tensor(sets[0][n], dtype=torch.float64).reshape(shape) for n in arguments_of(loss))
    program = torch.export.export(Module(), given)
    value = program.module()(*given).item()
    compared(report, "torch.export", case, {**expected, "gradients": {}}, value, None)


def read(directory):
    """The shape and values of the fields, and the cases."""
    with open(directory / "cases.jsonl") as lines:
        head = json.loads(next(lines))
        cases = [json.loads(line) for line in lines]
    if len(cases) != head["cases"]:
        raise ValueError(f"cases.jsonl: {len(cases)} cases, expected {head['cases']}: the file is cut off")
    return head["shape"], head["sets"], cases


def guarded(report, case, check, *arguments):
    """Calls a check; an exception is a failure of the loss."""
    try:
        check(report, case, *arguments)
    except Exception as error:  # noqa: BLE001
        report.fail("error", case, f"{check.__name__}: {error!r}")


def all_in_jax(directory):
    import jax

    jax.config.update("jax_enable_x64", True)
    print("jax", jax.__version__, flush=True)
    report = Report()
    shape, sets, cases = read(directory)
    for case in cases:
        guarded(report, case, check_jax, sets, shape)
    return report


def all_in_torch(directory):
    import onnx
    import onnxruntime
    import torch

    for module in (torch, onnx, onnxruntime):
        print(module.__name__, module.__version__, flush=True)
    report = Report()
    shape, sets, cases = read(directory)
    for case in cases:
        for check in (check_torch, check_dimensions, check_half):
            guarded(report, case, check, sets, shape)
        guarded(report, case, check_onnx, directory, sets, shape)
    # Spread over all cases that rounding does not decide, of which those of the zoo come first.
    firm = [case for case in cases if is_finite(case["expected"][0]) and not case["expected"][0]["sensitive"]]
    step = max(1, len(firm) // COMPILED)
    for case in firm[: step * COMPILED : step]:
        guarded(report, case, check_compiled, sets, shape)
    return report


def enough(report, cases, randoms):
    """Faults of a report that has too few comparisons: a check that was not made must not pass."""
    faults = []
    made_up = sum(case["name"].startswith("random") for case in cases)
    if made_up != randoms:
        faults.append(f"{made_up} random losses, expected {randoms}")
    # Random losses overflow now and then; far more comparisons must have been made than left out.
    least = {"pytorch": 1.5, "jax": 1.5, "onnx": 1.2, "dimensions": 0.5, "half precision": 0.7}
    for kind, share in least.items():
        if report.made.get(kind, 0) < share * len(cases):
            faults.append(f"{kind}: only {report.made.get(kind, 0)} comparisons of {len(cases)} losses")
    for kind in ("torch.compile", "torch.export"):
        if report.made.get(kind, 0) < COMPILED:
            faults.append(f"{kind}: only {report.made.get(kind, 0)} of {COMPILED} losses")
    for kind, left_out in report.left_out.items():
        if kind.endswith("rounding") and left_out > 0.02 * len(cases):
            faults.append(f"{kind}: {left_out} of {len(cases)} losses")
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--random", type=int, required=True, help="random losses that there must be")
    options = parser.parse_args()

    started = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(part, options.directory) for part in (all_in_jax, all_in_torch)]
        report = Report()
        for part in parts:
            report.add(part.result())
    print(f"{time.monotonic() - started:.0f} s")

    for kind in sorted({*report.made, *report.left_out}):
        print(f"{kind}: {report.made.get(kind, 0)} equal, {report.left_out.get(kind, 0)} left out")
    failed = report.failed + enough(report, read(options.directory)[2], options.random)
    for failure in failed[:40]:
        print(failure, file=sys.stderr)
    print(f"{sum(report.made.values())} passed, {len(failed)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
