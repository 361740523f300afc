"""What is configured, reachable, readable and permitted, and what to do about the rest; nothing is changed.

Sources are looked at by the collectors themselves, through the engine and under its deadlines, into a folder that goes
again: what works here works at 3 a.m.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from irkit import settings as settings_file
from irkit import workspace
from irkit.collect.engine import Progress, collect, plan
from irkit.diagnose.loaded import rows_in
from irkit.errors import IrkitError, NotFoundError
from irkit.escalate import tell as escalate
from irkit.escalate.contract import DeliveryError
from irkit.escalate.delivery import look
from irkit.escalate.policy import lacks_of, meant_by
from irkit.model import CollectorRun, Outcome, Window
from irkit.path_graph import PROGRAM as GRAPHVIZ
from irkit.records import text_of
from irkit.redact import KEY_BYTES, KEY_NAME
from irkit.registry import BrokenPlugin, load_plugins
from irkit.settings import CONFIG_NAME, Problem, Settings
from irkit.text.phrase import count

if TYPE_CHECKING:
    from irkit.bundle import Bundle
    from irkit.escalate.contract import Channel
    from irkit.runbook import Runbook

_LOOK_BACK = timedelta(minutes=5)
_DEADLINE_S = 5.0
_RUN_DEADLINE_S = 8.0
_COMMAND_S = 5.0
# collectors from this cost on read all of a source, which says no more of whether it can be read
_DEAR = 6
_TIGHT_BYTES = 1024**3
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NO_ANSWER = frozenset({"refused", "timed_out", "dns", "tls", "reset"})


class State(StrEnum):
    """How one check ended; only `BROKEN` is something that was asked for and does not work."""

    OK = "ok"
    LIMITED = "limited"
    ABSENT = "absent"
    UNTRIED = "untried"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: where it belongs, how it is, and what to do about it where that is not well."""

    group: str
    name: str
    state: State
    sentence: str
    hint: str = ""


def examine(
    start: Path, now: datetime, *, on_progress: Callable[[Progress], None] = lambda _: None
) -> tuple[Check, ...]:
    """Look at all irkit needs for work that begins in folder `start`; a failing look never stops the others."""
    checks = [*_installation()]
    try:
        plain = settings_file.load(start)
    except IrkitError as error:
        return (Check("settings", CONFIG_NAME, State.BROKEN, str(error), error.hint), *checks)
    ours = [
        _config(plain, start),
        *map(_wrong, plain.problems),
        _home(plain),
        _space(plain),
        _key(plain),
        _store(plain),
    ]
    settings = workspace.load_settings(start)
    runbook: Runbook | None = None
    try:
        runbook = workspace.own_runbook(settings)
    except IrkitError as error:
        ours.append(Check("settings", "runbook", State.BROKEN, str(error), error.hint))
    else:
        said = f"{runbook.source}: {len(runbook.incident_types)} incident types, {len(runbook.severities)} severities"
        ours.append(Check("settings", "runbook", State.OK, said))
    ours += _channels(settings, runbook)
    return (*ours, *_sources(settings, now, on_progress), *checks)


def conclusion(checks: tuple[Check, ...]) -> str:
    """Say in a sentence how it stands: what works is no more than what is there."""
    if not healthy(checks):
        return "Not all that is configured works: see what is broken."
    untried = sum(check.state is State.UNTRIED for check in checks)
    sources = [check for check in checks if check.group == "sources"]
    absent = sum(check.state is State.ABSENT for check in sources)
    left = [f"{absent} of {len(sources)} sources are not there"] if absent else []
    left += [f"{count(untried, 'channel')} could not be tried"] if untried else []
    return f"All that is configured{' and was tried' if untried else ''} works{''.join(f'; {one}' for one in left)}."


def healthy(checks: tuple[Check, ...]) -> bool:
    """Say whether all that is configured works."""
    return all(check.state is not State.BROKEN for check in checks)


