"""Tokens of many lines to patterns: lines of equal length, split column by column into those that say the same.

A column where lines differ either tells two messages apart (`started`, `stopped`) or is what the message is about (a
name). The fewer values, and the more they look like words, the likelier the first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from irkit.logs.patterns.masks import VARIABLE, is_status

Tokens = tuple[str, ...]

# How many values a column may have to be what tells messages apart. Between 4 and 20 for words and from 3 for
# identifiers nothing changes on the logs this was made with.
_MOST_WORDS = 6
_MOST_IDENTIFIERS = 3
_MOST_OTHERS = 1
_MOST_AT_THE_HEAD = 10
_LONE_WORD_EXTRA = 3
# Two messages of many words seldom differ in but one of them, three hardly ever: then it is a name. Not so where the
# words say what was done: started, stopping, activation.
_MANY_WORDS = 4
_MOST_AMONG_MANY = 2
# a log of more unlike lines is noise, and to compare them all would take longer than to read it
MOST_TOKENS_JOINED = 400_000
_ACT = re.compile(r"[A-Za-z][a-z]{1,30}(?:ed|ing|ion)")
_WORD = re.compile(r"[A-Za-z]?[a-z]{1,40}|[A-Z]{1,20}")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,200}(?:<\*>)?")
# fmt: off
_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "ok", "enabled", "disabled", "enable",
                     "disable", "active", "inactive", "up", "down"})
# fmt: on
# what fills brackets or quotes alone is a value
_ENCLOSED = frozenset({("(", ")"), ("[", "]"), ("<", ">"), ("'", "'"), ('"', '"')})
# what stands after these is somebody's or something's name
_NAMES = frozenset({"user", "username", "account", "host", "hostname", "name", "named", "called", "login"})


def patterns_of(rows: Iterable[Tokens]) -> Mapping[Tokens, Tokens]:
    """Return the pattern of each row of tokens, `<*>` in the columns where the rows of a pattern differ."""
    by_length: dict[int, dict[Tokens, None]] = defaultdict(dict)
    for row in rows:
        by_length[len(row)][row] = None
    found: dict[Tokens, Tokens] = {}
    for same_length in by_length.values():
        parts: dict[Tokens, list[Tokens]] = {}
        for part in _split(list(same_length)):
            columns = zip(*part, strict=True)
            pattern = tuple(column[0] if len(set(column)) == 1 else VARIABLE for column in columns)
            parts.setdefault(pattern, []).extend(part)
        _join(parts)
        for pattern, part in parts.items():
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


def hash_at(place: int, text: str) -> int:
    """Return a hash of a text at a place; the sum of these is as good as one of all (those of tuples add up badly)."""
    return hash(f"{place} {text}")


def _sum(pattern: Tokens) -> int:
    return sum(hash_at(at, token) for at, token in enumerate(pattern))


def _join(parts: dict[Tokens, list[Tokens]]) -> None:
    """Join patterns that differ in one column only and would not have been told apart had they come alone.

    Among unlike lines the first column that is split may be the name of something.
    """
    length = len(next(iter(parts)))
    if len(parts) * length > MOST_TOKENS_JOINED:
        return
    # sums, so that what is left without one column costs no walk over all the others
    sums = {pattern: _sum(pattern) for pattern in parts}
    for column in range(length):
        alike: dict[int, list[Tokens]] = defaultdict(list)
        for pattern in parts:
            alike[sums[pattern] - hash_at(column, pattern[column])].append(pattern)
        for some in alike.values():
            first = some[0]
            if len(some) == 1 or sum(token[:1].isalpha() for token in first) < _MANY_WORDS:
                continue
            words = sum(token[:1].isalpha() for at, token in enumerate(first) if at != column)
            values = {pattern[column] for pattern in some}
            most = _most_values(values, _around(first, column), words, at_the_head=column == 0, alone=True)
            if words >= _MANY_WORDS and len(values) > most:
                wider = (*first[:column], VARIABLE, *first[column + 1 :])
                rows = [row for pattern in some for row in parts.pop(pattern)]
                parts.setdefault(wider, []).extend(rows)
                sums[wider] = _sum(wider)


def _telling_column(rows: Sequence[Tokens]) -> int | None:
    values = [set(column) for column in zip(*rows, strict=True)]
    varying = sorted((index for index, each in enumerate(values) if len(each) > 1), key=lambda i: (len(values[i]), i))
    same = tuple(token if len(each) == 1 else "" for token, each in zip(rows[0], values, strict=True))
    words = sum(token[:1].isalpha() for token in same)
    alone = len(varying) == 1
    for index in varying:
        most = _most_values(values[index], _around(same, index), words, at_the_head=index == 0, alone=alone)
        if words >= max(2, len(varying)) and len(values[index]) > most:
            continue  # enough stays the same around it: a variable
        if words == 1 and alone and len(values[index]) > most + _LONE_WORD_EXTRA:
            continue
        return index
    return None


def _around(row: Tokens, index: int) -> tuple[str, str]:
    """Return the tokens before and after a column."""
    return row[index - 1] if index else "", row[index + 1] if index + 1 < len(row) else ""


def _most_values(values: set[str], around: tuple[str, str], words: int, *, at_the_head: bool, alone: bool) -> int:
    """Return how many values a column like this may have and still tell messages apart.

    `words` of the message stay the same; `alone` where no other column varies.
    """
    if all(map(is_status, values)):
        return len(values)
    is_truth = {value.lower() for value in values} <= _TRUTHS
    if around[0] == "=" and not is_truth:
        return 0
    if VARIABLE in values or around[0].lower() in _NAMES or (around in _ENCLOSED and not is_truth):
        return 1
    if all(value.endswith(VARIABLE) for value in values):
        return 1  # eth<*>, bond<*>
    return _most_words(values, words, at_the_head=at_the_head, alone=alone)


def _most_words(values: set[str], words: int, *, at_the_head: bool, alone: bool) -> int:
    if sum(1 for value in values if _WORD.fullmatch(value)) * 2 > len(values):
        most = _MOST_WORDS
    elif sum(1 for value in values if _IDENTIFIER.fullmatch(value)) * 2 > len(values):
        most = _MOST_IDENTIFIERS
    else:
        return _MOST_OTHERS
    is_act = sum(1 for value in values if _ACT.fullmatch(value)) * 2 >= len(values)
    if not is_act and words >= _MANY_WORDS and (alone or not at_the_head):
        return min(most, _MOST_AMONG_MANY)
    if at_the_head and (is_act or words <= 1 or not alone):
        return _MOST_AT_THE_HEAD
    return most
