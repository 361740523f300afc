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

ROOT = Path(__file__).parent / "irkit"
FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-strict-aliasing")


def build(target: Path = ROOT, root: Path = ROOT) -> list[Path]:
    """Compile the extensions for this interpreter into `target`; nothing where they cannot be compiled."""
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
    # arithmetic keeps to the limited API; the walk reads the layouts of one version
    one_version = sysconfig.get_config_var("EXT_SUFFIX")
    extensions = (
        ("logs/patterns/_linekeys", ".abi3.so", ()),
        ("memory/_heapgraph", ".abi3.so", ()),
        ("memory/_heapwalk", one_version, ()),
        # loaded into processes with another C library, perhaps: bound to none
        ("memory/_attach", ".so", ("-nostdlib", "-fno-stack-protector", "-U_FORTIFY_SOURCE")),
    )
    for name, suffix, more in extensions:
        source, built = root / f"{name}.c", target / f"{name}{suffix}"
        if not source.is_file():
            continue
        if built.is_file() and built.stat().st_mtime >= source.stat().st_mtime:
            made.append(built)
            continue
        built.parent.mkdir(parents=True, exist_ok=True)
        aside = built.with_name(f".{built.name}.{os.getpid()}")
        command = [*compiler, *FLAGS, *more, f"-I{include}", str(source), "-o", str(aside)]
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
        made = build()
        if made:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"] += [f"/{path.relative_to(ROOT.parent).as_posix()}" for path in made]


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in build())
