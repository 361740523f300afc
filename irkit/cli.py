"""The `irkit` command: one short function a subcommand; what they say goes through `irkit.console`."""

from __future__ import annotations

import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import click

from irkit import cli_bundle, console
from irkit.errors import IrkitError
from irkit.model import EventKind, Incident, Status, parse_incident_id, utc_now
from irkit.times import parse_time

_INTERRUPTED = 130


def _moment(text: str) -> datetime:
    return parse_time(text, utc_now())


at_option = click.option(
    "--at",
    metavar="TIME",
    type=_moment,
    help="When it happened: 03:05 (UTC), 10m ago, 2026-11-24T03:05Z. Default: now.",
)
by_option = click.option("--by", "actor", metavar="NAME", default=None, help="Who did it. Default: you.")


def main() -> None:
    """Run the command line; every failure is a sentence on standard error and a non-zero exit."""
    try:
        code = irkit(standalone_mode=False)
    except IrkitError as error:
        console.complain(str(error), error.hint)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        console.complain(error.format_message(), _usage_hint(error))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        console.complain("stopped", "what was recorded before stays")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; Python would complain about it on the way out
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("irkit"), prog_name="irkit")
def irkit() -> None:
    r"""From the page to the published postmortem.

    \b
    Something is broken:    irkit open "Checkout is down" --type api-unresponsive
                            irkit collect 42       gather evidence before a restart destroys it
                            irkit ack 42           stop the response-time clock
    It works again:         irkit resolve 42 "rolled back to 1.4"
                            irkit postmortem 42    the report as one HTML page
    To see it all first:    irkit drill api-unresponsive --id 42
    """


@irkit.command("open")
@click.argument("title")
@click.option("--type", "incident_type", required=True, help="A type of the runbook, e.g. api-unresponsive.")
@click.option("--severity", help="A severity of the runbook. Default: the type's own.")
@click.option(
    "--id",
    "incident_id",
    metavar="ID",
    type=parse_incident_id,
    help="The id it shall have. Default: the next free one.",
)
@click.option("--at", "detected_at", metavar="TIME", type=_moment, help="When it was noticed. Default: now.")
@click.option("--started", "started_at", metavar="TIME", type=_moment, help="When users were first affected, if known.")
@click.option("--impact", help="What users cannot do, in a sentence.")
@click.option("--owner", help="The incident commander.")
@by_option
def open_(
    title: str,
    incident_type: str,
    severity: str | None,
    incident_id: int | None,
    detected_at: datetime | None,
    started_at: datetime | None,
    impact: str | None,
    owner: str | None,
    actor: str | None,
) -> None:
    """Open an incident and start its response-time clock."""
    from irkit import workspace

    settings = workspace.load_settings()
    runbook = workspace.load_runbook(settings)
    kind = runbook.incident_type(incident_type)
    chosen = runbook.severity(severity or kind.severity)
    opened = workspace.store(settings, create=True).open_incident(
        title,
        incident_type=kind.slug,
        severity=chosen.name,
        actor=actor or console.user(),
        incident_id=incident_id,
        opened_at=detected_at,
        started_at=started_at,
        detected_at=detected_at,
        owner=owner,
        impact=impact,
    )
    _show_card(opened)
    console.say(f"Next: irkit collect {opened.id}, then irkit ack {opened.id}")


def _milestone(kind: EventKind, name: str, sentence: str) -> None:
    """Add the command that records one milestone: they differ in nothing but their name."""

    @irkit.command(name, help=sentence)
    @click.argument("incident_id", metavar="ID", type=parse_incident_id)
    @click.argument("text", required=False, default="")
    @at_option
    @by_option
    def record(incident_id: int, text: str, at: datetime | None, actor: str | None) -> None:
        from irkit import workspace

        settings = workspace.load_settings()
        store = workspace.store(settings)
        store.append(incident_id, kind, at=at, actor=actor or console.user(), text=text)
        _show_card(store.incident(incident_id))


