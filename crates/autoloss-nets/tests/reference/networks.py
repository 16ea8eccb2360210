"""Whole networks with parameters that any program can make again, and samples of their outputs.

A parameter's numbers follow from its name and its place by `numbers_of`, so that no file of weights
is needed: the tests of autoloss-nets compute the same ones.
"""

import math

import numpy
import torch
from torch import nn
from torch.nn.functional import interpolate
from torchvision.models import resnet
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.ops import roi_align
from torchvision.ops.poolers import LevelMapper

# A prime, so that no dimension of a tensor divides it.
PERIOD = 65521
SAMPLES = 16
STEP = 7919


def uniform_numbers():
    """Pseudo-random numbers in [0, 1), exact in single precision."""
    state, numbers = 1, []
    for _ in range(PERIOD):
        state = (state * 1664525 + 1013904223) % 2**32
        numbers.append((state >> 8) / 2**24)
    return numpy.array(numbers)


UNIFORM = uniform_numbers()


def numbers_of(name, shape, low, high):
    """The tensor `name`: a stretch of `UNIFORM` that begins at the name's FNV-1a hash."""
    hashed = 2166136261
    for byte in name.encode():
        hashed = (hashed ^ byte) * 16777619 % 2**32
    places = (hashed % PERIOD + numpy.arange(math.prod(shape))) % PERIOD
    values = low + (high - low) * UNIFORM[places]
    return torch.from_numpy(values.astype(numpy.float32)).view(shape)


def limits(name, shape):
    """Bounds that keep the features of order 1 through a hundred layers."""
    if name.endswith("running_var"):
        return 0.5, 1.5
    if name.endswith("weight"):
        if len(shape) == 1:
            return 0.5, 1.0
        bound = math.sqrt(3.0 / math.prod(shape[1:]))
        return -bound, bound
    return -0.2, 0.2


def filled(net):
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            shape = tuple(tensor.shape)
            tensor.copy_(numbers_of(name, shape, *limits(name, shape)))
    return net.eval()


def picture(*shape):
    return numbers_of("picture", shape, -1.7, 1.7)


def output(key, tensor):
    flat = tensor.detach().flatten().double()
    places = [STEP * (sample + 1) % len(flat) for sample in range(SAMPLES)]
    return dict(
        key=f'"{key}"',
        dims=list(tensor.shape),
        mean=f"{flat.mean().item():.7g}",
        rms=f"{flat.square().mean().sqrt().item():.7g}",
        samples=flat[places].float(),
    )


class DilatedBasicBlock(resnet.BasicBlock):
    """torchvision has no dilated basic blocks: here both convolutions take the block's dilation."""

    def __init__(self, channels_in, channels, stride, downsample, groups, width, dilation, norm):
        super().__init__(channels_in, channels, stride, downsample, groups, width, 1, norm)
        for conv in (self.conv1, self.conv2):
            conv.dilation = conv.padding = (dilation, dilation)


def make_backbone(name, output_stride):
    dilate = [False, output_stride < 16, output_stride < 32]
    if name == "resnet18" and output_stride < 32:
        # The first block of a stage is made with positions, the others with names.
        def block(channels_in, channels, stride=1, downsample=None, groups=1, base_width=64,
                  dilation=1, norm_layer=None):
            return DilatedBasicBlock(channels_in, channels, stride, downsample, groups, base_width,
                                     dilation, norm_layer)

        block.expansion = 1
        return resnet.ResNet(block, [2, 2, 2, 2], replace_stride_with_dilation=dilate)
    return getattr(resnet, name)(weights=None, replace_stride_with_dilation=dilate)


class Backbone(nn.Module):
    """The feature maps of the four stages."""

    def __init__(self, name, output_stride):
        super().__init__()
        net = make_backbone(name, output_stride)
        for part in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, part, getattr(net, part))
        self.maxpool = net.maxpool

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def record_backbones():
    for name in ("resnet18", "resnet50", "resnet101"):
        for output_stride in (8, 16, 32):
            net = filled(Backbone(name, output_stride))
            for stage, x in enumerate(net(picture(1, 3, 41, 57))):
                yield output(f"{name}/{output_stride}/{stage}", x)


def record_detector():
    """Mask R-CNN: each head by itself, and regions pooled from the pyramid with aligned corners."""
    net = filled(maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3))
    levels = list(net.backbone(picture(2, 3, 75, 50)).values())
    for level, x in enumerate(levels):
        yield output(f"maskrcnn/pyramid/{level}", x)
    for name, maps in zip(("logits", "deltas"), net.rpn.head(levels)):
        for level, x in enumerate(maps):
            yield output(f"maskrcnn/proposals/{name}/{level}", x)

    heads = net.roi_heads

    def boxes(pooled):
        return zip(("logits", "deltas"), heads.box_predictor(heads.box_head(pooled)))

    def masks(pooled):
        return heads.mask_predictor(heads.mask_head(pooled))

    for name, x in boxes(numbers_of("boxes", (3, 256, 7, 7), -1.7, 1.7)):
        yield output(f"maskrcnn/boxes/{name}", x)
    yield output("maskrcnn/masks", masks(numbers_of("masks", (2, 256, 14, 14), -1.7, 1.7)))

    # One region a level; finer ones come last.
    images = torch.tensor([1, 0, 1, 0, 0])
    corners = torch.tensor(
        [
            [-200.0, -300.0, 330.0, 250.0],
            [-90.0, -80.0, 200.0, 190.0],
            [-30.0, -40.0, 90.0, 100.0],
            [2.5, 3.0, 47.0, 70.5],
            [20.0, 11.0, 31.0, 40.0],
        ]
    )
    chosen = LevelMapper(2, 5)([corners]).tolist()

    def pooled(size):
        regions = zip(chosen, images.float(), corners)
        return torch.cat(
            [
                roi_align(levels[level], torch.cat([image[None], box])[None], size,
                          1 / 2 ** (level + 2), 2, aligned=True)
                for level, image, box in regions
            ]
        )

    for name, x in boxes(pooled(7)):
        yield output(f"maskrcnn/regions/{name}", x)
    yield output("maskrcnn/regions/masks", masks(pooled(14)))


