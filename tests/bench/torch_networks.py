"""The architectures of layerledger's zoo in PyTorch: the same layers, windows and parameters."""

import functools

import torch
from torch import nn

CLASSES = 1000


def alexnet():
    """The one-tower layout of 2014."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, CLASSES))


def vgg11():
    layers, channels = [], 3
    for width in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, CLASSES))


def rectified(inputs, outputs, kernel, stride=1, padding=0, batch_norm=False):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=not batch_norm),
        *([nn.BatchNorm2d(outputs)] if batch_norm else []), nn.ReLU(inplace=True))


class Inception(nn.Module):
    def __init__(self, rectified, inputs, one, reduce3, three, reduce5, five, projection):
        super().__init__()
        self.branches = nn.ModuleList([
            rectified(inputs, one, 1),
            nn.Sequential(rectified(inputs, reduce3, 1), rectified(reduce3, three, 3, 1, 1)),
            nn.Sequential(rectified(inputs, reduce5, 1), rectified(reduce5, five, 5, 1, 2)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), rectified(inputs, projection, 1))])

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def auxiliary(rectified, inputs):
    return nn.Sequential(
        nn.AvgPool2d(5, 3, ceil_mode=True), rectified(inputs, 128, 1), nn.Flatten(),
        nn.Linear(2048, 1024), nn.ReLU(inplace=True), nn.Dropout(0.7), nn.Linear(1024, CLASSES))


class GoogLeNet(nn.Module):
    """As in 2014, with both auxiliary classifiers; with response or batch normalization."""

    def __init__(self, batch_norm=False):
        super().__init__()
        block = functools.partial(rectified, batch_norm=batch_norm)
        inception = functools.partial(Inception, block)

        def halving():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        def response():
            return nn.Identity() if batch_norm else nn.LocalResponseNorm(5)

        self.begin = nn.Sequential(
            block(3, 64, 7, 2, 3), halving(), response(),
            block(64, 64, 1), block(64, 192, 3, 1, 1), response(), halving(),
            inception(192, 64, 96, 128, 16, 32, 32), inception(256, 128, 128, 192, 32, 96, 64),
            halving(), inception(480, 192, 96, 208, 16, 48, 64))
        self.middle = nn.Sequential(
            inception(512, 160, 112, 224, 24, 64, 64), inception(512, 128, 128, 256, 24, 64, 64),
            inception(512, 112, 144, 288, 32, 64, 64))
        self.end = nn.Sequential(
            inception(528, 256, 160, 320, 32, 128, 128), halving(),
            inception(832, 256, 160, 320, 32, 128, 128),
            inception(832, 384, 192, 384, 48, 128, 128),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(1024, CLASSES))
        self.auxiliary1 = auxiliary(block, 512)
        self.auxiliary2 = auxiliary(block, 528)

    def forward(self, x):
        early = self.begin(x)
        late = self.middle(early)
        return self.end(late), self.auxiliary1(early), self.auxiliary2(late)


class Bottleneck(nn.Module):
    def __init__(self, inputs, inner, outer, stride, project):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(inplace=True),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer))
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outer, 1, stride, bias=False),
            nn.BatchNorm2d(outer)) if project else nn.Identity()

    def forward(self, x):
        return nn.functional.relu(self.residual(x) + self.shortcut(x), inplace=True)


def resnet50():
    """Version 1.5."""
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for blocks, inner, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        for block in range(blocks):
            layers.append(Bottleneck(channels, inner, 4 * inner, stride if block == 0 else 1,
                                     block == 0))
            channels = 4 * inner
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(channels, CLASSES))


NETWORKS = {"alexnet": alexnet, "vgg11": vgg11, "googlenet": GoogLeNet,
            "googlenet-bn": functools.partial(GoogLeNet, batch_norm=True), "resnet50": resnet50}


def loss_of(outputs, labels):
    """Cross entropy; the auxiliary classifiers count 0.3 each."""
    if isinstance(outputs, tuple):
        main, *others = outputs
        return (nn.functional.cross_entropy(main, labels)
                + 0.3 * sum(nn.functional.cross_entropy(other, labels) for other in others))
    return nn.functional.cross_entropy(outputs, labels)