_milestone(EventKind.ACKNOWLEDGED, "ack", "Say that somebody is on it; stops the response-time clock.")
_milestone(EventKind.MITIGATED, "mitigate", "Say that users are no longer affected, and by what means.")
_milestone(EventKind.RESOLVED, "resolve", "Say that the cause is gone, and what was done.")
_milestone(EventKind.CLOSED, "close", "Close a resolved incident; its postmortem is done.")
_milestone(EventKind.REOPENED, "reopen", "Take a resolved or closed incident up again, and say why.")


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("text")
@click.option("--section", help="The part of the report it belongs to, e.g. trigger, went-well, impact.")
@at_option
@by_option
def note(incident_id: int, text: str, section: str | None, at: datetime | None, actor: str | None) -> None:
    """Add a note to the timeline, or the words for a part of the report."""
    from irkit import workspace
    from irkit.report.material import check_part

    data = {"section": check_part(section)} if section else {}
    event = workspace.store().append(
        incident_id, EventKind.NOTE, at=at, actor=actor or console.user(), text=text, data=data
    )
    console.say(f"Noted on INC-{incident_id} at {event.at:%Y-%m-%d %H:%M:%S} UTC.")


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.argument("field")
@click.argument("value")
@by_option
def amend(incident_id: int, field: str, value: str, actor: str | None) -> None:
    """Correct what was recorded: title, type, severity, owner, impact, or a milestone such as acknowledged_at."""
    from irkit import workspace

    settings = workspace.load_settings()
    said = workspace.amendment(field, value, workspace.load_runbook(settings), utc_now())
    store = workspace.store(settings)
    store.append(incident_id, EventKind.AMENDED, actor=actor or console.user(), text=f"{field}: {value}", data=said)
    _show_card(store.incident(incident_id))


@irkit.command("list")
@click.option("--status", type=click.Choice([item.value for item in Status]), multiple=True, help="Only these.")
def list_(status: tuple[str, ...]) -> None:
    """List incidents, the newest first."""
    from irkit import terminal, workspace

    settings = workspace.load_settings()
    found = workspace.store(settings).incidents([Status(item) for item in status] or tuple(Status))
    if not found:
        console.say("No incidents." if not status else f"No incident is {' or '.join(status)}.")
        return
    console.show(terminal.incident_list(found, workspace.load_runbook(settings), utc_now()))


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
def show(incident_id: int) -> None:
    """Show an incident: its state, whom to tell, its timeline and its evidence."""
    from irkit import terminal, workspace
    from irkit.bundle import bundles_of, open_bundle

    settings = workspace.load_settings()
    incident = workspace.incident(incident_id, settings=settings)
    _show_card(incident)
    console.show(terminal.timeline_table(workspace.timeline(incident, settings=settings)))
    folders = bundles_of(settings.home, incident_id)
    if not folders:
        console.say(f"No evidence yet: irkit collect {incident_id}")
        return
    bundle = open_bundle(folders[-1])
    console.show(terminal.coverage_table(bundle.runs))
    console.say(
        f"{bundle.path}\nsealed {bundle.manifest.created_at:%Y-%m-%d %H:%M:%S} UTC, sha256 {bundle.manifest.seal}"
    )


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--only", multiple=True, metavar="COLLECTOR", help="Only this collector (may be repeated).")
@click.option("--dry-run", is_flag=True, help="Say what would be read, and why, and read nothing.")
@by_option
def collect(incident_id: int, only: tuple[str, ...], dry_run: bool, actor: str | None) -> None:
    """Gather evidence into a sealed bundle; reads only, changes nothing."""
    from irkit import terminal, workspace
    from irkit.collect import plan

    settings = workspace.load_settings()
    if dry_run:
        looks, _ = plan(settings, only)
        console.show(terminal.plan_table(looks))
        return
    incident = workspace.incident(incident_id, settings=settings)
    with console.progress() as on_progress:
        bundle = workspace.gather(
            incident, "always", settings=settings, only=only, actor=actor or console.user(), on_progress=on_progress
        )
    console.show(terminal.coverage_table(bundle.runs))
    console.show(
        terminal.diagnosis_view(workspace.diagnosis(bundle, settings=settings), workspace.load_runbook(settings))
    )
    console.say(f"{bundle.path}\nsealed, sha256 {bundle.manifest.seal}\nNext: irkit postmortem {incident_id}")


