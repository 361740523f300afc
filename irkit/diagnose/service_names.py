"""Which service a runbook's command means here, and which containers do not run: by the containers that were seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from irkit.diagnose.loaded import rows_in
from irkit.diagnose.service_checks import ended_on_request
from irkit.diagnose.signs import STOPPED
from irkit.model import VerdictState
from irkit.records import Row, integer_of, text_of, time_of
from irkit.targets import targets
from irkit.times import format_time

if TYPE_CHECKING:
    from irkit.diagnose.loaded import EvidenceSource
    from irkit.model import Finding
    from irkit.runbook import Runbook
    from irkit.settings import Settings

PLACEHOLDER = "SERVICE"
_PAUSED = "paused"
_PUBLISHED = re.compile(r"(?:^|[\s,:])(\d{1,5})->")
_LOOKS_INTO = re.compile(r"^irkit memory snapshot --container ([\w.-]+)")
_SCALES = re.compile(r"(?:--scale[ =]|\bscale )([\w.-]+)[= ](\d+)(?!\S)")


@dataclass(frozen=True, slots=True)
class Idle:
    """A container that does not run: its service or name, its state, since when and with which exit code.

    Of a paused one, which answers nobody, `paused` is the container's own name; `asked` says that it ended on request.
    """

    name: str
    state: str
    since: datetime | None
    exit_code: int | None
    oom_killed: bool
    paused: str = ""
    asked: bool = False

    @property
    def sentence(self) -> str:
        """Say it as it stands in the first lines, without its full stop."""
        if self.paused:
            return f"{self.name} is paused, and answers nobody until `docker unpause {quote(self.paused)}`"
        since = f" since {format_time(self.since)}" if self.since else ""
        code = f", with exit code {self.exit_code}" if self.exit_code is not None else ""
        how = ", killed for want of memory" if self.oom_killed else ", as somebody had it stopped" if self.asked else ""
        return f"{self.name} is not running: {self.state}{since}{code}{how}"


@dataclass(frozen=True, slots=True)
class Meant:
    """The service that stands for the runbook's `named` where that is none of those seen, `known`.

    `service` is the one that publishes the health endpoint's port, else `PLACEHOLDER`; `down` the one service that does
    not run, "" where none or several do not.
    """

    named: str
    service: str
    down: str
    known: tuple[str, ...]

    def in_command(self, command: str) -> str:
        """Return a command with a service of here in place of one that is not; what does not run is restarted."""
        name = self.down if self.down and re.search(r"\brestart\b", command) else self.service
        return re.sub(rf"(?<![\w-]){re.escape(self.named)}(?![\w-])", lambda _: quote(name), command)


def idle_of(evidence: EvidenceSource) -> tuple[Idle, ...]:
    """Return the containers that did not run, or were paused, when they were looked at, the last to end first.

    One that had ended well before the window began, as a migration does, is none of them.
    """
    found, events = [], rows_in(evidence, "container_events")
    for row in rows_in(evidence, "containers"):
        if text_of(row, "state") == _PAUSED:
            found.append(Idle(_name(row), _PAUSED, None, None, oom_killed=False, paused=text_of(row, "name")))
        if text_of(row, "state") not in STOPPED:
            continue
        since, code = time_of(row, "finished_at"), integer_of(row, "exit_code")
        if code == 0 and since and since < evidence.window.start:
            continue
        asked = ended_on_request(row, events)
        found.append(Idle(_name(row), text_of(row, "state"), since, code, row.get("oom_killed") is True, asked=asked))
    return tuple(sorted(found, key=lambda one: (one.since is None, one.since and -one.since.timestamp(), one.name)))


def meant(named: str, health_url: str, evidence: EvidenceSource) -> Meant | None:
    """Return what stands for the service a runbook names, None where it is one of those seen or none was seen."""
    rows = rows_in(evidence, "containers")
    known = tuple(sorted({_name(row) for row in rows}))
    if not named or not known or any(named in {text_of(row, "service"), text_of(row, "name")} for row in rows):
        return None
    port = _port(health_url)
    serving = sorted({_name(row) for row in rows if port in _PUBLISHED.findall(text_of(row, "ports"))})
    ended = sorted({one.name for one in idle_of(evidence) if not one.paused})  # a restart is not what that needs
    down = ended[0] if len(ended) == 1 else ""
    return Meant(named, serving[0] if len(serving) == 1 else PLACEHOLDER, down, known)


def meant_here(runbook: Runbook, settings: Settings, evidence: EvidenceSource) -> Meant | None:
    """Return what stands here for the service of the runbook's commands, None where that is seen or configured."""
    named = targets(runbook).service
    return meant(named, settings.http.health_url, evidence) if settings.service in {"", named} else None


