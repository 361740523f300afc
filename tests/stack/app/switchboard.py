"""Runs a service and its faults: switched on in the file `faults` of the control directory, one word for each.

A word is `fault[=amount][@service]`. All containers share the directory; each answers in `in-force.<service>` with the
words it has in force, so that whoever switches a fault can wait for the effect instead of guessing.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from .faults import Steps, Switch, switch
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
        for text in [text for text in self._in_force if text not in wanted]:
            self._in_force.pop(text).close()
        for text, each in wanted.items():
            if text not in self._in_force:
                self._in_force[text] = each.begin(self._service)
            next(self._in_force[text])
        self._report()

    def _wanted(self) -> dict[str, Switch]:
        if not self._wanted_path.exists():
            return {}
        known: dict[str, Switch] = {}
        for text in self._wanted_path.read_text().split():
            with suppress(KeyError, ValueError):  # mistyped by hand: the service must not fall over it
                known[text] = switch(text)
        return {text: each for text, each in known.items() if each.service == self._service.name}

    def _report(self) -> None:
        words = "\n".join(self._in_force)
        if not self._in_force_path.exists() or self._in_force_path.read_text() != words:
            draft = self._in_force_path.with_suffix(".draft")
            draft.write_text(words)
            draft.replace(self._in_force_path)
