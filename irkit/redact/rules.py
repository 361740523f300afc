"""Where the secrets stand in a text: the rules of a maintained scanner, and our own for what has no vendor's mark.

Both run in linear time over the forms of the text (see `forms`): vendors' tokens by Kingfisher's engine and the
catalogue that comes with it, which finds without ever using a network; names, URLs, headers and commands by RE2 and
`rules.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from itertools import pairwise, product
from typing import Any, NamedTuple

from irkit.redact.forms import PLACEHOLDER, Form, forms, resolved

ENGINES = ("kingfisher_sdk", "re2")
# parts of a vendor's rule that open no door by themselves, such as an account's name
_NO_SECRET = re.compile(r"(?:-id|-ids|-name|-username|-url|-host|-domain|-address|-repository)(?:\.\d+)?$")
_HARMLESS = re.compile(
    r"(?i:none|null|nil|true|false|yes|no|undefined|unknown|expired|invalid|missing|required|incorrect|mismatch|empty|"
    r"[\[({]+|authentication|unauthorized|forbidden|basic|bearer|digest|negotiate|string|str|int|bytes|object|"
    r"[<\[{(*]*(?:redacted|filtered|masked|hidden|removed)[>\]})*]*|<[\w -]+>|[*x.•…-]+|%\w|\$\{?\w+\}?)"
)
_PHRASE_CHARS = 6
_NO_PHRASE = re.compile(
    r"(?i)(?:/|\.|\d[\d.,:/%+-]*[a-zµ]{0,3}$|\d{4}-\d\d-\d\dt|(?:argon|base|http|md|oauth|pbkdf|s?crypt|sha|tls|utf)-?\d)"
)
_WORDS = re.compile(r"[A-Za-z._/:()\[-]*|[A-Za-z_.]+\[.*")
_FIELD = re.compile(r"(?i)(?:e-?mail|first|id|last|login|name|phone|role|user|user_?name)(?:_?name)?")
_NOTHING = r"[^\x00-\x{10FFFF}]"
_SHORT_WORD = 16
_TOKEN_CHARS = 20
_KEY_DIGITS = 4
# a secret found by its name is looked for without it: so long, no word, and all of them no longer than this
_REPEATED_CHARS = 8
_REPEATED_TOTAL = 20_000
# a longer secret is looked for by itself, as one pattern of many would take a look at all of it from each place; of so
# many at most, since each is a look at the whole text
_REPEATED_LONG, _REPEATED_LONG_MOST = 256, 16
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

    A text with escapes, codes or colours in it is read as it is, and without them. With `addresses`, e-mail addresses,
    IP addresses other than the loopback's, and hosts are found too.
    """
    read = list(forms(text, coded_hint()))
    found = _merged([_placed(span, form) for form in read for span in _scan(form.shadow, addresses=addresses)])
    return _merged([*found, *_repeated(text, read, found)]) if found else found


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
def coded_hint() -> Any:  # noqa: ANN401 (a pattern of RE2's)
    """Return the pattern of a line whose percent and HTML codes are worth resolving."""
    return _compiled(_table()["coded"], {name: _table()[name] for name in ("secrets", "tokens")}).pattern


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
    return re.compile(
        rf"(?:{table['secrets']}|{table['tokens']}|authorization|cookie|^pass|\bpw|[_-]pw)$", re.IGNORECASE
    )


def is_harmless(value: str, name: str = "") -> bool:
    """Say whether a value stands where a secret would and is none: `None`, `***`, `${PASSWORD}`, 3 that passed."""
    few = name.lower() == "pass" and value.isdigit() and len(value) < _KEY_DIGITS
    return few or _HARMLESS.fullmatch(value) is not None


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


def _repeated(text: str, read: list[Form], found: list[Span]) -> Iterator[Span]:
    """Yield where else in the text the secrets found in it stand."""
    import re2

    known, long = _looked_for(text, found)
    for form, (secret, rule) in product(read, long.items()):
        for start in _places(form.shadow, secret):
            yield _placed(Span(start, start + len(secret), rule), form)
    if known:
        pattern = re2.compile(b"|".join(re2.escape(secret) for secret in known), _options())
        for form in read:
            for match in pattern.finditer(form.shadow):
                start, end = match.span()
                yield _placed(Span(start, end, known[match[0]]), form)


def _looked_for(text: str, found: list[Span]) -> tuple[dict[bytes, str], dict[bytes, str]]:
    """Return the secrets to look for again, with their rules: all but the long ones, and some of the long ones."""
    known: dict[bytes, str] = {}
    long: dict[bytes, str] = {}
    left = _REPEATED_TOTAL
    for span in found:
        written = text[span.start : span.end]
        for secret in dict.fromkeys(one.encode("ascii", "replace") for one in (written, resolved(written))):
            if len(secret) < _REPEATED_CHARS or secret.isalpha() or secret.isdigit() or b"?" in secret:
                continue  # a question mark may stand for any character beyond ASCII
            if len(secret) > _REPEATED_LONG:
                long |= {secret: span.rule} if len(long) < _REPEATED_LONG_MOST else {}
            elif secret not in known:
                left -= len(secret)
                known[secret] = span.rule
        if left < 0:
            break
    return known, long


def _places(shadow: bytes, secret: bytes) -> Iterator[int]:
    start = shadow.find(secret)
    while start >= 0:
        yield start
        start = shadow.find(secret, start + len(secret))


def _spared(rule: str, value: str) -> bool:
    """Say whether what a rule found is no secret after all."""
    return _SPARED.get(rule, is_harmless)(value)


def _is_name(value: str) -> bool:
    """Say whether a value names a field itself, as in ("password", "email")."""
    names = (value, value.rpartition("_")[2])
    return any(_FIELD.fullmatch(name) or sensitive_name().fullmatch(name) for name in names)


def _unlike_a_word(value: str) -> bool:
    """Say whether a value is no word of a sentence, number, measure or algorithm's name, so that it may be a secret."""
    if len(value) < _PHRASE_CHARS or _NO_PHRASE.match(value):
        return False
    return any(map(str.isalpha, value)) and not _WORDS.fullmatch(value)


def _is_short_word(value: str) -> bool:
    return len(value) < _SHORT_WORD and value.isalpha()


_SPARED: dict[str, Callable[[str], bool]] = {
    # such as "bearer authentication failed", "redis AUTH failed"
    **dict.fromkeys(("bearer", "redis-auth"), lambda value: _is_short_word(value) or is_harmless(value)),
    # a cache's key, a column's
    "named-key": lambda value: sum(map(str.isdigit, value)) < _KEY_DIGITS or is_harmless(value),
    "opaque": lambda value: not looks_random(value),
    "ip": lambda value: value.startswith("127.") or value in {"0.0.0.0", "::1", "::"},  # noqa: S104 (nothing is bound)
    # where the value is to be had, and not the value
    "lookup": lambda _: True,
    # such as "the password is required", "pass=12"
    "phrase": lambda value: not _unlike_a_word(value) or is_harmless(value),
    # such as "?pass=2"
    "short-name": lambda value: is_harmless(value, "pass"),
    "pair": lambda value: _is_name(value) or is_harmless(value),
}


def _rule_name(rule_id: str) -> str:
    name = rule_id.rpartition("/")[2].partition(".")[2] if rule_id.startswith("betterleaks.") else rule_id
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\.\d+$", "", name).lower()).strip("-")[:60] or "vendor"


def _placed(span: Span, form: Form) -> Span:
    return Span(*form.place(span.start, span.end), span.rule)


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
