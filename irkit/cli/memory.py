"""`irkit memory`: what the memory of a live process does; one short function a subcommand."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from irkit.cli.options import by_option
from irkit.errors import InputError, IrkitError
from irkit.model import EventKind, Incident, utc_now
from irkit.terminal import console

if TYPE_CHECKING:
    from irkit.memory.heap import Heap
    from irkit.memory.outside import Watched
    from irkit.settings.sections import DockerTarget

# what is printed to be typed next
_COMMAND = re.compile(r"(\birkit memory (?:attach|snapshot|monitor)) --")


@click.group()
def memory() -> None:
    """Watch the memory of a live process, and take snapshots of its heap."""


@memory.command("monitor")
@click.option("--pid", type=click.IntRange(min=1), help="The process to watch, by its number here.")
@click.option("--container", metavar="NAME", help="Of a container or compose service, the process that holds most.")
@click.option("--for", "length", default="60", show_default=True, metavar="TIME", help="How long: 60 (s), 10m, 1h.")
@click.option("--every", "interval", default="1", show_default=True, metavar="TIME", help="How often: 1 (s), 500ms.")
@click.option("--incident", "incident_id", metavar="ID", help="Note on its timeline what was seen.")
@by_option
@click.pass_context
def monitor(
    context: click.Context,
    pid: int | None,
    container: str | None,
    length: str,
    interval: str,
    incident_id: str | None,
    actor: str | None,
) -> None:
    """Watch a process from outside: does its memory grow, how fast, and when is its container's limit reached?

    Nothing is put into it and it is not stopped. Ctrl-C ends the watch early and tells what there was.
    """
    from irkit.memory.outside import largest, watch

    incident, for_s, every_s = _one_process(pid, container, None, incident_id), _seconds(length), _seconds(interval)
    pid = pid or largest(_pids_of(str(container)))
    with console.status(f"Watching process {pid}; Ctrl-C tells what there is so far"):
        seen = watch(pid, for_s, every_s)
    if incident is not None:
        _note(seen, incident, actor)
    console.say(_for_it(str(seen), incident))
    context.exit(1 if seen.has_ended else 0)


@memory.command("snapshot")
@click.option("--pid", type=click.IntRange(min=1), help="The process, by its number here.")
@click.option("--container", metavar="NAME", help="Of a container or compose service, the process with an agent.")
@click.option("--to", "path", type=click.Path(path_type=Path), help="The file to write; default heap-PID-TIME.irkheap.")
@click.option("--for", "length", default="60", show_default=True, metavar="TIME", help="How long it may take: 60 (s).")
@click.option("--incident", "incident_id", metavar="ID", help="File it with this incident, as evidence.")
@by_option
def take_snapshot(
    pid: int | None, container: str | None, path: Path | None, length: str, incident_id: str | None, actor: str | None
) -> None:
    """Write the heap of a live process to a file: its objects' types, sizes and references, never their values.

    The process needs irkit's agent: IRKIT_MEMORY_AGENT=1 in its environment, or irkit.memory.agent.start() in its code.
    It stands still for milliseconds; a clone of it does the work. With --incident the snapshot is kept under irkit's
    home, and what it says is added to the incident's evidence, so that its notebook and postmortem name the owner.
    """
    from irkit.bundle.staging import own_folder
    from irkit.memory.container import pid_with_agent
    from irkit.memory.snapshot import snapshot

    incident = _one_process(pid, container, path, incident_id)
    with _hints_for(incident):
        if container is not None:
            pid = pid_with_agent(container, _docker())
        assert pid is not None  # noqa: S101 (one of the two is given)
    with _hints_for(incident), console.status(f"Taking a snapshot of the heap of process {pid}"):
        if incident is None:
            console.say(str(snapshot(pid, _new(path, pid), deadline_s=_seconds(length))))
            return
        with own_folder(Path(tempfile.gettempdir()), "snapshot") as folder:
            taken = snapshot(pid, folder.path / "new.irkheap", deadline_s=_seconds(length))
            told = _filed((taken.path,), incident, actor)
    console.say(taken.told)
    console.say(told)


@memory.command("attach")
@click.option("--pid", type=click.IntRange(min=1), help="The process, by its number here.")
@click.option("--container", metavar="NAME", help="Of a container or compose service, the Python process.")
@click.option("--to", "path", type=click.Path(path_type=Path), help="The file to write; default heap-PID-TIME.irkheap.")
@click.option("--for", "length", default="60", show_default=True, metavar="TIME", help="How long it may take: 60 (s).")
@click.option("--incident", "incident_id", metavar="ID", help="Note it on its timeline, and file it as evidence.")
@click.option("--debugger", is_flag=True, help="Stop a thread even where a Python (3.14) could be asked instead.")
@click.option("--yes", is_flag=True, help="Ask nothing, for scripts.")
@by_option
def attach(
    pid: int | None,
    container: str | None,
    path: Path | None,
    length: str,
    incident_id: str | None,
    debugger: bool,
    yes: bool,
    actor: str | None,
) -> None:
    """Take a snapshot of a process that has no agent: put one into it, for as long as the snapshot takes.

    This changes a running process, and can crash it: what it needs, does and risks is said first, and the name of the
    target asked for. Where all threads stood is written beside the snapshot. A process that has an agent already needs
    none of this: irkit memory snapshot.
    """
    from irkit import heap_evidence, workspace
    from irkit.bundle.staging import own_folder
    from irkit.memory.attach import attach as attach_to
    from irkit.memory.attach import planned
    from irkit.memory.attach_target import python_of

    incident, deadline_s = _one_process(pid, container, path, incident_id), _seconds(length)
    one = pid or python_of(str(container), _pids_of(str(container)))
    plan = planned(one, container or "", debugger=debugger)
    console.say(str(plan))
    _confirm(plan.name, yes=yes)
    with contextlib.ExitStack() as stack:
        stack.enter_context(console.status(f"Attaching to {plan.title}"))
        if incident is None:
            done = attach_to(plan, _new(path, plan.target.pid), deadline_s=deadline_s)
            told = f"{done.taken.path}\n{done.stacks}"
        else:
            place = stack.enter_context(own_folder(Path(tempfile.gettempdir()), "snapshot")).path / "new.irkheap"
            by, settings = actor or console.user(), workspace.load_settings()
            done = heap_evidence.attached(plan, place, incident, settings, actor=by, deadline_s=deadline_s)
            told = _filed((place,), incident, actor)
    console.say(f"{done.told}\n{told}")


def _one_process(pid: int | None, container: str | None, path: Path | None, incident_id: str | None) -> Incident | None:
    """Return the incident, where one is given.

    Raises:
        InputError: the options contradict each other.
    """
    from irkit import workspace

    if pid is not None and container is not None:
        sentence = f"both --pid {pid} and --container {container} were given, and they may be two processes"
        raise InputError(sentence, hint="leave one of the two out")
    if pid is None and container is None:
        raise InputError("one process is needed", hint="name it by --pid or by --container")
    if incident_id is not None and path is not None:
        raise InputError("a filed snapshot has its place already", hint="leave out --to, or file it: irkit memory file")
    return workspace.incident(incident_id) if incident_id is not None else None


def _for_it(text: str, incident: Incident | None) -> str:
    """Return words whose commands are for the incident that is asked for: else what they find is filed nowhere."""
    return _COMMAND.sub(rf"\1 --incident {incident.id} --", text) if incident else text


@contextlib.contextmanager
def _hints_for(incident: Incident | None) -> Iterator[None]:
    try:
        yield
    except IrkitError as error:
        error.hint = _for_it(error.hint, incident)
        raise


def _new(path: Path | None, pid: int) -> Path:
    """Return where a snapshot is written: no earlier one is lost, as two tell what grows.

    Raises:
        InputError: the file is there already.
    """
    place = path or Path(f"heap-{pid}-{utc_now():%Y%m%dT%H%M%SZ}.irkheap")
    if place.exists():
        raise InputError(f"{place} is there already, and is not overwritten", hint="name another with --to")
    return place


def _note(seen: Watched, incident: Incident, actor: str | None) -> None:
    from irkit import workspace

    data = {"watched": seen.pid} | ({"limit_reached_in_s": seen.forecast.likely_s} if seen.forecast else {})
    workspace.store().append(incident.id, EventKind.NOTE, actor=actor or console.user(), text=seen.told, data=data)


def _pids_of(container: str) -> list[int]:
    from irkit.memory.container import pids_of_container

    return pids_of_container(container, _docker())


def _confirm(name: str, *, yes: bool) -> None:
    """Have a person type the target's name.

    Raises:
        InputError: the name is another, or nobody is there to be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is there to confirm it; nothing was done", hint="--yes confirms it in a script")
    if click.prompt(f"Type {name} to do it", default="", show_default=False).strip() != name:
        raise InputError("that is another name; nothing was done", hint="what is asked for is the target's name")


