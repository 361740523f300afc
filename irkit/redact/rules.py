"""Where the secrets stand in a text: the rules of a maintained scanner, and our own for what has no vendor's mark.

Both run in linear time over the ASCII shadow of the text, in which each character is one byte: vendors' tokens by
Kingfisher's engine and the catalogue that comes with it, which finds without ever using a network; names, URLs,
headers and commands by RE2 and `rules.toml`.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

ENGINES = ("kingfisher_sdk", "re2")
PLACEHOLDER = re.compile(rb"\[redacted:([a-z0-9-]{1,60}):[0-9a-f]{8}\]")
# a run of backslashes before an escape is one escape, however often the text was put into JSON
_ESCAPE = re.compile(r"(?<!\\)\\++(?:u([0-9a-fA-F]{4})|([nrtbf\"'`/]))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
# parts of a vendor's rule that open no door by themselves, such as an account's name
_NO_SECRET = re.compile(r"(?:-id|-ids|-name|-username|-url|-host|-domain|-address|-repository)(?:\.\d+)?$")
_HARMLESS = re.compile(
    r"(?i:none|null|nil|true|false|undefined|unknown|expired|invalid|missing|required|incorrect|mismatch|empty|\{+|"
    r"authentication|unauthorized|forbidden|basic|bearer|digest|negotiate|string|str|int|bytes|object|"
    r"[<\[{(*]*(?:redacted|filtered|masked|hidden|removed)[>\]})*]*|<[\w -]+>|[*x.•…-]+|%\w|\$\{?\w+\}?)"
)
_NOTHING = r"[^\x00-\x{10FFFF}]"
_SHORT_WORD = 16
_TOKEN_CHARS = 20
_KEY_DIGITS = 4
# a secret found by its name is looked for without it: so long, no word, and all of them no longer than this
_REPEATED_CHARS = 8
_REPEATED_TOTAL = 20_000
_SEPARATORS = re.compile(r"[._~+-]")
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]+")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


class Span(NamedTuple):
    """A secret from character `start` to before `end`, and the rule that found it."""

    start: int
    end: int
    rule: str


class _Own(NamedTuple):
    """A pattern, and by the group that matched: the rule and the group that holds the secret."""

    pattern: Any
    rules: dict[int, tuple[str, int]]


def spans(text: str, *, addresses: bool = False) -> list[Span]:
    """Return where the secrets of a text stand, in order and without overlap; existing placeholders are passed over.

    A text with JSON escapes in it is read as it is and unescaped. With `addresses`, e-mail addresses, IP addresses
    other than the loopback's, and hosts are found too.
    """
    shadow = text.encode("ascii", "replace")
    if b"[redacted:" in shadow:
        shadow = PLACEHOLDER.sub(lambda match: b"\n" * len(match[0]), shadow)
    found = list(_scan(shadow, addresses=addresses))
    if "\\" in text and _ESCAPE.search(text):
        plain, origins = _unescaped(shadow.decode("ascii"))
        found.extend(_mapped(span, origins) for span in _scan(plain, addresses=addresses))
    made = _merged(found)
    return _merged([*made, *_repeated(shadow, made)]) if made else made


def unescape(text: str) -> str:
    """Return a text with its JSON escapes resolved, so that a secret has one form."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


@cache
def vendor_rules() -> Any:  # noqa: ANN401 (a Scanner of kingfisher_sdk)
    """Return the vendors' rules, compiled: seconds the first time on a machine, then a fifth of one from a cache.

    The cache lies where the user's caches do (`XDG_CACHE_HOME`) and holds compiled rules, never a finding.
    """
    import kingfisher_sdk

    return kingfisher_sdk.Scanner(kingfisher_sdk.Rules(confidence="low"))


@cache
def own_rules() -> _Own:
    """Return the rules of `rules.toml` as one RE2 pattern."""
    table = _table()
    return _compiled(table["rule"], {name: table[name] for name in ("secrets", "tokens")})


