r"""The forms in which a text is searched for secrets: as a reader sees it, and with its escapes and codes resolved.

What stands between a name and its value (colours, characters of no width) or for a character of them (`\u0022`, `%3D`,
`&quot;`) is resolved beforehand, and a place in a form is known as a place in the text. Each form is an ASCII shadow,
in which each character is one byte. Every repetition is bounded or possessive, so that hostile text takes linear time.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from irkit.text.visible import ANSI

PLACEHOLDER = re.compile(rb"\[redacted:([a-z0-9-]{1,60}):[0-9a-f]{8}\]")
# characters that nobody sees: soft hyphens, joiners, marks of direction, variation selectors, tags
_NO_WIDTH_RANGES = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xE0000, 0xE007F)),
)
_NO_WIDTH_CODES = (0x9B, *(code for first, last in _NO_WIDTH_RANGES for code in range(first, last + 1)))
_NO_WIDTH = "".join(f"{chr(first)}-{chr(last)}" for first, last in _NO_WIDTH_RANGES)
# what begins with one character, or is one, is looked for many times faster
_COLOUR = re.compile(f"({ANSI.pattern})")
_UNSEEN = re.compile(f"([\x00{_NO_WIDTH}])")
_HIDDEN = re.compile(rf"({ANSI.pattern}|\x9b[0-?]{{0,64}}[ -/]{{0,8}}[@-~]|[\x00{_NO_WIDTH}])")
# what looks like a space, a colon, an equals sign or a quote and is none
_SHAPES = {chr(code): " " for code in (0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)}
_SHAPES |= {chr(code): '"' for code in (0x201C, 0x201D, 0x201E, 0x201F, 0xFF02)}
_SHAPES |= {chr(0xFF1A): ":", chr(0xFF1D): "=", chr(0xFF07): "'"}
_SHAPED = re.compile(f"[{''.join(_SHAPES)}]")
# a run of backslashes before an escape is one escape, however often the text was put into JSON
_ESCAPE = re.compile(
    r"((?<!\\)\\++(?:(?:u001[bB]|x1[bB]|033|e)\[[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[nrtbf\"'`/]))"
)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
_CODE = re.compile(
    r"(%[0-9a-fA-F]{2}|&(?:#\d{1,6}|#[xX][0-9a-fA-F]{1,5}|amp|apos|colon|commat|equals|gt|lt|nbsp|quot|sol);)"
)
_ENTITIES = {"amp": "&", "apos": "'", "colon": ":", "commat": "@", "equals": "=", "gt": ">", "lt": "<", "nbsp": " "}
_ENTITIES |= {"quot": '"', "sol": "/"}
_MOST_ROUNDS = 3  # a code of a code of a code
_KNOWN_CODES = 4096
_Step = tuple[list[int], list[int]]


class Form(NamedTuple):
    """A shadow, and for each step that led to it from which place in it which place before the step counts on."""

    shadow: bytes
    steps: tuple[_Step, ...] = ()

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where in the text a span of the shadow stands; a code at either end of it belongs to it whole."""
        for here, there in reversed(self.steps):
            first, last = bisect_right(here, start) - 1, bisect_right(here, end - 1) - 1
            start = there[first] + start - here[first]
            # every second entry is what was put in the place of something
            end = there[last + 1] if last % 2 else there[last] + end - here[last]
        return start, end


def forms(text: str, coded: Any) -> Iterator[Form]:  # noqa: ANN401 (a pattern of RE2's)
    """Yield the forms of a text, most often one; existing placeholders are line breaks in all of them.

    Lines with percent or HTML codes are decoded where they match `coded`.
    """
    signs = not text.isascii() and _signs().search(_utf8(text)) is not None
    bare = text
    steps: tuple[_Step, ...] = ()
    if signs or "\x1b" in text or "\x00" in text:
        unseen = signs or "\x00" in text
        hidden = _COLOUR if not unseen else _HIDDEN if "\x1b" in text or "\x9b" in text else _UNSEEN
        bare, step = _replaced(text, hidden, lambda _: "")
        steps = (step,)
        if "\x1b]" in text or "\x00" in text or _glued().search(_utf8(text)):
            yield Form(_masked(text, signs=signs))
    form = Form(_shadow(bare, signs=signs), steps)
    yield form
    plain = form.shadow.decode("ascii")
    if "\\" in plain and _ESCAPE.search(plain):
        plain, step = _replaced(plain, _ESCAPE, _unescaped)
        form = Form(plain.encode("ascii"), (*form.steps, step))
        yield form
    for _ in range(_MOST_ROUNDS):
        if "%" not in plain and "&" not in plain:
            break
        plain, cut = _coded_lines(plain, coded)
        if not plain:
            break
        plain, step = _replaced(plain, _CODE, _decoded)
        form = Form(plain.encode("ascii"), (*form.steps, cut, step))
        yield form


