"""Record the labelled faults: break a real stack, let irkit collect what it finds, and keep it with the truth.

python -m tests.stack.record_faults --half tuned --lanes 2     (about 100 s a fault and lane; needs root)
python -m tests.stack.record_faults slow-query one-500
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from irkit.bundle import bundles_of, open_bundle

from .apart import apart, name_server
from .clients import clients
from .engine import Images, StackError, docker_engine, ensure_images
from .labelled import LABELLED, Labelled
from .recordings import RECORDINGS, Truth, keep
from .stack import Stack, running_stack
from .surroundings import around
from .witness import borne_out, contradictions

# inside namespaces of its own every recording has the same, so that no path tells one fault from another
_DIRECTORY = Path("/srv/jarvis")
_SAMPLE_S = 1.0
_ATTEMPTS = 2
_SPREAD_S = 8.0


def record(label: Labelled, images: Images, folder: Path) -> list[str]:
    """Record one labelled fault into `folder`; what the witnesses contradict is returned and nothing is kept."""
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
    _DIRECTORY.mkdir(parents=True)
    before_s = label.before_s + random.Random(label.seed).uniform(0, _SPREAD_S)  # noqa: S311 (the same each time)
    pause = threading.Event()
    environment = dict(label.environment)
    with running_stack(_DIRECTORY, images, project="jarvis", restart=label.restart, environment=environment) as stack:
        _configure(stack, before_s + label.during_s)
        with (
            _flight_recorder(),
            clients(stack.url, label.users, label.pause_s, label.seed) as seen,
            ExitStack() as rest,
        ):
            pause.wait(before_s)
            onset = datetime.now(UTC)
            if label.switches:
                stack.break_with(*label.switches)
            for each in label.around:
                rest.enter_context(around(stack, each))
            pause.wait(max(0.0, label.during_s - (datetime.now(UTC) - onset).total_seconds()))
            bundle, verdict_s = _collect()
            witnessed = borne_out(stack, seen, onset)
        wrong = contradictions(label, witnessed)
        if not wrong:
            truth = Truth(onset if label.types else None, datetime.now(UTC), verdict_s, tuple(sorted(witnessed)))
            keep(open_bundle(bundle), truth, label.name, folder)
    return wrong


def _configure(stack: Stack, seconds: float) -> None:
    """Have irkit look back as far as the first request, and not at the start of the stack."""
    path = stack.directory / "irkit.toml"
    path.write_text(
        f"{path.read_text()}\n[collect]\nwindow_minutes = {seconds / 60:.3f}\n\n[recorder]\ninterval_s = {_SAMPLE_S}\n"
    )


def _collect() -> tuple[Path, float]:
    """Do what somebody does who was paged and knows nothing yet; the bundle, and the seconds until irkit had spoken."""
    _irkit("open", "Something is wrong with Jarvis", "--type", "api-unresponsive", "--id", "1", "--by", "dana")
    began = time.monotonic()
    _irkit("collect", "1", "--by", "dana", may_fail=True)  # a source that is down is told of by its exit code
    (folder,) = bundles_of(_DIRECTORY / ".irkit", 1)
    return folder, time.monotonic() - began


def _irkit(*arguments: str, may_fail: bool = False) -> None:
    command = [str(Path(sys.executable).parent / "irkit"), *arguments]
    done = subprocess.run(command, cwd=_DIRECTORY, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        message = f"irkit {arguments[0]} failed: {done.stderr}"
        raise StackError(message)


@contextmanager
def _flight_recorder() -> Iterator[None]:
    command = [str(Path(sys.executable).parent / "irkit"), "record"]
    with subprocess.Popen(command, cwd=_DIRECTORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _lane(names: Sequence[str], folder: Path) -> int:
    """Record one after the other on an Engine of this lane's own; a fault that is not borne out is tried again."""
    failed = 0
    with name_server(), docker_engine(_DIRECTORY.parent / "dockerd.log"):
        images = ensure_images()
        for name in names:
            wrong: list[str] = ["it was not tried"]
            for _ in range(_ATTEMPTS):
                try:
                    wrong = record(LABELLED[name], images, folder)
                except StackError as error:
                    wrong = [str(error)]
                if not wrong:
                    break
            failed += bool(wrong)
            print(f"{datetime.now(UTC):%H:%M:%S} {name}: {'; '.join(wrong) or 'recorded'}", flush=True)
    return failed


def _lanes(names: Sequence[str], number: int, folder: Path) -> int:
    """Share the faults among so many processes, each in namespaces of its own."""
    module = [sys.executable, "-m", "tests.stack.record_faults", "--to", str(folder.absolute())]
    with tempfile.TemporaryDirectory(prefix="irkit-", dir="/var/tmp") as root:
        lanes = []
        for place in range(min(number, len(names))):
            own = Path(root) / str(place)
            own.mkdir()
            command = [*module, "--lane", *names[place::number]]
            lanes.append(subprocess.Popen(apart(own, command)))
        return sum(lane.wait() for lane in lanes)


def main() -> int:
    """Record the faults named, or those of one half."""
    parser = argparse.ArgumentParser(prog="python -m tests.stack.record_faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FAULT", help=", ".join(LABELLED))
    parser.add_argument("--half", choices=("tuned", "frozen"), help="all faults of this half")
    parser.add_argument("--lanes", type=int, default=1, help="stacks side by side")
    parser.add_argument("--to", type=Path, default=RECORDINGS, help="folder of the recordings")
    parser.add_argument("--lane", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.names or [each.name for each in LABELLED.values() if each.half == arguments.half]
    if unknown := set(names) - set(LABELLED):
        parser.error(f"no labelled fault is named {', '.join(sorted(unknown))}")
    record_them = _lane if arguments.lane else lambda names, folder: _lanes(names, arguments.lanes, folder)
    return min(1, record_them(names, arguments.to))


if __name__ == "__main__":
    sys.exit(main())