@cache
def lone_rules() -> _Own:
    """Return the vendors' rules that want two secrets near each other, as RE2 and content with the one."""
    import re2

    catalogue = vendor_rules().rules
    parts: list[str] = []
    rules: dict[int, tuple[str, int]] = {}
    group = 1
    for detail in (catalogue.detail(row["id"]) for row in catalogue.metadata() if row["visible"]):
        if all(other["optional"] for other in detail["depends_on_rule"] or ()):
            continue
        try:
            groups = re2.compile(detail["pattern"].encode(), _options()).groups
        except re2.error:
            continue  # a construct that RE2 lacks
        parts.append(f"({detail['pattern']})")
        rules[group] = (_rule_name(detail["id"]), group + (detail["betterleaks_secret_group"] or min(groups, 1)))
        group += groups + 1
    return _Own(re2.compile("|".join(parts or [_NOTHING]).encode(), _options()), rules)


@cache
def opaque_rules() -> _Own:
    """Return the pattern of what may be a token by its looks alone."""
    return _compiled(_table()["opaque"], {})


@cache
def address_rules() -> _Own:
    """Return the optional rules for addresses as one RE2 pattern."""
    return _compiled(_table()["address"], {})


def load() -> None:
    """Read the rules that every text is held to now, and not as the first text comes."""
    vendor_rules()
    own_rules()
    lone_rules()
    opaque_rules()


def rule_count() -> int:
    """Return how many rules stand ready, the vendors' and ours."""
    return len(vendor_rules().rules) + len(_table()["rule"])


@cache
def sensitive_name() -> re.Pattern[str]:
    """Return the pattern that ends the name of a setting, field or variable that holds a secret."""
    table = _table()
    return re.compile(rf"(?:{table['secrets']}|{table['tokens']}|authorization|cookie)$", re.IGNORECASE)


def is_harmless(value: str) -> bool:
    """Say whether a value stands where a secret would and is none: `None`, `***`, `${PASSWORD}`."""
    return _HARMLESS.fullmatch(value) is not None


def looks_random(value: str) -> bool:
    """Say whether a run of letters and digits is a token by its looks: long, varied, digits all over it.

    Hexadecimal numbers are not (trace, container and commit ids), nor are ULIDs, words with a number, or times.
    """
    run = max(_SEPARATORS.split(value), key=len)
    changes = sum(before.isdigit() != after.isdigit() for before, after in pairwise(run))
    varied = len(run) >= _TOKEN_CHARS and len(set(run)) >= _TOKEN_CHARS // 2
    return varied and changes * 8 >= len(run) and not _HEX.fullmatch(run) and not _ULID.fullmatch(run)


def is_placeholder(value: str) -> bool:
    """Say whether a value was redacted before, whole."""
    return PLACEHOLDER.fullmatch(value.encode("ascii", "replace")) is not None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((files("irkit.redact") / "rules.toml").read_text(encoding="utf-8"))


def _compiled(rules: list[dict[str, str]], names: dict[str, str]) -> _Own:
    import re2

    owners: list[str] = []

    def own_group(_: re.Match[str]) -> str:
        owners.append(rule["name"])
        return f"(?P<g{len(owners)}>"

    parts = []
    for rule in rules:
        pattern = rule["pattern"]
        for name, words in names.items():
            pattern = pattern.replace(f"%{name}%", words)
        parts.append(re.sub(r"\(\?P<secret>", own_group, pattern))
    pattern = re2.compile(("(?im)" + "|".join(parts)).encode("ascii"), _options())
    return _Own(pattern, {group: (rule, group) for group, rule in enumerate(owners, 1)})


def _options() -> Any:  # noqa: ANN401 (RE2's)
    import re2

    options = re2.Options()
    options.max_mem = 64 << 20  # its automata are made as texts need them
    options.log_errors = False
    return options


