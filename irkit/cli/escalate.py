"""The commands that tell people of incidents, and watch that somebody answers."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import click

from irkit.cli.options import by_option
from irkit.errors import EscalationError, InputError, IrkitError
from irkit.escalate.contract import Purpose
from irkit.model import Incident, parse_incident_id, utc_now
from irkit.terminal import console
from irkit.text.phrase import listing
from irkit.text.visible import visible

if TYPE_CHECKING:
    from irkit.escalate.tell import Told
    from irkit.settings import Settings

_WATCHER = "irkit watch"


def tell(incident: Incident, settings: Settings, actor: str, *, quiet: bool = False) -> Told | EscalationError | None:
    """Tell whom the runbook wants told first, or say why nobody is; None where no channel is configured.

    Where the runbook cannot be read the failure is returned, for `insist`: what there is to say of the incident itself
    comes first.
    """
    from irkit import workspace
    from irkit.escalate import tell as escalate

    case = workspace.escalation(settings, actor, _news)
    if quiet:
        escalate.hold(case, incident.id)
        console.say("Nobody is told, as you said.")
        return None
    try:
        told = escalate.begin(case, incident.id)
    except EscalationError as error:
        return error
    if told and told.rung.lacks:
        console.complain(
            f"the runbook wants “{told.rung.wording}”, which irkit could not do: {told.rung.lacks}",
            f"tell {told.rung.reader} yourself; `irkit escalate {incident.id} --dry-run` shows who is next",
        )
    if told is None:
        lacks = listing(found) if (found := escalate.half_configured(settings)) else ""
        why = f"no channel can be used, as {lacks}" if lacks else "no channel is configured"
        if case.runbook.unread:
            wanted = "whom, only your runbook says"
        else:
            wanted = f"the runbook wants “{visible(case.runbook.severity(incident.severity).escalation)}”"
        console.say(f"irkit tells nobody, as {visible(why)}: tell them yourself; {wanted}.")
    return told


def insist(incident: Incident, told: Told | EscalationError | None) -> None:
    """Fail where somebody should have been told and nobody was.

    Raises:
        EscalationError: with whom to call by hand.
    """
    from irkit.escalate.log import UNDER_WAY

    if isinstance(told, EscalationError):
        raise told
    if told and not told.reached and told.state not in UNDER_WAY:
        hint = f"tell them yourself; `irkit watch` tries again, and `irkit show {incident.id}` has each attempt"
        raise EscalationError(f"{told.rung.reader} could not be told of {incident.label} for certain", hint=hint)


def follow(incident: Incident, purpose: Purpose) -> None:
    """Tell the services that hold an alert of the incident how it stands; what is recorded stays, whatever they say."""
    from irkit import workspace
    from irkit.escalate import tell as escalate

    settings = workspace.load_settings()
    if escalate.configured(settings):
        escalate.follow(workspace.escalation(settings, console.user(), _news), incident.id, purpose)


@click.command("escalate")
@click.argument("incident_id", metavar="ID", type=parse_incident_id)
@click.option("--dry-run", is_flag=True, help="Show whom it would tell, how and what, and send nothing.")
@click.option("--step", type=click.IntRange(min=1), help="A step of the ladder. Default: the next.")
@click.option("--again", is_flag=True, help="Tell once more who was told before.")
@by_option
def escalate_(incident_id: int, dry_run: bool, step: int | None, again: bool, actor: str | None) -> None:
    """Tell the next contact of the runbook of an incident.

    The first is whom its severity's escalation names; `irkit watch` goes on by itself where nobody answers.
    """
    from irkit import workspace
    from irkit.escalate import tell as escalate
    from irkit.escalate.log import UNDER_WAY
    from irkit.terminal import escalation as terminal_escalation

    case = workspace.escalation(workspace.load_settings(), actor or console.user(), _news)
    plan = escalate.plan(case, incident_id)
    if dry_run:
        console.show(terminal_escalation.plan_view(plan, utc_now()))
        return
    number = step or (1 if again else plan.ahead.number if plan.ahead else 0)
    if not number:
        why = "is answered" if escalate.answered(plan.incident) else "has told everybody the runbook names"
        raise InputError(f"{plan.incident.label} {why}", hint=f"irkit escalate {incident_id} --again tells them anew")
    told = escalate.climb(case, incident_id, number, again=again)
    if told.state in UNDER_WAY:
        console.say(f"Another irkit is telling {told.rung.reader} just now.")
    insist(plan.incident, told)


@click.command()
@click.option("--once", is_flag=True, help="Look once, for cron, instead of every few seconds.")
def watch(once: bool) -> None:
    """Run the acknowledgement clocks: whom nobody answers for in time is followed by the next contact.

    It may be stopped and started at any time, and tells nobody twice. Stop it with Ctrl-C.
    """
    from irkit import workspace
    from irkit.escalate import tell as escalate
    from irkit.escalate import watch as clocks

    settings = workspace.load_settings()
    case = workspace.escalation(settings, _WATCHER, partial(_news, stamp=True), create=True)
    titles = escalate.configured(settings)
    if not titles:
        raise EscalationError("no channel is configured", hint="`irkit doctor` says what each lacks")
    console.say(f"Watching {case.store}; channels: {', '.join(titles)}.")
    said: set[object] = set()
    while True:
        try:
            for doubt in clocks.look(case):
                if doubt.key not in said:
                    said.add(doubt.key)
                    console.complain(doubt.sentence, doubt.hint)
        except IrkitError as error:
            if once:
                raise
            if str(error) not in said:
                said.add(str(error))
                console.complain(str(error), error.hint)
        if case.runbook.unread:  # it would tell nobody, all night long
            raise EscalationError(f"nobody can be told: {case.runbook.unread.sentence}", hint=case.runbook.unread.hint)
        if once:
            return
        time.sleep(settings.escalation.watch_interval_s)


def _news(incident_id: int, text: str, *, stamp: bool = False) -> None:
    console.say(f"{utc_now():%H:%M:%S} UTC  INC-{incident_id}  {visible(text)}" if stamp else f"{visible(text)}.")


commands = (escalate_, watch)
