"""In what a container differs from the one before it, by the names of its settings: no value of one is kept or told.

Of a release by its environment alone the Engine shows nothing once the container before is gone, and of variables that
may hold secrets nobody would keep the values. So the flight recorder, which looks at both, holds each against the last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_DIGEST_BYTES = 8
_MOST = 12
_SEPARATOR = "; "
IMAGE = "its image"
# by the words it is told in: where `docker inspect` has it
_CONFIG = {"its command": "Cmd", "its entry point": "Entrypoint", "its user": "User", "its health check": "Healthcheck"}
_HOST = {
    "its memory limit": "Memory",
    "its CPU limit": "NanoCpus",
    "its limit of processes": "PidsLimit",
    "its restart policy": "RestartPolicy",
    "its published ports": "PortBindings",
    "its network mode": "NetworkMode",
    "its log driver": "LogConfig",
    "its limits of the kernel": "Ulimits",
}


def settings_of(details: Mapping[str, Any]) -> Mapping[str, bytes]:
    """Return a short hash of each setting a container was made with, by the words that name it.

    `details` is the Engine's answer to `inspect`; what it does not tell is no setting.
    """
    return {name: _hashed(value) for name, value in _settings(details) if value not in (None, "", [], {}, 0)}


def _settings(details: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    config, host = details.get("Config") or {}, details.get("HostConfig") or {}
    yield IMAGE, details.get("Image")
    for name, key in _CONFIG.items():
        yield name, config.get(key)
    for name, key in _HOST.items():
        yield name, host.get(key)
    for entry in config.get("Env") or ():
        name, _, value = str(entry).partition("=")
        yield f"the variable {name}", f"={value}"
    for mount in details.get("Mounts") or ():
        # an anonymous volume has another name in each container
        source = mount.get("Source") if mount.get("Type") == "bind" else mount.get("Type")
        yield f"the mount at {mount.get('Destination')}", [source, mount.get("RW")]


def _hashed(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """Name what is new, gone or otherwise in `after`, a dozen at most, as `told` reads it; empty where nothing is."""
    found = []
    for name in (*after, *(name for name in before if name not in after)):
        if name not in before:
            found.append(f"{name} (new)")
        elif name not in after:
            found.append(f"{name} (gone)")
        elif before[name] != after[name]:
            found.append(name)
    if len(found) > _MOST:
        found[_MOST - 1 :] = [f"{len(found) - _MOST + 1} settings more"]
    return _SEPARATOR.join(one.replace(_SEPARATOR.strip(), ",") for one in found)


def told(text: str) -> tuple[str, ...]:
    """Read what `differences` wrote."""
    return tuple(one for one in text.split(_SEPARATOR) if one)


def but_the_image(names: Iterable[str]) -> tuple[str, ...]:
    """Leave out what is told by the images' own names."""
    return tuple(name for name in names if name != IMAGE)
