"""A program in namespaces of its own, so that Engines run side by side, each with the same paths, names and ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# a documentation address (RFC 5737), which nothing outside can have
_NAME_SERVER = "192.0.2.53"
# the Engine's socket and state, the place of the projects and the host's name are this program's alone
_SCRIPT = f"""
set -eu
ip link set lo up
ip address add {_NAME_SERVER}/32 dev lo
echo jarvis-1 >/proc/sys/kernel/hostname
mount -t tmpfs none /run
mkdir -p "$1/docker" "$1/srv" /var/lib/docker /srv
mount --bind "$1/docker" /var/lib/docker
mount --bind "$1/srv" /srv
echo nameserver {_NAME_SERVER} >"$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
shift
exec "$@"
"""
_NO_SUCH_NAME = bytes((0x81, 0x83))


def apart(folder: Path, command: list[str]) -> list[str]:
    """The command that runs `command` apart from this machine's Engine, ports and /srv; what it keeps is in `folder`.

    Needs root, and util-linux and iproute2, which Debian has everywhere.
    """
    namespaces = ["unshare", "--net", "--mount", "--uts", "--propagation", "private"]
    return [*namespaces, "sh", "-c", _SCRIPT, "sh", str(folder), *command]


@contextmanager
def name_server() -> Iterator[None]:
    """Answer at once that there is no such name, for the block: who is apart has no name server that would.

    The Engine passes on what it does not know, as the name of a container that was stopped, and a container waits ten
    seconds for an answer that never comes.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((_NAME_SERVER, 53))
        threading.Thread(target=_deny, args=(server,), daemon=True).start()
        yield


def _deny(server: socket.socket) -> None:
    with suppress(OSError):  # closed at the end
        while True:
            query, sender = server.recvfrom(4096)
            server.sendto(query[:2] + _NO_SUCH_NAME + query[4:], sender)
