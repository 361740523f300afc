"""One log line to the tokens of its pattern: what changes from line to line becomes `<*>`, words and signs stay.

One set of masks for all logs, none for a certain product. Every repetition is bounded or over classes that share no
character with what follows, so that a line is read in time proportional to its length.
"""

from __future__ import annotations

import re
from itertools import pairwise

from irkit.logs.formats import json_fields, logfmt_fields
from irkit.text.visible import without_ansi

VARIABLE = "<*>"
MAX_LINE_CHARS = 4_096
MAX_TOKENS = 160

_LONGEST_REPEAT = 8
# What an HTTP status is said with; it is a word of the pattern, not a number to hide. The digits hide as private-use
# characters from the masks and from the signatures that are taken without digits.
_STATUS = re.compile(r'(HTTP/[0-9.]{1,4}" |status(?:_?[cC]ode)?(?:": {0,2}"?|="?))([1-5][0-9]{2})(?![0-9])')
_HIDE = {ord("0") + digit: chr(0xE000 + digit) for digit in range(10)}
_HIDDEN = frozenset(_HIDE.values())
_STATUS_DIGITS = 3
_UNHIDE = {ord(hidden): chr(digit) for digit, hidden in _HIDE.items()}

_PART, _QUERY = r"[\w.@%+~$#{}-]{1,255}", r"(?:\?[^\s\"]{0,2000})?"
_UNIT = r"(?:[KMGTP]i?B|B|[bB]ytes?|[num]?s|µs|μs|msecs?|secs?|seconds?|min|minutes?|hours?|[kMG]?Hz|%)"
_AMOUNT = rf"(?<![\w.])[0-9][0-9.,]{{0,30}} ?{_UNIT}(?!\.?\w)"
_MASKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # an address with its scheme
        (r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>,;)\]]{1,2000}", VARIABLE),
        # octets in hexadecimal: MAC addresses, serial numbers
        (r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{2}[:-]){3,31}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])", VARIABLE),
        # IPv6
        (r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:])", VARIABLE),
        # a path of two parts or more, with its query; one part where it is clearly a path
        (rf"(?<![\w/\\.])(?:[A-Za-z]:|~|\.{{1,2}})?[/\\](?:{_PART}[/\\]{{1,2}}){{1,64}}(?:{_PART})?{_QUERY}", VARIABLE),
        (rf"(?<![\w/\\.])(?:~|\.{{1,2}})/{_PART}", VARIABLE),
        # the value of a key that has brackets: relay=mx.example.org[10.0.0.1]:25
        (
            r"(?<=\w=)[^\s,;=&|\"'(){}\[\]<>\ue000-\ue009]{1,200}[\[({][^\s,;=\"]{0,200}[\])}][^\s,;=\"\])}]{0,50}",
            VARIABLE,
        ),
        # several words in quotes
        (r"(?<=\w=\")[^\"\s\ue000-\ue009]{0,100} [^\"\ue000-\ue009]{0,200}(?=\")", VARIABLE),
        # the words of a date
        (r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6} {1,2}[0-9]{1,2}\b", "0"),
        (r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? (?=[0-9])", ""),
        # a host or a file and its port or line
        (r"(?<![\w.-])[A-Za-z_][\w-]{0,62}(?:\.[\w-]{1,63}){1,8}:[0-9]{1,6}(?![\w.])", VARIABLE),
        # an amount and its unit, and the same again for people: 1280 bytes (1.25 KB)
        (rf"(?<![\w.<>])[<>~]?[+-]?{_AMOUNT}(?: ?\({_AMOUNT}\))?", VARIABLE),
    )
)
_PARTS = re.compile(r"(<\*>|::|\.{2,}|[=:,;|()\[\]{}<>\"'])")
_DIGIT = re.compile(r"[0-9]")
_NUMBERED = re.compile(r"([A-Za-z]{2,20})[0-9]{1,6}")
# a class by its full name, such as sqlite3.OperationalError: the digit belongs to it
_CLASS = re.compile(r"(?:[A-Za-z_]\w{0,80}\.){1,12}[A-Z][A-Za-z]{2,80}")
_CLOSES = {"(": ")", "[": "]"}
_STOPS = frozenset(".!?")
_BETWEEN = frozenset(",:-./;")

