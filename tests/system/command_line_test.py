"""Wrong input to the command: one line on stderr, the right exit code, at once.

Runs the program named by the environment variable LAYERLEDGER, behind the command named by MPIRUN.
"""

import fcntl
import os
import pathlib
import pty
import struct
import subprocess
import tempfile
import termios
import unittest

PROGRAM = os.environ["LAYERLEDGER"]
MPIRUN = [*os.environ["MPIRUN"].split(), "-n", "1"]
USAGE, BAD_DATA, MISSING, UNAVAILABLE, CANNOT_CREATE, CONFIGURATION = 64, 65, 66, 69, 73, 78


def layerledger(*arguments, variables=None):
    """Runs the program with none of the caller's settings in its environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAYERLEDGER_")}
    environment.update(variables or {})
    return subprocess.run([PROGRAM, *arguments], env=environment, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


class CommandLineTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, content):
        path = self.folder / name
        path.write_text(content)
        return str(path)

    def assert_refused(self, code, *words, arguments=(), variables=None):
        """Exit code, one line on stderr that holds all words, nothing on stdout."""
        result = layerledger(*arguments, variables=variables)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("layerledger: "), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual(result.stdout, "")

    def assert_shows(self, *words, arguments):
        result = layerledger(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for word in words:
            self.assertIn(word, result.stdout)


class Subcommands(CommandLineTest):
    def test_none(self):
        self.assert_refused(USAGE, "no subcommand", "layerledger help")

    def test_unknown_names_the_nearest(self):
        self.assert_refused(USAGE, "'trian'", "did you mean 'train'?", arguments=["trian"])
        self.assert_refused(USAGE, "did you mean 'summary'?", arguments=["help", "sumary"])

    def test_stray_words_after_help_and_version(self):
        self.assert_refused(USAGE, "stray word 'foo'", arguments=["help", "train", "foo"])
        for name in ("version", "--version"):
            self.assert_refused(USAGE, "stray word 'foo'", arguments=[name, "foo"])

    def test_overview_names_all(self):
        for arguments in (["help"], ["--help"], ["-h"]):
            self.assert_shows("train", "validate", "pack", "summary", "export", "check", "networks",
                              "version", arguments=arguments)

    def test_each_has_its_help(self):
        for name in ("train", "validate", "pack", "summary", "export", "check", "networks",
                     "version"):
            for arguments in ([name, "--help"], ["help", name]):
                self.assert_shows(f"usage: layerledger {name}", arguments=arguments)

    def test_help_of_train_has_all_sections(self):
        self.assert_shows("--experiment.seed", "--network.architecture", "--data.root",
                          "--train.batch_size", "--sync.bucket_mb", "--profile.level",
                          "--output.overwrite", "--device.threads", arguments=["train", "--help"])

    def test_version_names_libraries(self):
        for arguments in (["--version"], ["version"]):
            self.assert_shows("layerledger", "git", "compiler", "MPI", "Boost", "oneDNN", "HDF5",
                              "libjpeg-turbo", arguments=arguments)

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([PROGRAM, "help"], stdout=full, stderr=subprocess.PIPE,
                                    text=True, timeout=60)
        self.assertEqual(result.returncode, 74)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)


class RunFiles(CommandLineTest):
    """summary and check."""

    def test_no_file_given(self):
        for name in ("summary", "check"):
            self.assert_refused(USAGE, "no file", f"layerledger {name} RUN.h5", arguments=[name])

    def test_stray_word(self):
        for name in ("summary", "check"):
            self.assert_refused(USAGE, "stray word 'b.h5'", arguments=[name, "a.h5", "b.h5"])

    def test_unknown_option(self):
        for name in ("summary", "check"):
            self.assert_refused(USAGE, "'--all'", arguments=[name, "--all", "a.h5"])

    def test_missing(self):
        for name in ("summary", "check"):
            self.assert_refused(MISSING, "no-such.h5", arguments=[name, "no-such.h5"])

    def test_line_break_in_a_name_stays_on_one_line(self):
        self.assert_refused(MISSING, "no such.h5", arguments=["summary", "no\nsuch.h5"])

    def test_not_a_run_file(self):
        path = self.file("text.h5", "not HDF5")
        for name in ("summary", "check"):
            self.assert_refused(BAD_DATA, path, arguments=[name, path])


class Networks(CommandLineTest):
    def test_lists_the_zoo(self):
        self.assert_shows("lenet5", "alexnet", "vgg11", "vgg16", "googlenet", "resnet50",
                          arguments=["networks"])

    def test_unknown_names_the_nearest(self):
        self.assert_refused(CONFIGURATION, "alexnett", "did you mean 'alexnet'?",
                            arguments=["networks", "alexnett"])


class TrainSettings(CommandLineTest):
    def test_unknown_setting(self):
        self.assert_refused(CONFIGURATION, "'train.batchsize' (command line)",
                            "did you mean 'train.batch_size'?",
                            arguments=["train", "--train.batchsize", "8"])

    def test_unknown_setting_in_a_file(self):
        path = self.file("run.cfg", "[train]\nepochs = 1\nbatchsize = 8\n")
        self.assert_refused(CONFIGURATION, f"({path}:3)", "did you mean 'train.batch_size'?",
                            arguments=["train", "--config", path])

    def test_unknown_setting_in_the_environment(self):
        self.assert_refused(CONFIGURATION, "did you mean 'LAYERLEDGER_TRAIN__BATCH_SIZE'?",
                            arguments=["train"],
                            variables={"LAYERLEDGER_TRAIN__BATCHSIZE": "8"})

    def test_wrong_type(self):
        self.assert_refused(CONFIGURATION, "train.epochs cannot be 'ten'", "whole number",
                            arguments=["train", "--train.epochs", "ten"])

    def test_out_of_range(self):
        path = self.file("run.cfg", "[train]\nlearning_rate = -1\n")
        self.assert_refused(CONFIGURATION, "train.learning_rate cannot be '-1'", f"{path}:2",
                            arguments=["train", "--config", path])

    def test_missing_config(self):
        self.assert_refused(MISSING, "'no-such.cfg'", arguments=["train", "--config", "no-such.cfg"])

    def test_stray_word(self):
        self.assert_refused(USAGE, "stray word 'alexnet.cfg'", arguments=["train", "alexnet.cfg"])

    def test_unknown_network(self):
        self.assert_refused(CONFIGURATION, "did you mean 'alexnet'?",
                            arguments=["train", "--network.architecture", "alexnett",
                                       "--train.iterations", "1", "--dry-run"])

    def test_a_dry_run_finds_what_the_run_would(self):
        for code, says, settings in (
                (UNAVAILABLE, "precision tf32 is not supported by the cpu backend",
                 ["--train.precision", "tf32", "--device.backend", "cpu"]),
                (CANNOT_CREATE, "cannot write below '/dev/null' (it is no folder)",
                 ["--output.directory", "/dev/null/runs"])):
            self.assert_refused(code, says, arguments=["train", "--network.architecture", "lenet5",
                                                       "--train.iterations", "1", "--dry-run",
                                                       *settings])

    def test_print_config_reads_back(self):
        first = layerledger("train", "--print-config", "--train.epochs", "7",
                            variables={"LAYERLEDGER_SYNC__OVERLAP": "off"})
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("epochs = 7\n", first.stdout)
        self.assertIn("overlap = false\n", first.stdout)
        again = layerledger("train", "--print-config", "--config",
                            self.file("resolved.cfg", first.stdout))
        self.assertEqual(again.stdout, first.stdout)

    def test_shipped_configurations_are_valid(self):
        folder = pathlib.Path(__file__).parents[2] / "configs"
        shipped = sorted(folder.glob("*.cfg"))
        self.assertGreaterEqual(len(shipped), 6)
        for path in shipped:
            with self.subTest(path.name):
                result = layerledger("train", "--config", str(path), "--print-config")
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertIn(f"name = {path.stem}\n", result.stdout)


class Progress(CommandLineTest):
    """A bar on a terminal, plain lines anywhere else, also behind mpirun."""

    def training(self):
        return [PROGRAM, "train", "--network.architecture", "lenet5", "--train.batch_size", "2",
                "--train.iterations", "3", "--output.directory", str(self.folder),
                "--output.overwrite"]

    def on_terminal(self, command, **variables):
        """What a command writes to a terminal of 100 columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        environment = {**os.environ, "TERM": "xterm", **variables}
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs,
                              stderr=subprocess.DEVNULL, env=environment) as process:
            os.close(theirs)
            shown = b""
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # Linux's end of file of a terminal
                    piece = b""
                if not piece:
                    break
                shown += piece
            process.wait(timeout=60)
        os.close(ours)
        return shown.decode()

    def redirected(self, command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=60).stdout

    def test_bar_on_a_terminal(self):
        for launcher in ([], MPIRUN):
            shown = self.on_terminal(launcher + self.training(), NO_COLOR="1")
            self.assertIn("\r[#############", shown)
            self.assertIn("] 3/3 ", shown)
            self.assertNotIn("\x1b", shown)

    def test_color_on_a_terminal(self):
        self.assertIn("\r[\x1b[32m#", self.on_terminal(self.training(), NO_COLOR=""))

    def test_lines_in_a_file(self):
        for launcher in ([], MPIRUN):
            shown = self.redirected(launcher + self.training())
            self.assertRegex(shown, r"(?m)^20\S+Z iteration 1/3 .*loss .*ETA")
            self.assertRegex(shown, r"(?m)^20\S+Z iteration 3/3 ")
            self.assertNotIn("[#", shown)


if __name__ == "__main__":
    unittest.main()
