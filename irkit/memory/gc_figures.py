"""What a process's own memory agent says of its collections of garbage: how many, how long, the longest."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from irkit.errors import SnapshotError
from irkit.memory.snapshot import PROC, connect, has_agent, line

_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class GcFigures:
    """The collections of all generations since the agent began to time them, `over_s` seconds ago."""

    collections: int
    pause_s: float
    longest_s: float
    over_s: float


def gc_figures(pid: int, proc: Path = PROC) -> GcFigures | None:
    """Ask the agent of a process for its collections; None where it has none.

    Raises:
        SnapshotError: the agent cannot be reached, or does not answer within a second.
    """
    if not has_agent(pid, proc):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE_S)
        connect(connection, pid, proc)
        try:
            connection.sendall(json.dumps({"ask": "collections"}).encode())
        except OSError as error:
            raise SnapshotError(f"the agent of process {pid} is gone: {error.strerror}") from error
        with connection.makefile("rb") as answers:
            told = line(answers, pid)
    try:
        generations = [[int(value) for value in row] for row in told["pauses"]]
        over_s = float(told["over_s"])
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(f"the agent of process {pid} does not tell of its collections: {error}") from error
    counts, spent_ns, longest_ns = zip(*generations, strict=True)
    return GcFigures(sum(counts), sum(spent_ns) / 1e9, max(longest_ns) / 1e9, over_s)