@irkit.command()
@click.option("--unit", "show", flag_value="unit", help="Print a systemd unit that keeps it running.")
@click.option("--compose", "show", flag_value="compose", help="Print a service for the compose file.")
def record(show: str | None) -> None:
    """Keep what an incident's "before" is made of: health, containers, Redis, processes, every few seconds."""
    from irkit import recorder, recorder_service, workspace

    settings = workspace.load_settings()
    if show:
        console.say({"unit": recorder_service.unit, "compose": recorder_service.compose}[show](settings).rstrip())
        return
    recorder.record(settings, say=console.say, complain=console.complain)


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
def diagnose(incident_id: int) -> None:
    """Say which symptoms of the runbook the collected evidence shows."""
    from irkit import terminal, workspace

    settings = workspace.load_settings()
    evidence = workspace.gather(workspace.incident(incident_id, settings=settings), "never", settings=settings)
    console.show(
        terminal.diagnosis_view(workspace.diagnosis(evidence, settings=settings), workspace.load_runbook(settings))
    )


@irkit.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--collect", "choice", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write."
)
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="Another notebook parameter.")
def postmortem(incident_id: int, choice: str, folder: Path, parameters: tuple[tuple[str, str], ...]) -> None:
    """Run the postmortem notebook and write its HTML page."""
    from irkit import notebooks, publish, workspace

    workspace.incident(incident_id)
    values: dict[str, object] = {"incident_id": incident_id, "collect": choice, **dict(parameters)}
    executed = folder / f"postmortem-{incident_id}.ipynb"
    with console.status(f"Running the postmortem notebook for INC-{incident_id}"):
        notebooks.run("postmortem", executed, values)
        page = publish.to_html(executed, executed.with_suffix(".html"))
    console.say(f"{executed}\n{page.absolute()}")


@irkit.command()
@click.argument("name", required=False)
@click.option(
    "--id",
    "incident_id",
    metavar="ID",
    type=parse_incident_id,
    help="The id it shall have. Default: the next free one.",
)
def drill(name: str | None, incident_id: int | None) -> None:
    """File the recording of a real incident, to train on or to look around; without NAME, list them."""
    from irkit import drill as drills
    from irkit import workspace

    if name is None:
        for item in drills.available():
            console.say(f"{item.name}  {item.description}")
        return
    filed, new = drills.file(name, workspace.load_settings(), incident_id)
    _show_card(filed)
    console.say(("" if new else "It was filed before. ") + f"Next: irkit postmortem {filed.id}")


@irkit.group(invoke_without_command=True)
@click.pass_context
def runbook(context: click.Context) -> None:
    """Show the runbook in force: the team's own, or the one that ships with irkit."""
    if context.invoked_subcommand is None:
        from irkit import terminal, workspace

        console.show(terminal.runbook_view(workspace.load_runbook()))


@runbook.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def runbook_check(context: click.Context, file: Path) -> None:
    """Say, line by line, what is wrong with a runbook FILE."""
    from irkit import runbook as runbooks
    from irkit import terminal

    problems = runbooks.check(runbooks.read(file))
    console.show(terminal.problem_lines(str(file), problems))
    fatal = sum(one.fatal for one in problems)
    console.say(f"{file}: {fatal} error(s), {len(problems) - fatal} note(s).")
    context.exit(1 if fatal else 0)


@irkit.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is configured, reachable, readable and permitted, and what to do about the rest."""
    from irkit import doctor as examination
    from irkit import terminal

    with console.progress() as on_progress:
        checks = examination.examine(Path.cwd(), utc_now(), on_progress=on_progress)
    console.show(terminal.doctor_view(checks))
    well = examination.healthy(checks)
    console.say("All that is configured works." if well else "Not all that is configured works: see what is broken.")
    context.exit(0 if well else 1)


irkit.add_command(cli_bundle.bundle)


def _show_card(incident: Incident) -> None:
    from irkit import terminal, workspace

    console.show(terminal.incident_card(incident, workspace.load_runbook(), utc_now()))


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help shows how it is used" if context else ""
