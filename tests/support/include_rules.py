#!/usr/bin/env python3
"""Checks every #include of a source tree against the table of rooms.

Usage: include_rules.py ROOT

A room is src/ROOM with its public headers in include/layerledger/ROOM. It may include its own
headers, the public headers of the rooms that it uses and of those that these use, the standard
library and the system's headers, and, in src/ only, the libraries that belong to it.
Prints one line for each include that breaks this, and returns 1 if there is any.
"""

import re
import sys
from pathlib import Path, PurePosixPath

# room: the rooms it uses directly. Arrows point downward only.
ROOMS = {
    "base": [],
    "hdf5": ["base"],
    "config": ["base"],
    "network": ["base"],
    "timeline": ["base"],
    "comm": ["base"],
    "device": ["base", "network", "timeline"],
    "backend/cpu": ["device", "comm", "network", "timeline"],
    "backend/cuda": ["device", "comm", "network", "timeline"],
    "data": ["base", "hdf5", "config", "device"],
    "train": ["device", "data", "network", "timeline", "comm"],
    "record": ["hdf5", "timeline", "comm", "config", "network"],
    "app": ["base", "hdf5", "config", "network", "timeline", "comm", "device", "backend/cpu",
            "backend/cuda", "data", "train", "record"],
}

# library: (how its headers are named, the room that it belongs to).
LIBRARIES = {
    "spdlog": (r"(spdlog|fmt)/.*", ["base"]),
    "Boost": (r"boost/.*", ["config"]),
    "Open MPI": (r"mpi(-ext)?\.h", ["comm"]),
    "oneDNN": (r"(oneapi/dnnl/.*|dnnl.*)", ["backend/cpu"]),
    "OpenMP": (r"omp\.h", ["backend/cpu"]),
    "xxHash": (r"xxhash\.h", ["backend/cpu"]),
    "CUDA": (r"(cuda.*|cudnn.*|cublas.*|nccl.*|cupti.*|nvtx3?/.*|nvToolsExt.*)",
             ["backend/cuda"]),
    "libjpeg-turbo": (r"(turbojpeg|jpeglib|jerror)\.h", ["data"]),
    "HDF5": (r"hdf5.*\.h", ["hdf5"]),
    "zlib": (r"zlib\.h", ["record"]),
}

# Libraries that one file alone may know.
ONE_FILE = {"libjpeg-turbo": "src/data/jpeg_decoder.cpp", "zlib": "src/record/gzip_file.cpp"}

# C++ headers have no suffix; of C's, these are the operating system's and the processor's.
STANDARD = re.compile(r"[a-z_]+")
SYSTEM = re.compile(
    r"(dlfcn|fcntl|ifaddrs|immintrin|netdb|poll|pthread|pwd|sched|signal|spawn|termios|unistd|xmmintrin)\.h"
    r"|(sys|arpa|net|netinet|linux)/[a-z_]+\.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
SUFFIXES = {".hpp", ".cpp", ".h", ".cu", ".cuh", ".in"}


def reachable(room):
    """The room, the rooms it uses, and the rooms that these use."""
    seen = set()
    waiting = [room]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting.extend(ROOMS[current])
    return seen


def room_of(path):
    """The room of a path below src/ or include/layerledger/, or None.

    backend/cpu.hpp and backend/cpu/x.hpp are both of room backend/cpu.
    """
    parts = PurePosixPath(path).with_suffix("").parts
    for length in (1, 2):
        room = "/".join(parts[:length])
        if room in ROOMS and len(PurePosixPath(path).parts) >= length:
            return room
    return None


def library_of(header):
    for library, (pattern, _) in LIBRARIES.items():
        if re.fullmatch(pattern, header):
            return library
    return None


def fault(room, public, path, bracket, header):
    """Why this include is wrong, or None. `path` is the including file's, from the root."""
    if header.startswith("layerledger/"):
        used = room_of(header.removeprefix("layerledger/"))
        if used is None:
            return "names no room"
        if used not in reachable(room):
            return f"room {room} may not use room {used}"
        return None
    library = library_of(header)
    if library is not None:
        if public:
            return f"{library} is private: no public header may include it"
        if room not in LIBRARIES[library][1]:
            return f"{library} belongs to room {', '.join(LIBRARIES[library][1])}"
        if path != ONE_FILE.get(library, path):
            return f"{library} belongs to {ONE_FILE[library]} alone"
        return None
    if bracket == "<":
        if STANDARD.fullmatch(header) or SYSTEM.fullmatch(header):
            return None
        return "is in no table: add its library to include_rules.py"
    if public:
        return "a public header may include public headers only"
    if ".." in PurePosixPath(header).parts:
        return "leaves its folder: private headers stay in their room"
    return None


def check(root):
    """All faults below `root`, as lines "file:line: ...", and the number of includes seen."""
    faults = []
    includes = 0
    for base in ("include/layerledger", "src"):
        for file in sorted((root / base).rglob("*")):
            if file.suffix not in SUFFIXES:
                continue
            path = file.relative_to(root).as_posix()
            room = room_of(file.relative_to(root / base).as_posix())
            if room is None:
                faults.append(f"{path}:1: is in no room")
                continue
            text = file.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                includes += 1
                why = fault(room, base != "src", path, *match.groups())
                if why is not None:
                    line = text.count("\n", 0, match.start(1)) + 1
                    faults.append(f"{path}:{line}: {match.group(2)}: {why}")
    return faults, includes


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    faults, includes = check(Path(sys.argv[1]))
    for line in faults:
        print(line)
    print(f"{includes} includes, {len(faults)} against the rules")
    return 1 if faults or includes == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
