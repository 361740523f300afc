"""Read Markdown of a runbook's shape: what is understood, what is kept as it is, what is wrong and on which line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from irkit.errors import InputError
from irkit.model import Command, Contact, IncidentType, RunbookSymptom, Section, Severity, Step, Threshold
from irkit.text.markdown import (
    commands_of,
    items_of,
    label_of,
    line_of,
    parts_of,
    rows_of,
    slug_of,
    source_of,
    steps_of,
    words_of,
)
from irkit.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it.tree import SyntaxTreeNode

    from irkit.text.markdown import Part

_SHOWN_CHARS = 60
_SEVERITY_COLUMNS = ("severity", "response time", "escalation")
_CONTACT_COLUMNS = ("role", "contact", "when")
_TYPE_HEADING = re.compile(r"(?:(\d{1,4})[.)]\s+)?(.*?)\s*(?:\(([^()]*)\))?", re.ASCII)
_LABELS = {
    "symptoms": ("symptom", "symptoms", "signs"),
    "diagnosis": ("diagnosis", "diagnose", "diagnostics", "checks"),
    "resolution": ("resolution", "resolve", "remediation", "mitigation", "fix"),
}
_COMPARISON = re.compile(
    r"(>=|<=|>|<|≥|≤|\b(?:above|over|exceeds|more than|greater than|below|under|less than|at least|at most)\b)"
    r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*(%|/?[a-z]+(?:/[a-z]+)?)?",
    re.ASCII | re.IGNORECASE,
)
_SIGNS = {
    **dict.fromkeys(("≥", "at least"), ">="),
    **dict.fromkeys(("≤", "at most"), "<="),
    **dict.fromkeys(("above", "over", "exceeds", "more than", "greater than"), ">"),
    **dict.fromkeys(("below", "under", "less than"), "<"),
}
_BASE_UNITS = {
    "%": (0.01, "ratio"),
    **dict.fromkeys(("b", "byte", "bytes"), (1.0, "B")),
    **{f"{prefix}b": (1000.0**power, "B") for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": (1024.0**power, "B") for power, prefix in enumerate("kmgt", 1)},
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a runbook at `line` (from 1); a `fatal` one makes it unusable."""

    line: int
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@dataclass(slots=True)
class _Draft:
    """An incident type while its parts are still being read."""

    slug: str
    title: str
    number: int
    severity: str
    line: int
    symptoms: list[RunbookSymptom] = field(default_factory=list)
    diagnosis: list[Command] = field(default_factory=list)
    resolution: list[Step] = field(default_factory=list)

    def finished(self) -> IncidentType:
        parts = (tuple(self.symptoms), tuple(self.diagnosis), tuple(self.resolution))
        return IncidentType(self.slug, self.title, self.number, self.severity, *parts, self.line)