Piece = tuple[str, bool]
"""A token and whether a space stands before it."""


def message_of(line: str) -> str:
    """Return what of a line is its pattern's: of JSON the level and the message, else all, without ANSI and NUL."""
    text = without_ansi(line[:MAX_LINE_CHARS]).replace("\x00", "").strip()
    if text[:1] == "{" and (fields := json_fields(text)):
        return _of_fields(fields) or text
    if "msg=" in text and "=" in text.split(" ", 1)[0] and (fields := logfmt_fields(text)):
        return _of_fields(fields) or text
    return text


def _of_fields(fields: dict[str, object]) -> str:
    named = {name.lower(): value for name, value in fields.items()}
    message = next((named[name] for name in ("message", "msg", "event") if isinstance(named.get(name), str)), "")
    level = next((named[name] for name in ("level", "levelname", "severity") if isinstance(named.get(name), str)), "")
    status = next((f" status={named[name]}" for name in ("status", "status_code") if name in named), "")
    return f"{level} {message}{status}".strip() if message else ""


def hide_status(text: str) -> str:
    """Return the text with its HTTP status in characters that are no digits."""
    return _STATUS.sub(lambda found: found[1] + found[2].translate(_HIDE), text)


def unhide_status(text: str) -> str:
    """Undo `hide_status`."""
    return text.translate(_UNHIDE)


def is_status(token: str) -> bool:
    """Say whether a token is an HTTP status as `hide_status` leaves it."""
    return len(token) == _STATUS_DIGITS and all(digit in _HIDDEN for digit in token)


def pieces_of(line: str) -> tuple[Piece, ...]:
    """Return the tokens of a line's pattern, each with whether a space stands before it."""
    text = hide_status(message_of(line))
    for mask, replacement in _MASKS:
        text = mask.sub(replacement, text)
    pieces: list[Piece] = []
    for word, following in pairwise([*text.split(), ""]):
        spaced = True
        for part in _PARTS.split(word):
            if len(pieces) >= MAX_TOKENS:
                return (*pieces[: MAX_TOKENS - 1], (VARIABLE, True))
            for token in _tokens_of(part):
                if pieces and pieces[-1][1] and not spaced and _CLOSES.get(pieces[-1][0]) == token:
                    _append(pieces, (VARIABLE, False))  # a value that is not there this time
                _append(pieces, (token, spaced))
                spaced = False
        if word[-1] == "=" != word and "=" in following.lstrip("="):
            _append(pieces, (VARIABLE, False))
    return tuple(pieces[:MAX_TOKENS])


def _tokens_of(part: str) -> tuple[str, ...]:
    """Return a part between separators as tokens: its final stop apart, `<*>` for what holds a digit."""
    if not part or part == VARIABLE:
        return (part,) if part else ()
    stop = ""
    if len(part) > 1 and part[-1] in _STOPS and part[-2] not in _STOPS:
        part, stop = part[:-1], part[-1]
    if _DIGIT.search(part) and not _CLASS.fullmatch(part):
        numbered = _NUMBERED.fullmatch(part)
        part = numbered[1] + VARIABLE if numbered else VARIABLE
    return (part, stop) if stop else (part,)


def _append(pieces: list[Piece], piece: Piece) -> None:
    """Append a token; of variables side by side, and of groups with a variable that repeat, one is enough."""
    if piece[0] == VARIABLE and pieces:
        if pieces[-1][0] == VARIABLE:
            return
        if len(pieces) > 1 and pieces[-1][0] in _BETWEEN and pieces[-2][0] == VARIABLE:
            pieces.pop()
            return
    pieces.append(piece)
    for length in range(2, min(_LONGEST_REPEAT, len(pieces) // 2) + 1):
        if pieces[-1][0] != pieces[-1 - length][0]:
            continue
        last = [token for token, _ in pieces[-length:]]
        if VARIABLE in last and last == [token for token, _ in pieces[-2 * length : -length]]:
            del pieces[-length:]
            return
