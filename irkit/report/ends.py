"""How containers ended, in a sentence each: with which code, by whom, and how often."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime

from irkit.text.phrase import count

_SIGNAL_BASE = 128


@dataclass(frozen=True, slots=True)
class Exit:
    """A container that stopped with something other than success, and how often it did `again` until `last_at`.

    `asked` says that somebody asked the engine for it.
    """

    service: str
    at: datetime | None
    exit_code: int | None
    oom_killed: bool
    evidence: str
    again: int = 0
    last_at: datetime | None = None
    asked: bool = False

    @property
    def sentence(self) -> str:
        how = f"exited with code {self.exit_code}" if self.exit_code is not None else "stopped"
        if self.asked:
            how = f"was stopped on request (exit code {self.exit_code})"
        elif self.oom_killed:
            how += " (killed for its use of memory)"
        elif self.exit_code is not None and (name := _signal_name(self.exit_code)):
            how += f" (ended by {name})"
        when = f" at {self.at:%H:%M:%S} UTC" if self.at else ""
        if not self.again:
            return f"{self.service} {how}{when}"
        until = f", the last time at {self.last_at:%H:%M:%S} UTC" if self.last_at else ""
        return f"{self.service} {how}{when}, and {count(self.again, 'more time')} after that{until}"


@dataclass(frozen=True, slots=True)
class Relapse:
    """A container that was started again after a bad exit, and ended badly again."""

    service: str
    started_at: datetime
    ended_at: datetime
    exit_code: int | None


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(code - _SIGNAL_BASE).name if code > _SIGNAL_BASE else ""
    except ValueError:
        return ""
