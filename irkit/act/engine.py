"""The one engine of actions: evidence first, then the start on record, then the change, the proof, and the record."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from irkit.act.contract import ActError, Action, Ask, Plan, Result, registered
from irkit.bundle import Bundle
from irkit.errors import InputError, IrkitError
from irkit.model import CollectorRun, Event, EventKind, IncidentType, Outcome, Step
from irkit.registry import load_plugins
from irkit.runbook import outcome_words, steps
from irkit.targets import restarted, targets
from irkit.text.phrase import listing
from irkit.times import format_duration

if TYPE_CHECKING:
    from irkit.store import Store

# steps that another command of irkit does
_ELSEWHERE = {"leaking objects": "irkit memory snapshot {whose} --incident {incident}"}
# evidence older than this is not of what an action is about to destroy
_AS_IT_IS = timedelta(minutes=5)
# what commands are printed with where no name is known
_PLACEHOLDERS = frozenset({"NAME", "PROVIDER", "SERVICE", "NUMBER", "BACKUP", "FILE", "[FILE]", "PID"})
# what another incident's action did longer ago is seen in what is there
_BESIDE = timedelta(minutes=10)
_OF_ALL = frozenset({steps.STOP_ALL, steps.START_ALL})
_HAD = (Outcome.COLLECTED, Outcome.PARTIAL, Outcome.ABSENT)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an action: how applying ended, whether it helped (None: not looked at), and how long it took."""

    action: Action
    plan: Plan
    applied: Result
    verified: Result | None
    duration_s: float

    @property
    def well(self) -> bool:
        """Whether all is well: it was done and it helped; of one that only looks, that it found nothing wrong."""
        return self.applied.well and self.verified is not None and self.verified.well

    @property
    def outcome(self) -> str:
        """What goes on record: a look that found something wrong was taken all the same."""
        return steps.FAILED if self.verified is None else steps.DONE

    @property
    def sentence(self) -> str:
        """One sentence or two for people and for the timeline."""
        head = f"{self.action.name} {self.plan.target}".strip()
        if self.verified is None:
            return f"{head}: failed. {_stop(self.applied.sentence)}"
        seen = "done and verified" if self.verified.proves else "done; whether it helped is not seen"
        state = seen if self.well else self.action.in_vain
        return f"{head}: {state}. {_stop(self.applied.sentence)} {_stop(self.verified.sentence)}"


@dataclass(frozen=True, slots=True)
class StepLine:
    """A runbook's step as `irkit act ID` shows it: what became of it, and the command that does it ("": by hand).

    `against` says why the command would fail now, "" where nothing tells.
    """

    step: Step
    state: str
    command: str
    action: Action | None = None
    against: str = ""

    @property
    def typed(self) -> str:
        """The command to type: ours, else the runbook's own, "" where it names none."""
        return self.command or self.step.command or ""

    @property
    def words(self) -> str:
        """What became of it, in words."""
        return outcome_words(self.state)


@dataclass(frozen=True, slots=True)
class Proposed:
    """The steps of an incident type as they are taken here, and what each placeholder left in them stands for."""

    lines: tuple[StepLine, ...] = ()
    hints: tuple[str, ...] = ()


def as_written(kind: IncidentType) -> Proposed:
    """Return the runbook's steps as they stand in it, with no command of ours and nothing recorded."""
    return Proposed(tuple(StepLine(step, "pending", "") for step in kind.resolution))


def known() -> tuple[Action, ...]:
    """Return all actions, those of other packages too."""
    load_plugins("irkit.actions", "irkit.actions")
    return registered()


def find(name: str) -> Action:
    """Return an action by its name.

    Raises:
        InputError: there is none; the hint names the nearest.
    """
    by_name = {one.name: one for one in known()}
    if name not in by_name:
        near = get_close_matches(name, by_name, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(by_name)}"
        raise InputError(f"there is no action {name!r}", hint=hint)
    return by_name[name]


def planned(action: Action, ask: Ask) -> Plan:
    """Return what an action would do; nothing is changed.

    Raises:
        InputError: an option is not one of the action's, it takes no arguments, or a setting it needs cannot be used.
        IrkitError: it cannot be planned; the sentence says why.
    """
    if ask.arguments and not action.usage:
        hint = f"irkit act {ask.incident.id} {action.name}"
        raise InputError(f"{action.name} takes no {listing(ask.arguments)}", hint=hint)
    for word in ask.arguments:
        if word in _PLACEHOLDERS:
            sentence = f"{word} stands for a name and is none, so there is nothing that {action.name} could be done to"
            raise InputError(
                sentence, hint=f"irkit act {ask.incident.id} shows the steps with the names that are known"
            )
    for name in ask.options:
        if name not in action.options:
            near = get_close_matches(name, action.options, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(action.options) or 'none'}"
            raise InputError(f"{action.name} has no option {name!r}", hint=hint)
    # what an action is about must be there; of the others it does without what the service has not
    needed = [one for one in action.needs if one == action.needs[0] or one not in ask.settings.without]
    ask.settings.refuse_unusable(*needed)
    return action.plan(ask)


