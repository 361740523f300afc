"""What an incident teaches the runbook, as edits of its own text and as a patch that `git apply` takes.

An edit is proposed with its reason; whether it is right a person decides who reads the patch. One after which the
runbook would not read as before, but for what it adds, is not proposed.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from irkit import runbook as runbooks
from irkit.diagnose.verdicts import is_unfelt
from irkit.errors import InputError
from irkit.model import Event, EventKind, Finding, Incident, IncidentType, Step, VerdictState
from irkit.runbook import BUILT_IN, Runbook
from irkit.runbook.steps import DONE, FAILED, Try, is_begun, outcome_of, tries
from irkit.text.markdown import words_of
from irkit.text.message import fit, one_line

_WORDS_CHARS = 200
_STEM_CHARS = 3
_MEANS = re.compile(r"\b(?:after|by|since|through|thanks to)\b", re.IGNORECASE)
_SMALL = frozenset(
    words_of("a all an and are as at been for had has have in is it its of on that the them then this to was")
)
_BULLET = re.compile(r"\s*[-*+]\s+")
_NUMBERED = re.compile(r"(\s*)(\d{1,4})([.)])(\s+)")
_GLOB = re.compile(r"[*?\[]")
# an option of redis-cli's that takes a value
_REDIS_VALUES = frozenset({"-h", "-p", "-n", "-a", "-u", "--user", "--pass"})


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines to put in place of, or (`after`) behind, line `line` of the runbook, counted from 1."""

    line: int
    text: str
    after: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """One change to the runbook and why, for which of its types; `evidence` is what the reason rests on."""

    kind: str
    incident_type: str
    reason: str
    edit: Edit
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Lesson:
    """An incident, and the type of the runbook that it was."""

    runbook: Runbook
    kind: IncidentType
    incident: Incident
    timeline: Sequence[Event]


def propose(
    runbook: Runbook, incident: Incident, timeline: Sequence[Event], findings: Iterable[Finding] = ()
) -> tuple[Proposal, ...]:
    """Return the changes that an incident suggests: wrong commands, new symptoms, steps that worked or did not.

    There are none where the team's own cannot be read: a patch to the built-in one would not be to it.
    """
    if runbook.unread:
        return ()
    try:
        kind = runbook.incident_type(incident.type)
    except InputError:
        kind = None
    drafts = [*_wrong_commands(runbook)]
    if kind:
        learned = _Lesson(runbook, kind, incident, timeline)
        drafts += [*_symptoms(learned, findings), *_failed_steps(learned), *_new_steps(learned)]
    return tuple(one for one in drafts if _reads_on(runbook, one.edit))


def path_of(runbook: Runbook) -> str:
    """Return the path that a patch to this runbook names."""
    return "irkit/runbook.md" if runbook.source == BUILT_IN else place_of(Path(runbook.source))


def patch(text: str, path: str, proposals: Sequence[Proposal]) -> str:
    """Return a unified diff of a runbook's text with all proposals made, or "" where there are none.

    `path` is that of the file, relative to where `git apply` is run.
    """
    changed = applied(text, [one.edit for one in proposals])
    if changed == text:
        return ""
    before, after = (_lines(one) for one in (text, changed))
    made = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}")
    ended = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made)
    return "".join([f"diff --git a/{path} b/{path}\n", *ended])


