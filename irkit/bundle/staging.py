"""Folders in which bundles are made: locked by the process at work, and cleared away once that is dead."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX, _SUFFIX = ".", ".partial"


@contextmanager
def staging_folder(destination: Path) -> Iterator[Path]:
    """Make a folder beside `destination` to build it in, locked for the block and gone after it unless moved away.

    A killed process leaves its folder behind and loses its lock: such folders beside are removed first.

    Raises:
        OSError: no folder can be made there, or this one is in use.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(destination.parent)
    folder = destination.parent / f"{_PREFIX}{destination.name}{_SUFFIX}"
    descriptor = _made_and_locked(folder)
    try:
        yield folder
    finally:
        # a folder moved into place keeps its lock till here, which is the lock of nothing by then
        with suppress(FileNotFoundError):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove_abandoned(parent: Path) -> None:
    """Remove the staging folders in `parent` whose makers are dead; those of running ones are locked and stay."""
    for folder in parent.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def is_staging(folder: Path) -> bool:
    """Say whether a folder is one in which a bundle is, or was to be, made."""
    return folder.name.startswith(_PREFIX)


def _made_and_locked(folder: Path) -> int:
    """Make the folder and lock it; again, if between the two another process took it for abandoned."""
    while True:
        folder.mkdir()
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
