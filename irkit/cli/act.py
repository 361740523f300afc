"""`irkit act`: the one command that changes a system; previewed, confirmed, recorded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from irkit.cli.options import by_option, with_its_incident
from irkit.errors import BundleError, InputError, IrkitError
from irkit.model import EventKind, Status, parse_incident_id
from irkit.terminal import console

if TYPE_CHECKING:
    from irkit.act.contract import ActError, Action, Ask, Plan
    from irkit.act.engine import Done
    from irkit.bundle import Bundle
    from irkit.diagnose.verdicts import Diagnosis
    from irkit.model import IncidentType


@click.command("act")
@click.argument("incident_id", metavar="ID", required=False)
@click.argument("name", metavar="[ACTION]", default="")
@click.argument("arguments", metavar="[ARGUMENTS]...", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="All actions, with their arguments and options; needs no ID.")
@click.option("--apply", "apply_it", is_flag=True, help="Do it. Without, it is only planned and shown.")
@click.option("--yes", is_flag=True, help="Ask nothing, for scripts; what can lose data wants --target, too.")
@click.option("--target", metavar="NAME", default="", help="The target's name, in place of typing it when asked.")
@click.option("-p", "options", nargs=2, multiple=True, metavar="NAME VALUE", help="An option of the action.")
@click.option("--without-evidence", is_flag=True, help="Go on though evidence is lost that could not be collected.")
@by_option
def act(
    incident_id: str | None,
    name: str,
    arguments: tuple[str, ...],
    listed: bool,
    apply_it: bool,
    yes: bool,
    target: str,
    options: tuple[tuple[str, str], ...],
    without_evidence: bool,
    actor: str | None,
) -> None:
    """Take a resolution step of the runbook: show what ACTION would do and, with --apply, do it.

    Without ACTION: the runbook's steps for the incident's type, what became of each, and what does it. Exits with 8
    where an action is refused, fails, or does not help.
    """
    from irkit import conclusions, workspace
    from irkit.act import engine
    from irkit.act.contract import ActError
    from irkit.terminal import act as terminal_act

    if incident_id is None:
        if not listed:
            raise InputError("for which incident?", hint="irkit list shows them; irkit act --list what can be done")
        console.show(terminal_act.actions_view(engine.known()))
        return
    number, settings = _number(incident_id, name, arguments), workspace.load_settings()
    ask = conclusions.asked(number, settings, arguments, dict(options), say=console.say)
    if listed or not name:
        _list(ask, everything=listed)
        return
    action = engine.find(name)
    plan = _planned(action, ask, actor, apply_it=apply_it)
    # opening a bundle reads all of it
    held = workspace.bundles(ask.incident, settings=settings, on_broken=_set_aside) if action.destroys else ()
    lacking = engine.lacking(action, ask, held)
    console.show(terminal_act.plan_view(action, plan, lacking))
    if plan.refusal or apply_it:  # a plan alone is on no record, and needs no diagnosis
        ask = replace(ask, aside=_is_aside(action, ask, held[-1] if held else None))
    if plan.refusal:
        raise _refused(action, plan, ask, actor, apply_it=apply_it)
    _warn_of_others(action, plan, ask)
    if not apply_it:
        again = " ".join(["irkit", "act", str(number), name, *arguments, *_given(options), "--apply"])
        console.say(f"Nothing was done. To do it: {again}")
        return
    _confirm(action, plan, yes=yes, target=target)
    by = actor or console.user()
    try:
        cited = _collect(action, ask, lacking, by, without_evidence=without_evidence)
    except ActError as error:
        _note(action, f"{action.name} {plan.target} was held back: {error}", ask, actor)
        raise
    done = _performed(action, plan, ask, by, cited)
    step = engine.step_of(action, ask)
    if not done.well:
        left = f"step {step} is recorded as {engine.recorded(done)}" if step else "it is on the timeline"
        raise ActError(engine.told(done), hint=f"{left}; `irkit act {number}` shows what comes next")
    console.say(engine.told(done))
    if step:
        console.say(f"Step {step} of the runbook is recorded as done.")


def _warn_of_others(action: Action, plan: Plan, ask: Ask) -> None:
    """Say which other actions may be under way, or have just been done: two at once are one that nobody planned."""
    from irkit.act import engine

    for one in engine.unfinished(ask.timeline) if action.changes else ():
        other = f"{one.data.get('action')} {one.data.get('target')} of {one.actor} began at {one.at:%H:%M:%S} UTC"
        console.complain(f"{other}, and no end of it is on record", "it runs still, or was killed half-way: look first")
    mine = ask.incident.id
    for one in engine.last_records(engine.touching(ask.beside, plan.target)) if action.changes else ():
        console.complain(engine.told_of(one, mine), f"see what came of it first: irkit show {one.incident_id}")
    for one in engine.unfinished(ask.timeline) if action.changes else ():
        other = f"{one.data.get('action')} {one.data.get('target')} of {one.actor} began at {one.at:%H:%M:%S} UTC"
        console.complain(f"{other}, and no end of it is on record", "it runs still, or was killed half-way: look first")


def _performed(action: Action, plan: Plan, ask: Ask, by: str, cited: tuple[str, ...]) -> Done:
    """Do what was planned.

    Raises:
        ActError: another action changed something meanwhile; the timeline tells that this one was held back.
    """
    from irkit import workspace
    from irkit.act import engine
    from irkit.act.contract import ActError

    store = workspace.store(ask.settings)
    try:
        with console.status(f"{action.name} {plan.target}"):
            return engine.perform(action, plan, ask, store=store, actor=by, evidence=cited)
    except ActError as error:
        # of no step: the other action may have been just that
        data = {"refused": action.name}
        store.append(ask.incident.id, EventKind.NOTE, actor=by, text=f"held back: {error}", data=data)
        raise


def _number(word: str, name: str, arguments: Sequence[str]) -> int:
    """Read the incident's id.

    Raises:
        InputError: it is none; an action may stand in its place.
    """
    try:
        return parse_incident_id(word)
    except InputError:
        if again := with_its_incident(word, [*filter(None, [name]), *arguments]):
            raise InputError(f"{word} is an action, and the incident's id comes before it", hint=again) from None
        raise


def _planned(action: Action, ask: Ask, actor: str | None, *, apply_it: bool) -> Plan:
    """Return the plan; where none can be made of what somebody wanted done, the timeline tells of it.

    Raises:
        ActError: it is to be done for an incident that is closed.
    """
    from irkit.act import engine
    from irkit.act.contract import ActError

    if apply_it and action.changes and ask.incident.status is Status.CLOSED:
        hint = f"`irkit reopen {ask.incident.id} WHY` where it is back, or `irkit open TITLE` where this is another"
        raise ActError(f"{ask.incident.label} is closed, so nothing more is done for it; nothing was done", hint=hint)
    try:
        return engine.planned(action, ask)
    except InputError:
        raise  # nothing was tried: it was not asked for rightly
    except IrkitError as error:
        if apply_it:
            _note(action, f"{' '.join([action.name, *ask.arguments])} could not be planned: {error}", ask, actor)
        raise


def _note(action: Action, sentence: str, ask: Ask, actor: str | None) -> None:
    """Put on the timeline that somebody wanted an action done and that nothing of it was, of which step, too."""
    from irkit import workspace
    from irkit.act import engine

    store, about = workspace.store(ask.settings), engine.refusal(action, ask)
    store.append(ask.incident.id, EventKind.NOTE, actor=actor or console.user(), text=sentence, data=about)


def _refused(action: Action, plan: Plan, ask: Ask, actor: str | None, *, apply_it: bool) -> ActError:
    """Return why an action is not done, and put it on the timeline where somebody wanted it done."""
    from irkit.act import engine
    from irkit.act.contract import ActError

    sentence, hint, one = f"{action.name} {plan.target} is refused: {plan.refusal}", plan.instead, ask.incident.id
    if apply_it:
        _note(action, sentence, ask, actor)
    if number := engine.step_of(action, ask):
        hint += f'; where step {number} is to be left out: irkit step {one} {number} --skipped "why"'
    return ActError(sentence, hint=hint.removeprefix("; "))


def _list(ask: Ask, *, everything: bool) -> None:
    from irkit import conclusions
    from irkit.act import engine
    from irkit.act.proposed import place_of, proposed
    from irkit.bundle import newest_of
    from irkit.diagnose.what_changed import changes_before
    from irkit.runbook.steps import stopped_by_us
    from irkit.terminal import act as terminal_act
    from irkit.terminal import head as terminal_head
    from irkit.terminal import incidents as terminal

    kind = ask.runbook.known_type(ask.incident.type)
    begun, stop = engine.unfinished(ask.timeline), stopped_by_us(ask.timeline)
    evidence = newest_of(ask.settings.home, ask.incident.id)  # that cannot be trusted is none
    found = conclusions.whole_diagnosis(evidence, settings=ask.settings) if evidence else None
    place = place_of(ask.runbook, ask.settings, evidence, found.present if found else ())
    title: str = kind.title if kind else ask.incident.type
    steps = proposed(kind, ask, place) if kind else engine.Proposed()
    if evidence and found and ask.incident.resolved_at is None:  # no step of a runbook knows the way back of a release
        changes = changes_before(evidence, found.first_sign, ask.incident.noticed_at)
        console.show(terminal_head.changed_lines(changes))
    console.show(terminal_act.steps_view(ask.incident, title, steps.lines, begun))
    for hint in steps.hints:
        console.say(hint)
    if stop:
        console.show(terminal.all_stopped(ask.incident, stop))
    elif found and (other := _another_type(found, ask)):
        hint = f"irkit amend {ask.incident.id} type {other.slug}"
        console.complain(f"the evidence says {other.title}, and it is filed as {title}", hint)
    if everything:
        console.show(terminal_act.actions_view(engine.known()))
    else:
        console.say(f"Each only shows its plan until --apply is added. All actions: irkit act {ask.incident.id} --list")


def _is_aside(action: Action, ask: Ask, evidence: Bundle | None) -> bool:
    """Say whether an action is about another service than the one that irkit proposes for the runbook's step."""
    from irkit import conclusions
    from irkit.act.proposed import Place, is_aside, place_of

    def look() -> Place:
        found = conclusions.diagnosis(evidence, settings=ask.settings).present if evidence else ()
        return place_of(ask.runbook, ask.settings, evidence, found)

    return is_aside(action, ask, look)


