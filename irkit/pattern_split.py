"""Tokens of many lines to patterns: lines of equal length, split column by column into those that say the same.

A column where lines differ either tells two messages apart (`started`, `stopped`) or is what the message is about (a
name). The fewer values, and the more they look like words, the likelier the first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from irkit.pattern_masks import VARIABLE, is_status

Tokens = tuple[str, ...]

# How many values a column may have to be what tells messages apart. Between 4 and 20 for words and from 3 for
# identifiers nothing changes on the logs this was made with.
_MOST_WORDS = 6
_MOST_IDENTIFIERS = 3
_MOST_OTHERS = 1
_MOST_AT_THE_HEAD = 10
_LONE_WORD_EXTRA = 3
_WORD = re.compile(r"[A-Za-z]?[a-z]{1,40}|[A-Z]{1,20}")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,200}(?:<\*>)?")
_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "ok", "enabled", "disabled"})
# what stands after these is somebody's or something's name
_NAMES = frozenset({"user", "username", "account", "host", "hostname", "name", "named", "called", "login"})


def patterns_of(rows: Iterable[Tokens]) -> Mapping[Tokens, Tokens]:
    """Return the pattern of each row of tokens, `<*>` in the columns where the rows of a pattern differ."""
    by_length: dict[int, dict[Tokens, None]] = defaultdict(dict)
    for row in rows:
        by_length[len(row)][row] = None
    found: dict[Tokens, Tokens] = {}
    for same_length in by_length.values():
        for part in _split(list(same_length)):
            columns = zip(*part, strict=True)
            pattern = tuple(column[0] if len(set(column)) == 1 else VARIABLE for column in columns)
            found.update(dict.fromkeys(part, pattern))
    return found


def _split(rows: list[Tokens]) -> list[list[Tokens]]:
    """Split rows of equal length at the first column that tells them apart, fewest values first, until none does."""
    done: list[list[Tokens]] = []
    waiting = [rows]
    while waiting:
        group = waiting.pop()
        column = _telling_column(group) if len(group) > 1 else None
        if column is None:
            done.append(group)
            continue
        parts: dict[str, list[Tokens]] = defaultdict(list)
        for row in group:
            parts[row[column]].append(row)
        waiting.extend(parts.values())
    return done


def _telling_column(rows: Sequence[Tokens]) -> int | None:
    values = [set(column) for column in zip(*rows, strict=True)]
    varying = sorted((index for index, each in enumerate(values) if len(each) > 1), key=lambda i: (len(values[i]), i))
    words = sum(1 for index, each in enumerate(values) if len(each) == 1 and rows[0][index][:1].isalpha())
    for index in varying:
        before = rows[0][index - 1] if index and len(values[index - 1]) == 1 else ""
        most = _most_values(values[index], before, at_the_head=index == 0)
        if words >= max(2, len(varying)) and len(values[index]) > most:
            continue  # enough stays the same around it: a variable
        if words == 1 and len(varying) == 1 and len(values[index]) > most + _LONE_WORD_EXTRA:
            continue
        return index
    return None


def _most_values(values: set[str], before: str, *, at_the_head: bool) -> int:
    """Return how many values a column like this may have and still tell messages apart."""
    if all(map(is_status, values)):
        return len(values)
    if before == "=" and not {value.lower() for value in values} <= _TRUTHS:
        return 0
    if VARIABLE in values or before.lower() in _NAMES:
        return 1
    if sum(1 for value in values if _WORD.fullmatch(value)) * 2 > len(values):
        most = _MOST_WORDS
    elif sum(1 for value in values if _IDENTIFIER.fullmatch(value)) * 2 > len(values):
        most = _MOST_IDENTIFIERS
    else:
        return _MOST_OTHERS
    return _MOST_AT_THE_HEAD if at_the_head else most
