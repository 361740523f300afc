"""Record a drill: break the real stack, handle the incident with irkit, and keep what it collected and noted.

python -m tests.stack.record api-unresponsive        (about eight minutes; needs root and a Docker Engine)
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from irkit import workspace
from irkit.bundle import Bundle, copy_bundle
from irkit.model import Event, EventKind, Incident, Outcome
from irkit.settings import Settings

from .engine import docker_engine, ensure_images
from .stack import Stack, running_stack

DRILLS = Path(__file__).parents[2] / "irkit" / "drills"
# the recording names its paths, so they should be those of a server, not of whoever recorded it
DIRECTORY = Path("/srv/jarvis")
RESPONDER = "dana"


@dataclass(frozen=True)
class Recording:
    """One incident as it was handled: what is written into the drill."""

    description: str
    incident: Incident
    timeline: tuple[Event, ...]
    evidence: Bundle


class Handler:
    """Somebody on call who works on one incident of a stack through irkit, in real time."""

    def __init__(self, stack: Stack, pace: float) -> None:
        self.stack = stack
        self._pace = pace
        self._pause = threading.Event()
        self.settings = self._configure()
        self.store = workspace.store(self.settings, create=True)
        self.incident_id = 0

    def _configure(self) -> Settings:
        (self.stack.directory / "irkit.toml").write_text(
            f'[docker]\nproject = "{self.stack.project}"\n'
            f'[http]\nhealth_url = "{self.stack.url}/api/health"\n'
            f'[redis]\nurl = "{self.stack.redis_url}"\n'
            f'[sqlite]\npath = "{self.stack.database_path}"\n'
            "[collect]\nwindow_minutes = 5\n"
        )
        return workspace.load_settings(self.stack.directory)

    def wait(self, seconds: float) -> None:
        """Let the stack run on: the time that passes is what is recorded."""
        self._pause.wait(seconds * self._pace)

    def open(self, title: str, kind: str, started_at: datetime, impact: str) -> None:
        runbook = workspace.load_runbook(self.settings)
        self.incident_id = self.store.open_incident(
            title,
            incident_type=kind,
            severity=runbook.incident_type(kind).severity,
            actor="alertmanager",
            started_at=started_at,
            owner=RESPONDER,
            impact=impact,
        ).id

    def tell(self, kind: EventKind, text: str, data: dict[str, object] | None = None, actor: str = RESPONDER) -> None:
        self.store.append(self.incident_id, kind, actor=actor, text=text, data=data)

    def write(self, section: str, text: str) -> None:
        self.tell(EventKind.NOTE, text, {"section": section})

    def collect(self) -> Bundle:
        bundle = workspace.gather(
            self.store.incident(self.incident_id), "always", settings=self.settings, actor=RESPONDER
        )
        # the stack has no Prometheus, and a drill may well show a source that a team lacks
        failed = [run for run in bundle.runs if run.outcome not in {Outcome.COLLECTED, Outcome.PARTIAL, Outcome.ABSENT}]
        if failed:
            raise RuntimeError(f"a drill needs every source: {failed}")
        return bundle

    def done(self, description: str, evidence: Bundle) -> Recording:
        incident = self.store.incident(self.incident_id)
        return Recording(description, incident, self.store.timeline(incident.id), evidence)


def api_unresponsive(handler: Handler) -> Recording:
    """The connection pool runs dry, requests fail with 500, and the API crashes before anybody can look."""
    stack = handler.stack
    handler.wait(240)
    started_at = datetime.now(UTC)
    stack.break_with("pool-exhausted")
    handler.wait(25)
    impact = "Chat and dashboard fail for everybody; nothing is lost that was stored before."
    handler.open("Chat and dashboard answer with errors, then not at all", "api-unresponsive", started_at, impact)
    handler.wait(40)
    handler.tell(EventKind.ACKNOWLEDGED, "On it.")
    handler.wait(20)
    stack.break_with("api-crashes")
    handler.wait(15)
    evidence = handler.collect()
    handler.wait(10)
    stack.repair()
    restart = (
        f"docker-compose restart jarvis-api: healthy again. Evidence was collected before, as bundle {evidence.id}."
    )
    handler.tell(EventKind.ACTION, restart, {"step": 1, "outcome": "done"})
    handler.tell(EventKind.MITIGATED, "Chat and dashboard answer again after the restart.")
    handler.wait(45)
    handler.tell(EventKind.RESOLVED, "Leak of database connections fixed and deployed; pool usage flat since.")
    handler.write("trigger", "A deploy in the morning made failed chats keep their database connection.")
    handler.write("contributing-factor", "The pool has 5 connections and nothing reports how many are in use.")
    handler.write("contributing-factor", "No restart policy: the crashed container stayed down until somebody came.")
    handler.write("went-well", "The health check turned unhealthy at once, and the logs named the pool.")
    handler.write("went-badly", "Nobody was told of the first 500s; the page came from the health check only.")
    handler.write("got-lucky", "It happened in working hours, while the author of the deploy was online.")
    return handler.done((api_unresponsive.__doc__ or "").strip(), evidence)


SCENARIOS: dict[str, Callable[[Handler], Recording]] = {"api-unresponsive": api_unresponsive}


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


def main() -> int:
    """Record one scenario into the package."""
    parser = argparse.ArgumentParser(prog="python -m tests.stack.record", description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--pace", type=float, default=1.0, help="fraction of the waiting times (to try it out)")
    parser.add_argument("--to", type=Path, help="folder of the drill; the package's own by default")
    arguments = parser.parse_args()
    if DIRECTORY.exists():
        print(f"{DIRECTORY} exists; remove it first")
        return 1
    DIRECTORY.mkdir(parents=True)
    try:
        with (
            docker_engine(DIRECTORY / "dockerd.log"),
            running_stack(DIRECTORY, ensure_images(), project="jarvis") as stack,
        ):
            began = datetime.now(UTC)
            handler = Handler(stack, arguments.pace)
            with flight_recorder(), stack.steady_traffic(0.5):
                recording = SCENARIOS[arguments.scenario](handler)
            save(recording, arguments.to or DRILLS / arguments.scenario)
            print(f"recorded {datetime.now(UTC) - began} of {arguments.scenario}")
    finally:
        shutil.rmtree(DIRECTORY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
