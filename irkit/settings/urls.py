"""URLs of the settings as people write them, malformed ones too: how they are shown, and what in them is secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

# a port, or several hosts of PostgreSQL's with theirs; anything else in its place may be a password without its host
_PORTS = re.compile(r"\d{0,5}(?:,[^,:@/]*(?::\d{0,5})?)*")
_NO_HOST = re.compile(r"(?::\d{1,5})?")
_PARTS = re.compile(r"[^/@:]*://([^/?#]*)(.*)", re.DOTALL)
_BRACKETS = re.compile(r"\[[^\]]*\]?")
_NAMED_SECRET = re.compile(r"pass|pw|secret|token|key", re.IGNORECASE)
_JOINTS = re.compile(r"[/?#@:,\[\]]+")
# parts of a password that a parser took for a host or a port; shorter ones are words that say nothing
_SHORTEST_PART = 4


def shown(url: str) -> str:
    """Return a URL without credentials, query and fragment, "***" where it is not certain which part they are."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "***"
    rest = url.partition(parts.netloc)[2] if parts.netloc else ""
    if "@" in rest and set(":@") & set(_BRACKETS.sub("", parts.netloc)):
        return "***"  # a password with a slash in it, of which only the beginning was taken for one
    if parts.scheme and parts.hostname:
        user = "***@" if parts.username or parts.password else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return f"{parts.scheme}://{user}{host}{port}{parts.path}"
    if parts.scheme and _NO_HOST.fullmatch(parts.netloc) and "@" not in url:  # this machine's own, as for Redis
        return f"{parts.scheme}://{parts.netloc}{parts.path}"
    return "***" if url else ""


def is_web_address(url: str) -> bool:
    """Say whether this is an HTTP URL with a host, and a port if any that exists."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def may_hold_password(url: str) -> bool:
    """Say whether a URL has a password in it, or something where a port belongs that is none and may be one."""
    found = _PARTS.match(url)
    if not found:
        return False
    authority, rest = found.groups()
    user, at, _ = authority.rpartition("@")
    if at:
        return bool(user.partition(":")[2])
    _, colon, after = _BRACKETS.sub("", authority).partition(":")
    if _PORTS.fullmatch(after):
        web = after and url.lower().startswith(("http:", "https:"))  # its path may well have an at sign
        return bool(colon) and "@" in rest and not web
    return True


def without_secrets(text: str, url: str) -> str:
    """Return a text without what may be secret in a URL, however a parser took that URL apart."""
    for piece in sorted(set(_secrets(url)), key=len, reverse=True):
        text = text.replace(piece, "***")
    return text


def _secrets(url: str) -> Iterator[str]:
    found = _PARTS.match(url)
    if not found:
        return
    authority, rest = found.groups()
    whole = f"{authority}{rest}"
    userinfo, at, _ = whole.rpartition("@")
    after = _BRACKETS.sub("", authority).partition(":")[2]
    password = (userinfo.partition(":")[2] if at else after) if may_hold_password(url) else ""
    named = [value for name, value in parse_qsl(url.partition("?")[2]) if _NAMED_SECRET.search(name)]
    for secret in filter(None, (password, *named)):
        yield secret
        yield unquote(secret)
        yield from (part for part in _JOINTS.split(secret) if len(part) >= _SHORTEST_PART)
