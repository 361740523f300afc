"""Secrets that were handed to a notebook as parameters, kept out of what is published of it."""

from __future__ import annotations

import ast
import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from irkit.redact.rules import is_harmless, sensitive_name

STAND_IN = "[secret left out]"
_MIN_CHARS = 4
_PARAMETERS = frozenset(("parameters", "injected-parameters"))
_USERINFO = re.compile(r"://[^\s/@:]{0,200}:([^\s/@]{1,200})@")
_IMAGE = re.compile(r"(data:image/svg\+xml;base64,)([A-Za-z0-9+/]{1,8000000}={0,2})")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets among a notebook's parameters: the parameters' names, and the values, the longest first."""

    names: tuple[str, ...]
    values: tuple[str, ...]


def secrets_of(nb: Mapping[str, Any]) -> Secrets:
    """Return the parameters whose name says that they hold a secret, or whose value is a URL with a password in it.

    Read from papermill's metadata and from the cells of parameters, since a person may have typed one in there.
    """
    names, values = set(), set()
    for name, value in _parameters(nb):
        by_name = bool(sensitive_name().search(name))
        for text in _strings(value):
            found = {text} if by_name and not is_harmless(text) else set(_USERINFO.findall(text))
            if found:
                names.add(name)
                values |= {one for one in found if len(one) >= _MIN_CHARS}
    return Secrets(tuple(sorted(names)), tuple(sorted(values, key=lambda one: (-len(one), one))))


def scrubbed(value: object, secrets: Secrets) -> object:
    """Return a JSON-like value with every secret in its texts replaced, however it is written there.

    Found as it is, as HTML, JSON or Python write it, and inside SVG images of the text.
    """
    if isinstance(value, str):
        return _text(value, secrets)
    if isinstance(value, Mapping):
        return type(value)({key: scrubbed(item, secrets) for key, item in value.items()})  # type: ignore[call-arg]
    if isinstance(value, list):
        # a text may come in pieces, with the secret across two of them
        if value and all(isinstance(item, str) for item in value):
            return [_text("".join(value), secrets)]
        return [scrubbed(item, secrets) for item in value]
    return value


def _text(text: str, secrets: Secrets) -> str:
    if not secrets.values:
        return text
    text = _IMAGE.sub(lambda match: match[1] + _image(match[2], secrets), text)
    for secret in secrets.values:
        for form in {secret, escape(secret), escape(secret, quote=False), json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
            text = text.replace(form, STAND_IN)
    return text


def _image(encoded: str, secrets: Secrets) -> str:
    try:
        svg = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return encoded
    made = _text(svg, secrets)
    return encoded if made == svg else base64.b64encode(made.encode("utf-8")).decode("ascii")


def _parameters(nb: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    metadata = nb.get("metadata", {}).get("papermill", {})
    given = metadata.get("parameters") if isinstance(metadata, Mapping) else None
    if isinstance(given, Mapping):
        yield from ((str(name), value) for name, value in given.items())
    for cell in nb["cells"]:
        tags = cell.get("metadata", {}).get("tags", ())
        if cell.get("cell_type") == "code" and isinstance(tags, list) and not _PARAMETERS.isdisjoint(map(str, tags)):
            yield from _assigned(str(cell.get("source", "")))


def _assigned(source: str) -> Iterator[tuple[str, object]]:
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for one in statements:
        if not isinstance(one, ast.Assign | ast.AnnAssign) or one.value is None:
            continue
        targets = one.targets if isinstance(one, ast.Assign) else [one.target]
        try:
            value = ast.literal_eval(one.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
    elif value is not None and not isinstance(value, bool) and (text := str(value)):
        yield text
