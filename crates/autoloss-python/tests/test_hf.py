"""Losses for the trainer of Hugging Face."""

import pickle
from types import SimpleNamespace

import pytest

import autoloss as al

torch = pytest.importorskip("torch")
functional = torch.nn.functional


def tokens(seed=0, count=4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, 7, 5, generator=generator)
    labels = torch.randint(5, (count, 7), generator=generator)
    labels[torch.rand(count, 7, generator=generator) < 0.3] = -100
    return logits.requires_grad_(), labels


def flat(logits, labels, reduction="mean"):
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction=reduction)


def test_cross_entropy_is_that_of_token_classification():
    logits, labels = tokens()
    value = al.Loss("zoo:cross_entropy").hf()(SimpleNamespace(logits=logits), labels)
    torch.testing.assert_close(value, flat(logits, labels))
    (gradient,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(gradient, torch.autograd.grad(flat(logits, labels), logits)[0])


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_accumulated_batches_are_one(name):
    logits, labels = tokens()
    compute = al.Loss(f"zoo:{name}").hf()
    items = (labels != -100).sum()
    whole = compute({"logits": logits}, labels, num_items_in_batch=items)
    torch.testing.assert_close(whole, compute({"logits": logits}, labels))
    for count in (items, int(items)):
        parts = [compute((logits[k : k + 1],), labels[k : k + 1], num_items_in_batch=count) for k in range(4)]
        torch.testing.assert_close(torch.stack(parts).sum(), whole)


def test_batch_coupled_losses_have_one_for_each_batch():
    logits, labels = tokens()
    compute, items = al.Loss("zoo:dice").hf(), (labels != -100).sum()
    parts = [compute(logits[k : k + 2], labels[k : k + 2], num_items_in_batch=items) for k in (0, 2)]
    shares = [(labels[k : k + 2] != -100).sum() / items for k in (0, 2)]
    alone = [compute(logits[k : k + 2], labels[k : k + 2]) for k in (0, 2)]
    torch.testing.assert_close(sum(parts), sum(s * v for s, v in zip(shares, alone, strict=True)))
    assert al.Loss("zoo:dice").batch_coupled


def test_sequences_and_images():
    logits, labels = torch.randn(6, 3), torch.randint(3, (6,))
    loss = al.Loss("zoo:cross_entropy")
    torch.testing.assert_close(loss.hf()(logits, labels), functional.cross_entropy(logits, labels))
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    labels[:, 0] = 255
    compute = loss.hf(channel_dim=1, ignore_index=255, weight=[1.0, 2.0, 3.0])
    each = functional.cross_entropy(
        logits, labels, ignore_index=255, weight=torch.tensor([1.0, 2.0, 3.0]), reduction="none"
    )
    torch.testing.assert_close(compute(logits, labels), each.sum() / (labels != 255).sum())


def test_nothing_to_learn_is_no_fault_and_functions_are_pickled():
    logits, labels = tokens()
    compute = pickle.loads(pickle.dumps(al.Loss("zoo:cross_entropy").hf()))
    value = compute(logits, torch.full_like(labels, -100), num_items_in_batch=3)
    assert value.item() == 0
    (gradient,) = torch.autograd.grad(value, logits)
    assert (gradient == 0).all()
    native = al.Loss("zoo:lovasz_softmax").hf()
    assert torch.isfinite(native(logits, labels, num_items_in_batch=40))


def test_the_class_that_a_task_ignores_is_taken_over():
    branch = al.Branch("mask", channels=3, ignore_index=255)
    loss = al.Loss._make("zoo:cross_entropy", ["yhat", "y"], ["mask"], (branch,))
    assert loss.hf().criterion.options.ignore_index == 255
    assert al.Loss("zoo:focal").hf().criterion.options.ignore_index == -100


def test_wrong_use_is_named():
    logits, labels = tokens()
    with pytest.raises(ValueError, match="several branches"):
        al.Loss("a = yhat - y; b = yhat - y").hf()
    box = al.Branch("box", channels=4, activation="none")
    with pytest.raises(ValueError, match="is a loss of numbers"):
        al.Loss._make("abs(yhat - y)", ["yhat", "y"], ["box"], (box,)).hf()
    compute = al.Loss("zoo:focal").hf()
    with pytest.raises(TypeError, match="`labels` has dtype torch.float32"):
        compute(logits, labels.float())
    with pytest.raises(TypeError, match="`outputs` is a dict, expected one with a tensor `logits`"):
        compute({"scores": logits}, labels)
    with pytest.raises(ValueError, match="expected class numbers of"):
        compute(logits, labels[:, :3])
