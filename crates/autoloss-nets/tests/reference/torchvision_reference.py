"""Records what torchvision computes, for tests to compare with:

    pip install -r requirements.txt
    python torchvision_reference.py > ../fixtures/torchvision.toml
"""

import sys

import torch
import torchvision
from networks import record_networks
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, nms, roi_align

DIGITS = 7


def numbers(tensor):
    flat = tensor.detach().flatten().tolist()
    if tensor.is_floating_point():
        return "[" + ", ".join(repr(float(f"{x:.{DIGITS}g}")) for x in flat) + "]"
    return "[" + ", ".join(str(x) for x in flat) + "]"


def rounded(tensor):
    """Numbers that the text holds exactly enough: inputs are those written."""
    return torch.tensor([float(f"{x:.{DIGITS}g}") for x in tensor.flatten().tolist()]).view(
        tensor.shape
    )


def table(name, **fields):
    print(f"[[{name}]]")
    for key, value in fields.items():
        if isinstance(value, torch.Tensor):
            value = numbers(value)
        elif isinstance(value, bool):
            value = str(value).lower()
        print(f"{key} = {value}")
    print()


def random_boxes(count, size, spread=0.0):
    corners = torch.rand(count, 2, 2) * (size + 2 * spread) - spread
    low, high = corners.min(1).values, corners.max(1).values
    return rounded(torch.cat([low, high], 1))


def record_roi_align():
    shape = [2, 3, 6, 7]
    pixels = 28.0
    for output, scale, ratio, aligned in [
        ([2, 2], 0.25, 2, True),
        ([2, 2], 0.25, 2, False),
        ([3, 2], 0.25, 0, True),
        ([3, 2], 0.25, 0, False),
        ([2, 3], 0.5, 1, True),
        ([1, 1], 1.0, 3, False),
        ([4, 4], 0.2, 2, True),
    ]:
        x = rounded(torch.randn(shape)).requires_grad_()
        corners = random_boxes(6, pixels, spread=8.0)
        # Outside the map, without extent, on whole positions, and turned over.
        special = torch.tensor(
            [
                [-40.0, -40.0, -20.0, -20.0],
                [5.0, 5.0, 5.0, 5.0],
                [0.0, 0.0, 28.0, 24.0],
                [12.0, 14.0, 8.0, 6.0],
            ]
        )
        corners = torch.cat([corners, special])
        images = torch.arange(len(corners)) % 2
        rois = torch.cat([images[:, None].float(), corners], 1)
        pooled = roi_align(x, rois, output, scale, ratio, aligned)
        weights = rounded(torch.randn(pooled.shape))
        (pooled * weights).sum().backward()
        table(
            "roi_align",
            dims=shape,
            output=output,
            scale=scale,
            sampling_ratio=ratio,
            aligned=aligned,
            x=x,
            images=images,
            corners=corners,
            pooled=pooled,
            weights=weights,
            gradient=x.grad,
        )


def record_coding():
    for weights in [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]:
        references, targets = random_boxes(12, 60.0), random_boxes(12, 60.0)
        coder = BoxCoder(weights)
        encoded = coder.encode_single(targets, references)
        deltas = rounded(torch.randn(12, 4) * 3 * torch.tensor(weights))
        decoded = coder.decode_single(deltas, references)
        table(
            "coding",
            weights=list(weights),
            references=references,
            targets=targets,
            encoded=encoded,
            deltas=deltas,
            decoded=decoded,
        )


def record_suppression():
    for threshold in [0.3, 0.5, 0.7]:
        boxes = random_boxes(40, 30.0)
        scores = rounded(torch.rand(40))
        classes = torch.randint(0, 3, (40,))
        table(
            "suppression",
            threshold=threshold,
            boxes=boxes,
            scores=scores,
            classes=classes,
            kept=nms(boxes, scores, threshold),
            kept_by_class=batched_nms(boxes, scores, classes, threshold),
        )


def record_anchors():
    ratios = (0.5, 1.0, 2.0)
    sizes = ((8.0,), (16.0, 24.0), (32.0,))
    grids = [(4, 6), (2, 3), (1, 2)]
    images = ImageList(torch.zeros(1, 3, 16, 24), [(16, 24)])
    maps = [torch.zeros(1, 1, *grid) for grid in grids]
    generator = AnchorGenerator(sizes, (ratios,) * 3)
    (anchors,) = generator(images, maps)
    counts = [h * w * 3 * len(s) for (h, w), s in zip(grids, sizes)]
    for size, grid, level in zip(sizes, grids, anchors.split(counts)):
        # torchvision divides the sizes, row by row and column by column.
        table(
            "anchors",
            sizes=list(size),
            aspect_ratios=list(ratios),
            grid=list(grid),
            strides=[16 // grid[0], 24 // grid[1]],
            anchors=level,
        )


torch.manual_seed(0)
print(f"# torch {torch.__version__}, torchvision {torchvision.__version__}:")
print("# made by torchvision_reference.py.\n")
record_roi_align()
record_coding()
record_suppression()
record_anchors()
for output in record_networks():
    table("output", **output)
sys.stdout.flush()