def resolved(text: str) -> str:
    """Return a text without what is not seen and with its JSON escapes resolved, so that a secret has one form."""
    text = _HIDDEN.sub("", text)
    return _ESCAPE.sub(lambda match: _character(match[0]), text) if "\\" in text else text


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bytes_of(codes: Iterable[int]) -> bytes:
    import re2

    return b"|".join(re2.escape(_utf8(chr(code))) for code in codes)


@cache
def _signs() -> Any:  # noqa: ANN401 (a pattern of RE2's)
    """Return the pattern of what is hidden or shaped like something else beyond ASCII; most text has none of it."""
    import re2

    return re2.compile(_bytes_of((*_NO_WIDTH_CODES, *map(ord, _SHAPES))))


@cache
def _glued() -> Any:  # noqa: ANN401
    """Return the pattern of what is hidden between two words, which may be two or one."""
    import re2

    colour = rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_])"
    return re2.compile(rb"\w(?:" + colour + b"|" + _bytes_of(_NO_WIDTH_CODES) + rb")+\w")


def _shadow(text: str, *, signs: bool) -> bytes:
    if signs:
        text = _SHAPED.sub(lambda match: _SHAPES[match[0]], text)
    shadow = text.encode("ascii", "replace")
    if b"[redacted:" in shadow:
        shadow = PLACEHOLDER.sub(lambda match: b"\n" * len(match[0]), shadow)
    return shadow


def _masked(text: str, *, signs: bool) -> bytes:
    """Return a shadow in which what is hidden parts words; a link's address in it, and a NUL, stay as they are."""

    def mask(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith(("\x00", "\x1b]")) else "\n" * len(match[0])

    return _shadow(_HIDDEN.sub(mask, text), signs=signs)


def _character(escape: str) -> str:
    kind = escape.lstrip("\\")
    if "[" in kind:
        return ""  # a colour
    if len(kind) == 1:
        return _ESCAPED.get(kind, kind)
    char = chr(int(kind[1:], 16))
    return "" if char != "\x00" and _HIDDEN.fullmatch(char) else char  # a NUL parts the words of a command


@lru_cache(_KNOWN_CODES)
def _unescaped(escape: str) -> str:
    char = _character(escape)
    char = _SHAPES.get(char, char)
    return char if char.isascii() else "?"


@lru_cache(_KNOWN_CODES)
def _decoded(code: str) -> str:
    if code[0] == "&" and code[1] != "#":
        return _ENTITIES[code[1:-1]]
    digits = code[1:] if code[0] == "%" else code[2:-1].lower()
    number = int(digits.lstrip("x"), 16) if code[0] == "%" or digits[0] == "x" else int(digits)
    return " " if number == ord("\xa0") else chr(number) if number < 0x80 else "?"  # noqa: PLR2004 (the end of ASCII)


def _coded_lines(text: str, coded: Any) -> tuple[str, _Step]:  # noqa: ANN401
    """Return those lines of a shadow that may hold a secret in codes; `;` stands for the lines between two of them."""
    pieces: list[str] = []
    here, there = [0], [0]
    size = kept = at = 0
    while match := _CODE.search(text, at):
        start = text.rfind("\n", at, match.start()) + 1 or at
        at = text.find("\n", match.end())
        at = len(text) if at < 0 else at
        if coded.search(text[start:at].encode("ascii")):
            end = min(at + 1, len(text))
            gap = ";\n" if kept < start else ""
            pieces += (gap, text[start:end])
            here += (size, size + len(gap))
            there += (kept, start)
            size += len(gap) + end - start
            kept = end
    return "".join(pieces), (here, there)


def _replaced(text: str, pattern: re.Pattern[str], instead: Callable[[str], str]) -> tuple[str, _Step]:
    """Return the text with every match replaced, and the step that led to it; the pattern is one group."""
    parts = pattern.split(text)
    there = [0, *accumulate(map(len, parts[:-1]))]
    parts[1::2] = map(instead, parts[1::2])
    here = [0, *accumulate(map(len, parts[:-1]))]
    return "".join(parts), (here, there)
