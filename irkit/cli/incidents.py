"""The commands that show incidents as they are recorded; one short function a subcommand."""

from __future__ import annotations

import click

from irkit.model import Incident, Status, parse_incident_id, utc_now
from irkit.terminal import console


def show_card(incident: Incident) -> None:
    """Show an incident's state, as after each command that changes it."""
    from irkit import workspace
    from irkit.terminal import incidents as terminal

    console.show(terminal.incident_card(incident, workspace.load_runbook(), utc_now()))


@click.command("list")
@click.option("--status", type=click.Choice([item.value for item in Status]), multiple=True, help="Only these.")
def list_(status: tuple[str, ...]) -> None:
    """List incidents, the newest first."""
    from irkit import workspace
    from irkit.terminal import incidents as terminal

    settings = workspace.load_settings()
    found = workspace.store(settings).incidents([Status(item) for item in status] or tuple(Status))
    if not found:
        console.say("No incidents." if not status else f"No incident is {' or '.join(status)}.")
        return
    found = tuple(sorted(found, key=lambda one: (one.noticed_at, one.id), reverse=True))
    console.show(terminal.incident_list(found, workspace.load_runbook(settings), utc_now()))


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
def show(incident_id: int) -> None:
    """Show an incident: its state, whom to tell, its timeline and its evidence."""
    from irkit import absent_evidence, workspace
    from irkit.bundle import bundles_of, later, open_bundle
    from irkit.terminal import incidents as terminal

    settings = workspace.load_settings()
    incident = workspace.incident(incident_id, settings=settings)
    show_card(incident)
    told = workspace.timeline(incident, settings=settings)
    console.show(terminal.timeline_table(told))
    missing = absent_evidence.missing_bundles(incident, told, settings)
    for error in missing:
        console.complain(str(error), error.hint)
    folders = bundles_of(settings.home, incident_id)
    if not folders:
        console.say(f"No evidence {'here' if missing else 'yet'}: irkit collect {incident_id}")
        return
    bundle = open_bundle(later.bundle_in_use(incident, folders, told))
    console.show(terminal.coverage_table(bundle.runs))
    manifest = bundle.manifest
    sealed = f"collected {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC, sealed with sha256 {manifest.seal}"
    made = f"\nmade {origin.made_at:%Y-%m-%d %H:%M:%S} UTC: {origin.told}" if (origin := manifest.made_of) else ""
    console.say(f"{bundle.path}\n{sealed}{made}")
    others = [folder.name for folder in folders if folder != bundle.path]
    if others:
        console.say(f"Also collected: {', '.join(others)}; choose one with irkit postmortem {incident_id} --bundle ID")


commands = (list_, show)
