"""Record a drill: break the real stack, handle the incident with irkit, and keep what it collected and noted.

python -m tests.stack.record memory-leak        (about eight minutes each, side by side; needs root)
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from irkit.bundle import copy_bundle
from irkit.model import EventKind

from .apart import apart, name_server
from .clients import clients
from .engine import docker_engine, ensure_images
from .handler import Handler, Recording
from .incidents import INCIDENTS
from .stack import running_stack

DRILLS = Path(__file__).parents[2] / "irkit" / "drills"
# the recording names its paths, so they should be those of a server, not of whoever recorded it
DIRECTORY = Path("/srv/jarvis")


def save(recording: Recording, folder: Path) -> None:
    """Write a recording as a drill: `drill.toml` and a sealed bundle."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy_bundle(recording.evidence, folder / "bundle", 1, recording.evidence.id)
    one = recording.incident
    opening = next(event for event in recording.timeline if event.kind is EventKind.OPENED)
    lines = [f"description = {_toml(recording.description)}", "", "[incident]"]
    head = {"title": one.title, "type": one.type, "severity": one.severity, "actor": opening.actor}
    head |= {"owner": one.owner or "", "impact": one.impact or ""}
    lines += [f"{key} = {_toml(value)}" for key, value in head.items()]
    lines += [f"{key} = {_toml(getattr(one, key))}" for key in ("opened_at", "started_at", "detected_at")]
    for event in sorted(recording.timeline, key=lambda event: event.id):
        if event.kind not in {EventKind.OPENED, EventKind.STARTED, EventKind.DETECTED}:
            lines += ["", "[[event]]", f"kind = {_toml(event.kind.value)}", f"at = {_toml(event.at)}"]
            lines += [f"actor = {_toml(event.actor)}", f"text = {_toml(event.text)}"]
            # a copy has a seal of its own, so the seal of the original would point nowhere
            data = {key: value for key, value in event.data.items() if key != "seal"}
            lines += (
                [f"data = {{ {', '.join(f'{key} = {_toml(value)}' for key, value in data.items())} }}"] if data else []
            )
    (folder / "drill.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(microsecond=value.microsecond // 1000 * 1000).isoformat()
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@contextmanager
def flight_recorder() -> Iterator[None]:
    """`irkit record` beside the stack for the block, so that the incident has a before."""
    command = [str(Path(sys.executable).parent / "irkit"), "record"]
    with subprocess.Popen(command, cwd=DIRECTORY, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def record(name: str, pace: float, folder: Path) -> None:
    """Play and record one incident into a folder; to be called in namespaces of its own."""
    DIRECTORY.mkdir(parents=True)
    with (
        name_server(),
        docker_engine(DIRECTORY.parent / "dockerd.log"),
        running_stack(DIRECTORY, ensure_images(), project="jarvis") as stack,
    ):
        began = datetime.now(UTC)
        handler = Handler(stack, pace)
        with flight_recorder(), clients(stack.url, 2, 1.0, seed=7):
            recording = INCIDENTS[name](handler)
        save(recording, folder)
        print(f"recorded {datetime.now(UTC) - began} of {name}")


def main() -> int:
    """Record incidents into the package, each apart from this machine and from the others."""
    parser = argparse.ArgumentParser(prog="python -m tests.stack.record", description=__doc__)
    parser.add_argument("incidents", nargs="+", choices=INCIDENTS)
    parser.add_argument("--pace", type=float, default=1.0, help="fraction of the waiting times (to try it out)")
    parser.add_argument("--to", type=Path, default=DRILLS, help="folder of the drills; the package's own by default")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.apart:
        (name,) = arguments.incidents
        record(name, arguments.pace, arguments.to / name)
        return 0
    options = ["--apart", "--pace", str(arguments.pace), "--to", str(arguments.to.absolute())]
    with tempfile.TemporaryDirectory(prefix="irkit-", dir="/var/tmp") as root:
        running = []
        for name in dict.fromkeys(arguments.incidents):
            own = Path(root) / name
            own.mkdir()
            running.append(subprocess.Popen(apart(own, [sys.executable, "-m", "tests.stack.record", name, *options])))
        return max(each.wait() for each in running)


if __name__ == "__main__":
    sys.exit(main())
