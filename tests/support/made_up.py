"""Secrets made up from the patterns that describe them: no file of ours holds one that a scanner would report."""

from __future__ import annotations

import re
import string
import warnings
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

PRINTABLE = "".join(char for char in string.printable if char not in string.whitespace) + " "
CATEGORIES = {
    op.CATEGORY_DIGIT: string.digits,
    op.CATEGORY_WORD: string.ascii_letters + string.digits + "_",
    op.CATEGORY_SPACE: " ",
}
FLAGS = re.compile(r"\(\?[ixsmU]+\)")
# more than this of an unbounded repetition adds nothing
MOST_REPEATS = 8
TRIES = 40


def secrets_of(pattern: str, random: Random, count: int, group: int = 0) -> Iterator[tuple[str, str]]:
    """Yield texts that a pattern (RE2 or Rust syntax) matches, each with the secret in it.

    That is what the group matches, else the longest group there is, else all.
    """
    source = FLAGS.sub("", pattern).replace(r"\z", r"\Z")
    flags = re.IGNORECASE if any("i" in flag for flag in FLAGS.findall(pattern)) else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a set in a set means the same in all three syntaxes
        compiled = re.compile(source, flags)
        tree = parser.parse(source)
    made = 0
    for _ in range(TRIES * count):
        text = "".join(_any_of(tree, random))
        if match := compiled.search(f" {text} "):
            groups = [one for one in match.groups() if one]
            yield text, match[group] if group else max(groups, key=len) if groups else match[0].strip()
            made += 1
            if made == count:
                return


def _any_of(tree: Iterable[tuple[Any, Any]], random: Random) -> Iterator[str]:
    for kind, value in tree:
        if kind is op.LITERAL:
            yield chr(value)
        elif kind is op.NOT_LITERAL:
            yield random.choice(PRINTABLE.replace(chr(value), ""))
        elif kind is op.ANY:
            yield random.choice(PRINTABLE)
        elif kind is op.IN:
            yield random.choice(_members(value))
        elif kind in {op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT}:
            least, most, inner = value
            for _ in range(random.randint(least, min(most, least + MOST_REPEATS))):
                yield from _any_of(inner, random)
        elif kind is op.BRANCH:
            yield from _any_of(random.choice(value[1]), random)
        elif kind in {op.SUBPATTERN, op.ATOMIC_GROUP}:
            yield from _any_of(value[-1] if kind is op.SUBPATTERN else value, random)


def _members(items: Sequence[tuple[Any, Any]]) -> str:
    chars = ""
    for kind, value in items:
        if kind is op.LITERAL:
            chars += chr(value)
        elif kind is op.RANGE:
            chars += "".join(map(chr, range(value[0], value[1] + 1)))
        elif kind is op.CATEGORY:
            chars += CATEGORIES.get(value, PRINTABLE)
    if items[0][0] is op.NEGATE:
        return "".join(char for char in PRINTABLE if char not in chars) or "?"
    return "".join(char for char in chars if char in PRINTABLE) or " "
