"""Stop all running services, those that depend on others first, and record which ran."""

from __future__ import annotations

from irkit.act import compose
from irkit.act.contract import Action, Ask, Plan, Result, register
from irkit.act.redis_keeps import lost_with


def plan(ask: Ask) -> Plan:
    with compose.engine(ask.settings.docker) as client:
        found = compose.members(client, ask.settings.docker)
    running = [one for one in found if one.running]
    ordered = compose.stop_order(running, compose.configuration(running[0])) if running else []
    project = ask.settings.docker.project or (found[0].listed.project or "the project")
    still = [f"{one.name} is {one.state} and stays so" for one in found if not one.running]
    listed = [
        {"id": one.listed.id, "name": one.name, "service": one.service, "grace_s": one.grace_s} for one in ordered
    ]
    lost = lost_with(running, ask.settings.redis)
    return Plan(
        project,
        (
            *(f"{one.name} is stopped" for one in ordered),
            "nobody can use the service until `start-all`",
            *lost,
        ),
        ("docker-compose stop",),
        tuple(still),
        "" if running else "nothing of it runs",
        "" if running else f"irkit act {ask.incident.id} start-all starts what was stopped by stop-all",
        {"running": listed},
        bool(lost),
    )


def apply(plan: Plan, ask: Ask) -> Result:
    chosen = plan.data["running"]
    assert isinstance(chosen, list)  # noqa: S101 (planned above)
    names, grace_s = {one["id"]: one["name"] for one in chosen}, {one["id"]: one["grace_s"] for one in chosen}
    with compose.engine(ask.settings.docker) as client:

        def stop(identity: str) -> None:
            # without it, the library takes what needs longer than a minute to end for an Engine that hangs
            client.stop(identity, timeout=grace_s[identity])
            ask.say(f"{names[identity]} is stopped")

        compose.in_turn(names, stop, done="stopped")
    return Result(well=True, sentence=f"{len(chosen)} containers were stopped")


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    del result
    with compose.engine(ask.settings.docker) as client:
        left = [one for one in compose.members(client, ask.settings.docker) if one.running]
    if left:
        return Result(well=False, sentence=f"{', '.join(one.name for one in left)} runs")
    return Result(well=True, sentence=f"Nothing of {plan.target} runs")


register(
    Action(
        "stop-all",
        "Stop all services, who depends on others first; start-all undoes it.",
        plan,
        apply,
        verify,
        needs=("docker", "http"),
        answers=r"\bstop all\b",
        destroys=("container-stats", "container-cgroups", "container-processes"),
    )
)