def place_of(path: Path) -> str:
    """Return a file's path as `git apply` wants it: relative to the top of its working tree, else to where we are."""
    whole = path.absolute()
    top = next((folder for folder in whole.parents if (folder / ".git").exists()), Path.cwd())
    return whole.relative_to(top).as_posix() if whole.is_relative_to(top) else whole.name


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Return the text with the edits made; their lines are those of the text as it was."""
    lines = _lines(text)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    # from the last line up, so that no edit moves another's place; those behind one line keep their order
    for _, edit in sorted(enumerate(edits), key=lambda one: (one[1].line, one[0]), reverse=True):
        row = edit.line - 1
        if edit.after:
            if not lines[row].endswith("\n"):
                lines[row] += ending
            lines.insert(edit.line, edit.text + ending)
        else:
            kept = lines[row]
            lines[row] = edit.text + kept[len(kept.rstrip("\r\n")) :]
    return "".join(lines)


def _wrong_commands(runbook: Runbook) -> Iterator[Proposal]:
    for kind in runbook.incident_types:
        for command in kind.diagnosis:
            line = _line(runbook, command.line)
            if command.language in {"python", "py"} or not (mended := _scanning(line)):
                continue
            reason = (
                f"{kind.title}: `{line.strip()}` asks for one key of that very name, since GET knows no patterns, and "
                "so never shows anything; `--scan --pattern` lists the keys that match, and does not hold up the "
                "server as KEYS would"
            )
            yield Proposal("wrong command", kind.slug, reason, Edit(command.line, mended))


def _scanning(line: str) -> str:
    """Return a line whose `redis-cli GET` has a pattern for a key, with a scan for it instead; "" for any other."""
    try:
        words = shlex.split(line)
    except ValueError:
        return ""
    if not words or words[0] != "redis-cli":
        return ""
    at = 1
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _REDIS_VALUES else 1
    if len(words) != at + 2 or words[at].upper() != "GET" or not _GLOB.search(words[at + 1]):
        return ""
    return re.sub(r"\bGET\s+", "--scan --pattern ", line, count=1, flags=re.IGNORECASE)


def _symptoms(of: _Lesson, findings: Iterable[Finding]) -> Iterator[Proposal]:
    """Propose symptoms that were found in such an incident and that its type does not list."""
    known = {one.slug for one in of.kind.symptoms}
    last = max((one.line for one in of.kind.symptoms), default=0)
    bullet = _BULLET.match(_line(of.runbook, last)) if last else None
    for finding in findings:
        verdict = finding.verdict
        if not bullet or verdict.state is not VerdictState.FOUND or verdict.explained_by or finding.symptom in known:
            continue
        if is_unfelt(finding):
            continue
        known.add(finding.symptom)
        said = f"in {of.incident.label} it showed as “{finding.title}”, too: {one_line(verdict.sentence)}"
        edit = Edit(last, f"{bullet[0]}{_words(finding.title)}", after=True)
        yield Proposal("new symptom", of.kind.slug, f"{of.kind.title}: {said}", edit, finding.evidence)


def _failed_steps(of: _Lesson) -> Iterator[Proposal]:
    """Propose a word at steps that were done and did not help: one left out or kept from being done may serve."""
    for step in of.kind.resolution:
        told = [one for one in of.timeline if one.data.get("step") == step.number and not is_begun(one)]
        known = any(f"Did not serve in {of.incident.label}" in note for note in step.notes)
        if told and outcome_of(told[-1]) == FAILED and not known:
            why = _why(told[-1])
            said = f"did not serve in {of.incident.label}"
            reason = f"{of.kind.title}, step {step.number} ({step.text}) {said}{f': {why}' if why else ''}"
            # beneath the step, whose own words stay its title wherever steps are named
            indent = " " * len(numbered[0]) if (numbered := _NUMBERED.match(_line(of.runbook, step.line))) else "  "
            row = f"{indent}- {said[:1].upper()}{said[1:]}{f': {_markdown(why)}' if why else ''}"
            yield Proposal("step", of.kind.slug, reason, Edit(step.line, row, after=True), told[-1].evidence)


def _new_steps(of: _Lesson) -> Iterator[Proposal]:
    """Propose as a last step what was done instead of one, or made it well again where none did."""
    taken = [one for one in of.timeline if "step" in one.data]
    own = {step.number: step for step in of.kind.resolution}
    tried = [
        (one, text, "What was done")
        for one in taken
        if one.data.get("outcome") == "deviated"
        and not _is_of(text := _why(one), [step for number, step in own.items() if number == one.data["step"]])
    ]
    healed = next((one for one in of.timeline if one.kind is EventKind.MITIGATED and one.text.strip()), None)
    if healed and (not taken or any(_did_not_help(one) for one in taken)):
        done = [own[number] for number, many in tries(of.timeline, of.kind.resolution).items() if _mends(many[-1])]
        if not _is_of(text := _words(healed.text), done):
            tried.append((healed, text, "What helped"))
    last = max(of.kind.resolution, key=lambda one: one.line, default=None)
    numbered = _NUMBERED.match(_line(of.runbook, last.line)) if last else None
    if not last or not numbered:
        return
    known = [set(words_of(f"{one.text} {one.command or ''}")) for one in of.kind.resolution]
    number = last.number
    for event, text, what in tried:
        words = set(words_of(text))
        if any(words <= one for one in known) or any(_alike(words, one) for one in known[len(of.kind.resolution) :]):
            continue
        known.append(words)
        number += 1
        # a person's words of what was done, in whatever tense: who reads the patch makes a step of them
        said = f"{what} in {of.incident.label}: {_markdown(text)}"
        row = f"{numbered[1]}{number}{numbered[3]}{numbered[4]}{said}"
        reason = f"{of.kind.title}: in {of.incident.label} this was done, and no step says it: {text}"
        yield Proposal("new step", of.kind.slug, reason, Edit(last.line, row, after=True), event.evidence)


def _is_of(text: str, steps: Sequence[Step]) -> bool:
    """Say whether words name as the means what one of these steps says, and nothing beyond: they tell its effect.

    The means is what comes after such a word as "after", else what comes before a colon.
    """
    means = re.split(r"[:;.]", _MEANS.split(text, maxsplit=1)[-1])[0]
    named = [word for word in words_of(means) if word not in _SMALL]
    return bool(named) and any(all(_has(step, word) for word in named) for step in steps)


def _has(step: Step, word: str) -> bool:
    """Say whether a step has a word in any of its forms: that it is restarted is its restart."""
    stems = (one.rstrip("ey") for one in words_of(f"{step.text} {step.command or ''}"))
    return any(word.startswith(stem) for stem in stems if len(stem) >= _STEM_CHARS)


def _mends(last: Try) -> bool:
    return last.outcome == DONE and last.changes


def _alike(some: set[str], other: set[str]) -> bool:
    """Say whether two tell of the same: more than half of the words of the shorter are in the other, too."""
    return 2 * len(some & other) > min(len(some), len(other))


def _did_not_help(event: Event) -> bool:
    return outcome_of(event) != DONE


def _why(event: Event) -> str:
    """Return what a record of a step says beyond the step's own words."""
    step = r"Step \d+ \(.*?\): (?:done, and it did not help|tried, and it could not be done|\w+)\.?\s*"
    opening = re.match(rf"{step}|[\w-]+ [^:]{{0,200}}: (?:done, but it did not help|failed)\.\s*", event.text)
    return _words(event.text[opening.end() :] if opening else event.text)


def _words(text: str) -> str:
    return fit(one_line(text), _WORDS_CHARS).strip().rstrip(".")


def _markdown(flat: str) -> str:
    """Return a person's words as they may stand in a list item: no Markdown but inline code."""
    return re.sub(r"([\\*_\[\]<>|#])", r"\\\1", flat) if "`" not in flat else flat


def _reads_on(runbook: Runbook, edit: Edit) -> bool:
    """Say whether the runbook still reads, and has all the types, severities and contacts that it had."""
    try:
        changed = runbooks.parse(applied(runbook.text, [edit]), runbook.source)
    except InputError:
        return False
    same = (changed.severities, changed.contacts) == (runbook.severities, runbook.contacts)
    return same and [one.slug for one in changed.incident_types] == [one.slug for one in runbook.incident_types]


def _line(runbook: Runbook, number: int) -> str:
    return _lines(runbook.text)[number - 1].rstrip("\r\n")


def _lines(text: str) -> list[str]:
    """Cut a text at its line feeds only, which is what a patch counts."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
