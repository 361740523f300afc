"""Secrets out of evidence before it reaches disk: rules on decoded values, stable placeholders.

A placeholder names its rule and a keyed hash of the secret, so that the same secret is recognised across files without
being guessable; the key stays with the installation and never enters a bundle.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

KEY_NAME = "redaction.key"
KEY_BYTES = 32
_HASH_CHARS = 8

# Every quantifier is bounded or over a class that cannot overlap its neighbour: no input makes these backtrack far.
_TOKENS = {
    "private-key": r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{1,20000}-----END [A-Z ]{0,30}PRIVATE KEY-----",
    "jwt": r"\beyJ[\w-]{8,2000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000}",
    "aws-key-id": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github-token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{40,255})",
    "slack-token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}",
    "slack-webhook": r"hooks\.slack\.com/(?:services|workflows)/[\w/-]{10,200}",
    "stripe-key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,200}",
    "provider-key": r"\bsk-[A-Za-z0-9][\w-]{18,250}",
    "google-key": r"\bAIza[\w-]{35}",
    "gitlab-token": r"\bglpat-[\w-]{20,100}",
}
_WORDS = (
    r"passw(?:or)?d|passphrase|pwd|secret|credentials?|api[_-]?key|apikey|access[_-]?key|private[_-]?key|"
    r"(?:access|auth|refresh|session|id|bearer|csrf)[_-]?token|token"
)
_SENSITIVE_KEY = re.compile(rf"(?:^|[_.-])(?:{_WORDS}|authorization|cookie|requirepass|masterauth)$", re.IGNORECASE)
_PATTERN = re.compile(
    "|".join(
        (
            *(f"(?P<{name.replace('-', '_')}>{pattern})" for name, pattern in _TOKENS.items()),
            r"(?P<userinfo>(?<=://)[^\s/@:\"'<>]{0,256}:[^\s/@\"'<>]{1,512}(?=@))",
            r"(?:\b(?i:authorization)[\"']?\s{0,4}[:=]\s{0,4}[\"']?)(?P<authorization>(?i:(?:bearer|basic|token)\s{1,4})?[^\s\"',;]{4,4096})",
            r"(?:\b(?i:bearer)\s{1,4})(?P<bearer>[\w.~+/-]{8,4096}=*)",
            r"(?:\b(?i:(?:set-)?cookie)\s{0,4}:\s{0,4})(?P<cookie>[^\r\n]{4,4096})",
            rf"(?:(?i:(?:\b|_)(?:{_WORDS}))[\"']?\s{{0,4}}[=:]\s{{0,4}})(?P<assignment>\"[^\"\r\n]{{1,1024}}\"|'[^'\r\n]{{1,1024}}'|[^\s\"',;&|)\]}}]{{1,1024}})",
        )
    )
)
_PLACEHOLDER = re.compile(r"\[redacted:[a-z-]+:[0-9a-f]{8}\]?")
_HARMLESS = frozenset(
    {"none", "null", "true", "false", "undefined", "''", '""', "***", "expired", "invalid", "missing"}
)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secrets in text and in decoded values; equal secrets get equal placeholders under one key."""

    key: bytes

    def text(self, text: str) -> tuple[str, int]:
        """Return the text with every recognised secret replaced, and how many were."""
        count = 0

        def replace(match: re.Match[str]) -> str:
            nonlocal count
            name = match.lastgroup or "secret"
            secret = match[name]
            if secret.lower() in _HARMLESS or _PLACEHOLDER.fullmatch(secret):
                return match[0]
            count += 1
            start, end = match.span(name)
            whole, offset = match[0], match.start()
            return whole[: start - offset] + self.placeholder(name, secret) + whole[end - offset :]

        made = _PATTERN.sub(replace, text)
        return made, count

    def value(self, value: object) -> tuple[object, int]:
        """Return a JSON-like value with its strings redacted, also those whose key names a secret."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            made: dict[str, object] = {}
            total = 0
            for key, item in value.items():
                made[str(key)], count = self._entry(str(key), item)
                total += count
            return made, total
        if isinstance(value, list | tuple):
            pairs = [self.value(item) for item in value]
            return [item for item, _ in pairs], sum(count for _, count in pairs)
        return value, 0

    def placeholder(self, rule: str, secret: str) -> str:
        """Return the stable stand-in for a secret: HMAC-SHA256 under the installation's key, 8 hexadecimal digits."""
        digest = hmac.new(self.key, secret.strip("\"'").encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"[redacted:{rule.replace('_', '-')}:{digest[:_HASH_CHARS]}]"

    def _entry(self, key: str, item: object) -> tuple[object, int]:
        if isinstance(item, str) and item and item.lower() not in _HARMLESS and _SENSITIVE_KEY.search(key):
            return self.placeholder("key", item), 1
        return self.value(item)


def installation_key(home: Path) -> bytes:
    """Return this installation's redaction key, made on first use and readable by its owner only.

    Raises:
        StoreError: the key cannot be read or made.
    """
    path = home / KEY_NAME
    try:
        home.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = path.read_bytes()
            if len(key) == KEY_BYTES:
                return key
            msg = f"{path} is not a redaction key ({len(key)} bytes instead of {KEY_BYTES})"
            raise StoreError(msg, hint="restore it from a backup, or remove it to start with a new one") from None
        with os.fdopen(descriptor, "wb") as stream:
            key = secrets.token_bytes(KEY_BYTES)
            stream.write(key)
            stream.flush()
            os.fsync(descriptor)
    except OSError as error:
        msg = f"the redaction key {path} cannot be used: {error.strerror or error}"
        raise StoreError(msg, hint="make the folder writable, or set another home") from None
    return key
