#!/usr/bin/env python3
"""The peer: PyTorch's eager training iteration of AlexNet or VGG-11 on the CPU.

Runs as a server of single measurements, so that a driver can alternate it with layerledger in one
quiet stretch of time: for each line on standard input it trains `iterations` iterations and prints
their times in milliseconds as one JSON list. Same network, batch, optimizer and synthetic input as
layerledger; the loss is read after every iteration, as layerledger does.
"""

import argparse
import json
import sys
import time

import torch
from torch import nn


def alexnet(classes):
    """The one-tower layout of 2014."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, classes))


def vgg11(classes):
    layers, channels = [], 3
    for width in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, classes))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--network", choices=("alexnet", "vgg11"), default="alexnet")
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--classes", type=int, default=1000)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--iterations", type=int, default=5)
    arguments.add_argument("--channels-last", action="store_true")
    chosen = arguments.parse_args()

    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    network = {"alexnet": alexnet, "vgg11": vgg11}[chosen.network](chosen.classes)
    images = torch.randn(chosen.batch, 3, 224, 224)
    labels = torch.randint(0, chosen.classes, (chosen.batch,))
    if chosen.channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()

    def iterate():
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(network(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        return (time.perf_counter() - begun) * 1e3

    for _ in range(3):
        iterate()
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        print(json.dumps([iterate() for _ in range(chosen.iterations)]), flush=True)


if __name__ == "__main__":
    main()
