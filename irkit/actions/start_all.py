"""Start again what stop-all stopped, in the opposite order, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from irkit.act import compose
from irkit.act.contract import ActError, Action, Ask, Plan, Result, register
from irkit.act.health_wait import OPTIONS, wait_until_well
from irkit.model import EventKind
from irkit.runbook import steps


def plan(ask: Ask) -> Plan:
    wanted = _stopped(ask)
    with compose.engine(ask.settings.docker) as client:
        found = compose.members(client, ask.settings.docker)
    by_id, by_name = {one.listed.id: one for one in found}, {one.name: one for one in found}
    # one that was made anew since has another id
    chosen = [by_id.get(str(one["id"])) or by_name.get(str(one["name"])) for one in wanted]
    gone = [str(one["name"]) for one, member in zip(wanted, chosen, strict=True) if member is None]
    there = [one for one in chosen if one is not None]
    project = ask.settings.docker.project or (found[0].listed.project or "the project")
    return Plan(
        project,
        tuple(f"{one.name} is started" for one in there if not one.running),
        ("docker-compose start",),
        tuple(f"{one.name} runs already" for one in there if one.running),
        f"{', '.join(gone)} is gone" if gone else "",
        "compose makes it anew: docker-compose up -d" if gone else "",
        {"containers": {one.listed.id: one.name for one in there}},
    )


def apply(plan: Plan, ask: Ask) -> Result:
    names = plan.data["containers"]
    assert isinstance(names, dict)  # noqa: S101 (planned above)
    with compose.engine(ask.settings.docker) as client:
        compose.in_turn(names, client.start, done="started")
    return Result(well=True, sentence=f"{len(names)} containers were started")


def verify(plan: Plan, result: Result, ask: Ask) -> Result:
    del result
    seen = wait_until_well(ask)
    with compose.engine(ask.settings.docker) as client:
        found = {one.name: one for one in compose.members(client, ask.settings.docker)}
    names = plan.data["containers"]
    assert isinstance(names, dict)  # noqa: S101 (planned above)
    down = [
        f"{name} is {found[name].state if name in found else 'gone'}"
        for name in names.values()
        if not _runs(found.get(name))
    ]
    said = "; ".join([seen.words, *down])
    return Result(seen.well is not False and not down, said[:1].upper() + said[1:])


def _runs(member: compose.Member | None) -> bool:
    return member is not None and member.running


def _stopped(ask: Ask) -> list[Mapping[str, object]]:
    """Return what this incident's stop-alls stopped since the last start-all that ended, the last stopped first.

    One that was killed half-way is done again, and that finds only what runs still: both count.
    """
    stopped: dict[str, Mapping[str, object]] = {}
    over = False
    for event in sorted(ask.timeline, key=lambda one: one.id):
        name, planned = event.data.get("action"), event.data.get("plan")
        if event.kind is not EventKind.ACTION or not isinstance(planned, Mapping):
            continue
        if name == "start-all" and event.data.get("outcome") == steps.DONE:
            over = True
        if name == "stop-all" and isinstance(planned.get("running"), list):
            stopped = ({} if over else stopped) | {str(one["name"]): one for one in planned["running"]}
            over = False
    if stopped:
        return list(reversed(stopped.values()))
    raise ActError(
        f"no stop-all is on the timeline of {ask.incident.label}, so nothing says what ran before",
        hint="`docker-compose up -d` starts all of the project",
    )


register(
    Action(
        "start-all",
        "Start again what stop-all stopped, and nothing else.",
        plan,
        apply,
        verify,
        needs=("docker", "http"),
        options=OPTIONS,
    )
)
