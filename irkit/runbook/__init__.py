"""The runbook as data: parsed from Markdown, validated with line numbers, never executed."""

from __future__ import annotations

import hashlib
import re
import stat
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

from irkit.errors import InputError
from irkit.model import Contact, Incident, IncidentType, Section, Severity, Step
from irkit.runbook.reader import Problem, RunbookReader, shown
from irkit.text.markdown import slug_of, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

BUILT_IN = "built in"
MAX_SIZE_BYTES = 1_000_000
_MAX_LISTED = 20
_HINT = "correct the `runbook` setting, or remove it to use the built-in runbook"
# a step that was taken in vain was taken all the same
_ASKED = {"failed": "what shows that step {} did not help?", "blocked": "why could step {} not be done?"}
_OUTCOME_WORDS = {"failed": "done, and it did not help", "blocked": "tried, and it could not be done"}


class RunbookError(InputError):
    """A runbook cannot be used; `brief` says so in one sentence, where the message lists all that is wrong."""

    def __init__(self, message: str, *, hint: str, brief: str = "") -> None:
        super().__init__(message, hint=hint)
        self.brief = brief or message


@dataclass(frozen=True, slots=True)
class Unread:
    """Why the team's own runbook cannot be used, in a sentence, and what to do about it."""

    sentence: str
    hint: str


@dataclass(frozen=True, slots=True)
class Runbook:
    """A runbook's content in its own order; `sections` holds what irkit gives no meaning to, `sha256` is of `text`.

    With `unread` it is the built-in one in the place of the team's own: whom to tell, what was promised, and what the
    steps' numbers mean, is not known then.
    """

    title: str
    source: str
    sha256: str
    severities: tuple[Severity, ...]
    incident_types: tuple[IncidentType, ...]
    contacts: tuple[Contact, ...]
    post_incident: tuple[Step, ...]
    sections: tuple[Section, ...]
    text: str = field(repr=False)
    unread: Unread | None = None

    def severity(self, name: str) -> Severity:
        """Return the severity called `name`, whatever its letter case.

        Raises:
            InputError: the runbook has none of that name; the hint names the nearest.
        """
        return _named(name, {one.name: one for one in self.severities}, "severity", self.source)

    def severity_of(self, incident: Incident) -> Severity | None:
        """Return the severity by which an incident's answer is due, None where the runbook in force cannot say.

        Where the team's own cannot be read that is what was recorded, whatever the built-in one has under that name.
        """
        names = {one.name.casefold(): one for one in self.severities}
        known = names.get(incident.severity.casefold())
        if self.unread is None:
            return known
        if incident.response_time is None:
            return None
        return Severity(incident.severity, incident.response_time, "", known.rank if known else len(names))

    def known_type(self, slug: str) -> IncidentType | None:
        """Return the incident type of that slug, None where this runbook does not know it (any more)."""
        return next((one for one in self.incident_types if one.slug == slug), None)

    def incident_type(self, name: str) -> IncidentType:
        """Return the incident type with that slug or title, whatever the letter case.

        Raises:
            InputError: the runbook has none of that name; the hint names the nearest.
        """
        try:
            return _named(slug_of(name), {one.slug: one for one in self.incident_types}, "incident type", self.source)
        except InputError as error:
            msg = f"{shown(name)} is not an incident type of the runbook ({self.source})"
            raise InputError(msg, hint=error.hint) from None


def load(path: Path | None = None) -> Runbook:
    """Return the runbook in `path`, or the one that ships with irkit.

    Raises:
        RunbookError: the file cannot be read, is not UTF-8, is larger than 1 MB, or has fatal problems (all listed).
    """
    return _built_in() if path is None else parse(read(path), str(path))


def in_force(path: Path | None = None) -> Runbook:
    """Return the runbook in `path`; where it cannot be used, the one that ships with irkit, and why in its `unread`."""
    try:
        return load(path)
    except RunbookError as error:
        source = f"{BUILT_IN}, as {path} cannot be used"
        return replace(_built_in(), source=source, unread=Unread(error.brief, error.hint))


def read(path: Path) -> str:
    """Return the text of a runbook file.

    Raises:
        RunbookError: the file cannot be read, is none (a pipe, a device), is not UTF-8 (the line is named), or is
            larger than 1 MB.
    """
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # to open a pipe waits for its writer
            msg = f"the runbook {path} is no plain file"
            raise RunbookError(msg, hint=_HINT)
        with path.open("rb") as file:
            raw = file.read(MAX_SIZE_BYTES + 1)
    except OSError as error:
        msg = f"the runbook {path} cannot be read: {error.strerror or error}"
        raise RunbookError(msg, hint=_HINT) from None
    if len(raw) > MAX_SIZE_BYTES:
        msg = f"the runbook {path} is larger than {MAX_SIZE_BYTES // 1_000_000} MB"
        raise RunbookError(msg, hint="a runbook is a page people can read; move attachments elsewhere and link to them")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        msg = f"the runbook {path} is not UTF-8: line {line} holds the byte 0x{raw[error.start]:02x}"
        raise RunbookError(msg, hint="save the file as UTF-8") from None