@memory.command("file")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--incident", "incident_id", required=True, metavar="ID", help="The incident they are evidence of.")
@by_option
def file_snapshots(files: tuple[Path, ...], incident_id: str, actor: str | None) -> None:
    """File snapshots that were taken before, or elsewhere, with an incident, as evidence."""
    from irkit import workspace

    incident = workspace.incident(incident_id)
    with console.status("Finding what keeps what alive"):
        told = _filed(files, incident, actor)
    console.say(told)


def _filed(files: tuple[Path, ...], incident: Incident, actor: str | None) -> str:
    from irkit import heap_evidence, workspace

    kept, bundle = heap_evidence.file(
        files, incident, workspace.load_settings(), actor=actor or console.user(), now=utc_now()
    )
    where = f"bundle {bundle.id}" if bundle else f"the next: irkit collect {incident.id}"
    return "\n".join([*map(str, kept), f"In the evidence of {incident.label}: {where}"])


@memory.command("report")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--picture", type=click.Path(path_type=Path), metavar="OUT.svg", help="Draw the retaining paths, too.")
def report(files: tuple[Path, ...], picture: Path | None) -> None:
    """Name what keeps the heap alive: leak suspects with their retaining paths, from one snapshot or several.

    Give snapshots of one process, in any order: of two or more, what grew is suspected rather than what is large.
    """
    from irkit.memory import heap, heap_report

    if picture is not None and picture.suffix.lower() != ".svg":
        raise InputError(f"{picture} would not be a picture that can be drawn", hint="name it with .svg at its end")
    with console.status("Finding what keeps what alive"):
        heaps = [heap.open(path) for path in files]
        told = heap_report.report(heaps)
        drawn = f"\n\n{_drawn(heaps, picture)}" if picture is not None else ""
    console.say(f"{told}{drawn}")


