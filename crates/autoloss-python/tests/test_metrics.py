"""Metrics on numpy arrays, against definitions written out in numpy and scikit-learn."""

import pickle

import numpy as np
import pytest

import autoloss as al
from autoloss import metrics


def maps(seed, shape=(3, 16, 20), classes=4):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, (shape[0], shape[1] // 4, shape[2] // 4))
    target = coarse.repeat(4, 1).repeat(4, 2)
    prediction = np.where(rng.random(shape) < 0.2, rng.integers(0, classes, shape), target)
    target[rng.random(shape) < 0.05] = 255
    return prediction, target


def counts(prediction, target, classes=4):
    valid = target < classes
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (target[valid], prediction[valid]), 1)
    return matrix


def test_pixel_metrics_are_their_definitions():
    prediction, target = maps(0)
    matrix = counts(prediction, target)
    hits, truth, found = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    iou = hits / (truth + found - hits)
    assert metrics.miou(prediction, target) == pytest.approx(iou.mean())
    assert metrics.fwiou(prediction, target) == pytest.approx((iou * truth).sum() / truth.sum())
    assert metrics.gacc(prediction, target) == pytest.approx(hits.sum() / truth.sum())
    assert metrics.macc(prediction, target) == pytest.approx((hits / truth).mean())
    assert metrics.macro_f1(prediction, target) == pytest.approx((2 * hits / (truth + found)).mean())
    np.testing.assert_array_equal(metrics.confusion_matrix(prediction, target, classes=4), matrix)


def test_macro_f1_is_that_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    for _ in range(20):
        target, prediction = rng.integers(0, 5, (2, 60))
        expected = sklearn.f1_score(target, prediction, average="macro")
        assert metrics.macro_f1(prediction, target) == pytest.approx(expected, abs=1e-12)


def edges(labels, label):
    mask = labels == label
    inner = mask.copy()
    for axis in (0, 1):
        for step in (1, -1):
            moved = np.roll(labels, step, axis) == label
            border = [slice(None)] * 2
            border[axis] = 0 if step == 1 else -1
            moved[tuple(border)] = True
            inner &= moved
    return mask & ~inner


def near(mask, distance):
    rows, columns = np.nonzero(mask)
    near = np.zeros_like(mask)
    for row, column in zip(rows, columns, strict=True):
        near[max(0, row - distance) : row + distance + 1, max(0, column - distance) : column + distance + 1] = True
    return near


def test_boundary_f1_of_shifted_squares():
    target = np.zeros((1, 24, 24), int)
    target[0, 6:18, 6:18] = 1
    assert metrics.bf1(target, target) == 1.0
    shifted = np.roll(target, 3, 2)
    assert metrics.bf1(shifted, target, distance=3, background=0) == 1.0
    assert metrics.bf1(shifted, target, distance=1, background=0) < 1.0
    own, other = edges(target[0], 1), edges(shifted[0], 1)
    precision = (other & near(own, 1)).sum() / other.sum()
    recall = (own & near(other, 1)).sum() / own.sum()
    expected = 2 * precision * recall / (precision + recall)
    assert metrics.bf1(shifted, target, distance=1, background=0) == pytest.approx(expected)
    # Positions near edges alone count: here as bad as can be, over all pixels rather good.
    assert metrics.biou(shifted, target, distance=1) < metrics.miou(shifted, target)


def test_scores_of_classes_count_by_the_largest():
    prediction, target = maps(1)
    scores = np.eye(4, dtype=np.float32)[prediction].transpose(0, 3, 1, 2).copy()
    for name in ("miou", "fwiou", "gacc", "macc", "biou", "bf1", "macro_f1"):
        metric = getattr(metrics, name)
        assert metric(scores, target) == metric(prediction, target), name
    np.testing.assert_array_equal(metrics.argmax(scores), prediction)
    assert metrics.argmax(scores[:, :, 0, 0].copy()).shape == (3,)


