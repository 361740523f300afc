"""The commands that gather evidence and say what it shows; they read, and change nothing."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from irkit.cli.options import INTERRUPTED, bundle_option, by_option, collect_option
from irkit.errors import CollectError
from irkit.model import Outcome, parse_incident_id
from irkit.terminal import console

if TYPE_CHECKING:
    from irkit.bundle import Bundle
    from irkit.model import Incident
    from irkit.settings import Settings


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--only", multiple=True, metavar="COLLECTOR", help="Only this collector (may be repeated).")
@click.option("--dry-run", is_flag=True, help="Say what would be read, and why, and read nothing.")
@by_option
def collect(incident_id: int, only: tuple[str, ...], dry_run: bool, actor: str | None) -> None:
    """Gather evidence into a sealed bundle; reads only, changes nothing."""
    from irkit.collect.host_process import host_process

    if dry_run:
        _dry_run(only)
        return
    with host_process() as host:  # at once: it takes as long to get ready as the store to open
        from irkit import conclusions, light, workspace
        from irkit.act.proposed import place_of, proposed
        from irkit.collect.engine import Stopped
        from irkit.diagnose.exhausted import exhausted
        from irkit.diagnose.service_names import idle_of
        from irkit.diagnose.what_changed import changes_before
        from irkit.terminal import head as terminal_head
        from irkit.terminal import incidents as terminal

        settings = workspace.load_settings()
        incident = workspace.incident(incident_id, settings=settings)
        by = actor or console.user()
        host.meanwhile = partial(light.load, *light.FOR_FINDINGS)
        try:
            with console.progress() as on_progress:
                bundle = workspace.gather(
                    incident, "always", settings=settings, only=only, actor=by, on_progress=on_progress, host=host
                )
        except Stopped as stopped:
            console.show(terminal.coverage_table(stopped.bundle.runs))
            hint = f"what had come by then is kept: `irkit triage {incident_id}`, or `irkit collect {incident_id}` anew"
            console.complain("stopped", hint)
            sys.exit(INTERRUPTED)
    idle, ask = idle_of(bundle), conclusions.asked(incident_id, settings)
    down = terminal_head.idle_lines(idle, ask.timeline, conclusions.last_words(idle, bundle))
    for line in (*down, *terminal_head.exhausted_lines(exhausted(bundle))):
        console.show(line)
    console.show(terminal.coverage_table(bundle.runs))
    _say_reach(bundle, incident, settings)
    found = conclusions.whole_diagnosis(bundle, settings=settings)
    console.show(terminal.diagnosis_view(found, ask.runbook, brief=True))
    console.say(f"\n{bundle.path}\nsealed, sha256 {bundle.manifest.seal}")
    changes = changes_before(bundle, found.first_sign, ask.incident.noticed_at)
    console.show(terminal_head.before_lines(incident_id, found, changes))
    stands = conclusions.standing(ask.incident, bundle, settings=settings)
    place = place_of(ask.runbook, settings, bundle, found.present)
    steps = partial(proposed, ask=ask, place=place)
    console.show(terminal.next_steps(ask.incident, found, ask.runbook, stands, steps, idle))
    unseen = [run.collector for run in bundle.runs if run.outcome in {Outcome.FAILED, Outcome.TIMED_OUT}]
    if unseen:
        total = sum(run.outcome is not Outcome.SKIPPED for run in bundle.runs)
        hint = "the table above says why; what the others gave is kept, and `irkit doctor` looks closer"
        sentence = f"{len(unseen)} of {total} sources could not be looked at: {', '.join(unseen)}"
        raise CollectError(sentence, hint=hint)


def _say_which(evidence: Bundle, incident: Incident, settings: Settings) -> None:
    """Say by which evidence, where there is newer: what was collected after a repair shows how that went."""
    from irkit.bundle import bundles_of

    newer = [folder.name for folder in bundles_of(settings.home, incident.id) if folder.name > evidence.id]
    if newer:
        when = f"{evidence.manifest.created_at:%Y-%m-%d %H:%M:%S} UTC, the last before the repair"
        console.say(f"By the evidence of {when}; what came later: irkit triage {incident.id} --bundle {newer[-1]}\n")


def _say_reach(evidence: Bundle, incident: Incident, settings: Settings) -> None:
    from irkit import reach, workspace

    if said := reach.cut_short(evidence.window, workspace.over_before(incident, settings=settings)):
        console.say(f"{said}\n")


def _dry_run(only: tuple[str, ...]) -> None:
    from irkit import workspace
    from irkit.collect.engine import plan
    from irkit.terminal import incidents as terminal

    console.show(terminal.plan_table(plan(workspace.load_settings(), only)[0]))


@click.command()
@click.option("--unit", "show", flag_value="unit", help="Print a systemd unit that keeps it running.")
@click.option("--compose", "show", flag_value="compose", help="Print a service for the compose file.")
def record(show: str | None) -> None:
    """Keep what an incident's "before" is made of: health, containers, Redis, processes, the database."""
    from irkit import workspace
    from irkit.recorder import run as recorder
    from irkit.recorder import service as recorder_service

    settings = workspace.load_settings()
    if show:
        console.say({"unit": recorder_service.unit, "compose": recorder_service.compose}[show](settings).rstrip())
        return
    recorder.record(settings, say=console.say, complain=console.complain)


