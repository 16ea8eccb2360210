"""Random COCO files, and what pycocotools makes of them.

Writes one JSON object a line: the texts of an annotation file and of a result file, and for each
kind that the case is about the numbers of pycocotools (`stats`, and the AP of each category), or
null where pycocotools raises. `cargo run --example coco_reference -- FILE` compares them with ours.

    python coco_reference.py --seed 1 --cases 2000 --out cases.jsonl
    python coco_reference.py --files target.json results.json --kinds box mask --out case.jsonl
    python coco_reference.py --target person_keypoints.json --cases 50 --out cases.jsonl

`compare` beside this file does it all, in an environment of its own.
"""

import argparse
import contextlib
import io
import json
import math
import random
import resource
import tempfile
import warnings
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

TYPES = {"box": "bbox", "mask": "segm", "keypoints": "keypoints"}
POINTS = 17


# ---- what pycocotools says ----------------------------------------------------------------------


def expected(target, results, kind):
    """The numbers of pycocotools, or null where it raises."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        target_path, results_path = Path(folder, "target.json"), Path(folder, "results.json")
        target_path.write_text(target)
        results_path.write_text(results)
        try:
            evaluation = evaluate(str(target_path), str(results_path), kind)
        except Exception as error:
            return None, f"{type(error).__name__}: {error}"
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    categories = [mean_of_known(precision[:, :, k]) for k in range(precision.shape[2])]
    return {"stats": evaluation.stats.tolist(), "categories": categories}, None


def evaluate(target, results, kind):
    truth = COCO(target)
    found = truth.loadRes(results)
    evaluation = COCOeval(truth, found, TYPES[kind])
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def mean_of_known(values):
    known = values[values > -1]
    return float(np.mean(known)) if known.size else -1.0


# ---- random shapes ------------------------------------------------------------------------------


class Case:
    """The random choices of one case."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.side = self.random.choice([12, 40, 150, 300])
        # How often something odd comes up: never in most cases, so that they are about the rest.
        self.odd = self.random.choice([0, 0, 0.05, 0.3])

    def chance(self, share):
        return self.random.random() < share

    def oddly(self):
        return self.chance(self.odd)

    def number(self, low, high):
        """A coordinate: whole, with few digits, or any."""
        value = self.random.uniform(low, high)
        return self.random.choice([round(value), round(value, 1), round(value * 2) / 2, value])

    def ids(self, count):
        """Ids in any order; few are near 0."""
        return self.random.sample(range(1, self.random.choice([count + 2, 1000, 2**40])), count)

    def box(self, image):
        width, height = image["width"], image["height"]
        x, y = self.number(0, width * 0.8), self.number(0, height * 0.8)
        box = [x, y, self.number(1, width - x + 1), self.number(1, height - y + 1)]
        if self.oddly():
            box[self.random.randrange(4)] = self.random.choice([0, -3, -0.5, 1e4, 1e-9])
        if self.oddly() and self.chance(0.2):
            box[self.random.randrange(4)] = self.random.choice([math.nan, math.inf])
        return box

    def near(self, box):
        """The same box, or one near it."""
        if self.chance(0.3):
            return list(box)
        spread = self.random.choice([0.02, 0.1, 0.3])
        size = [box[2], box[3], box[2], box[3]]
        moved = [b + s * self.random.uniform(-spread, spread) for b, s in zip(box, size)]
        if self.chance(0.3):
            moved = [round(value) if math.isfinite(value) else value for value in moved]
        return moved

    def polygon(self, box):
        """A polygon in a box that may cross itself."""
        x, y, width, height = [value if abs(value) < 2e4 else 1 for value in box]
        form = self.random.choice(["rectangle", "star", "any", "thin"])
        if form == "rectangle":
            return [x, y, x + width, y, x + width, y + height, x, y + height]
        count = self.random.randrange(3, 12)
        points = []
        for index in range(count):
            if form == "any":
                points += [x + width * self.random.random(), y + height * self.random.random()]
                continue
            angle = 2 * math.pi * index / count
            reach = self.random.uniform(0.3, 1) if form == "star" else 0.5
            points += [
                x + width / 2 * (1 + reach * math.cos(angle)),
                y + height / 2 * (1 + (reach if form == "star" else 0.02) * math.sin(angle)),
            ]
        if self.chance(0.3):
            points = [self.random.choice([round(p), round(p * 5) / 5, p]) for p in points]
        if self.oddly():
            points.append(1.5)
        if self.oddly():
            points[self.random.randrange(len(points))] *= self.random.choice([-1, 10])
        return points

    def polygons(self, box):
        polygons = [self.polygon(box)]
        while self.chance(0.3):
            polygons.append(self.polygon(self.near(box)))
        if self.oddly():
            # A first polygon of less than five numbers is an error, a later one is not.
            count = self.random.choice([0, 2, 3, 4, 5])
            place = self.random.choice([0, len(polygons), len(polygons)])
            polygons.insert(place, [self.number(0, self.side) for _ in range(count)])
        if self.oddly() and self.chance(0.1):
            polygons = []
        return polygons

    def runs(self, polygons, image):
        """A mask of the size of the image, as lengths of runs; seldom broken by empty ones."""
        height, width = image["height"], image["width"]
        if self.chance(0.2) or not polygons or len(polygons[0]) < 5:
            density = self.random.choice([0, 0.1, 0.5, 1])
            bitmap = np.random.default_rng(self.random.getrandbits(32)).random((height, width)) < density
            mask = mask_utils.encode(np.asfortranarray(bitmap.astype(np.uint8)))
        else:
            mask = mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
        bits = mask_utils.decode(mask).reshape(-1, order="F")
        edges = np.flatnonzero(np.diff(bits)) + 1
        runs = np.diff(np.concatenate([[0], edges, [bits.size]])).tolist()
        if bits[0]:
            runs.insert(0, 0)
        while self.oddly():
            place = self.random.randrange(len(runs) + 1)
            runs[place:place] = [0, 0]
        if self.oddly():
            runs.append(0)
        return {"size": [height, width], "counts": runs}

    def segmentation(self, box, image, forms):
        polygons = self.polygons(box)
        return self.in_form(self.random.choice(forms), polygons, image)

    def in_form(self, form, polygons, image):
        if form == "polygons":
            return polygons
        mask = self.runs(polygons, image)
        if form == "runs":
            return mask
        packed = mask_utils.frPyObjects(mask, *mask["size"])
        return {"size": packed["size"], "counts": packed["counts"].decode()}

    def keypoints(self, box):
        x, y, width, height = box
        points = []
        share = self.random.choice([0, 0.1, 0.7, 1])
        for _ in range(POINTS):
            if self.chance(share):
                place = [x + width * self.random.random(), y + height * self.random.random()]
                if self.chance(0.5):
                    place = [round(value) if math.isfinite(value) else 0 for value in place]
                points += place + [self.random.choice([1, 2])]
            else:
                points += [0, 0, 0]
        return points

    def near_keypoints(self, points, box):
        spread = self.random.choice([0, 0.01, 0.05, 0.2]) * max(abs(box[2]), abs(box[3]), 1)
        if not math.isfinite(spread):
            spread = 1
        near = []
        for value in points:
            near.append(value if self.chance(0.3) else value + self.random.uniform(-spread, spread))
        for place in range(2, len(near), 3):
            near[place] = self.random.choice([0, 1, 2, 0.7])
        return near

    def area(self, box):
        area = box[2] * box[3]
        if self.chance(0.3):
            # The ends of the ranges of area, and near them.
            area = self.random.choice([0, 1, 1023.9, 1024, 1024.5, 9216, 9216.5, 1e10])
        if self.oddly():
            area = self.random.choice([-1, 1e11, math.nan])
        return area

    def score(self):
        if self.oddly() and self.chance(0.3):
            return self.random.choice([math.nan, math.inf, -math.inf, -1, 0, -0.0])
        return self.random.choice([0.5, round(self.random.random(), 1), self.random.random(), 1])


