"""The class Loss: formulas, values and gradients on numpy arrays."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from arrays import fields, inputs_of

import autoloss as al

SHAPES = [(6, 4), (2, 4, 5), (2, 4, 3, 5), (2, 4, 2, 3, 5)]
TREES = [name for name in al.zoo() if al.Loss(f"zoo:{name}")._native() is None]


def test_cross_entropy_is_what_numpy_says():
    yhat, y = fields((3, 4, 2, 5))
    loss = al.Loss("-(y * log(yhat))")
    expected = -(y * np.log(yhat)).sum(1).mean()
    assert loss.value(yhat, y) == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(loss.gradient(yhat, y), -y / yhat / 30, rtol=1e-9, atol=1e-12)
    single = loss.value_and_gradient(yhat.astype(np.float32), y.astype(np.float32))
    assert single[0] == pytest.approx(expected, rel=1e-5)
    assert single[1].dtype == np.float32
    np.testing.assert_allclose(single[1], -y / yhat / 30, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_the_slopes_of_values(name, shape):
    loss = al.Loss(f"zoo:{name}")
    given = inputs_of(loss, shape)
    of = "yhat" if "yhat" in given else "i"
    value, gradient = loss.value_and_gradient(**given, of=of)
    assert value == pytest.approx(loss.value(**given))
    assert gradient.shape == shape
    rng = np.random.default_rng(2)
    direction = rng.standard_normal(shape)
    step = 1e-6
    up, down = ({**given, of: given[of] + sign * step * direction} for sign in (1, -1))
    slope = (loss.value(**up) - loss.value(**down)) / (2 * step)
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("name", sorted(al.zoo()))
def test_single_precision_is_near_double(name):
    loss = al.Loss(f"zoo:{name}")
    shape = (2, 4, 12, 14)
    double, single = inputs_of(loss, shape), inputs_of(loss, shape, np.float32)
    assert loss.value(**single) == pytest.approx(loss.value(**double), rel=1e-4, abs=1e-6)
    of = "yhat" if "yhat" in double else "i"
    exact = loss.gradient(**double, of=of)
    np.testing.assert_allclose(loss.gradient(**single, of=of), exact, rtol=2e-3, atol=1e-4 * np.abs(exact).max())


def test_spatial_dimensions_are_one_field_of_positions():
    yhat, y = fields((2, 3, 4, 2, 5))
    flat = (2, 3, 40)
    loss = al.Loss("square(yhat - mean_nhw(y)) + mean_c(yhat) * y")
    assert loss.value(yhat, y) == pytest.approx(loss.value(yhat.reshape(flat), y.reshape(flat)))
    pooled = al.Loss("max_pool(yhat) - y")
    assert np.isfinite(pooled.value(yhat.reshape(2, 3, 8, 5), y.reshape(2, 3, 8, 5)))
    with pytest.raises(ValueError, match="three spatial dimensions .* as the loss pools"):
        pooled.value(yhat, y)


def test_nothing_is_copied_from_contiguous_arrays_and_read_only_ones_are_fine():
    yhat, y = fields((2, 3, 4), np.float32)
    yhat.setflags(write=False)
    assert np.isfinite(al.Loss("zoo:focal").value(yhat, y))


WRONG = {
    "none": (lambda yhat, y: (None, y), TypeError, "`yhat` is missing or None"),
    "list": (lambda yhat, y: (yhat.tolist(), y), TypeError, "`yhat` is a list, expected a numpy array"),
    "integers": (lambda yhat, y: (yhat, y.astype(int)), TypeError, r"`y` has dtype int64.*y.astype\(numpy.float32\)"),
    "half": (lambda yhat, y: (yhat.astype(np.float16), y), TypeError, "`yhat` has dtype float16"),
    "complex": (lambda yhat, y: (yhat.astype(complex), y), TypeError, "`yhat` has dtype complex128"),
    "objects": (lambda yhat, y: (yhat.astype(object), y), TypeError, "`yhat` has dtype object"),
    "mixed": (lambda yhat, y: (yhat, y.astype(np.float32)), TypeError, "`y` has dtype float32.*`yhat`, float64"),
    "swapped bytes": (lambda yhat, y: (yhat.astype(">f8"), y), TypeError, "`yhat` has dtype >f8"),
    "strided": (lambda yhat, y: (yhat[:, ::2], y[:, ::2]), ValueError, "not contiguous.*ascontiguousarray"),
    "transposed": (lambda yhat, y: (yhat.T, y.T), ValueError, "not contiguous"),
    "fortran": (lambda yhat, y: (np.asfortranarray(yhat), y), ValueError, "not contiguous"),
    "shape": (lambda yhat, y: (yhat, y[:1]), ValueError, r"`y` has shape \(1, 4\), expected the shape of `yhat`"),
    "flat": (lambda yhat, y: (yhat.ravel(), y.ravel()), ValueError, r"shape \(12,\), expected \(N, C\)"),
    "deep": (lambda yhat, y: (yhat.reshape(3, 4, 1, 1, 1, 1), y.reshape(3, 4, 1, 1, 1, 1)), ValueError, r"\(N, C\)"),
    "empty": (lambda yhat, y: (yhat[:0], y[:0]), ValueError, "no elements"),
    "nan": (lambda yhat, y: (np.where(np.eye(3, 4) > 0, np.nan, yhat), y), ValueError, r"NaN at index \(0, 0\)"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("call", ["value", "gradient", "value_and_gradient"])
def test_wrong_arguments_are_named(case, call):
    change, error, text = WRONG[case]
    with pytest.raises(error, match=text) as raised:
        getattr(al.Loss("zoo:mse"), call)(*change(*fields((3, 4))))
    assert str(raised.value).startswith(f"Loss.{call}: ")


def test_nan_far_inside_is_found():
    yhat, y = fields((2, 3, 40, 50))
    y[1, 2, 33, 7] = np.nan
    with pytest.raises(ValueError, match=r"`y` is NaN at index \(1, 2, 33, 7\)"):
        al.Loss("zoo:mse").value(yhat, y)


def test_unaligned_arrays_are_refused():
    raw = np.zeros(8 * 4 + 1, np.uint8)
    yhat = raw[1:].view(np.float32).reshape(2, 4)
    with pytest.raises(ValueError, match="not contiguous"):
        al.Loss("zoo:mse").value(yhat, yhat)


def test_unknown_and_unused_inputs_are_named():
    yhat, y = fields((3, 4))
    loss = al.Loss("zoo:mse")
    with pytest.raises(TypeError, match="`w` is given, which the loss does not use"):
        loss.value(yhat, y, w=y)
    with pytest.raises(ValueError, match="`of` is 'w', expected one of the inputs yhat, y"):
        loss.gradient(yhat, y, of="w")
    assert al.Loss("abs(yhat)").value(yhat) == al.Loss("abs(yhat)").value(yhat, y)


@pytest.mark.parametrize(
    ("formula", "error", "text"),
    [
        ("yhat -", ValueError, "column 7"),
        ("yhatt - y", ValueError, "did you mean `yhat`"),
        ("zoo:focl", ValueError, "did you mean `zoo:focal`"),
        ("1 + 1", ValueError, "uses no input"),
        ("", ValueError, "column 1"),
        (None, TypeError, "`formula` is None"),
        (3, TypeError, "`formula` is a int"),
        ("@nowhere", ValueError, "holds no run"),
        ("a = yhat; a = y", ValueError, "twice"),
    ],
)
def test_formulas_that_cannot_be_read(formula, error, text):
    with pytest.raises(error, match=text):
        al.Loss(formula)


def test_further_inputs_are_named_by_the_user():
    loss = al.Loss("square(yhat - y) * distance", inputs=["distance"])
    yhat, y = fields((3, 4))
    assert loss.value(yhat, y, distance=np.ones_like(y)) == pytest.approx(al.Loss("zoo:mse").value(yhat, y))
    for wrong, error in (("distance", TypeError), ([3], TypeError), (["a b"], ValueError), (["2d"], ValueError)):
        with pytest.raises(error, match="`inputs`"):
            al.Loss("yhat", inputs=wrong)


def test_losses_are_equal_by_their_formula_and_survive_pickling():
    loss = al.Loss("a = square(yhat - y); b = abs(yhat - y) * far", inputs=["far"])
    assert loss.branches == ("a", "b")
    for same in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss), al.Loss(str(loss), inputs=["far"])):
        assert same == loss
        assert hash(same) == hash(loss)
        assert same.inputs == loss.inputs
    assert loss["a"] == al.Loss("square(yhat - y)")
    assert pickle.loads(pickle.dumps(loss["a"])).branches == ("a",)
    assert loss != al.Loss("a = square(yhat - y); b = abs(yhat - y)")
    assert loss != "a = square(yhat - y)"
    assert eval(repr(al.Loss("zoo:dice")), {"Loss": al.Loss}) == al.Loss("zoo:dice")


def test_several_branches_take_and_give_dictionaries():
    yhat, y = fields((3, 4))
    loss = al.Loss("a = square(yhat - y); b = abs(yhat - y)")
    value, gradient = loss.value_and_gradient({"a": yhat, "b": y}, {"a": y, "b": y})
    assert value == pytest.approx(al.Loss("zoo:mse").value(yhat, y))
    assert set(gradient) == {"a", "b"}
    np.testing.assert_allclose(gradient["a"], 2 * (yhat - y) / 3)
    with pytest.raises(TypeError, match="has no key 'b'"):
        loss.value({"a": yhat}, {"a": y, "b": y})
    with pytest.raises(TypeError, match="expected a dictionary of arrays by branch"):
        loss.value(yhat, y)
    with pytest.raises(KeyError, match="expected one of `a`, `b`"):
        loss["c"]


def test_batch_coupling():
    assert not al.Loss("max_pool(yhat) - mean_c(y)").batch_coupled
    assert al.Loss("a = yhat - y; b = mean_nhw(yhat) - y").batch_coupled
    assert al.Loss("zoo:lovasz_softmax").batch_coupled
    assert not al.Loss("zoo:ssim").batch_coupled


def test_latex():
    assert al.Loss("-(y * log(yhat))")._repr_latex_() == "$\\displaystyle -y \\cdot \\log \\hat{y}$"
    lines = al.Loss("a_b = yhat; c = y").latex
    assert lines == "\\begin{aligned}\\text{a\\_b} &= \\hat{y} \\\\ \\text{c} &= y\\end{aligned}"


def test_other_threads_run_meanwhile_and_results_do_not_mix():
    loss = al.Loss("tanh(exp(yhat - y)) * log(yhat + 1)")
    many = [fields((4, 8, 64, 64), np.float32, seed) for seed in range(4)]
    expected = [loss.gradient(*pair) for pair in many]
    wrong = []

    def compute(number):
        for _ in range(5):
            if not np.array_equal(loss.gradient(*many[number]), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=compute, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_lock_is_released_during_long_computations():
    yhat, y = fields((8, 32, 128, 128), np.float32)
    loss = al.Loss("tanh(exp(sin(yhat) - y)) * log(yhat + 1)")
    running, seen = threading.Event(), 0

    def compute():
        running.set()
        loss.gradient(yhat, y)
        running.clear()

    thread = threading.Thread(target=compute)
    thread.start()
    running.wait()
    # Held, the lock would let this thread run again only when the computation is over.
    while running.is_set():
        seen += 1
    thread.join()
    assert seen > 100


# Large batches.

SAMPLES, SPLIT = 7, "-(y * log(yhat)) + max_pool(square(yhat - y)) * mean_c(yhat)"


def large(dtype=np.float32):
    rng = np.random.default_rng(0)
    yhat = rng.dirichlet(np.ones(5), (SAMPLES, 96, 96)).transpose(0, 3, 1, 2)
    y = np.eye(5)[rng.integers(0, 5, (SAMPLES, 96, 96))].transpose(0, 3, 1, 2)
    return np.ascontiguousarray(yhat, dtype), np.ascontiguousarray(y, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_batch_is_the_mean_of_its_samples(dtype):
    loss, (yhat, y) = al.Loss(SPLIT), large(dtype)
    assert yhat.size > 2**18
    assert not loss.batch_coupled
    value, gradient = loss.value_and_gradient(yhat, y)
    alone = [loss.value_and_gradient(yhat[n : n + 1], y[n : n + 1]) for n in range(SAMPLES)]
    tolerance = {"rtol": 2e-7, "atol": 0} if dtype == np.float32 else {"rtol": 1e-15, "atol": 0}
    assert value == pytest.approx(np.mean([v for v, _ in alone]), rel=1e-12)
    assert loss.value(yhat, y) == pytest.approx(value, rel=1e-12 if dtype == np.float64 else 1e-6)
    np.testing.assert_allclose(gradient, np.concatenate([g for _, g in alone]) / dtype(SAMPLES), **tolerance)


def in_a_process(code, threads):
    """Output of code that has a loss and a large batch."""
    begin = f"""
import os, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import hashlib, autoloss as al
from test_loss import SPLIT, large
loss, (yhat, y) = al.Loss(SPLIT), large()
"""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", begin + code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_large_batch_is_the_same_on_any_number_of_threads():
    code = """
value, gradient = loss.value_and_gradient(yhat, y)
print(repr(value), repr(loss.value(yhat, y)), hashlib.sha256(gradient.tobytes()).hexdigest())
"""
    assert len({in_a_process(code, threads) for threads in (1, 2, 3, 16)}) == 1


def test_a_process_that_was_forked_off_computes_large_batches():
    code = """
expected = loss.gradient(yhat, y)
pid = os.fork()
if pid == 0:
    os._exit(int((loss.gradient(yhat, y) != expected).any()))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert in_a_process(code, 2).strip() == "0"


def test_nan_in_a_large_batch_is_named_by_its_place():
    loss, (yhat, y) = al.Loss(SPLIT), large()
    yhat[5, 1, 2, 3] = yhat[6, 0, 0, 0] = np.nan
    for call in (loss.value, loss.gradient, loss.value_and_gradient):
        with pytest.raises(ValueError, match=r"`yhat` is NaN at index \(5, 1, 2, 3\)"):
            call(yhat, y)
