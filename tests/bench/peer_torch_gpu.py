#!/usr/bin/env python3
"""The peer on a GPU: PyTorch's training iteration of layerledger's architectures.

    python3 tests/bench/peer_torch_gpu.py --network resnet50 --batch 256 --precision bf16

Eager (or, with --compile, compiled), channels_last, autocast for bf16, cudnn.benchmark, SGD with
momentum. Like layerledger it copies a batch from pinned host memory on a stream of its own while the
one before is trained on; the next copy waits for nothing else. --resident keeps one batch on the
device instead. Prints one JSON line: median iteration in ms (CUDA events over --group iterations),
images per second, versions, parameters.
"""

import argparse
import json
import statistics

import torch

from torch_networks import CLASSES, NETWORKS, loss_of


def batches(size):
    """Two host batches whose copies to the device take turns, each copied while the other is used."""
    host = [torch.randn(size, 3, 224, 224).contiguous(memory_format=torch.channels_last).pin_memory()
            for _ in range(2)]
    labels = [torch.randint(0, CLASSES, (size,)).pin_memory() for _ in range(2)]
    device = [(torch.empty_like(h, device="cuda"), torch.empty_like(y, device="cuda"))
              for h, y in zip(host, labels)]
    copying, copied = torch.cuda.Stream(), [torch.cuda.Event(), torch.cuda.Event()]

    def copy(turn):
        copying.wait_stream(torch.cuda.current_stream())  # whoever used this batch last
        with torch.cuda.stream(copying):
            device[turn][0].copy_(host[turn], non_blocking=True)
            device[turn][1].copy_(labels[turn], non_blocking=True)
            copied[turn].record()

    turn = 0
    copy(turn)
    while True:
        copied[turn].wait()
        ready = device[turn]
        turn = 1 - turn
        copy(turn)
        yield ready


def resident(size):
    images = torch.randn(size, 3, 224, 224, device="cuda").contiguous(
        memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (size,), device="cuda")
    while True:
        yield images, labels


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--network", choices=NETWORKS, default="alexnet")
    arguments.add_argument("--batch", type=int, default=128)
    arguments.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="bf16")
    arguments.add_argument("--compile", action="store_true")
    arguments.add_argument("--resident", action="store_true")
    arguments.add_argument("--groups", type=int, default=10)
    arguments.add_argument("--group", type=int, default=10)
    chosen = arguments.parse_args()

    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = chosen.precision != "fp32"
    torch.backends.cudnn.allow_tf32 = chosen.precision != "fp32"
    network = NETWORKS[chosen.network]().cuda().to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in network.parameters())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    forward = torch.compile(network) if chosen.compile else network
    source = (resident if chosen.resident else batches)(chosen.batch)

    def iterate():
        images, labels = next(source)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=chosen.precision == "bf16"):
            loss = loss_of(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(8):
        loss = iterate()
    torch.cuda.synchronize()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(chosen.groups + 1)]
    marks[0].record()
    for mark in marks[1:]:
        for _ in range(chosen.group):
            loss = iterate()
        mark.record()
    torch.cuda.synchronize()
    times = [a.elapsed_time(b) / chosen.group for a, b in zip(marks, marks[1:])]
    median = statistics.median(times)
    print(json.dumps({
        "network": chosen.network, "batch": chosen.batch, "precision": chosen.precision,
        "mode": "compiled" if chosen.compile else "eager",
        "input": "device" if chosen.resident else "host", "ms": median, "lowest_ms": min(times),
        "highest_ms": max(times), "images_per_s": 1e3 * chosen.batch / median,
        "parameters": parameters, "loss": loss.item(),
        "memory_bytes": torch.cuda.max_memory_allocated(), "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(), "device": torch.cuda.get_device_name()}))


if __name__ == "__main__":
    main()
