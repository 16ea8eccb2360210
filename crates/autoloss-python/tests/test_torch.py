"""Losses as PyTorch modules."""

import copy
import pickle

import numpy as np
import pytest

import autoloss as al

torch = pytest.importorskip("torch")
functional = torch.nn.functional

SHAPES = [(6, 4), (2, 4, 7), (2, 4, 5, 6), (2, 4, 3, 5, 6)]
ZOO = [name for name in al.zoo() if {"yhat", "y"} == set(al.Loss(f"zoo:{name}").inputs)]
OPERATORS = {
    1: [
        "neg",
        "abs",
        "inv",
        "log",
        "exp",
        "tanh",
        "square",
        "sqrt",
        "sin",
        "erf",
        "gd",
        "sigmoid",
        "mean_nhw",
        "mean_c",
        "max_pool",
        "min_pool",
        "softmax_c",
    ],
    2: ["add", "mul", "sub", "div"],
}


def batch(shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    labels = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    return logits.requires_grad_(), labels


def one_hot(labels, channels):
    return functional.one_hot(labels, channels).movedim(-1, 1).double()


def random_formula(rng, depth):
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(["yhat", "yhat", "y", "1", "0.5"])
    if rng.random() < 0.4:
        return f"{rng.choice(OPERATORS[2])}({random_formula(rng, depth - 1)}, {random_formula(rng, depth - 1)})"
    return f"{rng.choice(OPERATORS[1])}({random_formula(rng, depth - 1)})"


def random_losses(count, seed, pools=True):
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        formula = random_formula(rng, 4)
        if "yhat" in formula and (pools or "pool" not in formula):
            found.append(al.Loss(formula))
    return found


def agree(loss, shape, seed):
    """Value and gradient of torch beside those of numpy; whether they were finite."""
    logits, labels = batch(shape, seed)
    yhat = logits.detach().softmax(1).requires_grad_()
    y = one_hot(labels, shape[1])
    value = loss.torch(num_classes=shape[1], from_logits=False)(yhat, y)
    value.backward()
    expected = loss.value_and_gradient(yhat.detach().numpy(), y.contiguous().numpy())
    if not np.isfinite(expected[0]) or not np.isfinite(expected[1]).all() or abs(expected[0]) > 1e12:
        return False
    assert value.item() == pytest.approx(expected[0], rel=1e-9, abs=1e-12), str(loss)
    gradient = np.zeros(shape) if yhat.grad is None else yhat.grad.numpy()
    # Between ties of pooling rounding decides: gradients that cancel are of its size.
    scale = max(np.abs(expected[1]).max(), 1e-4)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-7, atol=1e-9 * scale, err_msg=str(loss))
    return True


def test_random_trees_are_what_numpy_says():
    assert sum(agree(loss, (2, 4, 5, 6), 1) for loss in random_losses(300, 0)) > 200


@pytest.mark.parametrize("shape", SHAPES)
def test_every_number_of_spatial_dimensions(shape):
    losses = random_losses(60, 1, pools=len(shape) < 5)
    assert sum(agree(loss, shape, 2) for loss in losses) > 35


def test_pooling_in_three_dimensions():
    logits, labels = batch((1, 2, 4, 4, 4))
    y = one_hot(labels, 2)
    value = al.Loss("max_pool(yhat) * y").torch(num_classes=2, from_logits=False)(logits.softmax(1), y)
    padded = np.pad(logits.detach().softmax(1).numpy(), [(0, 0)] * 2 + [(1, 1)] * 3, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), (2, 3, 4)).max((-1, -2, -3))
    assert value.item() == pytest.approx((windows * y.numpy()).sum(1).mean())


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_is_what_numpy_says(name):
    assert agree(al.Loss(f"zoo:{name}"), (2, 4, 12, 12), 3)


@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_is_that_of_pytorch(shape):
    logits, labels = batch(shape)
    criterion = al.Loss("zoo:cross_entropy").torch()
    value = criterion(logits, labels)
    assert value.item() == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-9)
    (gradient,) = torch.autograd.grad(value, logits)
    (expected,) = torch.autograd.grad(functional.cross_entropy(logits, labels), logits)
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-10)


