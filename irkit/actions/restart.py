"""Restart a service, and look by its health whether that helped."""

from __future__ import annotations

from collections.abc import Sequence

from irkit.act import compose
from irkit.act.contract import Action, Ask, Plan, Result, register
from irkit.act.health_wait import OPTIONS, health, wait_until_well
from irkit.act.redis_keeps import lost_with
from irkit.errors import InputError
from irkit.model import Step
from irkit.settings import Settings
from irkit.text.phrase import count

_LEAK = "memory-leak"


def plan(ask: Ask) -> Plan:
    service = _service(ask)
    with compose.engine(ask.settings.docker) as client:
        found = compose.members(client, ask.settings.docker, service)
    names = [one.name for one in found]
    before = {one.name: one.state for one in found}
    now, lost = health(ask), lost_with(found, ask.settings.redis)
    return Plan(
        service,
        (*changes_of(found, max(one.grace_s for one in found)), *lost),
        (f"docker-compose restart {service}" if found[0].listed.project else f"docker restart {' '.join(names)}",),
        (*(f"{name} is {state}" for name, state in before.items()), f"the health endpoint: {now.words}"),
        data={
            "service": service,
            "containers": {one.listed.id: one.name for one in found},
            "grace_s": {one.listed.id: one.grace_s for one in found},
            "before": before,
            "health": now.words,
            "well_before": now.well,
        },
        loses=bool(lost),
    )


def apply(plan: Plan, ask: Ask) -> Result:
    names, grace_s = plan.data["containers"], plan.data["grace_s"]
    assert isinstance(names, dict)  # noqa: S101 (planned above)
    assert isinstance(grace_s, dict)  # noqa: S101 (planned above)
    with compose.engine(ask.settings.docker) as client:
        compose.in_turn(names, lambda one: client.restart(one, timeout=grace_s[one]), done="restarted")
    return Result(well=True, sentence=f"{plan.target} was restarted")


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    del result
    docker = ask.settings.docker
    seen = wait_until_well(ask, hopeless=lambda: compose.why_hopeless(docker, plan.target))
    with compose.engine(ask.settings.docker) as client:
        found = compose.members(client, ask.settings.docker, plan.target)
    after = {one.name: one.state for one in found}
    down = [f"{one.name} is {one.state}" for one in found if not one.running]
    again = "the Engine started {} again {} since"
    down += [again.format(one.name, count(one.restarts, "time")) for one in found if one.running and one.restarts]
    well = seen.well is not False and not down
    said = "; ".join([seen.words, *(one for one in down if one not in seen.words), f"before: {plan.data['health']}"])
    said = said[:1].upper() + said[1:]
    if well and ask.incident.type == _LEAK:
        # well is what its health says; that it leaks on shows only after a while
        watch = f"`irkit memory monitor --container {found[0].name} --for 10m --incident {ask.incident.id}`"
        said += f". A restart gives memory back and mends no leak: {watch} tells whether it grows again"
    # what was well before the change is no proof that it helped
    proves = not (well and plan.data.get("well_before"))
    if not proves:
        said += f". It was well before, too, so look at what was wrong: `irkit collect {ask.incident.id}`"
    return Result(well, said, {"after": after}, proves)


def changes_of(found: Sequence[compose.Member], grace_s: int) -> tuple[str, ...]:
    """Return what would happen: of a container that has ended by itself there is nothing to end."""
    runs = [one.name for one in found if one.running]
    ended = [f"{one.name} ({one.state})" for one in found if not one.running]
    said = []
    if runs:
        patience = f"killed where it has not within {grace_s} s"
        said.append(f"{' and '.join(runs)} is asked to end, {patience}, and started again")
    if ended:
        said.append(f"{' and '.join(ended)} does not run and is started")
    return (*said, "what the processes hold in memory is lost; their logs stay" if runs else "its logs stay")


def _service(ask: Ask) -> str:
    if len(ask.arguments) > 1:
        raise InputError("restart takes one service", hint=f"irkit act {ask.incident.id} restart {ask.arguments[0]}")
    service = ask.arguments[0] if ask.arguments else ask.settings.service
    if not service:
        raise InputError("which service is to be restarted?", hint="irkit act ID restart SERVICE")
    return service


def _suggest(step: Step, settings: Settings) -> tuple[str, ...]:
    del step
    return (settings.service,) if settings.service else ()


register(
    Action(
        "restart",
        "Restart a service; its health says whether that helped.",
        plan,
        apply,
        verify,
        needs=("docker", "http"),
        usage="SERVICE",
        answers=r"\brestart\b",
        destroys=("container-stats", "container-cgroups", "container-processes"),
        options=OPTIONS,
        suggest=_suggest,
    )
)
