#!/usr/bin/env python3
"""The peer: images/s that PyTorch's DataLoader makes of an image folder.

Runs as a server of single measurements, so that a driver can alternate it with layerledger in one
quiet stretch of time: for each line on standard input it loads `batches` batches and prints the
seconds, and the seconds of processors that all its processes took, as a JSON list. torchvision's ImageFolder with RandomResizedCrop, RandomHorizontalFlip, ToTensor and
Normalize, as in PyTorch's ImageNet example; PIL decodes.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import pathlib
import sys
import time

import PIL
import torch
import torchvision
from torchvision import datasets, transforms


def processor_seconds():
    """Of this process and of the workers."""
    ticks = 0
    for process in (os.getpid(), *(child.pid for child in multiprocessing.active_children())):
        # User and system time are the 14th and 15th field; the second, in brackets, may hold blanks.
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def batches(loader):
    """Epoch after epoch."""
    while True:
        yield from loader


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder")
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--batches", type=int, default=10)
    arguments.add_argument("--size", type=int, default=224)
    chosen = arguments.parse_args()

    torch.set_num_threads(1)
    images = datasets.ImageFolder(chosen.folder, transforms.Compose([
        transforms.RandomResizedCrop(chosen.size), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]))
    loader = torch.utils.data.DataLoader(images, batch_size=chosen.batch, shuffle=True,
                                         drop_last=True, num_workers=chosen.workers,
                                         persistent_workers=chosen.workers > 0)
    source = batches(loader)
    print(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__,
                      "pil": PIL.__version__}), flush=True)
    for _ in sys.stdin:
        # What waits ready from the pause before does not count.
        for _ in itertools.islice(source, 3):
            pass
        begun = time.perf_counter(), processor_seconds()
        for _ in itertools.islice(source, chosen.batches):
            pass
        print(json.dumps([time.perf_counter() - begun[0], processor_seconds() - begun[1]]),
              flush=True)


if __name__ == "__main__":
    main()