def _scan(shadow: bytes, *, addresses: bool) -> Iterator[Span]:
    for finding in vendor_rules().scan(shadow):
        if finding.visible or not _NO_SECRET.search(finding.rule_id):
            place = finding.location
            yield Span(place["start_offset"], place["end_offset"], _rule_name(finding.rule_id))
    for own in (own_rules(), lone_rules(), opaque_rules(), *((address_rules(),) if addresses else ())):
        for match in own.pattern.finditer(shadow):
            rule, group = own.rules[match.lastindex]
            start, end = match.span(group)
            if not _spared(rule, shadow[start:end].decode("ascii")):
                yield Span(start, end, rule)


def _repeated(shadow: bytes, found: list[Span]) -> Iterator[Span]:
    """Yield where else in the text the secrets found in it stand."""
    import re2

    known: dict[bytes, str] = {}
    left = _REPEATED_TOTAL
    for span in found:
        secret = shadow[span.start : span.end]
        if len(secret) < _REPEATED_CHARS or secret.isalpha() or secret.isdigit() or b"?" in secret or secret in known:
            continue  # a question mark may stand for any character beyond ASCII
        left -= len(secret)
        if left < 0:
            break
        known[secret] = span.rule
    if known:
        pattern = re2.compile(b"|".join(re2.escape(secret) for secret in known), _options())
        for match in pattern.finditer(shadow):
            start, end = match.span()
            yield Span(start, end, known[match[0]])


def _spared(rule: str, value: str) -> bool:
    if rule == "bearer" and len(value) < _SHORT_WORD and value.isalpha():
        return True  # "bearer authentication failed"
    if rule == "named-key" and sum(char.isdigit() for char in value) < _KEY_DIGITS:
        return True  # a cache's key, a column's
    if rule == "opaque":
        return not looks_random(value)
    if rule == "ip":
        return value.startswith("127.") or value in {"0.0.0.0", "::1", "::"}  # noqa: S104 (nothing is bound)
    return is_harmless(value)


def _rule_name(rule_id: str) -> str:
    name = rule_id.rpartition("/")[2].partition(".")[2] if rule_id.startswith("betterleaks.") else rule_id
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\.\d+$", "", name).lower()).strip("-")[:60] or "vendor"


def _character(match: re.Match[str]) -> str:
    code, letter = match.groups()
    if code:
        return chr(int(code, 16))
    return _ESCAPED.get(letter, letter)


def _unescaped(text: str) -> tuple[bytes, tuple[list[int], list[int]]]:
    """Return the shadow without escapes, and from which place in it which place in the text counts on."""
    pieces: list[str] = []
    here: list[int] = [0]
    there: list[int] = [0]
    size = last = 0
    for match in _ESCAPE.finditer(text):
        start, end = match.span()
        pieces += (text[last:start], _character(match))
        size += start - last
        here += (size, size + 1)
        there += (start, end)
        size += 1
        last = end
    pieces.append(text[last:])
    return "".join(pieces).encode("ascii", "replace"), (here, there)


def _mapped(span: Span, origins: tuple[list[int], list[int]]) -> Span:
    here, there = origins

    def place(offset: int) -> int:
        at = bisect_right(here, offset) - 1
        return there[at] + offset - here[at]

    return Span(place(span.start), place(span.end - 1) + 1, span.rule)


def _merged(found: list[Span]) -> list[Span]:
    """Join what overlaps; the longest names it, and of two equals the first, a vendor's."""
    made: list[Span] = []
    longest = 0
    for span in sorted(found, key=lambda span: (span.start, -span.end)):
        if span.end <= span.start:
            continue
        if made and span.start < made[-1].end:
            last = made[-1]
            rule = span.rule if span.end - span.start > longest else last.rule
            longest = max(longest, span.end - span.start)
            made[-1] = Span(last.start, max(last.end, span.end), rule)
        else:
            made.append(span)
            longest = span.end - span.start
    return made