def parse(text: str, source: str) -> Runbook:
    """Read a runbook from Markdown text; `source` says where it came from.

    Raises:
        RunbookError: the text has fatal problems; each is listed with its line number.
    """
    reader = RunbookReader(text)
    fatal = sorted((one for one in reader.problems if one.fatal), key=lambda one: one.line)
    if fatal:
        listed = [str(one) for one in fatal[:_MAX_LISTED]]
        if len(fatal) > _MAX_LISTED:
            listed.append(f"and {len(fatal) - _MAX_LISTED} more")
        msg = f"{source} cannot be used as a runbook:\n  " + "\n  ".join(listed)
        more = f", and {len(fatal) - 1} more" if len(fatal) > 1 else ""
        brief = f"{source} cannot be used as a runbook: {fatal[0]}{more}"
        raise RunbookError(msg, hint=f"`irkit runbook check {source}` lists all that is wrong with it", brief=brief)
    return Runbook(
        title=reader.title,
        source=source,
        sha256=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        severities=tuple(reader.severities.values()),
        incident_types=tuple(draft.finished() for draft in reader.types),
        contacts=tuple(reader.contacts),
        post_incident=tuple(reader.post_incident),
        sections=tuple(reader.sections),
        text=text,
    )


def check(text: str) -> tuple[Problem, ...]:
    """Return everything wrong with a runbook's text by line, what is fatal and what is only worth a look."""
    return tuple(sorted(RunbookReader(text).problems, key=lambda one: (one.line, not one.fatal)))


def who_to_tell(runbook: Runbook, incident_type: IncidentType, severity: Severity) -> tuple[Contact, ...]:
    """Return the contacts whom the runbook wants told of such an incident, in the runbook's order.

    A contact is meant when its `when` names the severity, or a word of the type's title or symptoms, or when the
    severity's escalation names its channel; one whose `when` names only other severities is not. The severity's
    `escalation` holds besides, also when no contact is returned.
    """
    names = {one.name.casefold() for one in runbook.severities}
    topic = _topic_words(incident_type.title, *(symptom.text for symptom in incident_type.symptoms))
    escalation = set(words_of(severity.escalation))
    told = []
    for contact in runbook.contacts:
        when = set(words_of(contact.when))
        if when & names:
            meant = severity.name.casefold() in when
        else:
            by_topic = bool(_topic_words(contact.when) & topic) or bool(when & {"always", "all", "any", "every"})
            meant = by_topic or bool(set(words_of(contact.channel)) & escalation)
        if meant:
            told.append(contact)
    return tuple(told)


@cache
def _built_in() -> Runbook:
    return parse(files("irkit").joinpath("runbook.md").read_text(encoding="utf-8"), BUILT_IN)


# words that say nothing of what an incident is about, so that "API issues" is matched by "API" alone
_NO_TOPIC = frozenset(
    {"a", "an", "and", "error", "failing", "failure", "for", "in", "incident", "is", "issue", "of", "on", "or"}
    | {"problem", "service", "the", "to", "with"}
)


def _topic_words(*texts: str) -> set[str]:
    return {
        singular for text in texts for word in words_of(text) if (singular := word.removesuffix("s")) not in _NO_TOPIC
    }


def _named(name: str, known: Mapping[str, T], what: str, source: str) -> T:
    by_folded = {key.casefold(): key for key in known}
    if found := by_folded.get(name.strip().casefold()):
        return known[found]
    near = get_close_matches(name.casefold(), by_folded, n=1)
    hint = f"did you mean {by_folded[near[0]]}?" if near else f"it has {', '.join(known)}"
    msg = f"{shown(name)} is not a {what} of the runbook ({source})"
    raise InputError(msg, hint=hint)


def outcome_words(outcome: str) -> str:
    """Return how the outcome of a step is worded behind it: `failed` is "done, and it did not help"."""
    return _OUTCOME_WORDS.get(outcome, outcome)


def step_told(  # noqa: PLR0913 (what was done, and how its kind of step is called)
    steps: Sequence[Step], number: int, outcome: str, text: str, *, what: str, where: str = ""
) -> str:
    """Return the words that record what became of a step: `Step 1 (Restart the service): done. By hand`.

    Raises:
        InputError: there is no such step, or it was not done and no reason is given.
    """
    known = {step.number: step.text for step in steps}
    if number not in known:
        hint = f"there are: {'; '.join(f'{each}. {words}' for each, words in known.items())}"
        raise InputError(f"the runbook has no {what} {number}{where}", hint=hint)
    if outcome != "done" and not text.strip():
        asked = _ASKED.get(outcome, f"why was step {number} {outcome}?").format(number)
        raise InputError(asked, hint="say so in a few words behind the step's number")
    said = f"{what.capitalize()} {number} ({known[number]}): {outcome_words(outcome)}"
    return f"{said}. {text}" if text.strip() else said


def command_for(title: str, incident_type: IncidentType) -> str:
    """Return the type's own diagnosis command that shares most words with a symptom's title, "" for none."""
    wanted = _words(title)
    shared = [(len(wanted & _words(f"{item.comment} {item.text}")), item.text) for item in incident_type.diagnosis]
    most, command = max(shared, key=lambda item: item[0], default=(0, ""))
    return command if most else ""


def _words(text: str) -> set[str]:
    """Return the words that tell: without those that most titles and commands have, plurals as singulars."""
    words = {word.removesuffix("s") for word in re.findall(r"[a-z]{4,}", text.lower())}
    return words - {"check", "error", "health", "failing", "docker", "compose"}