# ---- random files -------------------------------------------------------------------------------


def random_case(seed):
    case = Case(seed)
    about = case.random.choice(["boxes", "masks", "keypoints"])
    images = [
        {
            "id": id,
            "height": case.random.randrange(1, case.side + 1),
            "width": case.random.randrange(1, case.side + 1),
        }
        for id in case.ids(case.random.randrange(1, 7))
    ]
    categories = [{"id": id, "name": f"c{id}"} for id in case.ids(case.random.randrange(1, 4))]
    targets = random_targets(case, about, images, categories)
    results = random_results(case, about, images, categories, targets)
    if case.oddly():
        categories.append(dict(categories[0]))
    if case.oddly():
        images.append(dict(images[0]))
    target = {"images": images, "categories": categories, "annotations": targets}
    kinds = {"boxes": ["box"], "masks": ["mask", "box"], "keypoints": ["keypoints", "box"]}[about]
    boxes = [entry["bbox"] for entry in results if "bbox" in entry]
    finite = all(math.isfinite(value) and abs(value) < 1e6 for box in boxes for value in box)
    if about == "boxes" and finite and all("segmentation" in target for target in targets):
        # Boxes as masks.
        kinds = ["box", "mask"]
    spoiled = case.chance(0.05)
    if spoiled:
        spoil(case, target, results)
    return {
        "name": f"seed {seed}",
        "target": json.dumps(target),
        "results": json.dumps(results),
        "spoiled": spoiled,
    }, kinds


