"""Simulated machines: network namespaces, each with what a real host has for itself.

Each host has its own address, host name, processes, home, /tmp, /dev/shm and /run, and an SSH server. They
are connected by a bridge in the namespace of the first one, the laptop; nothing of it is visible from
outside, and nothing remains when the laptop's namespace is deleted.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.waiting import wait_until

NETWORK = "10.77.0"
SHARED = "/srv"
"""Path of the shared folder on every host; the project has the same path on all hosts."""

_INIT = """
set -e
mount --make-rprivate /
mount --bind {shared} /srv
mount --bind {project} /mnt
for folder in /tmp /dev/shm /run; do mount -t tmpfs tmpfs $folder; done
if [ ! -e {project}/pyproject.toml ]; then mkdir -p {project}; mount --bind /mnt {project}; fi
mkdir -p /tmp/home/.ssh /run/sshd
sed 's|^root:.*|root:x:0:0:root:/tmp/home:/bin/bash|' /etc/passwd > /run/passwd
mount --bind /run/passwd /etc/passwd
printf '%s\\n' '127.0.0.1 localhost' '{address} {name}' > /run/hosts
mount --bind /run/hosts /etc/hosts
hostname {name}
cp /srv/ssh/id /tmp/home/.ssh/id_ed25519
cp /srv/ssh/id.pub /tmp/home/.ssh/authorized_keys
cp /srv/profile /tmp/home/.bashrc
chmod -R go= /tmp/home
cd /tmp/home
export HOME=/tmp/home
/usr/sbin/sshd -D -e -f /srv/ssh/config -o ListenAddress={address} >/tmp/sshd.log 2>&1 &
touch /srv/up-{name}
# The first process of a host adopts orphans.
while true; do wait -n 2>/dev/null || sleep 1; done
"""
_SSHD = """
HostKey /srv/ssh/host
AuthorizedKeysFile /tmp/home/.ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
MaxStartups 100
"""


def missing() -> str | None:
    """Reason why this machine cannot simulate hosts, or None."""
    if os.geteuid() != 0:
        return "namespaces need root"
    for program in ("ip", "unshare", "nsenter", "setpriv", "ssh", "ssh-keygen", "rsync"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: iproute2 openssh-server rsync)"
    if not Path("/usr/sbin/sshd").exists():
        return "sshd is not installed (Debian: openssh-server)"
    probe = f"probe-{uuid.uuid4().hex[:6]}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    if made.returncode != 0:
        return f"network namespaces are not permitted ({made.stderr.strip()})"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"namespaces are not permitted ({tried.stderr.strip()})" if tried.returncode else None


@dataclass
class Host:
    """A running host.

    Attributes
    ----------
    name, address : str
        Host name and IPv4 address.
    namespace : str
        Name of its network namespace.
    process : Popen
        ``unshare``, whose only child is the host's first process.
    """

    name: str
    address: str
    namespace: str
    process: subprocess.Popen[bytes]

    @property
    def init(self) -> int:
        """Process id, seen from outside, of the host's first process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])

    def command(self, line: str) -> list[str]:
        """Return the command that runs a shell line on the host as its user would."""
        enter = ["nsenter", "--target", str(self.init), "--all", "env", "-i", "HOME=/tmp/home", "TERM=dumb"]
        path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        return [*enter, path, "LANG=C.UTF-8", "bash", "-c", f"cd; source ~/.bashrc; {line}"]

    def run(self, line: str, *, timeout: float = 200) -> subprocess.CompletedProcess[str]:
        """Run a shell line on the host and wait for its end."""
        return subprocess.run(
            self.command(line), capture_output=True, text=True, timeout=timeout, check=False
        )

    def processes(self) -> list[str]:
        """Command lines of the host's processes."""
        listing = subprocess.run(
            ["nsenter", "--target", str(self.init), "--mount", "--pid", "ps", "-eo", "args"],
            capture_output=True,
            text=True,
            check=False,
        )
        return listing.stdout.splitlines()

    def kill(self) -> None:
        """Stop the host as a power cut does."""
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "eth0", "down"], check=False)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@dataclass
class Hosts:
    """A laptop and the hosts that it is connected to.

    Attributes
    ----------
    shared : Path
        Folder that all hosts have as `SHARED`.
    """

    shared: Path
    _mark: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    _up: dict[str, Host] = field(default_factory=dict)
    _namespaces: list[str] = field(default_factory=list)

    @staticmethod
    def address(number: int) -> str:
        """Address of the host with a number."""
        return f"{NETWORK}.{number}"

    def boot(self, name: str, number: int) -> Host:
        """Start a host, and wait until it is up."""
        namespace = f"genre-{self._mark}-{name}"
        bridge = self._namespaces[0] if self._namespaces else namespace
        _ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        if bridge == namespace:
            _ip("-n", namespace, "link", "add", "eth0", "type", "bridge")
        else:
            peer = f"to-{name}"
            _ip("-n", bridge, "link", "add", peer, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("-n", bridge, "link", "set", peer, "master", "eth0", "up")
        _ip("-n", namespace, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        if bridge != namespace:
            # Leads nowhere: Ray uses the address from which it would connect to the Internet.
            _ip("-n", namespace, "route", "add", "default", "via", self.address(1))
        script = self.shared / f"init-{name}.sh"
        script.write_text(
            _INIT.format(shared=self.shared, project=ROOT, name=name, address=self.address(number))
        )
        unshare = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--kill-child", "--mount-proc"]
        with (self.shared / f"log-{name}").open("wb") as log:
            process = subprocess.Popen(
                # It ends with the process that started it.
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    "ip",
                    "netns",
                    "exec",
                    namespace,
                    *unshare,
                    "bash",
                    script,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._up[name] = host = Host(name, self.address(number), namespace, process)
        sign = self.shared / f"up-{name}"
        try:
            wait_until(sign.exists, what=f"host {name} was up", alive=process)
        except AssertionError as error:
            log = (self.shared / f"log-{name}").read_text()
            raise RuntimeError(f"host {name} did not come up: {log}") from error
        return host

    def down(self) -> None:
        """Stop all hosts and delete their namespaces."""
        for host in self._up.values():
            if host.process.poll() is None:
                host.process.kill()
                host.process.wait()
        for namespace in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "del", namespace], check=False)


@contextmanager
def hosts(shared: Path, profile: str) -> Iterator[Hosts]:
    """Prepare keys; delete all hosts that were booted at the end.

    Parameters
    ----------
    shared : Path
        Folder shared by all hosts.
    profile : str
        ``.bashrc`` of each host's user.
    """
    keys = shared / "ssh"
    keys.mkdir(parents=True)
    for name in ("id", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    (keys / "config").write_text(_SSHD)
    (shared / "profile").write_text(profile)
    made = Hosts(shared)
    try:
        yield made
    finally:
        made.down()


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")
