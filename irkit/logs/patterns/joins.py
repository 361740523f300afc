"""Patterns of unlike length that are one message: they differ in what one word holds, or in what brackets hold.

Columns are compared only among lines of as many tokens. A host that comes with its port or without, or a reason and a
command of several words between brackets, make lines of all lengths out of one message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from irkit.logs.patterns.masks import VARIABLE, Piece
from irkit.logs.patterns.split import MOST_TOKENS_JOINED, hash_at

Pattern = tuple[Piece, ...]
Words = tuple[Pattern, ...]

_CLOSED_BY = {"(": ")", "[": "]", '"': '"'}
# so many contents of more than one length, and they are no longer messages of their own
_FEWEST_CONTENTS = 4
# so many words that stay the same say more than one that does not; from 1 to 3 little changes on the logs at hand
_FEWEST_WORDS = 3


def joined(patterns: Iterable[Pattern]) -> Mapping[Pattern, Pattern]:
    """Return the pattern that each pattern is part of: mostly itself."""
    unlike = dict.fromkeys(patterns)
    if sum(map(len, unlike)) > MOST_TOKENS_JOINED:
        return dict(zip(unlike, unlike, strict=True))
    by_contents = _joined_by_contents(unlike)
    by_word = _joined_by_word(dict.fromkeys(by_contents.values()))
    return {pattern: by_word[wider] for pattern, wider in by_contents.items()}


def _joined_by_contents(patterns: Iterable[Pattern]) -> dict[Pattern, Pattern]:
    """Join patterns that differ only in what stands between brackets or quotes, if that is now so long, now so."""
    by_frame: dict[Pattern, list[Pattern]] = defaultdict(list)
    for pattern in patterns:
        by_frame[_frame(pattern)].append(pattern)
    found: dict[Pattern, Pattern] = {}
    for frame, inside in by_frame.items():
        # one that is a variable by now was two contents at least
        contents = len(inside) + (frame in inside)
        is_one = contents >= _FEWEST_CONTENTS and len({len(each) for each in inside}) > 1
        found.update((each, frame if is_one and _plain_words([frame]) else each) for each in inside)
    return found


def _frame(pattern: Pattern) -> Pattern:
    """Return a pattern with `<*>` for all that stands between two brackets, or quotes, that are not inside others."""
    frame: list[Piece] = []
    at = 0
    while at < len(pattern):
        frame.append(pattern[at])
        end = _end(pattern, at)
        if end > at + 1:
            frame += [(VARIABLE, False), (pattern[end][0], False)]
            at = end
        at += 1
    return tuple(frame)


def _end(pattern: Pattern, start: int) -> int:
    """Return where the bracket or quote at `start` is closed; -1 where it is none or stays open."""
    opened = pattern[start][0]
    closed = _CLOSED_BY.get(opened)
    if closed is None:
        return -1
    depth = 0
    for at in range(start + 1, len(pattern)):
        if pattern[at][0] == closed:
            if depth == 0:
                return at
            depth -= 1
        elif pattern[at][0] == opened:
            depth += 1
    return -1


def _joined_by_word(patterns: Iterable[Pattern]) -> dict[Pattern, Pattern]:
    """Join patterns that differ in one word only, as words stand between spaces, in which each has a variable."""
    found = {pattern: pattern for pattern in patterns}
    by_count: dict[int, dict[Pattern, Words]] = defaultdict(dict)
    for pattern in found:
        words = _words(pattern)
        by_count[len(words)][pattern] = words
    for count, some in by_count.items():
        # sums, so that what is left without one word costs no walk over all the others
        sums = {
            pattern: sum(hash_at(at, _text(word)) for at, word in enumerate(words)) for pattern, words in some.items()
        }
        for at in range(count):
            alike: dict[int, list[Pattern]] = defaultdict(list)
            for pattern, words in some.items():
                if any(VARIABLE in token for token, _ in words[at]):
                    alike[sums[pattern] - hash_at(at, _text(words[at]))].append(pattern)
            for same in alike.values():
                rest = some[same[0]]
                if (
                    len({len(each) for each in same}) > 1
                    and _plain_words([*rest[:at], *rest[at + 1 :]]) >= _FEWEST_WORDS
                ):
                    found.update(dict.fromkeys(same, min((found[each] for each in same), key=len)))
    return found


def _words(pattern: Pattern) -> Words:
    starts = [at for at, (_, spaced) in enumerate(pattern) if spaced or not at]
    return tuple(pattern[start:end] for start, end in pairwise([*starts, len(pattern)]))


def _text(word: Pattern) -> str:
    return "".join(token for token, _ in word)


def _plain_words(words: Iterable[Pattern]) -> int:
    """Return how many tokens are words and stay the same."""
    return sum(1 for word in words for token, _ in word if token[:1].isalpha() and VARIABLE not in token)
