"""Metrics on numpy arrays: label maps or class scores in, numbers out; higher is better.

Each of `miou`, `fwiou`, `gacc`, `macc`, `biou`, `bf1` and `macro_f1` is a `Metric`, called with prediction and
target.

>>> import numpy as np
>>> target = np.array([[[0, 0, 1], [1, 1, 255]]], np.uint8)      # (N, H, W); 255 is ignored
>>> prediction = np.array([[[0, 0, 1], [0, 1, 1]]], np.uint8)
>>> round(miou(prediction, target), 4)
0.6667
>>> macro_f1(np.eye(3, dtype=np.float32), np.array([0, 1, 2]))   # class scores of shape (N, C)
1.0
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from autoloss._core import Metric, argmax, confusion_matrix
from autoloss._core import coco as _coco

__all__ = [
    "Metric",
    "argmax",
    "bf1",
    "biou",
    "coco",
    "confusion_matrix",
    "fwiou",
    "gacc",
    "macc",
    "macro_f1",
    "miou",
]

miou = Metric("miou")
fwiou = Metric("fwiou")
gacc = Metric("gacc")
macc = Metric("macc")
biou = Metric("biou")
bf1 = Metric("bf1")
macro_f1 = Metric("macro_f1")


def _configured(name: str, classes: int | None, background: int | None, distance: int | None) -> Metric:
    return Metric(name).configured(classes=classes, background=background, distance=distance)


def coco(
    annotations: str | os.PathLike[str] | bytes | Mapping[str, object],
    results: str | os.PathLike[str] | bytes | Sequence[Mapping[str, object]],
    *,
    kind: str = "box",
) -> dict[str, float]:
    """Average precision and recall as COCO defines them, with the numbers of pycocotools.

    `annotations` and `results` are COCO's annotation and result files: paths, their bytes, or the objects in them.
    `kind` is "box", "mask" or "keypoints". The result is a dictionary of the metrics by name, such as `AP` and
    `AP50`; a mean over nothing is -1.

    >>> truth = {"images": [{"id": 7}], "categories": [{"id": 1, "name": "cat"}], "annotations": [
    ...     {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 1200, "bbox": [10, 10, 40, 30]}]}
    >>> found = [{"image_id": 7, "category_id": 1, "score": 0.9, "bbox": [10, 10, 40, 24]}]
    >>> round(coco(truth, found)["AP"], 4)
    0.7
    """
    return _coco(_json("annotations", annotations), _json("results", results), kind)


def _json(name: str, given: object) -> bytes:
    if isinstance(given, bytes):
        return given
    if isinstance(given, (str, os.PathLike)):
        with open(given, "rb") as file:
            return file.read()
    if isinstance(given, (Mapping, Sequence)):
        return json.dumps(given).encode()
    raise TypeError(f"coco: `{name}` is a {type(given).__name__}, expected a path, bytes, or a list or dictionary")
