"""Runs a service and its faults: switched on by name, one a line, in the file `faults` of the control directory.

All containers share that directory; each answers in `in-force.<service>` with the names it has in force, so that
whoever switches a fault can wait for the effect instead of guessing.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from .faults import FAULTS, Steps
from .service import Service, log_to_stderr

CONTROL_DIR = Path("/control")
TICK_S = 0.05


def run(service: Service, port: int, control_dir: Path = CONTROL_DIR) -> None:
    """Serve until SIGTERM while the faults of this service follow the control file."""
    log_to_stderr()
    switchboard = Switchboard(service, control_dir)
    switchboard.apply()  # before the socket listens, so that a fault which crashes does so on every start
    threading.Thread(target=switchboard.watch, name="faults", daemon=True).start()
    service.serve(port)


class Switchboard:
    """The faults of one service that are switched on."""

    def __init__(self, service: Service, control_dir: Path) -> None:
        self._service = service
        self._wanted_path = control_dir / "faults"
        self._in_force_path = control_dir / f"in-force.{service.name}"
        self._in_force: dict[str, Steps] = {}

    def watch(self) -> None:
        """Follow the control file until the process ends."""
        while True:
            time.sleep(TICK_S)
            self.apply()

    def apply(self) -> None:
        """End the faults that are no longer wanted, begin the new ones, advance the others, and say so."""
        wanted = self._wanted()
        for name in [name for name in self._in_force if name not in wanted]:
            self._in_force.pop(name).close()
        for name in wanted:
            if name not in self._in_force:
                self._in_force[name] = FAULTS[name].steps(self._service)
            next(self._in_force[name])
        self._report()

    def _wanted(self) -> list[str]:
        if not self._wanted_path.exists():
            return []
        names = self._wanted_path.read_text().split()
        return [name for name in names if name in FAULTS and FAULTS[name].service == self._service.name]

    def _report(self) -> None:
        names = "\n".join(self._in_force)
        if not self._in_force_path.exists() or self._in_force_path.read_text() != names:
            draft = self._in_force_path.with_suffix(".draft")
            draft.write_text(names)
            draft.replace(self._in_force_path)
