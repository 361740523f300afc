"""Switch the service to another provider by the team's own command or HTTP call, and look by its health."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from irkit.act import own_command
from irkit.act.contract import ActError, Action, Ask, Plan, Result, register
from irkit.act.health_wait import OPTIONS, Health, health, wait_until_well
from irkit.collect.contract import Unreachable
from irkit.diagnose.signs import WELL_CODES
from irkit.errors import InputError
from irkit.health.http_get import send
from irkit.health.http_probe import usable
from irkit.redact import hidden
from irkit.settings.sections import Secret
from irkit.text.message import fit, one_line
from irkit.text.phrase import listing

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_LIMIT_BYTES = 64 * 1024
_SHOWN_CHARS = 300


def plan(ask: Ask) -> Plan:
    name, how = _name(ask), ask.settings.providers
    if not (how.switch_command or how.switch_url):
        raise ActError(
            "irkit is not told how this service is switched to another provider",
            hint='set [providers] switch_command = "ops/switch {name}", or switch_url, in irkit.toml',
        )
    if how.switch_command:
        shown = hidden(shlex.join(_argv(ask, name)))
        change = f"the team's own command is run in {_folder(ask)}"
    else:
        token = ' -H "Authorization: Bearer ***"' if how.switch_token.reveal() else ""
        body = shlex.quote(hidden(_filled(how.switch_body, name), how.switch_token.reveal()))
        address = str(Secret(_filled(how.switch_url, name)))
        if not usable(_filled(how.switch_url, name)):
            hint = "write it like http://localhost:8000/admin/provider"
            raise InputError("[providers] switch_url is no HTTP address", hint=hint)
        shown, change = f"curl -X POST{token} -d {body} {address}", f"{address} is told to switch to {name}"
    now = health(ask)
    data = {"provider": name, "down": list(now.down), "served": now.served}
    return Plan(name, (change,), (shown,), (f"the health endpoint: {now.words}",), data=data)


def apply(plan: Plan, ask: Ask) -> Result:
    how = ask.settings.providers
    return _run(plan.target, ask) if how.switch_command else _call(plan.target, ask)


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    """Look at what a switch is for: that the provider switched to is healthy, and the service no worse than before.

    The one left behind stays down, and with it the health of the whole: that is why one switches.
    """
    del result
    before = plan.data.get("down")
    known = {str(one) for one in before} if isinstance(before, list) else set()

    def serves(seen: Health) -> bool:
        others = seen.served and bool(seen.down) and set(seen.down) <= known
        return others and seen.providers.get(plan.target) is True

    seen = wait_until_well(ask, enough=serves)
    if seen.well is None:
        return Result(well=False, sentence=f"Whether it helped is unknown: {seen.words}")
    said, whole = seen.words[:1].upper() + seen.words[1:], not seen.down
    if not seen.well or whole:
        return Result(seen.well, said)
    said += f". {plan.target} is healthy by its word; what stays degraded is said of {listing(seen.down)}"
    # where the service answered before as it does now, only its users' requests tell whether they go elsewhere
    proves = not plan.data.get("served")
    if not proves:
        said += f", and is no failure of the switch. That requests succeed shows in `irkit collect {ask.incident.id}`"
    return Result(seen.well, said, {"down": list(seen.down)}, proves)


def _run(name: str, ask: Ask) -> Result:
    argv, timeout_s = _argv(ask, name), ask.settings.providers.timeout_s
    program = f"`{hidden(argv[0])}`"
    try:
        ended = own_command.run(argv, folder=_folder(ask), timeout_s=timeout_s)
    except TimeoutError:
        left = "how far it came is unknown: look at which provider is in use"
        raise ActError(f"{program} did not end in {timeout_s:g} s and was killed", hint=left) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ActError(f"{program} cannot be run: {why}", hint="correct [providers] switch_command") from None
    said = fit(hidden(one_line((ended.err.strip() or ended.out) if ended.code else ended.out)), _SHOWN_CHARS)
    if ended.code:
        raise ActError(f"{program} {ended.words}: {said or 'it said nothing'}")
    return Result(well=True, sentence=f"{program} ended well{f', saying: {said}' if said else ''}")


def _call(name: str, ask: Ask) -> Result:
    how = ask.settings.providers
    address = _filled(how.switch_url, name)
    headers = ["Content-Type: application/json"]
    headers += [f"Authorization: Bearer {how.switch_token.reveal()}"] if how.switch_token.reveal() else []
    body = _filled(how.switch_body, name).encode()
    try:
        answer = send(address, headers=headers, body=body, timeout_s=how.timeout_s, limit_bytes=_LIMIT_BYTES)
    except Unreachable as error:
        raise ActError(f"{Secret(address)} could not be told: {error}", hint="whether it switched is unknown") from None
    if answer.status_code not in WELL_CODES:
        raise ActError(f"{Secret(address)} answered {answer.status_code}", hint="see [providers] in irkit.toml")
    return Result(well=True, sentence=f"{Secret(address)} answered {answer.status_code}")


def _argv(ask: Ask, name: str) -> list[str]:
    try:
        words = shlex.split(ask.settings.providers.switch_command)
    except ValueError as error:
        raise InputError(f"[providers] switch_command cannot be read: {error}", hint="check its quotes") from None
    if not words:
        raise InputError("[providers] switch_command is blank", hint='write it like "ops/switch {name}"')
    return [_filled(word, name) for word in words]


def _folder(ask: Ask) -> Path:
    return ask.settings.source.parent if ask.settings.source else Path.cwd()


def _filled(text: str, name: str) -> str:
    return text.replace("{name}", name)


def _name(ask: Ask) -> str:
    usage = f"irkit act {ask.incident.id} switch-provider NAME"
    if len(ask.arguments) != 1:
        raise InputError("to which provider?", hint=usage)
    [name] = ask.arguments
    if not _NAME.fullmatch(name):
        raise InputError(f"{fit(name, 60)!r} is not a provider's name: letters, digits, dots and dashes", hint=usage)
    return name


register(
    Action(
        "switch-provider",
        "Switch to another provider, by [providers] switch_command or switch_url.",
        plan,
        apply,
        verify,
        needs=("providers",),
        usage="NAME",
        answers=r"\bswitch (to|if)\b",
        options=OPTIONS,
    )
)
