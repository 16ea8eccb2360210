"""Inputs for the fuzz targets to begin with: the recorded cases of the tests, the formulas of the zoo, the
defaults.

python seeds.py FOLDER writes them into a folder a target.
"""

import json
import math
import re
import struct
import sys
from pathlib import Path

CRATES = Path(__file__).parent / "../crates"
CASES = Path(__file__).parent / "../crates/autoloss-metrics/tests/fixtures/coco.jsonl"


def entries(text):
    """The objects with a segmentation, of an annotation or a result file."""
    value = json.loads(text)
    listed = value.get("annotations", []) if type(value) is dict else value
    return [entry for entry in listed if type(entry) is dict and "segmentation" in entry]


def inputs():
    """Pairs of a target and an input for it."""
    for line in CASES.read_text().splitlines():
        case = json.loads(line)
        target, results = case["target"].encode(), case["results"].encode()
        yield "annotations", target
        yield "results", target + b"\0" + results
        for entry in entries(case["target"]) + entries(case["results"]):
            segmentation = entry["segmentation"]
            if type(segmentation) is list:
                polygons = [struct.pack(f"<{len(p)}f", *p) for p in segmentation]
                yield "polygons", struct.pack("<2H", 60, 80) + struct.pack("<f", math.nan).join(polygons)
            elif type(segmentation) is dict and type(segmentation["counts"]) is str:
                text = segmentation["counts"].encode()
                yield "masks", struct.pack("<2H", *segmentation["size"]) + text + b"\0" + text


def texts():
    """The same of what people write."""
    zoo = (CRATES / "autoloss-expr/src/zoo.rs").read_text()
    for formula in re.findall(r'"([^"]*\(.*?)"', zoo):
        yield "formula", formula.encode()
        yield "formula", f"a = {formula}; b = 1 - u".encode()
    defaults = (CRATES / "autoloss-search/src/default.toml").read_text()
    yield "settings_file", defaults.encode()
    for section in defaults.split("\n["):
        yield "settings_file", ("[" + section).encode()
        name = section.split("]")[0].strip("[")
        keys = re.findall(r"^(?:# )?(\w+ = .*)$", section, re.MULTILINE)
        yield "single_settings", "\n".join(f"{name}.{key}" for key in keys).encode()


def main():
    counts = {}
    for target, data in [*inputs(), *texts()]:
        number = counts[target] = counts.get(target, 0) + 1
        folder = Path(sys.argv[1], target)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:03}").write_bytes(data)
    print(*(f"{count} seeds of {target}" for target, count in counts.items()), sep=", ")


main()