def test_logits_probabilities_and_soft_targets():
    logits, labels = batch((2, 4, 3, 5))
    loss = al.Loss("zoo:focal")
    value = loss.torch(num_classes=4)(logits, labels)
    assert loss.torch(num_classes=4, from_logits=False)(logits.softmax(1), labels) == value
    assert loss.torch(num_classes=4)(logits, one_hot(labels, 4)) == value
    # Without a number of classes, integers say that there are some.
    assert loss.torch()(logits, labels) == value


def test_ignored_positions_have_no_gradient_and_are_uniform():
    logits, labels = batch((2, 4, 3, 5))
    labels[0, :2] = 255
    value = al.Loss("zoo:dice").torch(ignore_index=255)(logits, labels)
    (gradient,) = torch.autograd.grad(value, logits)
    assert (gradient[0, :, :2] == 0).all()
    assert (gradient[1] != 0).all()
    yhat, y = logits.detach().softmax(1).numpy().copy(), one_hot(labels.clamp(max=3), 4).numpy().copy()
    yhat[0, :, :2] = y[0, :, :2] = 0.25
    assert value.item() == pytest.approx(al.Loss("zoo:dice").value(yhat, y))


def test_weights_and_reductions():
    logits, labels = batch((2, 4, 3, 5))
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0])
    loss = al.Loss("zoo:cross_entropy")
    each = loss.torch(weight=weight, reduction="none")(logits, labels)
    torch.testing.assert_close(each, functional.cross_entropy(logits, labels, weight.double(), reduction="none"))
    assert loss.torch(weight=weight)(logits, labels).item() == pytest.approx(each.mean().item())
    assert loss.torch(weight=[1, 2, 0.5, 3], reduction="sum")(logits, labels).item() == pytest.approx(each.sum().item())


def test_normalized_losses_have_gradients_like_cross_entropy():
    logits, labels = batch((8, 4, 8, 8))
    norms = []
    for formula in ("450 * (-(y * log(yhat)))", "0.01 * zoo", "zoo:cross_entropy"):
        formula = formula.replace("0.01 * zoo", "-(0.01 * (y * log(yhat)))")
        value = al.Loss(formula).torch(num_classes=4, normalize=True)(logits, labels)
        norms.append(torch.autograd.grad(value, logits)[0].norm().item())
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-6)
    half = al.Loss("zoo:mse").torch(normalize=2.0)
    assert half(logits, logits.detach() + 1).item() == pytest.approx(4 / 2)
    for wrong, text in ((0, "`normalize` is 0"), (True, "`1 \\* y`, which does not use `yhat`")):
        with pytest.raises(ValueError, match=text):
            al.Loss("zoo:mse" if wrong == 0 else "1 * y", inputs=[]).torch(normalize=wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    logits, labels = batch((2, 4, 8, 8), dtype=dtype)
    for name in ZOO:
        loss = al.Loss(f"zoo:{name}")
        with torch.autocast("cpu", torch.bfloat16):
            value = loss.torch(num_classes=4)(logits, labels)
        single = loss.torch(num_classes=4)(logits.detach().float(), labels)
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(single.item(), rel=1e-5)
        (gradient,) = torch.autograd.grad(value, logits)
        assert gradient.dtype == dtype
        assert gradient.isfinite().all()


def test_several_branches_are_summed():
    loss = al.Loss("cls = zoo:cross_entropy; box = abs(yhat - y)")
    logits, labels = batch((6, 4))
    box = torch.randn(6, 4, dtype=torch.float64)
    criterion = loss.torch()
    value = criterion({"cls": logits, "box": box}, {"cls": labels, "box": box + 1})
    assert value.item() == pytest.approx(functional.cross_entropy(logits, labels).item() + 4)
    with pytest.raises(ValueError, match="the target has no branch 'box'"):
        criterion({"cls": logits, "box": box}, {"cls": labels})
    weighted = loss.torch(weight={"box": [1, 0, 0, 0]})
    value = weighted({"cls": logits, "box": box}, {"cls": labels, "box": box + 1})
    assert value.item() == pytest.approx(functional.cross_entropy(logits, labels).item() + 1)


def test_further_inputs_are_given_by_name():
    logits, labels = batch((6, 4))
    far = torch.rand(6, 4, dtype=torch.float64)
    criterion = al.Loss("-(y * log(yhat)) * far", inputs=["far"]).torch()
    expected = -(far * one_hot(labels, 4) * logits.log_softmax(1)).sum(1).mean()
    assert criterion(logits, labels, far=far).item() == pytest.approx(expected.item())
    with pytest.raises(TypeError, match="the input `far` is missing"):
        criterion(logits, labels)


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "focal", "tversky"])
def test_compiled_and_exported_without_a_break(name):
    logits, labels = batch((2, 4, 5, 6), dtype=torch.float32)
    labels[0, 0] = 255
    criterion = al.Loss(f"zoo:{name}").torch(num_classes=4, ignore_index=255, weight=[1, 2, 3, 4])
    expected = criterion(logits, labels)
    exported = torch.export.export(criterion, (logits.detach(), labels)).module()
    torch.testing.assert_close(exported(logits, labels), expected)
    compiled = torch.compile(criterion, fullgraph=True, backend="aot_eager")
    value = compiled(logits, labels)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, logits), torch.autograd.grad(expected, logits))


