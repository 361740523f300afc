"""The shape of a manifest by its published schema, checked before any value of it is used.

jsonschema says the same and takes longer to be loaded than a bundle to be opened; tests hold one against the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

# where, the innermost step first, and what
_Fault = tuple[list[str], str]
_SHOWN_CHARS = 60
_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
_NAMED = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "null": "null",
}
# every keyword that says what may be; the others only tell people something
_RULES = frozenset(
    {"$ref", "const", "enum", "type", "minLength", "maxLength", "pattern", "minimum", "maximum", "maxItems", "items"}
    | {"required", "properties", "additionalProperties", "propertyNames"}
)
_WORDS = frozenset({"$schema", "$id", "$defs", "title", "description"})


@cache
def schema() -> Mapping[str, Any]:
    """Return the published JSON Schema of a manifest."""
    body: Mapping[str, Any] = json.loads(Path(__file__).with_name("manifest.schema.json").read_text(encoding="utf-8"))
    return body


def understood(rule: object) -> bool:
    """Say whether all that a schema demands is checked here; one that says more would be checked by half."""
    if not isinstance(rule, dict):
        return True
    inner = [
        *(one for key in ("properties", "$defs") for one in rule.get(key, {}).values()),
        *(rule[key] for key in ("items", "additionalProperties", "propertyNames") if key in rule),
    ]
    return rule.keys() <= _RULES | _WORDS and all(map(understood, inner))


def fault_of(body: object) -> str:
    """Say what is wrong with a manifest's JSON values, or nothing; `made_of` must not be nested without end."""
    found = _fault(body, schema())
    if found is None:
        return ""
    where, what = found
    return f"{'/'.join(reversed(where)) or 'it'} {what}"


def shown(value: object) -> str:
    """Return a stranger's value as a sentence bears it."""
    if isinstance(value, dict | list):
        return _NAMED["object" if isinstance(value, dict) else "array"]
    text = repr(value[: 2 * _SHOWN_CHARS] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _fault(value: Any, rule: Mapping[str, Any]) -> _Fault | None:  # noqa: ANN401 (JSON values)
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    if what := _kind_fault(value, rule):
        return [], what
    if isinstance(value, list):
        return _list_fault(value, rule)
    if isinstance(value, dict):
        return _object_fault(value, rule)
    what = _text_fault(value, rule) if isinstance(value, str) else "" if value is None else _number_fault(value, rule)
    return ([], what) if what else None


def _kind_fault(value: object, rule: Mapping[str, Any]) -> str:
    kinds = rule.get("type")
    if kinds is not None and type(value) not in _types(kinds if isinstance(kinds, str) else tuple(kinds)):
        named = (kinds,) if isinstance(kinds, str) else kinds
        return f"is {shown(value)} and not {' or '.join(_NAMED[kind] for kind in named)}"
    choices = rule.get("enum", (rule["const"],) if "const" in rule else None)
    if choices is not None and not any(type(value) is type(one) and value == one for one in choices):
        return f"is {shown(value)} and not {' or '.join(map(str, choices))}"
    return ""


def _number_fault(value: float, rule: Mapping[str, Any]) -> str:
    if value < rule.get("minimum", value):
        return f"is {shown(value)}, which is too small"
    return f"is {shown(value)}, which is too large" if value > rule.get("maximum", value) else ""


def _text_fault(value: str, rule: Mapping[str, Any]) -> str:
    if len(value) > rule.get("maxLength", len(value)):
        return f"is too long: {len(value):,} characters, and at most {rule['maxLength']} may be"
    if len(value) < rule.get("minLength", 0):
        return "is empty"
    if "pattern" in rule and not _pattern(rule["pattern"]).search(value):
        return f"is {shown(value)}, which is not written as it must be"
    return ""


def _list_fault(value: list[Any], rule: Mapping[str, Any]) -> _Fault | None:
    if len(value) > rule.get("maxItems", len(value)):
        return [], f"is too long: {len(value):,} entries, and at most {rule['maxItems']} may be"
    inner = rule["items"]
    for number, one in enumerate(value):
        if found := _fault(one, inner):
            found[0].append(str(number))
            return found
    return None


def _object_fault(value: dict[str, Any], rule: Mapping[str, Any]) -> _Fault | None:
    known, others, names = rule.get("properties", {}), rule.get("additionalProperties", True), rule.get("propertyNames")
    for name in rule.get("required", ()):
        if name not in value:
            return [], f"has no {name}"
    for name, one in value.items():
        if name not in known and (others is False or (names and _fault(name, names))):
            return [], f"has {shown(name)}, which is nothing it may have"
        inner = known.get(name, others)
        if isinstance(inner, dict) and (found := _fault(one, inner)):
            found[0].append(name)
            return found
    return None


@cache
def _types(kinds: str | tuple[str, ...]) -> frozenset[type]:
    # a type itself, not what is derived of it: True is no number in JSON
    return frozenset(one for kind in ((kinds,) if isinstance(kinds, str) else kinds) for one in _KINDS[kind])


@cache
def _pattern(text: str) -> re.Pattern[str]:
    # in JSON Schema `$` is the end, in Python also what comes before a last line break
    return re.compile(f"{text[:-1]}\\Z" if text.endswith("$") else text)
