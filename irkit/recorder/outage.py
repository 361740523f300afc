"""When the flight recorder opens an incident by itself: after failed health probes in a row, once an outage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from irkit import runbook as runbooks
from irkit.settings import Settings
from irkit.targets import targets

ACTOR = "irkit recorder"
MARK_NAME = "outage.json"
_RETRY_S = 60.0
_CHILD_TIMEOUT_S = 180.0
_STOP_S = 30.0
# verdicts by which the service itself is down; a redirect or a 404 may be a wrong address
_DOWN = frozenset({"unhealthy", "refused", "timed_out", "dns", "tls", "reset"})


@dataclass(frozen=True, slots=True)
class Opening:
    """What is told to the process that opens the incident and collects (`irkit.auto_open`)."""

    incident_type: str
    title: str
    started_at: datetime
    detected_at: datetime
    mark: Path


def is_down(probe: Mapping[str, object]) -> bool | None:
    """Say whether a row of health means that the service is down; None where it says neither."""
    verdict = probe.get("verdict")
    if verdict == "healthy":
        return False
    return True if verdict in _DOWN or (verdict == "error" and probe.get("status_code") is None) else None


class OutageWatch:
    """Counts failed probes; at the configured number it has an incident opened and evidence collected, once an outage.

    The mark on disk outlives the recorder: a new one goes on with the outage of the last. Only a healthy probe ends it.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
        self._settings = settings
        # a name that only the runbook has may be that of no service here; the address that was asked is right
        own = targets(runbooks.in_force(settings.runbook)).service
        self.called = settings.service if settings.service != own else str(settings.http)
        self._say = say
        self._complain = complain
        self._mark = Path(settings.recording.path) / MARK_NAME
        self._failed: list[datetime] = []
        self._child: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._retry_at_s = 0.0
        if self._mark.exists():
            say("An outage was under way when the last recorder ended: a healthy probe comes before the next incident.")

    def see(self, probe: Mapping[str, object], at: datetime) -> None:
        """Take one row of health, probed `at`; a probe that says neither, like one that was missed, changes nothing."""
        down = is_down(probe)
        if down is False:
            self._failed.clear()
            self._retry_at_s = 0.0
            if self._child is None or not self._child.is_alive():
                self._mark.unlink(missing_ok=True)
        if not down:
            return
        self._failed.append(at)
        due = len(self._failed) >= self._settings.recorder.auto_open_after and time.monotonic() >= self._retry_at_s
        if due and not self._mark.exists() and (self._child is None or not self._child.is_alive()):
            self._retry_at_s = time.monotonic() + _RETRY_S
            said = str(probe.get("error") or probe.get("verdict"))
            title = f"{self.called} does not answer: {said}"[:200]
            kind = self._settings.recorder.auto_open_type
            opening = Opening(kind, title, self._failed[0], at, self._mark)
            self._child = threading.Thread(target=self._open, args=(opening,), name="outage", daemon=True)
            self._child.start()
        del self._failed[1 : -self._settings.recorder.auto_open_after]

    def close(self) -> None:
        """Wait for a collection that is under way, as long as one may take."""
        if self._child is not None and self._child.is_alive():
            self._say("Waiting for the collection that is under way.")
            self._child.join(_STOP_S)
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _open(self, opening: Opening) -> None:
        """Run the opening in a process of its own: the libraries it needs would outweigh the recorder."""
        job = {
            "incident_type": opening.incident_type,
            "title": opening.title,
            "started_at": opening.started_at.isoformat(),
            "detected_at": opening.detected_at.isoformat(),
            "mark": str(opening.mark),
        }
        environment = {**os.environ, "IRKIT_HOME": str(self._settings.home)}
        if self._settings.source:
            environment["IRKIT_CONFIG"] = str(self._settings.source)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "irkit.auto_open"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the recorder, which waits
            )
            said, _ = self._process.communicate(json.dumps(job), _CHILD_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            with suppress(AttributeError, ProcessLookupError):
                self._process.kill()  # type: ignore[union-attr]
            self._complain(f"no incident could be opened: {error}")
            return
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        if self._process.returncode:
            self._complain(f"the incident could not be opened or its evidence not collected: {last[0]}")
        else:
            self._say(last[0])
