"""Segmentation metrics once more in NumPy, compared with `autoloss score segmentation`.

The definitions are those of the method, "Segmentation metrics, exactly", written down here without a
look at the Rust code: one confusion matrix over the whole data set without ignored pixels; edges of the
prediction as it is, over the whole image.

    python segmentation_reference.py --program target/release/autoloss --seed 1 --cases 100

Each case is a folder of random label maps with ignored pixels. Ends with 1 if a number differs.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np

IGNORED = 255
TOLERANCE = 1e-9


# ---- the definitions ----------------------------------------------------------------------------


def edges(labels, c):
    """Pixels of class c with some pixel that is not c in their 3x3 neighbourhood; the border is none."""
    own = labels == c
    # Beyond the image lies more of the same.
    return own & near(~own, 1)


def near(pixels, distance):
    """Pixels within a Chebyshev distance of some pixel of a set."""
    h, w = pixels.shape
    found = np.zeros_like(pixels)
    for y, x in np.argwhere(pixels):
        found[max(0, y - distance) : y + distance + 1, max(0, x - distance) : x + distance + 1] = True
    return found


def confusion(pairs, classes):
    """Rows: target; columns: prediction, the last one for predictions of no class."""
    matrix = np.zeros((classes, classes + 1), dtype=np.int64)
    for target, prediction in pairs:
        counted = target < classes
        columns = np.minimum(prediction[counted], classes)
        np.add.at(matrix, (target[counted], columns), 1)
    return matrix


def mean_of_known(values):
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else 0.0


def share(part, whole):
    return None if whole == 0 else part / whole


def ious(matrix):
    hits = np.diagonal(matrix)
    false = matrix.sum(1) - hits + matrix[:, : len(hits)].sum(0) - hits
    return [share(int(t), int(t + f)) for t, f in zip(hits, false)]


def scores(pairs, classes, distance, background):
    """The six metrics, and IoU, accuracy and F1 of each class."""
    matrix = confusion(pairs, classes)
    hits, target = np.diagonal(matrix), matrix.sum(1)
    iou = ious(matrix)
    accuracy = [share(int(t), int(n)) for t, n in zip(hits, target)]
    total = max(int(target.sum()), 1)
    foreground = [c for c in range(classes) if c != background]

    near_edges = []
    counts = np.zeros((classes, 4), dtype=np.int64)
    for truth, prediction in pairs:
        truth_edges = {c: edges(truth, c) for c in foreground}
        region = np.zeros(truth.shape, dtype=bool)
        for c in foreground:
            region |= near(truth_edges[c], distance)
            predicted = edges(prediction, c)
            counts[c] += [
                predicted.sum(),
                (predicted & near(truth_edges[c], distance)).sum(),
                truth_edges[c].sum(),
                (truth_edges[c] & near(predicted, distance)).sum(),
            ]
        near_edges.append((truth[region], prediction[region]))

    def f1(c):
        predicted, right, wanted, found = (int(n) for n in counts[c])
        if c == background or wanted == 0:
            return None
        precision, recall = share(right, predicted) or 0.0, found / wanted
        return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0

    f1s = [f1(c) for c in range(classes)]
    metrics = {
        "miou": mean_of_known(iou),
        "fwiou": sum((i or 0.0) * int(n) for i, n in zip(iou, target)) / total,
        "gacc": int(hits.sum()) / total,
        "macc": mean_of_known(accuracy),
        "biou": mean_of_known(ious(confusion(near_edges, classes))),
        "bf1": mean_of_known(f1s),
    }
    return metrics, {"iou": iou, "accuracy": accuracy, "f1": f1s}


# ---- random label maps --------------------------------------------------------------------------


def blocks(rng, shape, labels):
    """A map of blocks of random size, so that there are edges and areas."""
    h, w = shape
    side = int(rng.integers(1, 10))
    cells = rng.choice(labels, size=(h // side + 1, w // side + 1))
    return np.kron(cells, np.ones((side, side), dtype=np.int64))[:h, :w]


def moved(labels, dy, dx):
    """The map moved a little, its border repeated: predictions are mostly right and a few pixels off."""
    h, w = labels.shape
    rows = np.clip(np.arange(h) - dy, 0, h - 1)
    columns = np.clip(np.arange(w) - dx, 0, w - 1)
    return labels[rows][:, columns]


def random_case(rng):
    classes = int(rng.integers(2, 6))
    # A class may be absent.
    present = rng.permutation(classes)[: int(rng.integers(2, classes + 1))]
    pairs = []
    for _ in range(int(rng.integers(1, 4))):
        shape = tuple(int(side) for side in rng.integers(1, 50, size=2))
        whole = blocks(rng, shape, present)
        prediction = moved(whole, *rng.integers(-7, 8, size=2))
        wrong = blocks(rng, shape, [0, 1, 1, 1, 1]) == 0
        prediction = np.where(wrong, blocks(rng, shape, list(range(classes))), prediction)
        if rng.random() < 0.2:
            prediction = np.where(blocks(rng, shape, [0] * 9 + [1]) == 1, classes + 3, prediction)
        target = np.where(blocks(rng, shape, [0, 0, 0, 1]) == 1, IGNORED, whole)
        pairs.append((target, prediction))
    background = int(rng.integers(0, classes)) if rng.random() < 0.5 else None
    return pairs, classes, int(rng.integers(0, 7)), background


def write_png(path, labels):
    h, w = labels.shape

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in labels)
    header = struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


# ---- the program --------------------------------------------------------------------------------


def program(path, pairs, classes, distance, background):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("pred", "target"):
            Path(folder, name).mkdir()
        for number, (target, prediction) in enumerate(pairs):
            write_png(Path(folder, f"target/{number}.png"), target)
            write_png(Path(folder, f"pred/{number}.png"), prediction)
        command = [path, "score", "segmentation", "--pred", "pred", "--target", "target", "--json"]
        command += ["--classes", str(classes), "--boundary-distance", str(distance)]
        if background is not None:
            command += ["--background", str(background)]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if ended.returncode != 0:
        return None, ended.stderr
    return json.loads(ended.stdout), ended.stderr


def differences(said, metrics, each):
    for name, value in metrics.items():
        if not abs(said["metrics"][name] - value) <= TOLERANCE:
            yield f"{name} is {said['metrics'][name]}, expected {value}"
    for name, values in each.items():
        for c, value in enumerate(values):
            ours = said["classes"][c][name]
            if (ours is None) != (value is None) or (value is not None and not abs(ours - value) <= TOLERANCE):
                yield f"{name} of class {c} is {ours}, expected {value}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the program autoloss")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=100)
    arguments = parser.parse_args()
    path = str(Path(arguments.program).resolve())
    wrong = compared = of_ignored = 0
    for number in range(arguments.cases):
        rng = np.random.default_rng([arguments.seed, number])
        pairs, classes, distance, background = random_case(rng)
        targets = np.concatenate([target.ravel() for target, _ in pairs])
        of_ignored += bool((targets == IGNORED).any())
        said, error = program(path, pairs, classes, distance, background)
        if said is None:
            # Targets that tell nothing apart are refused: ignored pixels alone, or beside label 0 alone.
            if not np.isin(targets, [0, IGNORED]).all():
                wrong += 1
                print(f"case {number}: the program fails: {error.strip()}")
            continue
        compared += 1
        for difference in differences(said, *scores(pairs, classes, distance, background)):
            wrong += 1
            print(f"case {number}: {difference}")
    print(f"segmentation: {compared} of {arguments.cases} cases compared, {of_ignored} with ignored pixels, {wrong} differences")
    # A comparison of little or nothing must not pass.
    enough = compared >= 0.9 * arguments.cases and of_ignored >= 0.5 * arguments.cases
    sys.exit(0 if wrong == 0 and enough else 1)


if __name__ == "__main__":
    main()
