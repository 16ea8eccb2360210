"""Losses as functions for JAX."""

import copy
import pickle

import numpy as np
import pytest

import autoloss as al

jax = pytest.importorskip("jax")
jnp = jax.numpy

SHAPES = [(6, 4), (2, 4, 7), (2, 4, 5, 6), (2, 4, 3, 5, 6)]
ZOO = [name for name in al.zoo() if {"yhat", "y"} == set(al.Loss(f"zoo:{name}").inputs)]
TREES = [name for name in ZOO if al.Loss(f"zoo:{name}")._native() is None]


def batch(shape, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal(shape).astype(np.float32)
    return logits, rng.integers(0, shape[1], (shape[0], *shape[2:]))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def one_hot(labels, channels):
    return np.ascontiguousarray(np.moveaxis(np.eye(channels)[labels], -1, 1))


@pytest.mark.parametrize("name", TREES)
def test_the_zoo_is_what_numpy_says(name):
    logits, labels = batch((2, 4, 5, 6))
    loss = al.Loss(f"zoo:{name}")
    yhat, y = softmax(logits.astype(np.float64)), one_hot(labels, 4)
    function = loss.jax(num_classes=4, from_logits=False)
    value, gradient = jax.jit(jax.value_and_grad(function))(yhat.astype(np.float32), labels)
    assert float(value) == pytest.approx(loss.value(yhat, y), rel=1e-4, abs=1e-6)
    expected = loss.gradient(yhat, y)
    np.testing.assert_allclose(gradient, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_and_class_numbers(shape):
    logits, labels = batch(shape)
    function = al.Loss("zoo:cross_entropy").jax()
    expected = -np.log((softmax(logits) * one_hot(labels, 4)).sum(1)).mean()
    assert float(function(logits, labels)) == pytest.approx(expected, rel=1e-5)
    assert float(al.Loss("zoo:cross_entropy").jax(num_classes=4)(logits, one_hot(labels, 4))) == pytest.approx(
        expected, rel=1e-5
    )


def test_options_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    logits, labels = batch((2, 4, 3, 5))
    labels[0, :2] = 255
    for name in ("cross_entropy", "dice"):
        for options in (
            {"ignore_index": 255},
            {"ignore_index": 255, "weight": [1.0, 2.0, 0.5, 3.0]},
            {"ignore_index": 255, "weight": [1.0, 2.0, 0.5, 3.0], "reduction": "none"},
            {"ignore_index": 255, "reduction": "sum", "num_classes": 4},
        ):
            loss = al.Loss(f"zoo:{name}")
            expected = loss.torch(**options)(torch.from_numpy(logits), torch.from_numpy(labels))
            np.testing.assert_allclose(loss.jax(**options)(logits, labels), expected.numpy(), rtol=1e-4)
    gradient = jax.grad(al.Loss("zoo:dice").jax(ignore_index=255))(logits, labels)
    assert (np.asarray(gradient)[0, :, :2] == 0).all()
    assert (np.asarray(gradient)[1] != 0).all()


def test_half_precision_is_computed_in_single():
    logits, labels = batch((2, 4, 8, 8))
    for dtype in (jnp.float16, jnp.bfloat16):
        half = jnp.asarray(logits, dtype)
        value, gradient = jax.value_and_grad(al.Loss("zoo:focal").jax())(half, labels)
        assert value.dtype == jnp.float32
        assert gradient.dtype == dtype
        assert bool(jnp.isfinite(gradient).all())


def test_several_branches_and_further_inputs():
    logits, labels = batch((6, 4))
    loss = al.Loss("cls = zoo:cross_entropy; box = abs(yhat - y) * far", inputs=["far"])
    box = np.ones((6, 4), np.float32)
    prediction, target = {"cls": logits, "box": box}, {"cls": labels, "box": box + 1}
    value = jax.jit(loss.jax())(prediction, target, far={"box": 2 * box})
    alone = al.Loss("zoo:cross_entropy").jax()(logits, labels)
    assert float(value) == pytest.approx(float(alone) + 8, rel=1e-5)
    with pytest.raises(ValueError, match="the target has no branch 'box'"):
        loss.jax()(prediction, {"cls": labels})
    with pytest.raises(TypeError, match="the input `far` is missing"):
        loss.jax()(prediction, target)


def test_functions_are_copied_and_vmapped():
    logits, labels = batch((3, 2, 4, 5))
    labels = np.random.default_rng(1).integers(0, 2, (3, 4, 5))
    function = al.Loss("zoo:dice").jax(num_classes=2)
    each = jax.vmap(lambda x, t: function(x[None], t[None]))(logits, labels)
    np.testing.assert_allclose(each, [function(logits[n : n + 1], labels[n : n + 1]) for n in range(3)], rtol=1e-5)
    for again in (copy.deepcopy(function), pickle.loads(pickle.dumps(function))):
        assert again(logits, labels) == function(logits, labels)


def test_wrong_options_and_arrays_are_named():
    logits, labels = batch((2, 4, 3, 5))
    loss = al.Loss("zoo:focal")
    for options, text in (
        ({"reduction": "avg"}, "Loss.jax: `reduction` is 'avg'"),
        ({"weight": [[1.0]]}, "Loss.jax: `weight` has shape"),
        ({"weight": [1.0], "num_classes": 2}, "`weight` has 1 numbers, expected 2"),
    ):
        with pytest.raises(ValueError, match=text):
            loss.jax(**options)
    with pytest.raises(ValueError, match="is a native loss"):
        al.Loss("zoo:lovasz_softmax").jax()
    for arguments, text in (
        ((logits[:, :3], labels), "has 3 channels, expected 4"),
        ((logits, labels[:, :2]), r"shape \(2, 2, 5\), expected class numbers of \(2, 3, 5\)"),
        ((labels, labels), "dtype int32, expected numbers of shape"),
    ):
        with pytest.raises(ValueError, match=text):
            loss.jax(num_classes=4)(*arguments)