def _another_type(found: Diagnosis, ask: Ask) -> IncidentType | None:
    """Return the one type that a triage settles on, where it is another than the incident is filed as."""
    from irkit.triage import Conclusion, triage

    told = triage(found.findings, ask.runbook)
    settled = told.named[0] if told.conclusion is Conclusion.ONE else ask.incident.type
    return ask.runbook.known_type(settled) if settled != ask.incident.type else None


def _set_aside(error: BundleError) -> None:
    console.complain(f"{error}; it counts as no evidence here", error.hint)


def _given(options: tuple[tuple[str, str], ...]) -> list[str]:
    return [word for name, value in options for word in ("-p", name, value)]


def _confirm(action: Action, plan: Plan, *, yes: bool, target: str) -> None:
    """Have a person type the target's name, or take --yes and --target in its place.

    Raises:
        InputError: the name is another, or nobody is there to be asked.
    """
    if target and target != plan.target:
        raise InputError(f"the target is {plan.target}, not {target}; nothing was done", hint="see the plan above")
    if not action.changes or (yes and (target or not (action.destructive or plan.loses))):
        return
    if yes:
        hint = f'for a script: --yes --target "{plan.target}"'
        raise InputError(f"{action.name} can lose data, so --yes alone does not do; nothing was done", hint=hint)
    if target:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is there to confirm it; nothing was done", hint="--yes confirms it in a script")
    typed = click.prompt(f"Type {plan.target} to do it", default="", show_default=False)
    if typed.strip() != plan.target:
        raise InputError("that is another name; nothing was done", hint="what is asked for is the target's name")


def _collect(action: Action, ask: Ask, lacking: tuple[str, ...], by: str, *, without_evidence: bool) -> tuple[str, ...]:
    """Collect what the action would destroy, and return what of it may be cited.

    Raises:
        ActError: it could not be collected, and nobody said to go on without.
    """
    from irkit import workspace
    from irkit.act import engine
    from irkit.act.contract import ActError

    if not lacking:
        return ()
    with console.progress() as on_progress:
        bundle = workspace.gather(ask.incident, "always", settings=ask.settings, actor=by, on_progress=on_progress)
    console.say(f"Evidence first: {bundle.path}")
    left = engine.lacking(action, ask, (bundle,))
    if left and not without_evidence:
        why = "; ".join(f"{run.collector}: {run.reason or run.outcome}" for run in bundle.runs if run.collector in left)
        msg = f"{action.name} would destroy evidence that could not be collected ({why}); nothing was done"
        raise ActError(msg, hint="--without-evidence goes on and loses it")
    return tuple(one.id for one in bundle.manifest.evidence if one.collector in action.destroys)


commands = (act,)
