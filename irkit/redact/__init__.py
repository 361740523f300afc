"""Secrets out of evidence before it reaches disk: found on decoded values, replaced by stable placeholders.

A placeholder names its rule and a keyed hash of the secret, so that the same secret is recognised across files without
being guessable; the key stays with the installation and never enters a bundle.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from irkit.errors import StoreError
from irkit.redact import rules as redaction_rules
from irkit.redact.forms import PLACEHOLDER, resolved

if TYPE_CHECKING:
    from pathlib import Path

KEY_NAME = "redaction.key"
KEY_BYTES = 32
_HASH_CHARS = 8
_PAIR_FIELDS = 4
# one scan of many cells: large enough for its fixed cost to vanish, small enough to be held twice
_BATCH_CHARS = 1 << 20


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secrets in text and in decoded values; equal secrets get equal placeholders under one key.

    With `addresses`, e-mail and IP addresses and hosts are replaced as well.
    """

    key: bytes
    addresses: bool = False

    def text(self, text: str) -> tuple[str, int]:
        """Return the text with every recognised secret replaced, and how many were."""
        (made,), counts = self.texts((text,))
        return made, counts.total()

    def texts(self, texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
        """Return texts that follow each other, such as the lines of a log, redacted, and how often each rule did it.

        They are read as the lines of one text, many times faster than one by one: a private key is found across them.
        """
        made: list[str] = []
        counts: Counter[str] = Counter()
        for batch in _batches(texts):
            made += self._batch(batch, counts)
        return made, counts

    def value(self, value: object) -> tuple[object, int]:
        """Return a JSON-like value with its strings redacted, also those whose key names a secret."""
        made, counts = self.tree(value)
        return made, counts.total()

    def tree(self, value: object) -> tuple[object, Counter[str]]:
        """Return a JSON-like value as `value` does, and how often each rule was applied."""
        counts: Counter[str] = Counter()
        return self._item(value, counts), counts

    def placeholder(self, rule: str, secret: str) -> str:
        """Return the stable stand-in for a secret: HMAC-SHA256 under the installation's key, 8 hexadecimal digits."""
        plain = resolved(secret).strip("\"'")
        digest = hmac.new(self.key, plain.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"[redacted:{rule}:{digest[:_HASH_CHARS]}]"

    def _batch(self, texts: Sequence[str], counts: Counter[str]) -> Iterable[str]:
        joined = "\n".join(texts)
        found = redaction_rules.spans(joined, addresses=self.addresses)
        if not found:
            return texts
        starts = [0, *accumulate(len(text) + 1 for text in texts)]
        pieces: dict[int, list[str]] = {}
        ends: dict[int, int] = {}
        for span in found:
            stand_in = self.placeholder(span.rule, joined[span.start : span.end])
            first = bisect_right(starts, span.start) - 1
            last = bisect_right(starts, span.end - 1) - 1
            for index in range(first, last + 1):  # more than one for a key that is printed over several lines
                start = max(span.start - starts[index], 0)
                end = min(span.end - starts[index], len(texts[index]))
                if start < end:
                    pieces.setdefault(index, []).extend((texts[index][ends.get(index, 0) : start], stand_in))
                    ends[index] = end
                    counts[span.rule] += 1
        made = list(texts)
        for index, parts in pieces.items():
            made[index] = "".join(parts) + texts[index][ends[index] :]
        return made

    def _item(self, value: object, counts: Counter[str]) -> object:
        if isinstance(value, str):
            return self._string(value, counts)
        if isinstance(value, Mapping):
            named = value.get("value", value.get("Value")) if len(value) <= _PAIR_FIELDS else None
            name = str(value.get("name", value.get("Name", value.get("key", value.get("Key", "")))))
            made = {}
            for key, item in value.items():
                owner = name if isinstance(named, str) and item is named else str(key)
                made[self._string(str(key), counts)] = self._entry(owner, item, counts)
            return made
        if isinstance(value, list | tuple):
            # the words of a command: an option's value stands in the place after its name
            return [self._entry(_option(name), item, counts) for name, item in zip(("", *value), value, strict=False)]
        return value

    def _string(self, text: str, counts: Counter[str]) -> str:
        (made,) = self._batch((text,), counts)
        return made

    def _entry(self, name: str, item: object, counts: Counter[str]) -> object:
        if not redaction_rules.sensitive_name().search(name):
            return self._item(item, counts)
        if isinstance(item, list | tuple):
            return [self._entry(name, one, counts) for one in item]
        if isinstance(item, str) and item and not redaction_rules.is_placeholder(item):
            if redaction_rules.is_harmless(item, name):
                return item
            counts["key"] += 1
            return self.placeholder("key", item)
        # a number is a secret where it would be one as text: {"password": 12345678}
        if isinstance(item, int | float) and redaction_rules.spans(f"{name}={item}"):
            counts["key"] += 1
            return self.placeholder("key", str(item))
        return self._item(item, counts)


def _option(word: object) -> str:
    """Return the name of the option that a word is, "" where it is none or brings its value along."""
    return word.lstrip("-") if isinstance(word, str) and word.startswith("-") and "=" not in word else ""


def hidden(text: str, *known: str) -> str:
    """Return a text that is shown and not kept as evidence, with `***` for each secret in it and for those `known`."""
    for secret in sorted(filter(None, known), key=len, reverse=True):
        text = text.replace(secret, "***")
    for span in reversed(redaction_rules.spans(text)):
        text = f"{text[: span.start]}***{text[span.end :]}"
    return text


def placeholders_in(files: Iterable[Path]) -> Counter[str]:
    """Count the placeholders in text or JSON files by their rules."""
    counts: Counter[str] = Counter()
    for file in files:
        with file.open("rb") as stream:
            counts += count_placeholders(stream)
    return counts


def count_placeholders(lines: Iterable[bytes]) -> Counter[str]:
    """Count the placeholders in lines of ASCII by their rules."""
    found = (PLACEHOLDER.finditer(line) for line in lines if b"[redacted:" in line)
    return Counter(match[1].decode("ascii") for matches in found for match in matches)


def _batches(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    start = size = 0
    for index, text in enumerate(texts):
        size += len(text) + 1
        if size >= _BATCH_CHARS:
            yield texts[start : index + 1]
            start, size = index + 1, 0
    if start < len(texts):
        yield texts[start:]


def installation_key(home: Path) -> bytes:
    """Return this installation's redaction key, made on first use and readable by its owner only.

    Raises:
        StoreError: the key cannot be read or made.
    """
    path = home / KEY_NAME
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        msg = f"the redaction key {path} cannot be used: {error.strerror or error}"
        raise StoreError(msg, hint="make room there and the folder writable, or set another home") from None
    if len(key) != KEY_BYTES:
        msg = f"{path} is not a redaction key ({len(key)} bytes instead of {KEY_BYTES})"
        raise StoreError(msg, hint="restore it from a backup, or remove it to start with a new one")
    return key


def _make_key(path: Path) -> None:
    """Put a new key in place, whole or not at all; one that another process put there meanwhile stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # its owner's alone
    aside = path.with_name(name.rpartition(os.sep)[2])
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(descriptor)
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
