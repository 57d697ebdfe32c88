#!/usr/bin/env python3
"""The peer on a GPU: PyTorch's training iteration of layerledger's architectures.

    python3 tests/bench/peer_torch_gpu.py resnet50:256:bf16 alexnet:128:tf32:compile

A case is NETWORK:BATCH:PRECISION, followed by :compile for torch.compile instead of eager. All use
channels_last, autocast for bf16, cudnn.benchmark, SGD with momentum. A batch is
copied from pinned host memory on a stream of its own while the one before is trained on; --resident
keeps one batch on the device instead, as layerledger does with its synthetic images. Prints one JSON line for each case: median iteration in ms
(CUDA events around --group iterations), images per second, versions, parameters; or what failed.
"""

import argparse
import gc
import json
import statistics
import sys
import time

import torch

from torch_networks import CLASSES, NETWORKS, loss_of


def batches(size):
    """Two host batches whose copies to the device take turns: one is copied, the other used."""
    layout = {"memory_format": torch.channels_last}
    host = [torch.randn(size, 3, 224, 224).contiguous(**layout).pin_memory() for _ in range(2)]
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


def measure(case, groups, group, is_resident):
    network_name, batch, precision, *mode = case.split(":")
    batch = int(batch)
    torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    torch.cuda.reset_peak_memory_stats()
    network = NETWORKS[network_name]().cuda().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    forward = torch.compile(network) if mode == ["compile"] else network
    source = (resident if is_resident else batches)(batch)

    def iterate():
        images, labels = next(source)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    begun = time.perf_counter()
    for _ in range(8):
        loss = iterate()
    torch.cuda.synchronize()
    warm_up_s = time.perf_counter() - begun
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(groups + 1)]
    marks[0].record()
    for mark in marks[1:]:
        for _ in range(group):
            loss = iterate()
        mark.record()
    torch.cuda.synchronize()
    times = [a.elapsed_time(b) / group for a, b in zip(marks, marks[1:])]
    median = statistics.median(times)
    return {"case": case, "ms": median, "lowest_ms": min(times), "highest_ms": max(times),
            "images_per_s": 1e3 * batch / median, "input": "device" if is_resident else "host",
            "parameters": sum(p.numel() for p in network.parameters()), "loss": loss.item(),
            "warm_up_s": warm_up_s, "memory_bytes": torch.cuda.max_memory_allocated(),
            "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
            "device": torch.cuda.get_device_name()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cases", nargs="+", metavar="NETWORK:BATCH:PRECISION[:compile]")
    arguments.add_argument("--resident", action="store_true")
    arguments.add_argument("--groups", type=int, default=6)
    arguments.add_argument("--group", type=int, default=8)
    chosen = arguments.parse_args()

    torch.manual_seed(1)
    torch.backends.cudnn.benchmark = True
    failed = False
    for case in chosen.cases:
        try:
            found = measure(case, chosen.groups, chosen.group, chosen.resident)
        except Exception as error:  # the other cases are worth having
            found = {"case": case, "error": f"{type(error).__name__}: {error}"[:300]}
            failed = True
        print(json.dumps(found), flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
