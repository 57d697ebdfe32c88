#!/usr/bin/env python3
"""Writes the handwritten digits of scikit-learn as an ImageNet-style folder of JPEG files.

Usage: write_digits.py FOLDER

FOLDER/train/0 to FOLDER/train/9 get four fifths of the images, FOLDER/val/0 to FOLDER/val/9 every
fifth one of each digit: 1797 scans of 8 x 8 pixels, enlarged to 28 x 28, grey. The files are the
same each time. A folder that is complete already is left as it is.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

SIZE = 28
BRIGHTEST = 16  # of load_digits


def write(folder):
    digits = load_digits()
    seen = [0] * 10
    for pixels, digit in zip(digits.images, digits.target):
        part = "val" if seen[digit] % 5 == 4 else "train"
        target = folder / part / str(digit) / f"{digit}_{seen[digit]:03}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * (255 / BRIGHTEST)).round().astype("uint8"))
        image.resize((SIZE, SIZE), Image.BICUBIC).save(target, quality=95)
        seen[digit] += 1
    return sum(seen)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    folder = Path(sys.argv[1])
    if folder.exists():
        print(f"{folder} is there already")
        return 0
    # A run that is cut short must not leave half a data set under the final name.
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    images = write(unfinished)
    unfinished.rename(folder)
    print(f"{images} images in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
