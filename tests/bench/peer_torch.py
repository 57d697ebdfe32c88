#!/usr/bin/env python3
"""The peer: PyTorch's eager training iteration on the CPU.

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

from torch_networks import CLASSES, NETWORKS, loss_of


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--network", choices=NETWORKS, default="alexnet")
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--iterations", type=int, default=5)
    arguments.add_argument("--channels-last", action="store_true")
    chosen = arguments.parse_args()

    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    network = NETWORKS[chosen.network]()
    images = torch.randn(chosen.batch, 3, 224, 224)
    labels = torch.randint(0, CLASSES, (chosen.batch,))
    if chosen.channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def iterate():
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(network(images), labels)
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
