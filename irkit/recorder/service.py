"""How to keep the flight recorder running: as a systemd unit, or as a service beside those it watches."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from irkit.collect.contract import Refused
from irkit.docker.engine_socket import socket_path
from irkit.settings import Settings

_UNIT = """\
# /etc/systemd/system/irkit-recorder.service, then: systemctl enable --now irkit-recorder
[Unit]
Description=irkit flight recorder
After=docker.service

[Service]
ExecStart={command} record
WorkingDirectory={folder}
{environment}Restart=on-failure
RestartSec=5
Nice=10
MemoryHigh=150M
NoNewPrivileges=yes
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""
_USUAL_SOCKET = "/var/run/docker.sock"
_COMPOSE = """\
# Beside the services it watches, in the same compose file. irkit is installed at the first start and kept in a volume;
# with an image of your own that has it, only `irkit record` is left of the command.
services:
  irkit-recorder:
    image: python:3.11-slim
    command:
      - sh
      - -c
      - |
        set -e; it=/opt/irkit/{version}
        [ -x $$it/bin/irkit ] || {{ python -m venv $$it && $$it/bin/pip install --quiet irkit=={version}; }}
        exec $$it/bin/irkit record
    working_dir: {folder}
    volumes:
      - irkit-recorder:/opt/irkit
      - {folder}:{folder}{home}
{socket}
      - /sys/fs/cgroup:/sys/fs/cgroup:ro
    pid: host  # to see the services' processes
    network_mode: host  # so that the addresses in irkit.toml mean the same as outside
    restart: unless-stopped
volumes:
  irkit-recorder:
"""


def unit(settings: Settings) -> str:
    """Return a systemd unit that records with these settings."""
    quoted = {name: _for_systemd(value) for name, value in _places(settings).items()}
    # without a file, the home depends on who runs it
    environment = "" if settings.source else f"Environment={_for_systemd(f'IRKIT_HOME={settings.home}')}\n"
    return _UNIT.format(command=_for_systemd(_command()), folder=quoted["folder"], environment=environment)


def compose(settings: Settings) -> str:
    """Return a service for a compose file that records with these settings."""
    places = _places(settings)
    outside = not settings.home.is_relative_to(places["folder"])
    home = f"\n      - {settings.home}:{settings.home}" if outside else ""
    return _COMPOSE.format(version=version("irkit"), folder=places["folder"], home=home, socket=_socket(settings))


def _socket(settings: Settings) -> str:
    """Return the line that mounts the Engine's socket where the container's irkit looks for it.

    That is where irkit.toml says; the caller's environment and contexts are not in the container.
    """
    try:
        found = socket_path(settings.docker)
    except Refused as error:
        return f"      # no socket of the Docker Engine: {error}"
    return f"      - {found}:{found if settings.docker.host else _USUAL_SOCKET}:ro"


def _places(settings: Settings) -> dict[str, str]:
    return {"folder": str(settings.source.parent if settings.source else Path.cwd())}


def _command() -> str:
    beside = Path(sys.executable).parent / "irkit"
    return str(beside) if beside.exists() else shutil.which("irkit") or "irkit"


def _for_systemd(text: str) -> str:
    """Quote as systemd.syntax(7) has it; a percent sign is a specifier there."""
    escaped = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if any(character in escaped for character in " \\\"'") else escaped
