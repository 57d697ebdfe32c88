"""An rsync daemon and an SSH server of a test's own: on loopback, on a free port, in a folder of
the test's, gone with it.

    with RsyncDaemon(folder, module) as daemon: ... daemon.url ...
    with SshServer(folder) as server: ... server.options ...
"""

import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import time

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
PRIVILEGE_FOLDER = pathlib.Path("/run/sshd")  # fixed in Debian's sshd, made by its service


def missing():
    """What the servers need and this machine lacks; empty where it lacks nothing."""
    return [name for name, found in (("rsync", shutil.which("rsync")), ("ssh", shutil.which("ssh")),
                                     ("sshd", SSHD)) if not found]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that listens on `port`, within 20 s of its start."""

    def __init__(self, command, port, log):
        self.port = port
        self._log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.process.args[0]} does not listen:\n{self.log()}")

    def log(self):
        return pathlib.Path(self._log).read_text()

    def children(self):
        """Process ids of those that serve a connection now."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class RsyncDaemon(Server):
    """Serves `module` (a folder) read-only as rsync://127.0.0.1:PORT/set."""

    def __init__(self, folder, module, kib_per_second=0):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        config = folder / "rsyncd.conf"
        owner = f"uid = {os.getuid()}\ngid = {os.getgid()}\n" if os.getuid() == 0 else ""
        config.write_text(f"use chroot = no\n{owner}"
                          f"[set]\npath = {module}\nread only = yes\n")
        limit = [f"--bwlimit={kib_per_second}"] if kib_per_second else []
        super().__init__(["rsync", "--daemon", "--no-detach", "--log-file=/dev/stdout",
                          f"--config={config}", "--address=127.0.0.1", f"--port={port}", *limit],
                         port, folder / "rsyncd.log")
        self.url = f"rsync://127.0.0.1:{port}/set"

    def connections(self):
        """How often somebody asked for the module."""
        # As versions before and after 3.5 put it.
        return sum("rsync on set" in line or "access on module set" in line
                   for line in self.log().splitlines())


class SshServer(Server):
    """Lets this user in by a key of the test's own, and nobody by a password."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._has_made_folder = False
        if os.getuid() == 0 and not PRIVILEGE_FOLDER.exists():
            PRIVILEGE_FOLDER.mkdir(mode=0o755)
            self._has_made_folder = True
        port = free_port()
        for name in ("host", "user", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                            self.folder / name], check=True)
        (self.folder / "authorized").write_text((self.folder / "user.pub").read_text())
        host_key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        (self.folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        config = self.folder / "sshd_config"
        config.write_text(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\n"
                          f"AuthorizedKeysFile {self.folder}/authorized\nPidFile none\n"
                          "UsePAM no\nStrictModes no\nPasswordAuthentication no\n"
                          "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n")
        super().__init__([SSHD, "-D", "-e", "-f", str(config)], port, self.folder / "sshd.log")
        self.address = f"{getpass.getuser()}@127.0.0.1"
        self.options = self.options_with("user", "known")

    def options_with(self, key, known_hosts):
        """data.ssh_options that read none of the user's own settings."""
        return (f"-F /dev/null -p {self.port} -i {self.folder}/{key} -o IdentitiesOnly=yes "
                f"-o IdentityAgent=none -o UserKnownHostsFile={self.folder}/{known_hosts} "
                "-o GlobalKnownHostsFile=/dev/null")

    def stop(self):
        super().stop()
        if self._has_made_folder:
            PRIVILEGE_FOLDER.rmdir()
            self._has_made_folder = False
