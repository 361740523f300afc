"""The contract of an action, the only thing in irkit that changes a system: plan, apply, verify, in one file each.

`plan` reads and says what would happen; `apply` does exactly what was planned; `verify` looks whether it helped, by the
service's own word and not by an exit code. Each gets the `Ask`, in which clock, patience and settings are passed in. A
step that cannot be done raises an `IrkitError` with a sentence and a hint: the engine (`irkit.act.engine`) records it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from irkit.collect.contract import Refused, Unreachable
from irkit.errors import IrkitError
from irkit.model import Event, Incident, Step, utc_now
from irkit.runbook import Runbook
from irkit.runbook.steps import learned_from
from irkit.settings import Settings

_NONE: Mapping[str, object] = MappingProxyType({})


class ActError(IrkitError):
    """An action was refused, could not be done, or did not help."""

    exit_code = 8


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person wants done: for which incident, with which arguments and options, by which settings.

    `timeline` is the incident's, so that one action finds what another recorded. `aside` says that it is about another
    service than the runbook's step, and so is none of its steps. `beside` is what other incidents' actions recorded a
    short while ago. `say` takes a line of progress; `now` and `sleep` are the clock.
    """

    incident: Incident
    settings: Settings
    runbook: Runbook
    timeline: tuple[Event, ...] = ()
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    aside: bool = False
    beside: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen, before anything does.

    `target` is what is acted upon, the name that a person types to confirm. `changes` are sentences in the order in
    which things would happen, `commands` what a human would have typed, `seen` what was found while planning. Where
    `refusal` is not empty it is not done: it says why, and `instead` what to do. `data` is JSON for `apply` and
    `verify`, and is recorded on the timeline: no secret may be in it. `loses` says that data may be lost this
    time, also by an action that usually loses none.
    """

    target: str
    changes: tuple[str, ...]
    commands: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    refusal: str = ""
    instead: str = ""
    data: Mapping[str, object] = field(default_factory=lambda: _NONE)
    loses: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """How applying or verifying ended: whether `well`, in one sentence, with JSON to be recorded.

    Of an action that only looks `well` says that it found nothing wrong; where it could not look it raises. `proves` is
    False where what was seen to be well was so before the change, and so is no proof that it helped.
    """

    well: bool
    sentence: str
    data: Mapping[str, object] = field(default_factory=lambda: _NONE)
    proves: bool = True


@dataclass(frozen=True, slots=True)
class Action:
    """A registered action.

    `usage` names its arguments (the engine refuses any where it names none), `options` what `-p NAME VALUE` may set,
    each with a sentence. `answers` is searched for in a runbook's step (its words and its command, whatever the letter
    case): such a step is done by this action, with the arguments that `suggest` reads from the step. `needs` are the
    sections of settings that it takes its target from; of one that does not say it could be any. `destroys` names the
    collectors whose evidence it would destroy. `changes` is False of one that only looks; a `destructive` one can lose
    data, and wants the target's name typed.
    """

    name: str
    summary: str
    plan: Callable[[Ask], Plan]
    apply: Callable[[Plan, Ask], Result]
    verify: Callable[[Plan, Result, Ask], Result]
    usage: str = ""
    answers: str = ""
    needs: tuple[str, ...] = ("docker", "http", "redis", "sqlite", "database", "providers")
    destroys: tuple[str, ...] = ()
    changes: bool = True
    destructive: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    suggest: Callable[[Step, Settings], tuple[str, ...]] = lambda _step, _settings: ()

    @property
    def in_vain(self) -> str:
        """What is said where it was done and the proof failed."""
        return "done, but it did not help" if self.changes else "done, and not all is well"

    def does(self, step: Step) -> bool:
        """Say whether this action is what a runbook's step asks for."""
        if learned_from(step):
            return False  # a person's words of all that was done, of which this may be a part
        said = f"{step.text} {step.command or ''}"
        return bool(self.answers) and re.search(self.answers, said, re.IGNORECASE) is not None


_REGISTRY: dict[str, Action] = {}


def register(action: Action) -> Action:
    """Add an action to those that `irkit act` knows; called at the end of its file.

    Raises:
        ValueError: the name is taken.
    """
    if action.name in _REGISTRY:
        msg = f"action {action.name} is registered twice"
        raise ValueError(msg)
    _REGISTRY[action.name] = action
    return action


def registered() -> tuple[Action, ...]:
    """Return all registered actions by name."""
    return tuple(_REGISTRY[name] for name in sorted(_REGISTRY))


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn what a source refuses into an action's failure.

    Raises:
        ActError: it was refused, or nothing answers.
    """
    try:
        yield
    except (Unreachable, Refused) as error:
        raise ActError(str(error), hint=error.hint) from None


def only_look(plan: Plan, result: Result, ask: Ask) -> Result:
    """Verify an action that changes nothing: what it found is its own proof."""
    del plan, ask
    return Result(result.well, "Nothing was changed")