@click.command()
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
def diagnose(incident_id: int) -> None:
    """Say which symptoms of the runbook the collected evidence shows."""
    from irkit import conclusions, workspace
    from irkit.terminal import incidents as terminal

    settings = workspace.load_settings()
    evidence = workspace.gather(workspace.incident(incident_id, settings=settings), "never", settings=settings)
    found, known = conclusions.diagnosis(evidence, settings=settings), workspace.load_runbook(settings)
    console.show(terminal.diagnosis_view(found, known))


@click.command()
@click.argument("incident_id", metavar="[ID]", type=parse_incident_id, required=False)
@collect_option
@bundle_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, for programs.")
def triage(incident_id: int | None, choice: str, bundle: str, as_json: bool) -> None:
    """Weigh the incident types against each other, and name the cheapest check that would tell more.

    Without ID: the incident opened last that is not over. Exits with 6 where nothing could be looked at.
    """
    from irkit import conclusions, workspace
    from irkit.diagnose.exhausted import exhausted
    from irkit.diagnose.service_names import idle_of
    from irkit.diagnose.what_changed import changes_before
    from irkit.terminal import head as terminal_head
    from irkit.terminal import triage as terminal_triage
    from irkit.triage import Conclusion
    from irkit.triage import as_json as triage_json

    settings = workspace.load_settings()
    chosen = (
        workspace.incident(incident_id, settings=settings) if incident_id else workspace.newest_open(settings=settings)
    )
    with console.progress() as on_progress:
        evidence = workspace.gather(
            chosen, choice, bundle, settings=settings, actor=console.user(), on_progress=on_progress
        )
    found, told, ahead = conclusions.triage(evidence, settings=settings)
    if as_json:
        console.say(json.dumps(triage_json.to_json(chosen, evidence, found, told, ahead), indent=2))
    else:
        if not bundle:
            _say_which(evidence, chosen, settings)
        _say_reach(evidence, chosen, settings)
        known = workspace.timeline(chosen, settings=settings)
        idle = idle_of(evidence)
        head = [
            *terminal_head.idle_lines(idle, known, conclusions.last_words(idle, evidence)),
            *terminal_head.exhausted_lines(exhausted(evidence)),
        ]
        changes = changes_before(evidence, found.first_sign, chosen.noticed_at)
        head.append(terminal_head.before_lines(chosen.id, found, changes))
        console.show(terminal_triage.triage_view(chosen, told, ahead, workspace.load_runbook(settings), head))
        console.say(f"\nNext: irkit investigate {chosen.id}{''.join(f' {slug}' for slug in told.named[:1])}")
    if told.conclusion is Conclusion.BLIND:
        hint = f"`irkit doctor` says what stands in the way; then again: `irkit collect {chosen.id}`"
        raise CollectError(f"nothing of {chosen.label} could be looked at, so nothing can be concluded", hint=hint)


commands = (collect, record, diagnose, triage)