def _config(settings: Settings, start: Path) -> Check:
    if settings.source:
        return Check("settings", CONFIG_NAME, State.OK, str(settings.source))
    sentence = f"none from {start} upward: defaults hold, and what the runbook's own commands point at"
    return Check("settings", CONFIG_NAME, State.ABSENT, sentence, f"write one beside your compose file: {CONFIG_NAME}")


def _wrong(problem: Problem) -> Check:
    return Check("settings", f"[{problem.section}] {problem.key}", State.BROKEN, problem.sentence, problem.hint)


def _home(settings: Settings) -> Check:
    place = _existing(settings.home)
    if not place.is_dir():
        return Check("settings", "home", State.BROKEN, f"{place} is not a folder", "set another home in irkit.toml")
    if not os.access(place, os.W_OK | os.X_OK):
        hint = "correct its permissions, or set another home in irkit.toml"
        return Check("settings", "home", State.BROKEN, f"{place} cannot be written", hint)
    made = "" if place == settings.home else ", made on first use"
    return Check("settings", "home", State.OK, f"{settings.home}{made}")


def _space(settings: Settings) -> Check:
    try:
        free_bytes = shutil.disk_usage(_existing(settings.home)).free
    except OSError as error:
        return Check("settings", "free disk", State.BROKEN, f"cannot be told: {error}", "check the home's disk")
    one = settings.collect.max_size_bytes
    sentence = f"{free_bytes / 1e9:.1f} GB free; one source may take up to {one / 1e9:.2g} GB of evidence"
    state = State.BROKEN if free_bytes < one else State.LIMITED if free_bytes < _TIGHT_BYTES else State.OK
    return Check(
        "settings", "free disk", state, sentence, "" if state is State.OK else "free some, or set another home"
    )


def _key(settings: Settings) -> Check:
    path = settings.home / KEY_NAME
    try:
        size_bytes, mode = path.stat().st_size, path.stat().st_mode
    except FileNotFoundError:
        return Check("settings", "redaction key", State.OK, "made on first use")
    except OSError as error:
        return Check("settings", "redaction key", State.BROKEN, f"{path}: {error.strerror}", "correct its permissions")
    if size_bytes != KEY_BYTES or not os.access(path, os.R_OK):
        hint = "restore it from a backup, or remove it to start with a new one"
        return Check("settings", "redaction key", State.BROKEN, f"{path} cannot be used as one", hint)
    if mode & 0o077:
        return Check("settings", "redaction key", State.LIMITED, f"{path} is readable by others", f"chmod 600 {path}")
    return Check("settings", "redaction key", State.OK, str(path))


def _store(settings: Settings) -> Check:
    try:
        store = workspace.store(settings)
        count = len(store.incidents())
    except NotFoundError:
        hint = '`irkit open "What users notice"` makes it'
        return Check("settings", "incident store", State.ABSENT, "none yet", hint)
    except IrkitError as error:
        return Check("settings", "incident store", State.BROKEN, str(error), error.hint)
    return Check("settings", "incident store", State.OK, f"{store}: {count} incident{'' if count == 1 else 's'}")


def _sources(settings: Settings, now: datetime, on_progress: Callable[[Progress], None]) -> Iterator[Check]:
    """Let the cheaper collectors look, and say of each what it could see."""
    looks, broken = plan(settings)
    cheap = [look.collector.name for look in looks if look.collector.cost < _DEAR]
    window = Window(now - _LOOK_BACK, now)
    limits = replace(
        settings.collect,
        deadline_s=min(_DEADLINE_S, settings.collect.deadline_s),
        run_deadline_s=min(_RUN_DEADLINE_S, settings.collect.run_deadline_s),
    )
    with tempfile.TemporaryDirectory(prefix="irkit-doctor-") as folder:
        recorder = replace(settings.recorder, path=settings.recording.path)  # which lies in the real home
        aside = replace(settings, home=Path(folder), collect=limits, recorder=recorder)
        try:
            bundle = collect(aside, 1, window, bundle_id="doctor", now=now, only=cheap, on_progress=on_progress)
        except IrkitError as error:
            yield Check("sources", "collection", State.BROKEN, str(error), error.hint)
            return
        left_out = {item.name for item in broken}
        yield from (
            _look(run, bundle)
            for run in bundle.runs
            if run.outcome is not Outcome.SKIPPED and run.collector not in left_out
        )


