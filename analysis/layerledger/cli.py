"""The command `layerledger-analysis`."""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .errors import AnalysisError, ExitCode, RunFileWarning

COMMANDS: dict[str, str] = {
    "compare": "say whether run B is slower than run A, per layer and in all",
    "figures": "draw the figures of per-layer timing, as PNG, SVG and CSV",
    "report": "write one page per run that says where the time went",
    "scaling": "strong or weak scaling of several runs: tables and plots",
}
"""A command is a module of this package with `add_arguments(parser)` and `run(arguments)`, which
returns the exit code. Modules are imported when their command is called."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(ExitCode.USAGE)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="layerledger-analysis", description="Reads layerledger's run files.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
        if name in words[:1]:
            module = importlib.import_module(f".{name}", __package__)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    print(f"layerledger-analysis: warning: {message}", file=sys.stderr)


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; the result is the exit code."""
    words = sys.argv[1:] if words is None else words
    arguments = _parser(words).parse_args(words)
    with warnings.catch_warnings():
        warnings.simplefilter("always", RunFileWarning)
        warnings.showwarning = _show_warning
        try:
            return int(arguments.run(arguments))
        except AnalysisError as error:
            print(f"layerledger-analysis: {error}", file=sys.stderr)
            return int(error.code)
        except BrokenPipeError:  # the reader of our output has seen enough
            sys.stderr.close()
            return int(ExitCode.OK)
