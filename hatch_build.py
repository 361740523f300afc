"""Builds irkit's extensions into the wheel where a C compiler and Python's headers are; irkit works without them.

`python hatch_build.py` builds them in place. IRKIT_EXTENSION=0 leaves them out, IRKIT_EXTENSION=1 insists.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # built in place by an interpreter without hatchling
    BuildHookInterface = object

SOURCES = Path(__file__).parent / "irkit" / "memory"
FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-strict-aliasing")


def build(folder: Path, sources: Path = SOURCES) -> list[Path]:
    """Compile the extensions for this interpreter into `folder`; nothing where they cannot be compiled."""
    compiler = shlex.split(os.environ.get("CC") or "cc")
    include = sysconfig.get_path("include")
    wanted = os.environ.get("IRKIT_EXTENSION", "")
    if wanted == "0" or not sys.platform.startswith("linux"):
        return []
    if not shutil.which(compiler[0]) or not (Path(include) / "Python.h").is_file():
        if wanted == "1":
            raise RuntimeError(f"IRKIT_EXTENSION=1, but there is no compiler ({compiler[0]}) or no {include}/Python.h")
        return []
    made = []
    # the graph's arithmetic keeps to the limited API; the walk reads the layouts of one version
    for name, suffix in (("_heapgraph", ".abi3.so"), ("_heapwalk", sysconfig.get_config_var("EXT_SUFFIX"))):
        source, built = sources / f"{name}.c", folder / f"{name}{suffix}"
        if not source.is_file():
            continue
        if built.is_file() and built.stat().st_mtime >= source.stat().st_mtime:
            made.append(built)
            continue
        aside = folder / f".{name}{suffix}.{os.getpid()}"
        command = [*compiler, *FLAGS, f"-I{include}", str(source), "-o", str(aside)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (the user's compiler)
        if done.returncode:
            aside.unlink(missing_ok=True)
            if wanted == "1":
                raise RuntimeError(f"{name}.c does not compile:\n{done.stderr}")
            continue
        aside.replace(built)  # a running service may have the old one mapped
        made.append(built)
    return made


class ExtensionHook(BuildHookInterface):  # type: ignore[misc,valid-type]
    """Hatchling's way in: an editable install gets the extensions in place, a wheel holds and is tagged for them."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        made = build(SOURCES)
        if made:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"] += [f"/irkit/memory/{path.name}" for path in made]


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in build(SOURCES))