def test_modules_are_copied_saved_and_moved():
    criterion = al.Loss("zoo:focal").torch(num_classes=4, weight=[1, 2, 3, 4], ignore_index=0)
    logits, labels = batch((6, 4))
    expected = criterion(logits, labels)
    for again in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        assert again(logits, labels) == expected
    assert "num_classes=4, ignore_index=0" in repr(criterion)
    assert criterion.to("meta").weight.device.type == "meta"
    assert al.Loss("zoo:focal").torch(device="cpu").weight is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"reduction": "avg"}, "`reduction` is 'avg'"),
        ({"weight": [[1.0]]}, "`weight` has shape"),
        ({"weight": [1.0], "num_classes": 2}, "`weight` has 1 numbers, expected 2"),
    ],
)
def test_wrong_options_are_named(options, text):
    with pytest.raises(ValueError, match=text):
        al.Loss("zoo:focal").torch(**options)


def test_native_losses_are_one_number():
    for options in ({"weight": [1, 2]}, {"reduction": "none"}):
        with pytest.raises(ValueError, match="one number of the whole batch"):
            al.Loss("zoo:lovasz_softmax").torch(**options)


def test_wrong_tensors_are_named():
    logits, labels = batch((2, 4, 3, 5))
    criterion = al.Loss("zoo:focal").torch(num_classes=4, ignore_index=255)
    for arguments, error, text in (
        ((logits[:, :3], labels), ValueError, "has 3 channels, expected 4"),
        ((logits, labels[:, :2]), ValueError, r"shape \(2, 2, 5\), expected class numbers of \(2, 3, 5\)"),
        ((logits, one_hot(labels, 4)), ValueError, "`ignore_index` needs class numbers"),
        ((logits, labels.double()), ValueError, r"expected the prediction's shape .* class numbers \(integers\)"),
        ((labels, labels), ValueError, "dtype torch.int64, expected numbers of shape"),
        ((logits[0, 0, 0], labels), ValueError, r"shape \(5,\)"),
        ((logits.detach().numpy(), labels), TypeError, "prediction and target are ndarray and Tensor"),
    ):
        with pytest.raises(error, match=text):
            criterion(*arguments)


def test_derived_inputs_of_a_task_are_computed_from_the_prediction():
    def overlap(yhat, y):
        return yhat * y

    branch = al.Branch("box", channels=2, activation="none", derived=[al.Derived("i", overlap)])
    loss = al.Loss._make("square(yhat - y) + i", ["yhat", "y", "i"], ["box"], (branch,))
    x, y = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
    value = loss.torch()(x, y)
    assert value.item() == pytest.approx(((x - y) ** 2 + x * y).sum(1).mean().item())
    (gradient,) = torch.autograd.grad(value, x)
    torch.testing.assert_close(gradient, (2 * (x - y) + y).detach() / 5)
    with pytest.raises(TypeError, match="dtype torch.int64, expected floating-point numbers"):
        loss.torch()(x, y.long())
