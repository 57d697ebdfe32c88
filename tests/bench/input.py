#!/usr/bin/env python3
"""Images/s of the input pipeline against PyTorch's DataLoader on the same files, alternated, as ratios.

    /usr/bin/python3 tests/bench/input.py --torch python3

Decoding, random resized crop, flip and normalisation to 224 x 224, on one thread against one worker
process; then the same from a packed file. `--torch` names a Python that has PyTorch and torchvision.
`--folder` names images in folders train/CLASS; without it 2,000 photograph-sized ones are made.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


class Server:
    """A process that measures when asked."""

    def __init__(self, command, images):
        self._images = images
        self._process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self.versions = json.loads(self._answer())

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args[0]} ended: {self._process.wait()}")
        return line

    def rates(self):
        """Images per second, and per second of a processor."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return [self._images / seconds for seconds in json.loads(self._answer())]

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)


def compare(name, ours, theirs, rounds):
    rates = [(ours.rates(), theirs.rates()) for _ in range(rounds)]
    ratios = [[mine[i] / other[i] for mine, other in rates] for i in range(2)]
    median = statistics.median
    print(f"{name}: layerledger {median(mine[1] for mine, _ in rates):.0f}, PyTorch "
          f"{median(other[1] for _, other in rates):.0f} images per second of a core; "
          f"layerledger/PyTorch {median(ratios[1]):.2f} (rounds {min(ratios[1]):.2f} to "
          f"{max(ratios[1]):.2f}), by the clock on the wall {median(ratios[0]):.2f}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    arguments.add_argument("--torch", default="python3")
    arguments.add_argument("--folder", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--batches", type=int, default=8)
    chosen = arguments.parse_args()

    with tempfile.TemporaryDirectory(prefix="layerledger-bench-") as scratch:
        folder = chosen.folder
        if folder is None:
            folder = pathlib.Path(scratch) / "photographs"
            subprocess.run([sys.executable, HERE.parent / "support" / "write_photographs.py", folder],
                           check=True)
        packed = pathlib.Path(scratch) / "packed.h5"
        subprocess.run([chosen.build / "src/app/layerledger", "pack", folder, packed], check=True)

        images = chosen.batch * chosen.batches
        torch = Server([chosen.torch, HERE / "input_torch.py", folder / "train", "--batch",
                        chosen.batch, "--batches", chosen.batches], images)
        print(", ".join(f"{name} {version}" for name, version in torch.versions.items()))
        # Packed images are so fast that as many batches would be over in an instant.
        for source, path, factor in (("folder", folder, 2), ("packed", packed, 20)):
            ours = Server([chosen.build / "tests/bench/input_speed", source, path, chosen.batch, 1,
                           chosen.batches * factor], images * factor)
            compare(source, ours, torch, chosen.rounds)
            ours.close()
        torch.close()


if __name__ == "__main__":
    main()
