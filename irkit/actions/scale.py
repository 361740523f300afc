"""Run a service in another number of containers, through whichever compose is installed."""

from __future__ import annotations

import re

from irkit.act import compose
from irkit.act.contract import Action, Ask, Plan, Result, register
from irkit.act.health_wait import OPTIONS, wait_until_well
from irkit.diagnose.service_names import taken, way_out
from irkit.errors import InputError
from irkit.model import Step
from irkit.settings import Settings

_MOST = 100


def plan(ask: Ask) -> Plan:
    service, wanted = _asked(ask)
    with compose.engine(ask.settings.docker) as client:
        found = compose.members(client, ask.settings.docker, service)
    here = sum(one.running for one in found)
    argv = (*compose.project_command(found[0]), "up", "-d", "--no-recreate", "--no-deps")
    argv += ("--scale", f"{service}={wanted}", service)
    ports = sorted({port for one in found for port in one.fixed_ports})
    refusal = instead = ""
    if wanted > 1 and ports and not compose.publishes_a_range(compose.configuration(found[0]), service):
        refusal, instead = taken(service, ports[0]), way_out(ports[0], wanted)
    more, fewer = wanted - here, here - wanted
    change = (
        f"{more} more started" if more > 0 else f"{fewer} of them removed, with their logs" if fewer > 0 else "none"
    )
    return Plan(
        service,
        (f"{service} runs in {wanted} containers instead of {here}: {change}",),
        (" ".join(argv),),
        tuple(f"{one.name} is {one.state}" for one in found),
        refusal,
        instead,
        {"service": service, "wanted": wanted, "before": here, "argv": list(argv)},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    del ask
    argv = plan.data["argv"]
    assert isinstance(argv, list)  # noqa: S101 (planned above)
    compose.run([str(word) for word in argv])
    return Result(well=True, sentence=f"compose was asked for {plan.data['wanted']} containers of {plan.target}")


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    del result
    seen = wait_until_well(ask)
    with compose.engine(ask.settings.docker) as client:
        found = compose.members(client, ask.settings.docker, plan.target)
    running = sum(one.running for one in found)
    well = seen.well is not False and running == plan.data["wanted"]
    return Result(well, f"{running} of {plan.data['wanted']} run; {seen.words}", {"after": running})


def _asked(ask: Ask) -> tuple[str, int]:
    usage = f"irkit act {ask.incident.id} scale SERVICE NUMBER"
    if len(ask.arguments) != 2:  # noqa: PLR2004 (the service, and how many)
        raise InputError("scale takes a service and a number of containers", hint=usage)
    service, text = ask.arguments
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise InputError(f"{text!r} is not a number of containers from 1 to {_MOST}", hint=usage)
    return service, int(text)


def _suggest(step: Step, settings: Settings) -> tuple[str, ...]:
    found = re.search(r"--scale[ =]([\w.-]+)=(\d+)", step.command or "")
    return (found[1], found[2]) if found else (settings.service or "SERVICE", "3")


register(
    Action(
        "scale",
        "Run a service in another number of containers.",
        plan,
        apply,
        verify,
        needs=("docker", "http"),
        usage="SERVICE NUMBER",
        answers=r"\bscale\b",
        destroys=("container-logs", "container-stats"),
        options=OPTIONS,
        suggest=_suggest,
    )
)
