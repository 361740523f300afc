"""A publication of incidents 42 and 43 that kills itself before it puts its n-th file in place.

`python -m tests.support.killed_site N`, in a folder with an `irkit.toml`.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from irkit import workspace
from irkit.site.build import publish
from irkit.site.place import Folder


@dataclass(frozen=True)
class Deadly(Folder):
    """A folder in which only so many files can be written."""

    left: list[int] = field(default_factory=list)

    def write(self, name: str, data: bytes) -> None:
        self.left[0] -= 1
        if not self.left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(name, data)


if __name__ == "__main__":
    place = Deadly(Path("site"), [int(sys.argv[1])])
    publish(place, [42, 43], settings=workspace.load_settings(), drafts=True)
