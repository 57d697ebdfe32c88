"""Image data as a user has it: layouts, augmentation, packing, and what is wrong with it.

Runs the program named by the environment variable LAYERLEDGER under the command named by MPIRUN.
"""

import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy as np
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = os.environ["LAYERLEDGER"]
MPIRUN = os.environ["MPIRUN"].split()
USAGE, BAD_DATA, MISSING, CANNOT_CREATE, CONFIGURATION = 64, 65, 66, 73, 78
CLASSES = ("n01", "n02", "n03")


def picture(label, number, mode="RGB"):
    """48 x 40 pixels whose colour tells the class."""
    noise = np.random.default_rng(100 * label + number).integers(0, 40, (40, 48, 3))
    noise[..., label] += 180
    return Image.fromarray(noise.astype(np.uint8)).convert(mode)


class ImagesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.images = self.folder / "images"
        self.run_file = self.folder / "runs" / "run.h5"
        self.packed = self.folder / "packed.h5"

    def write(self, path, label, number, mode="RGB", kind="JPEG"):
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(label, number, mode).save(path, kind)

    def write_folders(self, below="", train=8, val=3):
        for part, count in (("train", train), ("val", val)):
            for label, name in enumerate(CLASSES):
                for i in range(count):
                    self.write(self.images / below / part / name / f"{i}.JPEG", label, i)

    def write_flat(self, below=""):
        self.write_folders(below, val=0)
        for i in range(6):
            self.write(self.images / below / "val" / f"val_{i}.JPEG", i % 3, i)

    def run_program(self, *words):
        return subprocess.run([PROGRAM, *map(str, words)], timeout=120, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)

    def train(self, ranks=2, **settings):
        chosen = {"network.architecture": "lenet5", "train.batch_size": 4, "train.epochs": 1,
                  "train.topk": 2, "output.directory": self.run_file.parent,
                  "output.file": self.run_file.name, "data.source": "folder",
                  "data.root": self.images, "data.file": self.packed}
        chosen.update({key.replace("__", "."): value for key, value in settings.items()})
        words = [*MPIRUN, "-n", str(ranks), PROGRAM, "train"]
        for key, value in chosen.items():
            words += [f"--{key}", str(value)]
        return subprocess.run(words, timeout=120, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True)

    def assert_trained(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        return h5py.File(self.run_file, "r")

    def assert_refused(self, result, code, *words):
        """The exit code and one complaint that holds all words."""
        self.assertEqual(result.returncode, code, result.stderr)
        complaints = [line for line in result.stderr.splitlines()
                      if line.startswith("layerledger") and "info: " not in line
                      and "warning: " not in line]
        self.assertEqual(len(complaints), 1, result.stderr)
        for word in words:
            self.assertIn(word, complaints[0])


class Layouts(ImagesTest):
    def test_the_run_keeps_its_classes_and_lists(self):
        self.write_folders()
        (self.images / "synset_words.txt").write_text("n03 a third\nn01 the first, of all\n")
        with self.assert_trained(self.train()) as run:
            self.assertEqual(list(run["labels/class"].asstr()), list(CLASSES))
            self.assertEqual(list(run["labels/class_name"].asstr()),
                             ["the first, of all", "", "a third"])
            self.assertEqual(run["labels"].attrs["train_images"], 24)
            self.assertEqual(run["labels"].attrs["val_images"], 9)
            self.assertEqual(len(run["provenance/data_digest"].asstr()[()]), 16)
            train_list = self.run_file.parent / run["labels"].attrs["train_list"]
            val_list = self.run_file.parent / run["labels"].attrs["val_list"]
        with train_list.open(newline="") as lines:
            rows = list(csv.reader(lines, delimiter="\t"))
        self.assertEqual(len(rows), 24)
        self.assertEqual(rows[9], ["train/n02/1.JPEG", "1"])
        self.assertTrue(all((self.images / path).is_file() for path, _ in rows))
        self.assertEqual(len(val_list.read_text().splitlines()), 9)
        checked = self.run_program("check", self.run_file)
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def test_a_flat_validation_folder_and_a_list(self):
        self.write_flat()
        (self.images / "val_labels.txt").write_text(
            "".join(f"val_{i}.JPEG {CLASSES[i % 3]}\n" for i in range(6)))
        with self.assert_trained(self.train(train__epochs=15)) as run:
            self.assertEqual(run["validation/images"][()], 6)
            self.assertGreater(run["validation/top1"][()], 0.8)

    def test_kaggles_tree_and_some_of_its_classes(self):
        self.write_flat("ILSVRC/Data/CLS-LOC")
        (self.images / "LOC_val_solution.csv").write_text(
            "ImageId,PredictionString\n" +
            "".join(f"val_{i},{CLASSES[i % 3]} 1 2 3 4 \n" for i in range(6)))
        with self.assert_trained(self.train(data__classes="n01,n03")) as run:
            self.assertEqual(list(run["labels/class"].asstr()), ["n01", "n03"])
            self.assertEqual(run["validation/images"][()], 4)

    def test_odd_files_are_converted_or_counted(self):
        self.write_folders(train=6)
        folder = self.images / "train" / "n01"
        self.write(folder / "grey.JPEG", 0, 50, "L")
        self.write(folder / "cmyk.JPEG", 0, 51, "CMYK")
        with self.assert_trained(self.train(ranks=1, train__batch_size=20)) as run:
            self.assertEqual(run.attrs["skipped_images"], 0)
        self.write(folder / "png.JPEG", 0, 52, kind="PNG")
        whole = (folder / "0.JPEG").read_bytes()
        (folder / "0.JPEG").write_bytes(whole[: len(whole) // 2])
        result = self.train(ranks=1, train__batch_size=21, data__on_error="skip",
                            output__overwrite="true", train__validate="false")
        with self.assert_trained(result) as run:
            self.assertEqual(run.attrs["skipped_images"], 2)
        self.assertIn("it is a PNG file", result.stderr)

    def test_many_ranks_see_what_one_does(self):
        self.write_folders()
        losses = []
        for ranks, batch in ((1, 8), (2, 4)):
            result = self.train(ranks=ranks, train__batch_size=batch, output__overwrite="true",
                                train__epochs=3)
            with self.assert_trained(result) as run:
                losses.append(run["loss"][:])
        np.testing.assert_allclose(*losses, rtol=1e-3)


class WrongImages(ImagesTest):
    def test_a_list_that_does_not_match(self):
        self.write_flat()
        self.assert_refused(self.train(), MISSING, "no list of their labels", "data.val_labels")
        (self.images / "val_labels.txt").write_text("val_0.JPEG n01\n")
        self.assert_refused(self.train(), BAD_DATA, "has 1 labels, val/ has 6 images")

    def test_classes_that_are_not_there(self):
        self.write_folders()
        self.assert_refused(self.train(data__classes="n01,n09"), CONFIGURATION, "n09")
        self.assert_refused(self.train(data__classes=self.folder / "gone.txt"), MISSING, "gone.txt")


    def test_a_staged_part_of_a_flat_set_is_trained_and_validated(self):
        self.write_flat()
        (self.images / "val_labels.txt").write_text(
            "".join(f"val_{i}.JPEG {CLASSES[i % 3]}\n" for i in range(6)))
        result = self.train(data__remote=self.images, data__root=self.folder / "copy",
                            data__classes="n01,n03")
        with self.assert_trained(result) as run:
            self.assertEqual(run["validation/images"][()], 4)
        self.assertIn("validation takes 4 of 6 images in val/", result.stderr)
        self.assertIn(".layerledger-staged", os.listdir(self.folder / "copy"))

    def test_links_to_nowhere_are_known_before_training(self):
        self.write_folders()
        (self.images / "train/n01/lost.JPEG").symlink_to("moved.JPEG")
        self.assert_refused(self.train(), BAD_DATA, "1 image is a link to nowhere", "lost.JPEG",
                            "data.on_error = skip")
        result = self.train(data__on_error="skip")
        with self.assert_trained(result) as run:
            self.assertEqual(run["labels"].attrs["train_images"], 25)
        self.assertIn("1 image is a link to nowhere", result.stderr)

    def test_what_validation_lacks_is_said(self):
        self.write_folders(val=0)
        result = self.train(train__validate_every=1, train__checkpoint_every=3)
        self.assert_trained(result).close()
        self.assertIn(f"train.validate_every = 1 has no effect: '{self.images}' has no folder val/",
                      result.stderr)
        validated = subprocess.run(
            [*MPIRUN, "-n", "1", PROGRAM, "validate", "--checkpoint",
             self.run_file.parent / "run.checkpoints"],
            timeout=120, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assert_refused(validated, MISSING, f"'{self.images}' has no folder val/")

    def test_validation_images_are_looked_at_before_training(self):
        self.write_folders(val=4)
        victim = self.images / "val/n03/1.JPEG"
        for content, reason in ((b"no picture", "does not begin as a JPEG file"), (b"", "is empty"),
                                (b"\x89PNG\r\n", "it is a PNG file")):
            victim.write_bytes(content)
            # Hours of training, were it to begin.
            result = self.train(train__iterations=10**7)
            self.assert_refused(result, BAD_DATA, str(victim), reason, "data.on_error = skip")
            self.assertFalse(self.run_file.exists())
        for settings in ({"data__on_error": "skip"}, {"train__validate": "false"}):
            self.assert_trained(self.train(output__overwrite="true", **settings)).close()


class Packing(ImagesTest):
    def pack(self, *words):
        return self.run_program("pack", self.images, self.packed, *words)

    def test_packed_images_train_and_open_in_python(self):
        self.write_folders()
        result = self.pack("--size", "40")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("24 images for training, 9 for validation, 3 classes", result.stdout)
        with h5py.File(self.packed) as file:
            self.assertEqual(file["train/images"].shape, (24, 40, 40, 3))
            self.assertEqual(list(file["train/labels"][:]), [0] * 8 + [1] * 8 + [2] * 8)
            self.assertEqual(file["val/paths"].asstr()[4], "val/n02/1.JPEG")
            stored = file["train/images"][17].astype(int)
        middle = np.asarray(picture(2, 1))[:, 4:44].astype(int)
        self.assertLess(np.abs(stored - middle).mean(), 12)  # JPEG changes noise
        with self.assert_trained(self.train(data__source="packed", train__epochs=15)) as run:
            self.assertEqual(run["validation/images"][()], 9)
            self.assertGreater(run["validation/top1"][()], 0.8)

    def test_the_environment_names_paths_and_each_rank_has_its_own(self):
        self.write_folders()
        environment = {**os.environ, "IMAGES": str(self.images), "PACKED": str(self.folder)}
        result = subprocess.run([PROGRAM, "pack", "$IMAGES", "${PACKED}/packed.h5", "--size", "32"],
                                env=environment, timeout=60, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        other = self.folder / "other" / "packed.h5"
        other.parent.mkdir()

        def on_two():
            words = [PROGRAM, "train", "--network.architecture", "lenet5", "--train.batch_size", "4",
                     "--data.source", "packed", "--data.file", "$NODE/packed.h5", "--train.topk", "2",
                     "--output.directory", str(self.run_file.parent), "--output.file", "run.h5"]
            job = [*MPIRUN]
            for node in (self.folder, other.parent):
                job += [":"] * (node == other.parent) + ["-n", "1", "env", f"NODE={node}", *words]
            return subprocess.run(job, timeout=120, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True)

        self.assert_refused(on_two(), MISSING, f"no packed file '{other}'")
        other.write_bytes(self.packed.read_bytes())
        with self.assert_trained(on_two()) as run:
            self.assertEqual(run["validation/images"][()], 9)
        self.assert_refused(self.train(data__source="packed", data__file="$NO_SUCH_NAME/x.h5"),
                            CONFIGURATION, "NO_SUCH_NAME", "data.file")

    def test_it_does_not_replace_a_file_unasked(self):
        self.write_folders()
        self.assertEqual(self.pack("--size", "32").returncode, 0)
        self.assert_refused(self.pack(), CANNOT_CREATE, "is there already", "--overwrite")
        self.assertEqual(self.pack("--size", "32", "--overwrite").returncode, 0)

    def test_bad_images_end_it_or_are_counted(self):
        self.write_folders()
        (self.images / "train/n02/3.JPEG").write_bytes(b"no picture at all")
        self.assert_refused(self.pack(), BAD_DATA, "3.JPEG", "data.on_error = skip")
        self.assertEqual(list(self.folder.glob("packed*")), [])
        result = self.pack("--size", "32", "--data.on_error", "skip")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("23 images for training", result.stdout)
        self.assertIn("1 could not be read", result.stdout)

    def test_words_that_make_no_sense(self):
        self.write_folders()
        self.assert_refused(self.run_program("pack", self.images), USAGE, "a folder and the file")
        self.assert_refused(self.pack("--size", "none"), CONFIGURATION, "--size is 'none'")
        self.assert_refused(self.pack("--size"), USAGE, "--size has no value")
        self.assert_refused(self.pack("--data.clases", "2"), CONFIGURATION, "data.classes")
        self.assert_refused(self.run_program("pack", self.folder / "gone", self.packed), MISSING,
                            "no data folder")
        self.assert_refused(self.run_program("pack", self.images, self.folder / "gone/x.h5"),
                            CANNOT_CREATE, "gone/x.h5")

    def test_files_that_are_not_packed_images(self):
        self.write_folders()
        packed = {"data__source": "packed"}
        self.assert_refused(self.train(**packed), MISSING, "no packed file", "layerledger pack")
        self.packed.write_text("text")
        self.assert_refused(self.train(**packed), BAD_DATA, "not even HDF5")
        with h5py.File(self.packed, "w"):
            pass
        self.assert_refused(self.train(**packed), BAD_DATA, "some other HDF5 file")
        self.assertEqual(self.pack("--size", "16", "--overwrite").returncode, 0)
        self.assert_refused(self.train(**packed), CONFIGURATION, "28 x 28", "16 x 16")
        self.assertEqual(self.pack("--size", "32", "--overwrite").returncode, 0)
        os.truncate(self.packed, self.packed.stat().st_size // 2)
        self.assert_refused(self.train(**packed), BAD_DATA, str(self.packed),
                            "copy or pack it again")


if __name__ == "__main__":
    unittest.main()
