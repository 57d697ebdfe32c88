"""Network namespaces as hosts: each has a name, an address and a link of its own on one network, which
can be cut. Gone with the object; where the test is killed, with the test.

    with NetworkHosts(2) as hosts:
        subprocess.run([*hosts.mpirun(), "-n", "2", ...])
        hosts.cut(1)

All share the files and the processors of this machine. Needs the right to make namespaces.
"""

import os
import pathlib
import signal
import subprocess
import tempfile

# Ends with the process that started it, however that ends, and the namespaces with it.
HOLDER = "import ctypes, signal; ctypes.CDLL(None).prctl(1, signal.SIGKILL); print(flush=True); signal.pause()"


def missing():
    """Why there can be no namespaces here; empty where there can."""
    try:
        done = subprocess.run(["unshare", "--net", "--uts", "sh", "-c",
                               "ip link add one type veth peer name two && ip link add three type bridge"],
                              capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


class NetworkHosts:
    """`addresses[i]` of host i, whose name is `names[i]`, on the interface `eth0`; more can be added."""

    def __init__(self, count):
        self.names = [f"host{i}" for i in range(count)]
        self.addresses = [f"10.77.0.{i + 1}" for i in range(count)]
        self._folder = tempfile.TemporaryDirectory(prefix="layerledger-hosts-")
        self._holders = []

    def __enter__(self):
        try:
            self._switch = self._hold()
            self._ip(self._switch, "link", "add", "switch", "type", "bridge")
            self._ip(self._switch, "link", "set", "switch", "up")
            for i, (name, address) in enumerate(zip(self.names, self.addresses)):
                holder = self._hold(name)
                self._ip(self._switch, "link", "add", f"port{i}", "type", "veth", "peer", "name",
                         "eth0", "netns", str(holder))
                self._ip(self._switch, "link", "set", f"port{i}", "master", "switch", "up")
                self._ip(holder, "link", "set", "lo", "up")
                self._ip(holder, "address", "add", f"{address}/24", "dev", "eth0")
                self._ip(holder, "link", "set", "eth0", "up")
            agent = pathlib.Path(self._folder.name) / "enter"
            cases = "".join(f"{name}) holder={holder} ;;\n"
                            for name, holder in zip(self.names, self._hosts()))
            agent.write_text(f"#!/bin/bash\nname=$1\nshift\ncase $name in\n{cases}"
                             "*) echo \"no host $name\" >&2; exit 1 ;;\nesac\n"
                             "exec nsenter --net --uts --target \"$holder\" bash -c \"$*\"\n")
            agent.chmod(0o755)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # Daemons that a launcher left on hosts which it could not reach any more.
        namespaces = {os.readlink(f"/proc/{holder.pid}/ns/net") for holder in self._holders
                      if holder.poll() is None}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "ns/net") in namespaces:
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                pass  # it has ended meanwhile
        for holder in self._holders:
            holder.kill()
            holder.wait()
        self._folder.cleanup()

    def _hold(self, name="switch"):
        holder = subprocess.Popen(
            ["unshare", "--net", "--uts", "/usr/bin/python3", "-c",
             f"import socket; socket.sethostname('{name}'); {HOLDER}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._holders.append(holder)
        holder.stdout.readline()  # it is there
        return holder.pid

    def _hosts(self):
        return [holder.pid for holder in self._holders[1:]]

    def _ip(self, holder, *words):
        subprocess.run(["nsenter", "--net", "--target", str(holder), "ip", *words], check=True,
                       capture_output=True, timeout=30)

    def on(self, host, *command):
        """A command as it runs on a host."""
        return ["nsenter", "--net", "--uts", "--target", str(self._hosts()[host]), *command]

    def mpirun(self, slots=2, at=0):
        """mpirun on host `at` for ranks on all hosts, host after host."""
        hosts = ",".join(f"{name}:{slots}" for name in self.names)
        order = []
        if at > 0:  # else its own host would be the first
            hosts = ",".join(name for name in self.names for _ in range(slots))
            order = ["--map-by", "seq"]
        return self.on(at, "mpirun", "--host", hosts, "--mca", "plm_rsh_agent",
                       f"{self._folder.name}/enter", "--mca", "plm_rsh_no_tree_spawn", "1",
                       "--bind-to", "none", *order)

    def add_interface(self, interface, addresses, is_joined=True):
        """One more on each host, with these addresses; not joined, it is up and leads nowhere."""
        for i, (holder, address) in enumerate(zip(self._hosts(), addresses)):
            port = f"{interface}port{i}"
            self._ip(self._switch, "link", "add", port, "type", "veth", "peer", "name", interface,
                     "netns", str(holder))
            if is_joined:
                self._ip(self._switch, "link", "set", port, "master", "switch")
            self._ip(self._switch, "link", "set", port, "up")
            self._ip(holder, "address", "add", address, "dev", interface)
            self._ip(holder, "link", "set", interface, "up")

    def limit(self, mbit_per_s):
        """Every host sends no faster than that. Raises OSError where the kernel cannot."""
        for holder in self._hosts():
            done = subprocess.run(
                ["nsenter", "--net", "--target", str(holder), "tc", "qdisc", "replace", "dev", "eth0",
                 "root", "tbf", "rate", f"{mbit_per_s}mbit", "burst", "256kb", "latency", "1000ms"],
                capture_output=True, text=True, timeout=30, check=False)
            if done.returncode:
                raise OSError(done.stderr.strip())

    def cut(self, host):
        """Pulls the plug: what is sent arrives nowhere, and nobody is told."""
        self._ip(self._holders[0].pid, "link", "set", f"port{host}", "nomaster")

    def mend(self, host):
        self._ip(self._holders[0].pid, "link", "set", f"port{host}", "master", "switch")
