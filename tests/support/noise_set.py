"""A set of images to stage: JPEG files of noise, which no transfer makes smaller."""

import random

from PIL import Image


def write_set(root, images=12, side=160):
    """Three classes, about 1.5 MB, a list, and a file that is no part of the set."""
    generator = random.Random(5)
    for part, count in (("train", images), ("val", 3)):
        for name in ("cat", "dog", "fox"):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = generator.randbytes(side * side)
                Image.frombytes("L", (side, side), pixels).save(folder / f"{i}.jpg", quality=95)
    (root / "names.txt").write_text("cat\ndog\nfox\n")
    (root / "other.bin").write_text("not a part of the set")