def random_case_for(seed, target):
    """Random results for the targets of a real file."""
    case = Case(seed)
    about = case.random.choice(["boxes", "masks", "keypoints", "moved"])
    kinds = {"boxes": ["box"], "masks": ["mask", "box"], "keypoints": ["keypoints", "box"]}.get(about, list(TYPES))
    if about == "moved":
        results = moved_results(case, target)
    else:
        results = random_results(case, about, target["images"], target["categories"], target["annotations"])
    texts = {"target": json.dumps(target), "results": json.dumps(results)}
    return {"name": f"seed {seed} for a real file", **texts}, kinds


def random_targets(case, about, images, categories):
    targets = []
    with_masks = case.chance(0.5)
    # Some images and some categories stay without a target.
    images = case.random.sample(images, case.random.randrange(0, len(images) + 1))
    categories = case.random.sample(categories, case.random.randrange(1, len(categories) + 1))
    for image in images:
        for _ in range(case.random.choice([1, 2, 3, 8])):
            box = case.box(image)
            if targets and case.chance(0.2):
                box = case.near(case.random.choice(targets)["bbox"])
            target = {
                "image_id": image["id"],
                "category_id": case.random.choice(categories)["id"],
                "bbox": box,
                "area": case.area(box),
                "iscrowd": case.random.choice([0, 0, 0, 1, False, True]),
            }
            if case.chance(0.2):
                target["ignore"] = case.random.choice([0, 1])
            if about == "masks" or (about == "boxes" and with_masks):
                target["segmentation"] = case.segmentation(box, image, ["polygons", "runs", "packed"])
            if about == "keypoints":
                points = case.keypoints(box)
                target["keypoints"] = points
                target["num_keypoints"] = sum(1 for v in points[2::3] if v > 0)
                if case.oddly():
                    target["num_keypoints"] = case.random.choice([0, 5])
            if case.oddly():
                target["image_id"] = case.random.choice([-5, 77])
            if case.oddly():
                target["category_id"] = case.random.choice([-5, 77])
            targets.append(target)
    # Neither 0 nor repeated: pycocotools loses the matches of such ids, and we do not.
    for target, id in zip(targets, case.ids(len(targets))):
        target["id"] = -id if case.oddly() else id
    case.random.shuffle(targets)
    return targets


def random_results(case, about, images, categories, targets):
    known = {image["id"]: image for image in images}
    results = []
    forms = case.random.choice([["packed"], ["packed", "runs", "polygons"]])
    # Without boxes, pycocotools takes the area of packed masks only.
    with_box = about == "boxes" or forms != ["packed"] or case.chance(0.3)
    if about == "keypoints":
        with_box = case.chance(0.3)
    copies = case.random.choice([1, 1, 2, 12, 60])
    for target in targets:
        if target["image_id"] not in known or case.chance(0.1):
            continue
        for _ in range(case.random.randrange(copies + 1)):
            results.append(
                prediction(case, about, known[target["image_id"]], target["category_id"], target, forms)
            )
    for _ in range(case.random.choice([0, 2, 10])):
        image = case.random.choice(images)
        category = case.random.choice(categories)["id"]
        results.append(prediction(case, about, image, category, None, forms))
    if case.oddly():
        results.append(prediction(case, about, images[0], 123456, None, forms))
    if not with_box:
        for result in results:
            result.pop("bbox", None)
    case.random.shuffle(results)
    # An empty box is none, as long as it is not needed.
    if not with_box and 0 < len(results) <= 100 and about != "boxes" and case.chance(0.1):
        results[0]["bbox"] = []
    return results


