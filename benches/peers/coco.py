"""A made-up COCO data set, and how long pycocotools takes to score it.

    python coco.py make FOLDER [--images 5000] [--objects 36000] [--detections 100] [--seed 0]
    python coco.py time FOLDER box|mask|keypoints

`make` needs nothing but Python; it writes target.json, box.json, mask.json and keypoints.json.
`time` needs pycocotools, and prints one JSON object: seconds of reading both files and of scoring,
and the numbers. `cargo bench -p autoloss-metrics` runs both and times ours on the same files.
"""

import argparse
import contextlib
import io
import json
import math
import random
import time
from pathlib import Path

WIDTH, HEIGHT = 640, 480
CATEGORIES = 80
POINTS = 17


def column_runs(box):
    """An ellipse in a box, as lengths of runs down the columns of the image."""
    x, y, width, height = box
    center, middle = x + width / 2, y + height / 2
    runs, covered = [], 0
    for column in range(max(0, math.ceil(x)), min(WIDTH, math.floor(x + width))):
        across = (column + 0.5 - center) / (width / 2)
        if abs(across) >= 1:
            continue
        half = height / 2 * math.sqrt(1 - across * across)
        top, bottom = max(0, round(middle - half)), min(HEIGHT, round(middle + half))
        if bottom > top:
            start = column * HEIGHT + top
            runs += [start - covered, bottom - top]
            covered = column * HEIGHT + bottom
    return runs + [WIDTH * HEIGHT - covered]


def packed(runs):
    """COCO's compressed form of runs."""
    text = []
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            group, value = value & 31, value >> 5
            done = value == (-1 if group & 16 else 0)
            text.append(chr(48 + group + (0 if done else 32)))
            if done:
                break
    return "".join(text)


def polygon(box, count=24):
    x, y, width, height = box
    turns = (2 * math.pi * index / count for index in range(count))
    points = ((x + width / 2 * (1 + math.cos(t)), y + height / 2 * (1 + math.sin(t))) for t in turns)
    return [round(value, 2) for point in points for value in point]


def make(folder, images, objects, detections, seed):
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    shares = [1 / (rank + 2) for rank in range(CATEGORIES)]

    def category():
        return rng.choices(range(1, CATEGORIES + 1), shares)[0]

    def box():
        # As many small as medium and large ones.
        size = math.exp(rng.uniform(math.log(8), math.log(300)))
        width, height = size * rng.uniform(0.6, 1.6), size * rng.uniform(0.6, 1.6)
        x, y = rng.uniform(0, WIDTH - 8), rng.uniform(0, HEIGHT - 8)
        return [round(v, 2) for v in (x, y, min(width, WIDTH - x), min(height, HEIGHT - y))]

    def near(b, spread):
        moved = [v + rng.gauss(0, spread) * s for v, s in zip(b, (b[2], b[3], b[2], b[3]))]
        return [round(v, 3) for v in (*moved[:2], max(moved[2], 2), max(moved[3], 2))]

    def keypoints(b):
        points = []
        for _ in range(POINTS):
            visible = rng.choice([0, 1, 2, 2])
            place = [round(b[0] + b[2] * rng.random()), round(b[1] + b[3] * rng.random())]
            points += place + [visible] if visible else [0, 0, 0]
        return points

    def near_points(points, b, spread):
        size = math.sqrt(b[2] * b[3])
        return [
            1 if index % 3 == 2 else round(value + rng.gauss(0, spread) * size, 2)
            for index, value in enumerate(points)
        ]

    per_image = [[] for _ in range(images)]
    for id in range(1, objects + 1):
        b = box()
        points = keypoints(b)
        per_image[rng.randrange(images)].append({
            "id": id,
            "category_id": category(),
            "iscrowd": int(rng.random() < 0.01),
            "area": round(b[2] * b[3] * math.pi / 4, 2),
            "bbox": b,
            "segmentation": [polygon(b)],
            "keypoints": points,
            "num_keypoints": sum(v > 0 for v in points[2::3]),
        })
    found = {"box": [], "mask": [], "keypoints": []}
    for image, targets in enumerate(per_image, 1):
        for target in targets:
            target["image_id"] = image
        for index in range(detections):
            target = rng.choice(targets) if targets and index < 4 * len(targets) else None
            spread = rng.choice([0.02, 0.05, 0.15])
            b = near(target["bbox"], spread) if target else box()
            label = target["category_id"] if target and rng.random() < 0.9 else category()
            score = round(rng.betavariate(2, 3) if target else rng.betavariate(1, 8), 6)
            entry = {"image_id": image, "category_id": label, "score": score}
            found["box"].append(dict(entry, bbox=b))
            runs = {"size": [HEIGHT, WIDTH], "counts": packed(column_runs(b))}
            found["mask"].append(dict(entry, segmentation=runs))
            points = near_points(target["keypoints"], b, spread / 3) if target else keypoints(b)
            found["keypoints"].append(dict(entry, keypoints=points))
    target = {
        "images": [{"id": id, "width": WIDTH, "height": HEIGHT} for id in range(1, images + 1)],
        "categories": [{"id": id, "name": f"category {id}"} for id in range(1, CATEGORIES + 1)],
        "annotations": [target for targets in per_image for target in targets],
    }
    (folder / "target.json").write_text(json.dumps(target))
    for kind, entries in found.items():
        (folder / f"{kind}.json").write_text(json.dumps(entries))


def time_peer(folder, kind):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        target = COCO(str(folder / "target.json"))
        results = target.loadRes(str(folder / f"{kind}.json"))
        read = time.perf_counter()
        types = {"box": "bbox", "mask": "segm", "keypoints": "keypoints"}
        evaluation = COCOeval(target, results, types[kind])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        end = time.perf_counter()
    stats = evaluation.stats.tolist()
    print(json.dumps({"read_s": read - start, "score_s": end - read, "stats": stats}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("folder", type=Path)
    maker.add_argument("--images", type=int, default=5000)
    maker.add_argument("--objects", type=int, default=36000)
    maker.add_argument("--detections", type=int, default=100)
    maker.add_argument("--seed", type=int, default=0)
    timer = commands.add_parser("time")
    timer.add_argument("folder", type=Path)
    timer.add_argument("kind", choices=["box", "mask", "keypoints"])
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.folder, arguments.images, arguments.objects, arguments.detections, arguments.seed)
    else:
        time_peer(arguments.folder, arguments.kind)


if __name__ == "__main__":
    main()
