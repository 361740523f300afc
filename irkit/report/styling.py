"""The style of the sections: whole for a page, and for one cell of a notebook as much of it as that cell wears."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_SHEET = Path(__file__).parent / "report.css"
_CLASS = re.compile(r"\.([a-z][a-z0-9-]*)")
# an element's name stands at the beginning of a selector or behind a combinator, and before anything that narrows it
_ELEMENT = re.compile(r"(?:^|[\s>+~])([a-z][a-z0-9]*)")
_ROOT = "irkit"


@cache
def stylesheet() -> str:
    """Return the style of the sections, every rule below the class `irkit`."""
    return re.sub(r"\s*\n\s*", "", _SHEET.read_text(encoding="utf-8"))


def style_for(markup: str) -> str:
    """Return the rules of the style that apply to some HTML: a notebook holds the style of each of its cells.

    The class is doubled: a notebook's own rules for tables and lists are as specific as ours, and must not win.
    """
    classes = {name for told in re.findall(r'class="([^"]*)"', markup) for name in told.split()} | {_ROOT}
    elements = set(re.findall(r"<([a-z][a-z0-9]*)", markup)) | {"body"}
    kept = "".join(_worn(_rules(stylesheet()), classes, elements))
    return re.sub(r"\.irkit(?=[ {.])", ".irkit.irkit", kept)


def _worn(rules: Iterator[tuple[str, str]], classes: set[str], elements: set[str]) -> Iterator[str]:
    for selectors, body in rules:
        if selectors.startswith("@"):
            if inner := "".join(_worn(_rules(body), classes, elements)):
                yield f"{selectors}{{{inner}}}"
        elif worn := [one for one in selectors.split(",") if _applies(one.strip(), classes, elements)]:
            yield f"{','.join(worn)}{{{body}}}"


def _applies(selector: str, classes: set[str], elements: set[str]) -> bool:
    plain = re.sub(r"\[[^\]]*\]|:[a-z-]+(?:\([^)]*\))?", "", selector)
    return classes.issuperset(_CLASS.findall(plain)) and elements.issuperset(_ELEMENT.findall(plain))


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
