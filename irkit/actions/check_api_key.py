"""Try a provider's API key with a harmless call; the key is never shown."""

from __future__ import annotations

import os

from irkit.act.contract import ActError, Action, Ask, Plan, Result, only_look, register
from irkit.collect.contract import Unreachable
from irkit.diagnose.signs import WELL_CODES
from irkit.errors import InputError
from irkit.health.http_get import send
from irkit.health.http_probe import usable
from irkit.redact import hidden
from irkit.settings.sections import Secret

_HEADER = "Authorization: Bearer {key}"
_LIMIT_BYTES = 64 * 1024
_REFUSED = {401: "it does not know the key", 403: "it knows the key and forbids the call"}


def plan(ask: Ask) -> Plan:
    name, address, variable, header = _asked(ask)
    shown = header.replace("{key}", f"${variable}")
    there = bool(os.environ.get(variable))
    return Plan(
        name,
        (f"{Secret(address)} is asked once, with the key of the environment variable {variable}",),
        (hidden(f'curl -H "{shown}" {Secret(address)}'),),
        refusal="" if there else f"the environment variable {variable} is not set here",
        instead="" if there else f"export {variable} where irkit runs, or correct [providers] key_env",
        data={"provider": name, "variable": variable},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    del plan
    name, address, variable, header = _asked(ask)
    key = os.environ[variable]
    if odd := _odd(key):
        raise ActError(f"the key in {variable} {odd}, so that it was not even tried", hint=f"export {variable} anew")
    sent = header.replace("{key}", key)
    try:
        answer = send(address, headers=[sent], timeout_s=ask.settings.providers.timeout_s, limit_bytes=_LIMIT_BYTES)
    except Unreachable as error:
        raise ActError(f"{name} could not be asked at {Secret(address)}: {error}") from None
    told = {"status_code": answer.status_code}
    if answer.status_code in WELL_CODES:
        return Result(well=True, sentence=f"{name} takes the key of {variable} ({answer.status_code})", data=told)
    if why := _REFUSED.get(answer.status_code):
        said = f"{name} refuses the key of {variable} ({answer.status_code}): {why}"
        return Result(well=False, sentence=said, data=told)
    raise ActError(
        f"{name} answered {answer.status_code}, which tells nothing of the key",
        hint="ask again later" if answer.status_code in {429, 503} else "is [providers] key_urls right?",
    )


def _odd(key: str) -> str:
    """Say what is odd about a key as pasting makes it, which no provider would take; "" where nothing is."""
    if key != key.strip():
        return "begins or ends with a space or a line break"
    if not key.isprintable():
        return "has a line break or another control character in it"
    return "" if key.isascii() else "has a letter in it that is not ASCII, such as a curly quote"


def _asked(ask: Ask) -> tuple[str, str, str, str]:
    """Return a provider's name, its address, the variable of its key, and the header that the key goes in."""
    how, usage = ask.settings.providers, f"irkit act {ask.incident.id} check-api-key PROVIDER"
    addresses, variables = dict(how.key_urls), dict(how.key_env)
    known = ", ".join(addresses) or "none yet: set [providers] key_urls and key_env in irkit.toml"
    if len(ask.arguments) != 1:
        raise InputError("the key of which provider?", hint=f"{usage}; there are: {known}")
    [name] = ask.arguments
    if name not in addresses or name not in variables:
        raise InputError(f"irkit is not told how a key of {name!r} is tried", hint=f"there are: {known}")
    if not usable(addresses[name]):
        hint = "write it like https://api.example.com/v1/models"
        raise InputError(f"[providers] key_urls has no HTTP address for {name!r}", hint=hint)
    return name, addresses[name], variables[name], dict(how.key_headers).get(name, _HEADER)


register(
    Action(
        "check-api-key",
        "Try a provider's API key with a harmless call, by [providers] key_urls and key_env.",
        plan,
        apply,
        only_look,
        needs=("providers",),
        usage="PROVIDER",
        answers=r"\bapi key\b",
        changes=False,
    )
)