def _drawn(heaps: Sequence[Heap], picture: Path) -> str:
    """Draw the paths to the suspects into a file and say so; nothing is written where there is none.

    Raises:
        InputError: the file cannot be written.
    """
    from irkit.memory.heap_findings import suspect_rows
    from irkit.memory.heap_suspects import in_order
    from irkit.report.heap import paths
    from irkit.whole_file import write_named

    ordered = in_order(heaps)
    graph = paths(suspect_rows(ordered), float(ordered[-1].total_bytes))
    if graph is None:
        return f"No leak suspect, so there is nothing to draw: {picture} is not written."
    write_named(picture, graph.svg().encode("utf-8"))
    return f"The retaining paths are drawn in {picture}"


@memory.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
def diff(before: Path, after: Path) -> None:
    """Compare two snapshots of one process: what grew, by the names that lead to it and by type."""
    from irkit.memory import heap, heap_report

    with console.status("Comparing the two heaps"):
        told = heap_report.growth([heap.open(before), heap.open(after)])
    console.say(told)


def _seconds(text: str) -> float:
    """Read a length of time; a bare number is seconds.

    Raises:
        InputError: it is none.
    """
    from irkit.times import parse_duration

    bare = text.strip().replace(".", "", 1).isdecimal()
    return parse_duration(f"{text.strip()} s" if bare else text).total_seconds()


def _docker() -> DockerTarget:
    """Return where containers are looked for.

    Raises:
        InputError: it is configured in a way that cannot be used.
    """
    from irkit import workspace

    settings = workspace.load_settings(Path.cwd())
    settings.refuse_unusable("docker")
    return settings.docker
