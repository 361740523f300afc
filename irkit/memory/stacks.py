"""Where all threads of a process stood when a snapshot of it was taken: functions, files and lines, never values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from irkit.errors import SnapshotError
from irkit.memory import heap_file
from irkit.text.visible import visible

SUFFIX = ".stacks.txt"


def beside(snapshot: Path) -> Path:
    """Write the stacks that a snapshot holds as text beside it, and return where.

    Raises:
        SnapshotError: the snapshot is not sound, or the text cannot be written.
    """
    return write(heap_file.read(snapshot).meta, snapshot)


def write(meta: Mapping[str, Any], snapshot: Path) -> Path:
    """Write the stacks in a snapshot's description as text beside it; only their owner may read it.

    Raises:
        SnapshotError: it cannot be written.
    """
    path = snapshot.with_suffix(SUFFIX)
    try:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text(meta), encoding="utf-8")
    except OSError as error:
        hint = "the snapshot itself is whole; free some room, or write elsewhere"
        raise SnapshotError(f"{path} cannot be written: {error.strerror}", hint=hint) from error
    return path


def text(meta: Mapping[str, Any]) -> str:
    """Return the stacks in a snapshot's description, a thread after another, each with its innermost frame last."""
    files: Mapping[str, Any] = meta.get("files") or {}
    # the agent's own thread, as it writes this down, is not the service's
    threads = {key: told for key, told in (meta.get("threads") or {}).items() if not _is_ours(told)}
    head = f"Process {meta.get('pid')} ({meta.get('program')}), Python {meta.get('python')}, at {meta.get('taken_at')}"
    lines = [f"{head}: {len(threads)} {'thread' if len(threads) == 1 else 'threads'}."]
    for thread, frames in threads.items():
        lines += ["", f"Thread {thread}, innermost last:"]
        for frame in frames:
            place, _, line = str(frame).rpartition(":")
            where = files.get(place, "?")
            lines.append(f"  {place.replace(':', '.')}, {where}:{line}")
    return "".join(f"{visible(line)}\n" for line in lines)


def _is_ours(frames: Sequence[str]) -> bool:
    return bool(frames) and str(frames[-1]).startswith("irkit.memory.agent:")