class RunbookReader:
    """One pass over a runbook: what was understood, what is kept as it is, and what is wrong."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.title = ""
        self.problems: list[Problem] = []
        self.severities: dict[str, Severity] = {}
        self.contacts: list[Contact] = []
        self.post_incident: list[Step] = []
        self.types: list[_Draft] = []
        self.sections: list[Section] = []
        parts = parts_of(text)
        consumed = self._read_tables(parts)
        self._read_parts(parts, consumed)
        self._look_over()

    def _read_tables(self, parts: Iterable[Part]) -> set[int]:
        """Read the first table of each known shape, wherever it stands; return the ids of those blocks."""
        consumed: dict[str, int] = {}
        for block in (block for part in parts for block in part.blocks if block.type == "table"):
            rows = rows_of(block)
            header = {" ".join(words_of(cell)): index for index, cell in enumerate(rows[0][1])}
            for name, (columns, take) in {
                "severities": (_SEVERITY_COLUMNS, self._take_severity),
                "contacts": (_CONTACT_COLUMNS, self._take_contact),
            }.items():
                if name not in consumed and set(columns) <= set(header):
                    consumed[name] = id(block)
                    for line, row in rows[1:]:
                        take(line, *(row[header[column]] for column in columns))
        return set(consumed.values())

    def _take_severity(self, line: int, name: str, response_time: str, escalation: str) -> None:
        if not name:
            self._refuse(line, "a row of the severities table names no severity")
        elif name.casefold() in self.severities:
            self._refuse(line, f"the severity {shown(name)} is defined twice")
        else:
            try:
                duration = parse_duration(response_time)
            except InputError as error:
                self._refuse(line, f"the response time of {shown(name)} cannot be read: {error} ({error.hint})")
                duration = timedelta.max
            self.severities[name.casefold()] = Severity(name, duration, escalation, len(self.severities))

    def _take_contact(self, line: int, role: str, channel: str, when: str) -> None:
        if not all((role, channel, when)):
            self._warn(line, "a row of the contacts table has an empty cell")
        self.contacts.append(Contact(role, channel, when))

    def _read_parts(self, parts: Iterable[Part], consumed: set[int]) -> None:
        type_level = container_level = 0
        for part in parts:
            left = [block for block in part.blocks if id(block) not in consumed]
            understood = len(left) < len(part.blocks)
            if part.level <= type_level:
                type_level = 0
            if part.level <= container_level:
                container_level = 0
            words, label = words_of(part.title), _meaning(part.title)
            if type_level:
                understood = understood or label is not None
                left = self._fill(self.types[-1], left, label)
            elif draft := self._begin_type(part, within=bool(container_level)):
                type_level, understood = part.level, True
                left = self._fill(draft, left, None)
            elif "".join(words).startswith("postincident"):
                understood = True
                left = [block for block in left if not self._take_follow_up(block)]
            elif "incidents" in words or words[:2] == ["incident", "types"]:
                container_level, understood = part.level, True
            elif part.level == 1 and not self.title:
                self.title, understood = part.title, True
            if left or not (understood or part.level == 0):
                self._keep(part, left)

    def _begin_type(self, part: Part, *, within: bool) -> _Draft | None:
        """Start an incident type at a heading such as `1. Title (Severity)`; None for any other heading."""
        match = _TYPE_HEADING.fullmatch(part.title)
        number, title, given = match.groups() if match else (None, "", None)
        known = self.severities.get((given or "").strip().casefold())
        if not title or not (known or (within and number)):
            return None
        if given is None:
            self._refuse(
                part.line,
                f"the incident type {shown(title)} names no severity: end its heading with one in brackets",
            )
        elif known is None and self.severities:
            self._refuse(
                part.line,
                f"the incident type {shown(title)} has the severity {shown(given)}, which is not defined",
            )
        slug = slug_of(title)
        if twin := next((one for one in self.types if one.slug == slug), None):
            self._refuse(part.line, f"the incident type {shown(title)} is already defined on line {twin.line}")
        draft = _Draft(slug, title, int(number or len(self.types) + 1), known.name if known else "", part.line)
        self.types.append(draft)
        return draft

    def _fill(self, draft: _Draft, blocks: Iterable[SyntaxTreeNode], label: str | None) -> list[SyntaxTreeNode]:
        """Take symptoms, commands and steps from the blocks under their labels; return the blocks not understood."""
        left = []
        for block in blocks:
            if (heading := label_of(block)) is not None:
                label = _meaning(heading)
                if label is None:
                    left.append(block)
            elif not self._take(draft, block, label):
                left.append(block)
        return left

    def _take(self, draft: _Draft, block: SyntaxTreeNode, label: str | None) -> bool:
        if label == "symptoms":
            for line, text in items_of(block):
                symptom = _symptom(text, line)
                if symptom.slug in {one.slug for one in draft.symptoms}:
                    self._warn(line, f"the symptom {shown(text)} is listed twice under {shown(draft.title)}")
                draft.symptoms.append(symptom)
            return bool(items_of(block))
        if label == "diagnosis":
            commands = commands_of(block)
            draft.diagnosis.extend(commands)
            return bool(commands)
        if label == "resolution":
            steps = steps_of(block, len(draft.resolution) + 1)
            draft.resolution.extend(steps)
            return bool(steps)
        return False

    def _take_follow_up(self, block: SyntaxTreeNode) -> bool:
        steps = steps_of(block, len(self.post_incident) + 1)
        self.post_incident.extend(steps)
        return bool(steps)

    def _keep(self, part: Part, left: list[SyntaxTreeNode]) -> None:
        line = line_of(left[0]) if left else part.line
        self.sections.append(Section(part.title, part.level, line, source_of(left, self.text)))
        where = f"under {shown(part.title)}" if part.title else "before the first heading"
        self._warn(line, f"the text {where} has no meaning to irkit; it is kept and shown as it is")

    def _look_over(self) -> None:
        if not self.severities:
            self._refuse(1, f"there is no severities table (its columns are {', '.join(_SEVERITY_COLUMNS)})")
        if not self.types:
            self._refuse(1, "there are no incident types (headings such as `### 1. Title (Severity)`)")
        if not self.contacts:
            self._warn(1, f"there is no contacts table (its columns are {', '.join(_CONTACT_COLUMNS)})")
        if not self.post_incident:
            self._warn(1, "there are no post-incident steps")
        for draft in self.types:
            for name, found in (("symptoms", draft.symptoms), ("resolution steps", draft.resolution)):
                if not found:
                    self._warn(draft.line, f"the incident type {shown(draft.title)} has no {name}")

    def _refuse(self, line: int, message: str) -> None:
        self.problems.append(Problem(line, message))

    def _warn(self, line: int, message: str) -> None:
        self.problems.append(Problem(line, message, fatal=False))


def _symptom(text: str, line: int) -> RunbookSymptom:
    threshold = _threshold(text)
    return RunbookSymptom(slug_of(threshold.metric if threshold else text), text, line, threshold)


def _threshold(text: str) -> Threshold | None:
    match = _COMPARISON.search(text)
    metric = text[: match.start()].strip(" :") if match else ""
    if match is None or not metric:
        return None
    sign, value, unit = match[1].lower(), float(match[2]), match[3] or ""
    return Threshold(metric, _SIGNS.get(sign, sign), *_in_base_unit(value, unit))


def _in_base_unit(value: float, unit: str) -> tuple[float, str]:
    amount, per, period = unit.partition("/")
    factor, base = _scale(amount)
    length, base_period = _scale(period) if per else (1.0, "")
    return round(value * factor / length, 9), f"{base}{per}{base_period}"


def _scale(unit: str) -> tuple[float, str]:
    """Return the factor to seconds, bytes or a ratio and that unit's name; any other unit stays as written."""
    if unit.lower() in _BASE_UNITS:
        return _BASE_UNITS[unit.lower()]
    try:
        return parse_duration(f"1 {unit}").total_seconds(), "s"
    except InputError:
        return 1.0, unit


def _meaning(label: str) -> str | None:
    word = (words_of(label) or [""])[0]
    return next((meaning for meaning, words in _LABELS.items() if word in words), None)


def shown(text: str) -> str:
    """Return the text as it may stand in a message: quoted, control characters escaped, cut to 60 characters."""
    quoted = repr(text)
    return quoted if len(quoted) <= _SHOWN_CHARS else f"{quoted[: _SHOWN_CHARS - 1]}…"
