"""Folders in which something is made: locked by the process at work, and cleared away once that is dead."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PREFIX, _SUFFIX = ".", ".partial"
_OURS = "irkit-"


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """A folder that is one process's; a child that gets `lock` keeps it for as long as it lives."""

    path: Path
    lock: int


@contextmanager
def staging_folder(destination: Path) -> Iterator[Path]:
    """Make a folder beside `destination` to build it in, locked for the block and gone after it unless moved away.

    A killed process leaves its folder behind and loses its lock: such folders beside are removed first.

    Raises:
        OSError: no folder can be made there, or this one is in use.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(destination.parent)
    with _held(destination.parent / f"{_PREFIX}{destination.name}{_SUFFIX}", 0o777) as own:
        yield own.path


@contextmanager
def own_folder(parent: Path, kind: str) -> Iterator[OwnFolder]:
    """Make a folder of its own in `parent`, for nobody else to read, locked for the block and gone after it.

    Those of the kind whose makers were killed are removed first, and nothing else in `parent`, which may be shared.

    Raises:
        OSError: no folder can be made there.
    """
    remove_own(parent, kind)
    with _held(parent / f"{_PREFIX}{_OURS}{kind}-{os.urandom(4).hex()}{_SUFFIX}", 0o700) as own:
        yield own


def remove_own(parent: Path, kind: str) -> None:
    """Remove what killed makers of `own_folder` left in `parent`."""
    remove_abandoned(parent, f"{_OURS}{kind}-{'[0-9a-f]' * 8}")


def remove_abandoned(parent: Path, name: str = "*") -> None:
    """Remove the staging folders in `parent` whose makers are dead; those of running ones are locked and stay."""
    for folder in parent.glob(f"{_PREFIX}{name}{_SUFFIX}"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def is_staging(folder: Path) -> bool:
    """Say whether a folder is one in which a bundle is, or was to be, made."""
    return folder.name.startswith(_PREFIX)


@contextmanager
def _held(folder: Path, mode: int) -> Iterator[OwnFolder]:
    descriptor = _made_and_locked(folder, mode)
    try:
        yield OwnFolder(folder, descriptor)
    finally:
        # a folder moved into place keeps its lock till here, which is the lock of nothing by then
        with suppress(FileNotFoundError):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _made_and_locked(folder: Path, mode: int) -> int:
    """Make the folder and lock it; again, if between the two another process took it for abandoned."""
    while True:
        folder.mkdir(mode)
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with suppress(FileNotFoundError):
                    if folder.stat().st_ino == os.fstat(descriptor).st_ino:
                        return descriptor
            os.close(descriptor)
        with suppress(OSError):
            folder.rmdir()