def _channels(settings: Settings, runbook: Runbook | None) -> Iterator[Check]:
    """Say which channels can be used, and which words of the runbook name none; nothing is sent."""
    known, broken = escalate.channels()
    for channel in known.values():
        lacks = lacks_of(channel, settings)
        asked = getattr(settings, channel.section).configured
        if not lacks:
            yield _channel(channel, settings)
        elif asked and not _other_of_section(channel, known, settings):
            hint = f"complete or correct [{channel.section}] in irkit.toml"
            yield Check("channels", channel.name, State.BROKEN, f"[{channel.section}] lacks {lacks}", hint)
        else:
            yield Check("channels", channel.name, State.ABSENT, "not configured")
    for item in broken:
        yield Check("channels", item.name, State.BROKEN, item.reason, "repair or uninstall the package it comes from")
    if runbook is None:
        return
    said = [*(one.escalation for one in runbook.severities), *(one.channel for one in runbook.contacts)]
    unknown = [one for one in dict.fromkeys(said) if not meant_by(one, settings, known) & set(known)]
    if unknown:
        hint = "say what they mean under `words` in [escalation]"
        sentence = f"the runbook names what irkit has no channel for: {', '.join(unknown)}"
        yield Check("channels", "runbook's words", State.LIMITED, sentence, hint)


def _channel(channel: Channel, settings: Settings) -> Check:
    """Ask a channel's service whether it would take a message; of what cannot be asked it is not said that it works."""
    try:
        said = look(channel, settings, min(_DEADLINE_S, settings.escalation.timeout_s))
    except DeliveryError as error:
        hint = f"correct [{channel.section}] in irkit.toml, or repair what it names"
        return Check("channels", channel.name, State.BROKEN, f"{channel.title} {error}", hint)
    if said:
        return Check("channels", channel.name, State.OK, f"{channel.title} {said}; nothing was sent")
    sentence = f"{channel.title} is configured; not tried, since only a message would show whether it arrives"
    return Check("channels", channel.name, State.UNTRIED, sentence)


def _other_of_section(channel: Channel, known: Mapping[str, Channel], settings: Settings) -> bool:
    """Say whether a section that channels share makes another one of them usable."""
    return any(one.section == channel.section and not lacks_of(one, settings) for one in known.values())


def _look(run: CollectorRun, bundle: Bundle) -> Check:
    subject = run.subject or "not configured"
    if run.outcome is Outcome.ABSENT:
        return Check("sources", run.collector, State.ABSENT, run.reason, run.hint)
    silence = _silence(bundle) if "health" in run.provides else ""
    looked = run.outcome in {Outcome.COLLECTED, Outcome.PARTIAL}
    if looked and silence:
        guessed = run.outcome is Outcome.PARTIAL  # it is the runbook's, which may be of another service
        hint = "start the service, or correct [http] health_url in irkit.toml"
        return Check("sources", run.collector, State.ABSENT if guessed else State.BROKEN, f"{subject}: {silence}", hint)
    if run.outcome is Outcome.COLLECTED:
        return Check("sources", run.collector, State.OK, subject)
    if run.outcome is Outcome.PARTIAL:
        return Check("sources", run.collector, State.LIMITED, f"{subject}: {run.reason}", run.hint)
    hint = run.hint or f"try what a human would: {run.command}"
    return Check("sources", run.collector, State.BROKEN, f"{subject}: {run.reason}", hint)


def _silence(bundle: Bundle) -> str:
    """Return why no probe got an answer, or nothing: for a report that is evidence, here it is a fault."""
    rows = rows_in(bundle, "health")
    if rows and all(text_of(row, "verdict") in _NO_ANSWER for row in rows):
        return text_of(rows[-1], "error") or text_of(rows[-1], "verdict")
    return ""


