#!/usr/bin/env python3
"""Writes golden_values.hpp: losses and gradients that PyTorch finds for two small networks.

    python3 tests/golden/generate.py > tests/golden/golden_values.hpp

The networks, the initial parameters and the batch are those of golden_networks.hpp; parameters come
from the same generator as layerledger's, so nothing but the results is stored. Needs PyTorch.
"""

import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)  # the reference itself is not to round
MASK = (1 << 64) - 1
SEED = 11
BATCH, CLASSES, STEPS = 6, 4, 10


def mixed(stream, n):
    """SplitMix64, as in layerledger/base/counter_random.hpp."""
    z = (stream + (n + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def centred(bits):
    return ((bits >> 40) + 0.5) * 2.0**-23 - 1.0


def uniform(stream, count, limit=1.0):
    return torch.tensor([limit * centred(mixed(stream, i)) for i in range(count)])


class Parameters(list):
    """Parameters in the order of their ids, initialized as layerledger does."""

    def weight(self, dims, fan_in, fan_out, rectified):
        fan = fan_in if rectified else fan_in + fan_out
        stream = mixed(SEED, len(self))
        values = uniform(stream, math.prod(dims), math.sqrt(6.0 / fan)).reshape(dims)
        self.append(values.requires_grad_())
        return values

    def constant(self, n, value):
        self.append(torch.full((n,), float(value)).requires_grad_())
        return self[-1]

    def conv(self, k, c, r, groups=1, bias=True, rectified=True):
        weight = self.weight((k, c // groups, r, r), c // groups * r * r, k // groups * r * r, rectified)
        return (weight, self.constant(k, 0)) if bias else (weight, None)

    def fc(self, outputs, inputs, rectified):
        return self.weight((outputs, inputs), inputs, outputs, rectified), self.constant(outputs, 0)

    def bn(self, c):
        return self.constant(c, 1), self.constant(c, 0)


def plain():
    p = Parameters()
    c1 = p.conv(8, 3, 3)
    c2 = p.conv(12, 8, 3, groups=2)
    f1 = p.fc(20, 12 * 4 * 4, True)
    out = p.fc(CLASSES, 20, False)

    def loss(x, y):
        h = F.max_pool2d(F.relu(F.conv2d(x, *c1, padding=1)), 2)
        h = F.relu(F.conv2d(h, *c2, padding=1, groups=2))
        h = F.local_response_norm(h, 5, alpha=0.1, beta=0.75, k=1.0)
        h = F.relu(F.linear(h.flatten(1), *f1))
        return F.cross_entropy(F.linear(h, *out), y), 0.0

    return p, loss


def residual():
    p = Parameters()
    c1, b1 = p.conv(8, 3, 3, bias=False), p.bn(8)
    aux = p.fc(CLASSES, 8 * 4 * 4, False)
    c2, b2 = p.conv(8, 8, 3, bias=False, rectified=False), p.bn(8)
    c3 = p.conv(8, 8, 1)
    out = p.fc(CLASSES, 16, False)

    def norm(x, b):
        return F.batch_norm(x, None, None, *b, training=True)

    def loss(x, y):
        a = F.relu(norm(F.conv2d(x, c1[0], padding=1), b1))
        extra = F.linear(F.avg_pool2d(a, 2).flatten(1), *aux)
        s = F.relu(norm(F.conv2d(a, c2[0], padding=1), b2) + a)
        h = torch.cat([F.relu(F.conv2d(s, *c3)), F.max_pool2d(s, 3, 1, 1)], 1)
        h = F.adaptive_avg_pool2d(h, 1).flatten(1)
        return F.cross_entropy(F.linear(h, *out), y), 0.3 * F.cross_entropy(extra, y)

    return p, loss


def optimizer(kind, p):
    if kind == "sgd":
        return torch.optim.SGD(p, lr=0.05, weight_decay=0.001)
    if kind == "momentum":
        return torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.001)
    if kind == "adagrad":
        return torch.optim.Adagrad(p, lr=0.02, eps=1e-6, weight_decay=0.001)
    return torch.optim.Adadelta(p, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.001)


def batch():
    x = uniform(mixed(SEED, 1000), BATCH * 3 * 8 * 8).reshape(BATCH, 3, 8, 8)
    return x, torch.tensor([i * 7 % CLASSES for i in range(BATCH)])


def losses(make, kind):
    p, loss = make()
    step = optimizer(kind, p)
    x, y = batch()
    values = []
    for _ in range(STEPS):
        step.zero_grad()
        main, extra = loss(x, y)
        (main + extra).backward()
        step.step()
        values.append(main.item())
    return values


def gradients(make):
    p, loss = make()
    main, extra = loss(*batch())
    (main + extra).backward()
    # Norm and a weighted sum: any misplaced or wrong element moves at least one of them.
    return [(g.norm().item(), sum(v * math.cos(i) for i, v in enumerate(g.flatten().tolist())))
            for g in (q.grad for q in p)]


def array(values):
    return "{" + ", ".join(f"{v:.9g}" for v in values) + "}"


print("// Written by generate.py with PyTorch; do not edit.\n#pragma once\n\n#include <array>\n")
print("namespace layerledger::golden {\n")
for make in (plain, residual):
    for kind in ("sgd", "momentum", "adagrad", "adadelta"):
        print(f"inline constexpr std::array<double, {STEPS}> {make.__name__}_{kind}_losses{array(losses(make, kind))};")
    g = gradients(make)
    print(f"inline constexpr std::array<double, {len(g)}> {make.__name__}_gradient_norms{array(n for n, _ in g)};")
    print(f"inline constexpr std::array<double, {len(g)}> {make.__name__}_gradient_sums{array(s for _, s in g)};\n")
print("}  // namespace layerledger::golden")