def unwell(slug: str, findings: Iterable[Finding], evidence: EvidenceSource) -> str:
    """Return the service that what was found of an incident type, and goes on, is about; "" where it names several.

    Of the services that are named the one that does not run comes first: another fails for want of it; then the one
    that the kernel killed for want of memory. What names no container that was seen, as a log may, names none. One that
    passes on what fails behind it is the last to be named.
    """
    known = {name: _name(row) for row in rows_in(evidence, "containers") for name in (text_of(row, "name"), _name(row))}
    down = {one.name for one in idle_of(evidence)}
    named, killed, in_front = set[str](), set[str](), set[str]()
    for item in findings:
        verdict = item.verdict
        if slug in item.incident_types and verdict.state is VerdictState.FOUND and verdict.until is None:
            said = [verdict.numbers.get("name") or verdict.numbers.get("service")]
            said += _listed(verdict.numbers, "also_down")
            seen = {known[str(name)] for name in said if str(name) in known}
            named |= seen
            killed |= seen if verdict.numbers.get("oom_killed") is True else set()
            in_front |= {known.get(str(name), "") for name in _listed(verdict.numbers, "passed_on_by")}
    for group in (named & down, killed, named - in_front, named):
        if len(group) == 1:
            return group.pop()
    return ""


def _listed(numbers: Mapping[str, object], name: str) -> list[object]:
    """Return the containers or services that a verdict names beside the one it is about."""
    found = numbers.get(name)
    return found if isinstance(found, list) else []


def places_of(runbook: Runbook, settings: Settings, evidence: EvidenceSource) -> dict[str, str]:
    """Return the addresses and the service that the runbook's commands name, with those of here in their stead."""
    own = targets(runbook)
    named = {own.health_url: settings.http.health_url, own.sqlite_path: settings.sqlite.path}
    if found := meant_here(runbook, settings, evidence):
        named[found.named] = quote(found.service)
    return {place: here for place, here in named.items() if place and here}


def of_here(command: str, places: Mapping[str, str]) -> str:
    """Return a runbook's command with what `places_of` has in place of what it names."""
    for place, here in places.items():
        command = command.replace(place, here)
    return command


def hindrance(command: str, evidence: EvidenceSource) -> str:
    """Say why a command that needs a container to run, or one service in several, would fail; "" where none seen.

    Whether the port that its one container publishes was asked for by its number, the compose file alone tells.
    """
    looked_into = _LOOKS_INTO.search(command)
    if looked_into and any(one.name == looked_into[1] for one in idle_of(evidence)):
        return f"{looked_into[1]} does not run, and has no memory to look into; once it runs and grows, take one then."
    asked = _SCALES.search(command)
    if asked is None or int(asked[2]) <= 1:
        return ""
    rows = [
        row for row in rows_in(evidence, "containers") if asked[1] in {text_of(row, "service"), text_of(row, "name")}
    ]
    ports = [port for row in rows for port in _PUBLISHED.findall(text_of(row, "ports"))]
    if len(rows) != 1 or not ports:
        return ""
    return (
        f"{taken(asked[1], ports[0])}; where it has just that by the compose file, {way_out(ports[0], int(asked[2]))}."
    )


def taken(service: str, port: str) -> str:
    """Say why a service that publishes a port of its host cannot run in several containers."""
    return f"{service} publishes port {port} of this host, which only one container can have"


def way_out(port: str, wanted: int) -> str:
    """Say what lets such a service run in so many containers."""
    return (
        f'publish a range in the compose file ("{port}-{int(port) + wanted - 1}:…"), or no port, behind a '
        "proxy; on one host more containers help only where one does not use all of it"
    )


def placeholder_hint(found: Meant | None, commands: tuple[str, ...]) -> str:
    """Say what the placeholder stands for, "" where no command holds it."""
    if found is None or not any(re.search(rf"\b{PLACEHOLDER}\b", one) for one in commands):
        return ""
    *others, last = found.known  # all of them: the one that is meant may be any
    every = f"{', '.join(others)} and {last}" if others else last
    return f"{PLACEHOLDER} stands for the one you mean of {every}; {found.named} is none of them."


def _name(row: Row) -> str:
    return text_of(row, "service") or text_of(row, "name")


def _port(url: str) -> str:
    try:
        parts = urlsplit(url)
        return str(parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:
        return ""
