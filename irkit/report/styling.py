"""The style of the sections: whole for a page, and for one cell of a notebook as much of it as that cell wears."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_SHEET = Path(__file__).parent / "report.css"
_CLASS = re.compile(r"\.([a-z][a-z0-9-]*)")
# an element's name stands at the beginning of a selector or behind a combinator, and before anything that narrows it
_ELEMENT = re.compile(r"(?:^|[\s>+~])([a-z][a-z0-9]*)")
_WORN = re.compile(r'class="([^"]*)"')
_TAG = re.compile(r"<([a-z][a-z0-9]*)")
_ROOT = "irkit"


@cache
def stylesheet() -> str:
    """Return the style of the sections, every rule below the class `irkit`."""
    return re.sub(r"\s*\n\s*", "", _SHEET.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class _Selector:
    """A selector as it stands, its class doubled, with the classes and elements that it wants."""

    text: str
    classes: frozenset[str]
    elements: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Selectors that share a body, or a query of the screen with the rules `inside` it."""

    selectors: tuple[_Selector, ...]
    body: str
    query: str = ""
    inside: tuple[_Rule, ...] = ()


def style_for(markup: str) -> str:
    """Return the rules of the style that apply to some HTML: a notebook holds the style of each of its cells.

    The class is doubled: a notebook's own rules for tables and lists are as specific as ours, and must not win.
    """
    classes = {name for told in _WORN.findall(markup) for name in told.split()} | {_ROOT}
    elements = set(_TAG.findall(markup)) | {"body"}
    return "".join(_worn(_sheet(), classes, elements))


def _worn(rules: Iterable[_Rule], classes: set[str], elements: set[str]) -> Iterator[str]:
    for rule in rules:
        if rule.query:
            if inner := "".join(_worn(rule.inside, classes, elements)):
                yield f"{rule.query}{{{inner}}}"
        elif worn := [one.text for one in rule.selectors if one.classes <= classes and one.elements <= elements]:
            yield f"{','.join(worn)}{{{rule.body}}}"


@cache
def _sheet() -> tuple[_Rule, ...]:
    return tuple(map(_parsed, _rules(stylesheet())))


def _parsed(rule: tuple[str, str]) -> _Rule:
    head, body = rule
    if head.startswith("@"):
        return _Rule((), "", head, tuple(map(_parsed, _rules(body))))
    return _Rule(tuple(map(_selector, head.split(","))), body)


def _selector(text: str) -> _Selector:
    plain = re.sub(r"\[[^\]]*\]|:[a-z-]+(?:\([^)]*\))?", "", text.strip())
    doubled = re.sub(r"\.irkit(?=[ .]|$)", ".irkit.irkit", text.strip())
    return _Selector(doubled, frozenset(_CLASS.findall(plain)), frozenset(_ELEMENT.findall(plain)))


def _rules(sheet: str) -> Iterator[tuple[str, str]]:
    """Yield what stands before each pair of outer braces, and between them."""
    depth, begun, opened = 0, 0, 0
    for place in (match.start() for match in re.finditer(r"[{}]", sheet)):
        if sheet[place] == "{":
            depth += 1
            if depth == 1:
                opened = place
        else:
            depth -= 1
            if depth == 0:
                yield sheet[begun:opened].strip(), sheet[opened + 1 : place]
                begun = place + 1
