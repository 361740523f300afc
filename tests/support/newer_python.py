"""A Python newer than irkit's own, unpacked by `.setup/newer-python`: run from where it lies, without its system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROOT = Path(sys.prefix) / "python3.14"
IS_HERE = (ROOT / ".complete").is_file()
MISSING = "Python 3.14 is not unpacked: sh .setup/newer-python .venv/python3.14"


def command() -> list[str]:
    """The program and its loader, since its C library is newer than the one here."""
    loader = min((*ROOT.glob("lib/ld-*"), *ROOT.glob("lib64/ld-*")))
    [libraries] = ROOT.glob("usr/lib/*-linux-gnu")
    return [str(loader), "--library-path", str(libraries), str(ROOT / "usr/bin/python3.14")]


def environment() -> dict[str, str]:
    return os.environ | {
        "PYTHONHOME": str(ROOT / "usr"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