def _installation() -> Iterator[Check]:
    yield _plugins()
    yield _page()
    yield _compose()
    yield _walker()
    yield _injector()
    yield _graphs()
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser:
        yield Check("installation", "browser", State.OK, browser)
    else:
        yield Check("installation", "browser", State.ABSENT, "no Chromium", "only needed for PDF: install chromium")


def _plugins() -> Check:
    broken: list[BrokenPlugin] = []
    for group in ("irkit.collectors", "irkit.symptoms"):
        broken += load_plugins(group, group)
    if not broken:
        return Check("installation", "plug-ins", State.OK, "all of them load")
    named = "; ".join(f"{item.name}: {item.reason}" for item in broken)
    return Check("installation", "plug-ins", State.BROKEN, named, "repair or uninstall the packages they come from")


def _page() -> Check:
    """Load the notebooks' folder and the template for real: an incomplete installation shows only there."""
    from irkit import notebooks
    from irkit.publish import IrkitExporter

    hint = "install irkit again"
    try:
        count = len(notebooks.names())
        name = IrkitExporter().template.name  # type: ignore[no-untyped-call]
    except (IrkitError, ValueError, OSError) as error:
        return Check("installation", "notebooks and page", State.BROKEN, str(error), hint)
    except Exception as error:  # noqa: BLE001 (Jinja's errors, without importing it for their names)
        reason = f"the page's template cannot be used: {type(error).__name__}: {error}"
        return Check("installation", "notebooks and page", State.BROKEN, reason, hint)
    if not entry_points(group="nbconvert.exporters", name="irkit"):
        return Check("installation", "notebooks and page", State.BROKEN, "nbconvert does not know irkit", hint)
    return Check("installation", "notebooks and page", State.OK, f"{count} notebooks, template {name}")


def _compose() -> Check:
    versions = [
        f"{' '.join(command)} {version}"
        for command in (("docker", "compose"), ("docker-compose",))
        if (version := _version(command))
    ]
    if versions:
        return Check("installation", "compose", State.OK, ", ".join(versions))
    hint = "only needed for the runbook's own commands; irkit reads the Engine's API"
    return Check("installation", "compose", State.ABSENT, "neither `docker compose` nor `docker-compose`", hint)


def _walker() -> Check:
    from irkit.memory.agent import native, pure

    if native() is not None:
        ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sentence = f"compiled, for Python {ours}; of other versions plain Python walks"
        return Check("installation", "heap walker", State.OK, sentence)
    hint = "only needed in a service that is to give snapshots: install irkit with a C compiler and Python's headers"
    if pure() is not None:
        sentence = (
            "not compiled: plain Python serves, twenty times slower and with three times the memory of the service"
        )
        return Check("installation", "heap walker", State.LIMITED, sentence, hint)
    return Check("installation", "heap walker", State.ABSENT, "none that fits this Python and machine", hint)


def _injector() -> Check:
    from irkit.memory.attach import injector

    try:
        way = injector()
    except IrkitError as error:
        hint = f"only needed for `irkit memory attach`, of Pythons before 3.14: {error.hint}"
        return Check("installation", "heap injector", State.ABSENT, str(error), hint)
    if way == "gdb":
        hint = "pip install 'irkit[attach]': it stops a process for milliseconds, gdb for seconds"
        return Check("installation", "heap injector", State.LIMITED, "gdb", hint)
    return Check("installation", "heap injector", State.OK, way)


def _graphs() -> Check:
    if found := shutil.which(GRAPHVIZ):
        return Check("installation", "graph of suspects", State.OK, found)
    hint = "only needed to draw leak suspects as a graph, and not as chains: install graphviz"
    return Check("installation", "graph of suspects", State.ABSENT, "no Graphviz", hint)


def _version(command: tuple[str, ...]) -> str:
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(  # noqa: S603 (one of two commands named above, asked for its version)
            [*command, "version", "--short"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0][:40]


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))
