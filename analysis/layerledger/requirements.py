"""Whether this Python has what the package needs: a sentence and a command instead of a traceback.

Written for any Python 3, older ones too, and imports nothing that could be missing.
"""

import importlib.util
import sys
from pathlib import Path

PYTHON = (3, 11)
PACKAGES = ("numpy", "h5py", "pandas", "matplotlib")
EXIT_CODE = 69
"""EX_UNAVAILABLE: what is needed is not there."""
_COMMANDS = ("-m", "layerledger-analysis", "__main__.py")


def check(packages: "tuple[str, ...]" = PACKAGES) -> None:
    """Ends the command, or tells whoever imports the package, if something is missing.

    Args:
        packages: names of modules.

    Raises:
        ImportError: with one sentence and the command that installs what is missing.
    """
    message = missing(packages)
    if message and Path(sys.argv[0] if sys.argv else "").name in _COMMANDS:
        print(f"layerledger-analysis: {message}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    if message:
        raise ImportError(message)


def missing(packages: "tuple[str, ...]") -> str:
    """What is missing and how to install it; empty if nothing is."""
    if sys.version_info < PYTHON:
        wanted, found = (".".join(map(str, v[:2])) for v in (PYTHON, sys.version_info))
        return f"Python {wanted} or later is needed, {sys.executable} is {found}"
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    if sys.executable.startswith("/usr/bin/") and Path("/etc/debian_version").exists():
        command = "apt-get install " + " ".join(f"python3-{name}" for name in absent)
    else:
        command = f"{sys.executable} -m pip install {' '.join(absent)}"
    return f"{sys.executable} has no {', '.join(absent)}: {command}"
