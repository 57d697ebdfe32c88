#!/usr/bin/env python3
"""Writes an ImageNet-like set of photograph-sized JPEG files: 500 x 375 pixels, 10 classes.

    /usr/bin/python3 tests/support/write_photographs.py FOLDER [--train 200] [--val 20] ...

The pictures are cuttings of those that scikit-learn and SciPy ship (a temple, a flower, a racoon):
each class is one region of one picture with a tint of its own, so that a network can learn them; each
file is a random cutting of it, mirrored or not, brighter or darker, so that no two are equal.
Class folders and files are named as in ImageNet. Needs Debian's python3-sklearn, python3-scipy and
python3-pil. The same arguments give the same files.

Layouts: `folders` (val/CLASS/FILE), `flat` (val/FILE and val_labels.txt), `kaggle` (the tree of the
Kaggle challenge with its two lists). `--odd` adds to the first class what the real set has: a PNG file
and a file that is cut short, both named .JPEG, a CMYK and a grey picture.
"""

import argparse
import pathlib
import warnings

import numpy as np
import scipy.misc
from PIL import Image
from sklearn.datasets import load_sample_image

CLASSES = {"n01440764": "tench, Tinca tinca", "n02102040": "English springer",
           "n02979186": "cassette player", "n03000684": "chain saw, chainsaw",
           "n03028079": "church, church building", "n03394916": "French horn, horn",
           "n03417042": "garbage truck, dustcart", "n03425413": "gas pump, gasoline pump",
           "n03445777": "golf ball", "n03888257": "parachute, chute"}
SIZE = (500, 375)
KAGGLE = "ILSVRC/Data/CLS-LOC"


# Its successor, scipy.datasets, would fetch the picture from the network.
warnings.filterwarnings("ignore", "scipy.misc.face", DeprecationWarning)


def pictures():
    return [Image.fromarray(pixels) for pixels in
            (load_sample_image("china.jpg"), load_sample_image("flower.jpg"), scipy.misc.face())]


class Painter:
    """Makes the files of one class."""

    def __init__(self, picture, label, random):
        self._random = random
        width, height = picture.size
        side = 0.75
        left, top = random.uniform(0, 1 - side, 2)
        self._region = picture.crop((int(left * width), int(top * height),
                                     int((left + side) * width), int((top + side) * height)))
        angle = 2 * np.pi * label / len(CLASSES)
        self._tint = 1 + 0.25 * np.cos(angle + 2 * np.pi * np.arange(3) / 3)

    def paint(self):
        random = self._random
        width, height = self._region.size
        share = random.uniform(0.6, 1)
        left, top = random.uniform(0, 1 - share, 2)
        box = (left * width, top * height, (left + share) * width, (top + share) * height)
        image = self._region.resize(SIZE, Image.BICUBIC, box=box)
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        # The grain of a film: without it enlarged pictures compress better than photographs.
        pixels = np.asarray(image, np.float32) * self._tint * random.uniform(0.8, 1.1)
        pixels += random.normal(0, 6, (SIZE[1], SIZE[0], 1))
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=92, subsampling="4:2:0")


def write_odd(folder, wnid, painter):
    """Four files as the real set has them."""
    image = painter.paint()
    image.save(folder / f"{wnid}_png.JPEG", "PNG")
    image.convert("CMYK").save(folder / f"{wnid}_cmyk.JPEG", "JPEG", quality=92)
    save(image.convert("L"), folder / f"{wnid}_grey.JPEG")
    whole = folder / f"{wnid}_cut.JPEG"
    save(image, whole)
    whole.write_bytes(whole.read_bytes()[:30_000])


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--train", type=int, default=200, help="training files a class")
    arguments.add_argument("--val", type=int, default=20, help="validation files a class")
    arguments.add_argument("--layout", choices=("folders", "flat", "kaggle"), default="folders")
    arguments.add_argument("--odd", action="store_true", help="add files that are not as they seem")
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()

    random = np.random.default_rng(chosen.seed)
    data = chosen.folder / KAGGLE if chosen.layout == "kaggle" else chosen.folder
    sources = pictures()
    solution = []
    for label, wnid in enumerate(CLASSES):
        painter = Painter(sources[label % len(sources)], label, random)
        for i in range(chosen.train):
            save(painter.paint(), data / "train" / wnid / f"{wnid}_{i + 1}.JPEG")
        for i in range(chosen.val):
            # Flat, the classes are mixed, as in the real set.
            name = f"ILSVRC2012_val_{i * len(CLASSES) + label + 1:08d}"
            folder = data / "val" / wnid if chosen.layout == "folders" else data / "val"
            save(painter.paint(), folder / f"{name}.JPEG")
            solution.append((name, wnid))
        if chosen.odd and label == 0:
            write_odd(data / "train" / wnid, wnid, painter)
    solution.sort()
    (chosen.folder / "LOC_synset_mapping.txt").write_text(
        "".join(f"{wnid} {name}\n" for wnid, name in CLASSES.items()))
    if chosen.layout == "flat":
        (chosen.folder / "val_labels.txt").write_text(
            "".join(f"{name}.JPEG {wnid}\n" for name, wnid in solution))
    elif chosen.layout == "kaggle":
        (chosen.folder / "LOC_val_solution.csv").write_text(
            "ImageId,PredictionString\n" +
            "".join(f"{name},{wnid} 1 1 499 374 \n" for name, wnid in solution))


if __name__ == "__main__":
    main()