def lacking(action: Action, ask: Ask, bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """Return the collectors whose evidence the action would destroy and no bundle holds as it is now.

    A bundle counts that was sealed since the incident was noticed and since the last action that changed something:
    by the clock, and by the order in which the timeline got to know of both, since a clock may have been set back. One
    from minutes ago tells neither of the process that runs now nor of what it has come to.
    """
    changes = [event for event in ask.timeline if event.kind is EventKind.ACTION and _changed(event.data)]
    since = max([ask.incident.noticed_at, ask.now() - _AS_IT_IS, *(event.at for event in changes)])
    last = max((event.id for event in changes), default=0)
    before = {event.data.get("bundle") for event in ask.timeline if event.id < last}
    fresh = [one for one in bundles if one.manifest.created_at >= since and one.id not in before]
    return tuple(name for name in action.destroys if not any(_holds(bundle.runs, name) for bundle in fresh))


def perform(  # noqa: PLR0913 (what is done, and who puts it on which record)
    action: Action, plan: Plan, ask: Ask, *, store: Store, actor: str, evidence: Sequence[str] = ()
) -> Done:
    """Do what was planned, look whether it helped, and put both on the timeline; what fails is recorded, not raised.

    The start is recorded before the first change: what is killed half-way is then known to have begun. Whatever stops
    it from outside is recorded and raised again.

    Raises:
        ActError: the plan was refused, or another action changed something since the timeline of `ask` was read.
        StoreError: the start cannot be recorded; nothing was changed. Or the end cannot.
    """
    if plan.refusal:
        raise ActError(f"{action.name} {plan.target}: {plan.refusal}", hint=plan.instead)
    run, started = secrets.token_hex(4), ask.now()
    about: dict[str, object] = {"action": action.name, "target": plan.target, "run": run, "changes": action.changes}
    about |= {"plan": dict(plan.data)}
    number, where = step_of(action, ask), ask.incident.id
    meanwhile: list[Event] = []

    def still_holds(events: Sequence[Event]) -> bool:
        if action.changes:
            others = touching(acts_beside(store, where, ask.now()), plan.target)
            meanwhile[:] = (*changed_since(ask.timeline, events), *changed_since((*ask.timeline, *ask.beside), others))
        return not meanwhile

    begun = store.append_if(
        where,
        EventKind.ACTION,
        still_holds,
        actor=actor,
        text=f"{action.name} {plan.target}: begun. {_stop('; '.join(plan.changes))}",
        data={**about, "outcome": steps.BEGUN, "commands": list(plan.commands)},
        evidence=evidence,
    )
    if begun is None:
        raise ActError(
            f"{action.name} {plan.target}: {_told_of(meanwhile, where)} since this was planned; nothing was done",
            hint=f"see what came of it, and plan anew: irkit act {where}",
        )

    def ended(applied: Result, verified: Result | None) -> Done:
        done = Done(action, plan, applied, verified, (ask.now() - started).total_seconds())
        found = {**applied.data, **(verified.data if verified else {})}
        helped = verified is not None and (verified.well or not action.changes)
        proven = helped if verified is None or verified.proves or not verified.well else None
        told: dict[str, object] = {"outcome": done.outcome, "verified": proven, "well": done.well}
        told |= {"duration_s": round(done.duration_s, 3), "found": found}
        told |= {"step": number} if number else {}
        store.append(where, EventKind.ACTION, actor=actor, text=done.sentence, data={**about, **told})
        return done

    try:
        applied, stopped = _tried(lambda: action.apply(plan, ask))
        verified: Result | None = None
        if not stopped and (applied.well or not action.changes):
            verified, _ = _tried(lambda: action.verify(plan, applied, ask))
    except BaseException as error:
        what = "stopped by hand" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        ended(Result(well=False, sentence=f"It was {what}, and what it had done by then stays"), None)
        raise
    return ended(applied, verified)


def changed_since(known: Sequence[Event], events: Sequence[Event]) -> tuple[Event, ...]:
    """Return the begins and ends of actions that change something and that a timeline read earlier does not know."""
    last = max((event.id for event in known), default=0)
    acts = (event for event in events if event.id > last and event.kind is EventKind.ACTION)
    return tuple(event for event in acts if event.data.get("changes", True))


def acts_beside(store: Store, incident_id: int, now: datetime) -> tuple[Event, ...]:
    """Return what other incidents' actions that change something recorded a short while ago.

    Raises:
        StoreError: the store cannot be read.
    """
    found = store.actions_of_others(incident_id, now - _BESIDE)
    return tuple(one for one in found if one.data.get("changes", True))


def touching(events: Iterable[Event], target: str) -> tuple[Event, ...]:
    """Return what was done to a target, or to all services at once."""
    return tuple(one for one in events if one.data.get("target") == target or one.data.get("action") in _OF_ALL)


def told_of(event: Event, incident_id: int) -> str:
    """Say who began or did what, and for which incident where it is another than that."""
    how = "began" if steps.is_begun(event) else "did"
    said = f"{event.actor} {how} {event.data.get('action')} {event.data.get('target')} at {event.at:%H:%M:%S} UTC"
    return said if event.incident_id == incident_id else f"{said} for INC-{event.incident_id}"


def last_records(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return of each action its last record."""
    return tuple({event.data.get("run", event.id): event for event in events}.values())


def _told_of(events: Sequence[Event], incident_id: int) -> str:
    return listing(told_of(one, incident_id) for one in last_records(events))


def recorded(done: Done) -> str:
    """Return how the step that an action did is recorded, in words: done, in vain, or not done at all."""
    if done.verified is None:
        return outcome_words(steps.BLOCKED)
    return outcome_words(steps.DONE if done.well or not done.action.changes else steps.FAILED)


def step_of(action: Action, ask: Ask) -> int | None:
    """Return the number of the runbook's step that the action does, for the type the incident is filed as.

    Of several the one is meant whose own command names what the action is asked for.
    """
    if ask.aside or ask.runbook.unread:  # whose steps have other numbers
        return None
    kind = ask.runbook.known_type(ask.incident.type)
    done = [step for step in (kind.resolution if kind else ()) if action.does(step)]
    named = [step for step in done if ask.arguments and restarted(step.command) == ask.arguments[0]]
    return next((step.number for step in (*named, *done)), None)


def refusal(action: Action, ask: Ask) -> dict[str, object]:
    """Return what a note holds that tells of an action nothing of which was done: its step was tried, and in vain.

    A step that is done already stays so.
    """
    number, kind = step_of(action, ask), ask.runbook.known_type(ask.incident.type)
    tried = steps.tries(ask.timeline, kind.resolution).get(number, ()) if kind and number else ()
    if tried and tried[-1].outcome == steps.DONE:
        number = None
    return {"refused": action.name} | ({"step": number, "outcome": steps.BLOCKED} if number else {})


def unfinished(timeline: Sequence[Event]) -> tuple[Event, ...]:
    """Return the starts of actions of which no end is on record: they run still, or were killed half-way.

    One that was done anew since is none: what it left was seen then.
    """
    acting = [event for event in timeline if event.kind is EventKind.ACTION and "run" in event.data]
    ends = [event for event in acting if not steps.is_begun(event)]
    over = {event.data["run"] for event in ends}
    anew = {_what(event): event.id for event in sorted(ends, key=lambda one: one.id)}
    left = (event for event in acting if event.data["run"] not in over)
    return tuple(one for one in left if anew.get(_what(one), 0) < one.id)


def _what(event: Event) -> tuple[object, object]:
    return event.data.get("action"), event.data.get("target")


def lines(kind: IncidentType, ask: Ask, subject: str = "") -> tuple[StepLine, ...]:
    """Return the runbook's steps for a type, what became of each, and the command that does it.

    A command that takes a service takes the one that the step's own command names; for a step that names none of here
    it is `subject`, the service that the evidence says is unwell in this way, and where that is "" the settings' one.
    """
    whose = f"--container {shlex.quote(subject)}" if subject else "--pid PID"
    tried, actions = steps.tries(ask.timeline, kind.resolution), known()
    made = []
    for step in steps.asked_of(ask.incident, kind.resolution):
        last = tried.get(step.number, ())
        action = next((one for one in actions if one.does(step)), None)
        other = _ELSEWHERE.get(_elsewhere(step), "").format(incident=ask.incident.id, whose=whose)
        command = _command(action, step, ask, subject) if action else other
        made.append(StepLine(step, last[-1].outcome if last else "pending", command, action))
    return tuple(made)


def _command(action: Action, step: Step, ask: Ask, subject: str) -> str:
    named, own, service = restarted(step.command), targets(ask.runbook).service, ask.settings.service
    # where the settings name another than the runbook's own service, its commands stand for that of here
    meant = named if named and (named != own or service in {"", own}) else subject or service
    suggested = action.suggest(step, replace(ask.settings, service=meant))
    words = map(shlex.quote, suggested) if suggested else filter(None, (action.usage,))
    return " ".join(("irkit", "act", str(ask.incident.id), action.name, *words))


def _elsewhere(step: Step) -> str:
    return next((words for words in _ELSEWHERE if words in step.text.casefold()), "")


def _tried(work: Callable[[], Result]) -> tuple[Result, bool]:
    """Return how work ended, and whether it was stopped by an error of its own."""
    try:
        return work(), False
    except IrkitError as error:
        return Result(well=False, sentence=f"{_stop(str(error))} {error.hint}".strip()), True


def _changed(data: Mapping[str, object]) -> bool:
    return bool(data.get("changes")) and data.get("outcome") != steps.BEGUN


def _holds(runs: Sequence[CollectorRun], name: str) -> bool:
    return any(run.collector == name and run.outcome in _HAD for run in runs)


def _stop(sentence: str) -> str:
    words = sentence.strip()
    return words if not words or words.endswith((".", "!", "?", ":")) else f"{words}."


def told(done: Done) -> str:
    """Return the whole of it for a person: the sentence, and how long it took."""
    return f"{done.sentence} It took {format_duration(timedelta(seconds=done.duration_s))}."