def prediction(case, about, image, category, target, forms):
    box = case.near(target["bbox"]) if target else case.box(image)
    result = {
        "image_id": image["id"],
        "category_id": category,
        "bbox": box,
        "score": case.score(),
    }
    if about == "masks":
        result["segmentation"] = case.segmentation(box, image, forms)
        if target and case.chance(0.3) and type(target["segmentation"]) is dict:
            if type(target["segmentation"]["counts"]) is str or "runs" in forms:
                result["segmentation"] = target["segmentation"]
    if about == "keypoints":
        points = target["keypoints"] if target else case.keypoints(box)
        result["keypoints"] = case.near_keypoints(points, box)
    return result


def moved_results(case, target):
    """Results of all kinds at once: the targets themselves, their coordinates moved a little."""
    images = {image["id"]: image for image in target["images"]}
    results = []
    for entry in target["annotations"]:
        for _ in range(case.random.randrange(4)):
            results.append(
                {
                    "image_id": entry["image_id"],
                    "category_id": entry["category_id"],
                    "bbox": case.near(entry["bbox"]),
                    "segmentation": moved_segmentation(case, entry, images[entry["image_id"]]),
                    "keypoints": case.near_keypoints(entry["keypoints"], entry["bbox"]),
                    "score": case.score(),
                }
            )
    case.random.shuffle(results)
    return results


def moved_segmentation(case, entry, image):
    segmentation = entry["segmentation"]
    if type(segmentation) is dict:
        return segmentation
    spread = case.random.choice([0, 0.01, 0.05]) * max(entry["bbox"][2:])
    moved = [[value + case.random.uniform(-spread, spread) for value in polygon] for polygon in segmentation]
    return case.in_form(case.random.choice(["polygons", "runs", "packed"]), moved, image)


def spoil(case, target, results):
    """Takes a field away, or puts something else in its place."""
    entries = case.random.choice([target["annotations"], results, target["images"], target["categories"]])
    if not entries:
        return
    entry = case.random.choice(entries)
    field = case.random.choice(list(entry))
    if field in ("name", "height", "width", "ignore"):
        return
    if case.chance(0.5):
        del entry[field]
    elif field == "image_id":
        entry[field] = 424242
    elif not field.endswith("id"):
        entry[field] = None


# ---- the program --------------------------------------------------------------------------------


def with_expected(case, kinds):
    """The case with what pycocotools says of each kind."""
    results = case["results"]
    images = json.loads(case["target"])["images"]
    if json.loads(results) == [] and images:
        # An empty list makes pycocotools raise; a result that does not count says the same.
        nothing = {"image_id": images[0].get("id"), "category_id": -99, "score": 0, "bbox": [0, 0, 1, 1]}
        results = json.dumps([nothing])
    case = dict(case, expected={}, raised={})
    for kind in kinds:
        case["expected"][kind], raised = expected(case["target"], results, kind)
        if raised:
            case["raised"][kind] = raised
    return case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--largest", type=int, help="leave out cases of more bytes")
    parser.add_argument("--target", help="a real annotation file to make results for")
    parser.add_argument("--files", nargs=2, metavar=("TARGET", "RESULTS"))
    parser.add_argument("--kinds", nargs="+", choices=TYPES, default=["box"])
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    # Coordinates beyond any image make pycocotools ask for all memory there is.
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    if arguments.files:
        target, results = (Path(path).read_text() for path in arguments.files)
        case = {"name": Path(arguments.files[0]).name, "target": target, "results": results}
        cases = [(case, arguments.kinds)]
    else:
        seeds = range(arguments.seed * 1_000_000, arguments.seed * 1_000_000 + arguments.cases)
        cases = map(random_case, seeds)
        if arguments.target:
            target = json.loads(Path(arguments.target).read_text())
            cases = (random_case_for(seed, target) for seed in seeds)
    with open(arguments.out, "w") as out:
        for case, kinds in cases:
            size = len(case["target"]) + len(case["results"])
            if not arguments.largest or size <= arguments.largest:
                out.write(json.dumps(with_expected(case, kinds)) + "\n")


if __name__ == "__main__":
    main()