class ConvBnRelu(nn.Module):
    def __init__(self, channels_in, channels, kernel, dilation=1):
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(channels_in, channels, kernel, padding=padding, dilation=dilation,
                              bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


def resized(x, like):
    return interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class DeepLabV3Plus(nn.Module):
    """Chen et al. 2018, with plain convolutions: ASPP with image pooling, decoder with a skip."""

    def __init__(self, backbone, rates, deep, low, classes):
        super().__init__()
        self.backbone = backbone
        self.pointwise = ConvBnRelu(deep, 256, 1)
        self.atrous = nn.ModuleList(ConvBnRelu(deep, 256, 3, rate) for rate in rates)
        self.pooled = ConvBnRelu(deep, 256, 1)
        self.project = ConvBnRelu(5 * 256, 256, 1)
        self.low_level = ConvBnRelu(low, 48, 1)
        self.decoder = nn.ModuleList([ConvBnRelu(256 + 48, 256, 3), ConvBnRelu(256, 256, 3)])
        self.classifier = nn.Conv2d(256, classes, 1)

    def forward(self, images):
        low, _, _, deep = self.backbone(images)
        branches = [self.pointwise(deep), *(layer(deep) for layer in self.atrous)]
        branches.append(resized(self.pooled(deep.mean((2, 3), keepdim=True)), deep))
        for name, x in zip(("pointwise", "atrous0", "atrous1", "atrous2", "pooled"), branches):
            yield name, x
        pyramid = self.project(torch.cat(branches, 1))
        yield "pyramid", pyramid
        low = self.low_level(low)
        yield "low_level", low
        x = torch.cat([resized(pyramid, low), low], 1)
        for layer in self.decoder:
            x = layer(x)
        yield "decoder", x
        yield "logits", resized(self.classifier(x), images)


class PspNet(nn.Module):
    """Zhao et al. 2017: means over 1, 2, 3 and 6 cells a side beside the features."""

    def __init__(self, backbone, deep, channels, classes):
        super().__init__()
        self.backbone = backbone
        self.bins = (1, 2, 3, 6)
        self.pyramid = nn.ModuleList(ConvBnRelu(deep, deep // 4, 1) for _ in self.bins)
        self.fuse = ConvBnRelu(2 * deep, channels, 3)
        self.classifier = nn.Conv2d(channels, classes, 1)

    def forward(self, images):
        *_, deep = self.backbone(images)
        maps = [deep]
        for layer, cells in zip(self.pyramid, self.bins):
            maps.append(resized(layer(nn.functional.adaptive_avg_pool2d(deep, cells)), deep))
            yield f"bins{cells}", maps[-1]
        x = self.fuse(torch.cat(maps, 1))
        yield "fuse", x
        yield "logits", resized(self.classifier(x), images)


class Deconvolution(nn.Module):
    def __init__(self, channels_in):
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, 256, 4, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(256)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class SimpleBaseline(nn.Module):
    """Xiao et al. 2018: three transposed convolutions and a heatmap for each keypoint."""

    def __init__(self, backbone, deep):
        super().__init__()
        self.backbone = backbone
        self.deconvolutions = nn.ModuleList(Deconvolution(c) for c in (deep, 256, 256))
        self.heatmaps = nn.Conv2d(256, 17, 1)

    def forward(self, images):
        *_, x = self.backbone(images)
        for layer in self.deconvolutions:
            x = layer(x)
        yield "heatmaps", self.heatmaps(x)


def record_heads():
    for key, net in (
        ("deeplabv3plus-resnet50/16",
         DeepLabV3Plus(Backbone("resnet50", 16), (6, 12, 18), 2048, 256, 5)),
        ("deeplabv3plus-resnet18/8",
         DeepLabV3Plus(Backbone("resnet18", 8), (12, 24, 36), 512, 64, 5)),
        ("pspnet-resnet50/8", PspNet(Backbone("resnet50", 8), 2048, 512, 5)),
        ("pspnet-resnet18/32", PspNet(Backbone("resnet18", 32), 512, 128, 5)),
    ):
        for name, x in filled(net)(picture(2, 3, 49, 67)):
            yield output(f"{key}/{name}", x)
    net = SimpleBaseline(Backbone("resnet18", 32), 512)
    for name, x in filled(net)(picture(2, 3, 64, 32)):
        yield output(f"simplebaseline-resnet18/{name}", x)


def record_networks():
    with torch.no_grad():
        for record in (record_backbones, record_detector, record_heads):
            yield from record()