def test_batches_are_one_data_set_or_image_by_image():
    prediction, target = maps(2)
    each = metrics.bf1(prediction, target, classes=4, per_image=True)
    assert each.shape == (3,)
    for number in range(3):
        assert each[number] == metrics.bf1(prediction[number], target[number], classes=4)
    assert metrics.miou(prediction, target) != pytest.approx(
        metrics.miou(prediction, target, per_image=True, classes=4).mean()
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint16, np.uint32, np.uint64])
def test_labels_of_any_integers(dtype):
    prediction, target = maps(4)
    target = np.where(target == 255, 100, target)
    assert metrics.miou(prediction.astype(dtype), target.astype(dtype), classes=4) == metrics.miou(
        prediction, np.where(target == 100, -100, target), classes=4
    )


def test_settings_stay_with_a_configured_metric():
    metric = metrics.bf1.configured(background=0, distance=2)
    again = pickle.loads(pickle.dumps(metric))
    prediction, target = maps(5)
    assert repr(again) == repr(metric) == "autoloss.metrics.bf1.configured(background=0, distance=2)"
    assert again(prediction, target) == metrics.bf1(prediction, target, background=0, distance=2)
    assert again.name == "bf1"
    assert "edges" in again.description


@pytest.mark.parametrize(
    ("prediction", "target", "error", "text"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), TypeError, "`target` has dtype float64, expected integers"),
        (np.zeros((2, 3)), np.zeros(2, int), TypeError, "`prediction` has dtype float64, expected float32"),
        (np.zeros((2, 3), int), np.zeros((2, 4), int), ValueError, r"`prediction` has shape \(2, 3\)"),
        (
            np.zeros((2, 3, 4), np.float32),
            np.zeros(2, int),
            ValueError,
            r"expected labels of the target's shape \(2,\)",
        ),
        (None, np.zeros(2, int), TypeError, "`prediction` is None"),
        (np.zeros(2, int), [0, 1], TypeError, "`target` is a list"),
        (np.zeros(0, int), np.zeros(0, int), ValueError, "no elements"),
        (np.zeros((4, 6), int)[:, ::2], np.zeros((4, 3), int), ValueError, "not contiguous"),
    ],
)
def test_wrong_arguments_are_named(prediction, target, error, text):
    with pytest.raises(error, match=text) as raised:
        metrics.miou(prediction, target)
    assert str(raised.value).startswith("miou: ")


def test_wrong_settings_are_named():
    labels = np.zeros((4, 4), int)
    with pytest.raises(ValueError, match="300 classes"):
        metrics.miou(labels, labels, classes=300)
    with pytest.raises(ValueError, match="background 7"):
        metrics.bf1(labels, labels, classes=2, background=7)
    with pytest.raises(ValueError, match="the nearest known name is `miou`"):
        metrics.Metric("miuo")


def test_coco_from_objects_bytes_and_files(tmp_path):
    import json

    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100, "bbox": [0, 0, 10, 10]},
            {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100, "bbox": [20, 20, 10, 10]},
        ],
    }
    found = [{"image_id": 1, "category_id": 1, "score": 0.9, "bbox": [0, 0, 10, 10]}]
    # One of two objects, found exactly: precision 1 up to recall 0.5, the first 51 of 101 points.
    result = metrics.coco(truth, found)
    assert result["AP"] == pytest.approx(51 / 101)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    assert metrics.coco(tmp_path / "truth.json", json.dumps(found).encode()) == result
    with pytest.raises(ValueError, match="`kind` is 'boxes'"):
        metrics.coco(truth, found, kind="boxes")
    with pytest.raises(ValueError, match="coco: "):
        metrics.coco(b"[]", found)
    with pytest.raises(TypeError, match="`annotations` is a int"):
        metrics.coco(3, found)


def test_metrics_are_reached_from_the_package():
    assert al.metrics.miou is metrics.miou
