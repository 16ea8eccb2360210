"""Losses as code: generated modules give the values and gradients of the class Loss."""

import numpy as np
import pytest
from arrays import inputs_of

import autoloss as al

SHAPE = (2, 4, 5, 6)
TREES = [name for name in al.zoo() if al.Loss(f"zoo:{name}")._native() is None]
CONSTANTS = ["0.5", "1e-12", "1e300", "123456789", "0.1234567890123", "-2.5", "1e-7", "3"]
LOSSES = [
    *[f"zoo:{name}" for name in TREES],
    *[f"square(yhat - {constant}) * y" for constant in CONSTANTS if constant != "1e300"],
    "mean_nhw(yhat * y) / mean_c(exp(yhat)) + max_pool(yhat) - min_pool(y)",
    "tanh(softmax_c(yhat) - y) * erf(yhat) + gd(y)",
    "mean_nhw(square(yhat))",
]


def executed(loss, target, **options):
    names = {}
    exec(compile(loss.code(target, **options), target, "exec"), names)
    return names["loss"]


def order_of(loss):
    """Arguments of the generated function: prediction and target before all others."""
    known = ["yhat", "y", "i", "u", "e", "d", "v", "w"]
    used = set(loss.inputs)
    both = bool(used & {"yhat", "y"})
    return [name for name in known if name in used or (both and name in ("yhat", "y"))]


def arguments(loss, dtype=np.float64):
    given = inputs_of(loss, SHAPE, dtype)
    full = {**inputs_of(al.Loss("yhat - y"), SHAPE, dtype), **given}
    return given, [full[name] for name in order_of(loss)]


@pytest.mark.parametrize("formula", LOSSES)
def test_code_for_pytorch_is_what_numpy_says(formula):
    torch = pytest.importorskip("torch")
    loss = al.Loss(formula)
    given, ordered = arguments(loss)
    tensors = [torch.from_numpy(array).requires_grad_() for array in ordered]
    value = executed(loss, "pytorch")(*tensors)
    assert value.item() == pytest.approx(loss.value(**given), rel=1e-9)
    value.backward()
    for name, tensor in zip(order_of(loss), tensors, strict=True):
        if name in loss.inputs:
            expected = loss.gradient(**given, of=name)
            gradient = np.zeros(SHAPE) if tensor.grad is None else tensor.grad.numpy()
            np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-10 * np.abs(expected).max() + 1e-13)


@pytest.mark.parametrize("formula", LOSSES)
def test_code_for_jax_is_what_numpy_says(formula):
    jax = pytest.importorskip("jax")
    loss = al.Loss(formula)
    given, ordered = arguments(loss, np.float32)
    function = executed(loss, "jax")
    of = "yhat" if "yhat" in loss.inputs else "i"
    value, gradient = jax.jit(jax.value_and_grad(function, argnums=order_of(loss).index(of)))(*ordered)
    double = {name: array.astype(np.float64) for name, array in given.items()}
    assert float(value) == pytest.approx(loss.value(**double), rel=1e-4, abs=1e-6)
    expected = loss.gradient(**double, of=of)
    np.testing.assert_allclose(gradient, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max() + 1e-9)


def test_numbers_beyond_single_precision_are_infinite_there_and_exact_in_double():
    torch = pytest.importorskip("torch")
    loss = al.Loss("yhat * 1e300")
    yhat = np.full(SHAPE, 0.5)
    function = executed(loss, "pytorch")
    assert function(torch.from_numpy(yhat), torch.from_numpy(yhat)).item() == pytest.approx(4 * 0.5e300)
    assert function(*[torch.from_numpy(yhat).float()] * 2).item() == np.inf


@pytest.mark.parametrize("target", ["pytorch", "jax"])
def test_several_branches_are_summed(target):
    framework = pytest.importorskip({"pytorch": "torch", "jax": "jax.numpy"}[target])
    loss = al.Loss("a = -(y * log(yhat)); box = 1 - i / u; c = 0.5 * abs(yhat - y)")
    names = {"a": ["yhat", "y"], "box": ["i", "u"], "c": ["yhat", "y"]}
    arrays = {branch: {n: inputs_of(loss[branch], SHAPE)[n] for n in used} for branch, used in names.items()}
    given = {branch: {n: framework.asarray(x) for n, x in of.items()} for branch, of in arrays.items()}
    value = executed(loss, target)(**given)
    expected = sum(loss[branch].value(**of) for branch, of in arrays.items())
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_code_of_a_task_knows_its_predictions():
    box = al.Branch("box", channels=4, activation="none", derived=[al.Derived("i", lambda yhat, y: yhat * y)])
    mask = al.Branch("mask", channels=2)
    formula = "box = i + abs(yhat - y); mask = square(yhat - y)"
    code = al.Loss._make(formula, ["yhat", "y", "i"], ["box", "mask"], (box, mask)).code()
    assert "def box_loss(yhat, y, i):" in code
    assert "def mask_loss(yhat, y, *, from_logits=False):" in code
    assert "class probabilities; with from_logits=True their logits" in code


def test_models_are_what_numpy_says():
    runtime = pytest.importorskip("onnxruntime")
    loss = al.Loss("zoo:focal")
    given = inputs_of(loss, SHAPE, np.float32)
    session = runtime.InferenceSession(loss.code("onnx"), providers=["CPUExecutionProvider"])
    (value,) = session.run(None, given)
    assert float(value) == pytest.approx(loss.value(**given), rel=1e-5)


def test_mathematics_and_graphs():
    loss = al.Loss("--y * yhat")
    assert loss.code("latex", simplify=True).endswith("\\left(y \\cdot \\hat{y}\\right)\n")
    assert loss.code("dot").count("neg") == 2
    assert al.Loss("zoo:ssim").code("latex").endswith("\\text{ssim()}\n")


def test_what_cannot_be_written_is_named():
    with pytest.raises(ValueError, match=r"`target` is 'torch': .*did you mean `pytorch`\? known: pytorch, jax, onnx"):
        al.Loss("zoo:focal").code("torch")
    for target in ("pytorch", "jax", "onnx"):
        with pytest.raises(ValueError, match=r"Loss.code: `ssim\(\)` is a native loss"):
            al.Loss("zoo:ssim").code(target)


def test_simplified_losses_keep_their_inputs_and_branches():
    loss = al.Loss("a = --far * abs(abs(yhat)); b = yhat - yhat", inputs=["far"])
    found = loss.simplified
    assert str(found["a"]) == "far * abs(yhat)"
    # A constant alone could not be computed on arrays.
    assert str(found["b"]) == "yhat - yhat"
    assert found.branches == loss.branches
    assert al.Loss("zoo:cross_entropy").simplified == al.Loss("zoo:cross_entropy")
