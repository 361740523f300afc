"""One frozen `Settings` from `irkit.toml`, the environment and defaults; it opens no connection."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from irkit.errors import InputError
from irkit.settings.channel_sections import (
    AppriseTarget,
    EmailTarget,
    EscalationSettings,
    FollowUpSettings,
    PagerDutyTarget,
    SlackTarget,
    TicketsTarget,
)
from irkit.settings.places import CONFIG_NAME, HOME_NAME, default_home, find_config, read
from irkit.settings.sections import (
    CollectSettings,
    DatabaseTarget,
    DockerTarget,
    HeapsTarget,
    HostTarget,
    HttpTarget,
    PrometheusTarget,
    ProvidersTarget,
    RecorderSettings,
    RecordingTarget,
    RedactSettings,
    RedisTarget,
    Secret,
    SqliteTarget,
)
from irkit.settings.values import Problem, build, open_secret, place, unknown

__all__ = [
    "CONFIG_NAME",
    "HOME_NAME",
    "CollectSettings",
    "DatabaseTarget",
    "DockerTarget",
    "HeapsTarget",
    "HostTarget",
    "HttpTarget",
    "Problem",
    "PrometheusTarget",
    "ProvidersTarget",
    "RecorderSettings",
    "RecordingTarget",
    "RedactSettings",
    "RedisTarget",
    "Secret",
    "Settings",
    "SqliteTarget",
    "dump_target",
    "load",
    "load_target",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything irkit is told from outside; targets left unset are filled from the runbook's own commands."""

    home: Path
    source: Path | None = None
    store_url: Secret | None = None
    runbook: Path | None = None
    service: str = ""
    docker: DockerTarget = field(default_factory=DockerTarget)
    http: HttpTarget = field(default_factory=HttpTarget)
    redis: RedisTarget = field(default_factory=RedisTarget)
    database: DatabaseTarget = field(default_factory=DatabaseTarget)
    sqlite: SqliteTarget = field(default_factory=SqliteTarget)
    prometheus: PrometheusTarget = field(default_factory=PrometheusTarget)
    providers: ProvidersTarget = field(default_factory=ProvidersTarget)
    collect: CollectSettings = field(default_factory=CollectSettings)
    redact: RedactSettings = field(default_factory=RedactSettings)
    recorder: RecorderSettings = field(default_factory=RecorderSettings)
    escalation: EscalationSettings = field(default_factory=EscalationSettings)
    pagerduty: PagerDutyTarget = field(default_factory=PagerDutyTarget)
    slack: SlackTarget = field(default_factory=SlackTarget)
    email: EmailTarget = field(default_factory=EmailTarget)
    tickets: TicketsTarget = field(default_factory=TicketsTarget)
    apprise: AppriseTarget = field(default_factory=AppriseTarget)
    follow_up: FollowUpSettings = field(default_factory=FollowUpSettings)
    without: frozenset[str] = frozenset()  # sources that the service has not, as the file says: `docker = false`
    problems: tuple[Problem, ...] = ()
    heap_folder: str = ""  # no section of irkit.toml: the home's, unless evidence is made aside

    def problem_of(self, section: str) -> Problem | None:
        """Return why a source may not be used as it is configured, None where it may."""
        if section in self.without:
            return Problem(section, "", f"there is no {section}, by {CONFIG_NAME}", _THERE_IS_ONE)
        return next((one for one in self.problems if one.section == section and one.stops), None)

    def refuse_unusable(self, *sections: str) -> None:
        """Refuse what needs a source that is configured in a way that cannot be used.

        Raises:
            InputError: one of the sections is; the first of them is named.
        """
        for problem in filter(None, map(self.problem_of, sections)):
            raise InputError(problem.sentence, hint=problem.hint)

    @property
    def heap_snapshots(self) -> Path:
        """Where heap snapshots that were filed are kept."""
        return Path(self.heap_folder) if self.heap_folder else self.home / "heaps"

    @property
    def heaps(self) -> HeapsTarget:
        return HeapsTarget(str(self.heap_snapshots) if self.heap_snapshots.is_dir() else "")

    @property
    def recording(self) -> RecordingTarget:
        return RecordingTarget(self.recorder.path or str(self.home / "recorder"), self.recorder.configured)

    @property
    def host(self) -> HostTarget:
        asked = (self.docker, self.http, self.redis, self.sqlite, self.prometheus)
        return HostTarget(str(self.home), *asked, tuple(sorted(self.without)))


_THERE_IS_ONE = "where there is one, write its section in place of the line that says so"
# what a service need not have, and irkit would else look for where the runbook or the machine has one
_MAY_BE_NONE = frozenset({"docker", "http", "redis", "sqlite"})
_TOP_LEVEL = ("home", "store_url", "runbook", "service")
_ENVIRONMENT = {
    "IRKIT_HOME": ("", "home"),
    "IRKIT_STORE_URL": ("", "store_url"),
    "IRKIT_RUNBOOK": ("", "runbook"),
    "IRKIT_SERVICE": ("", "service"),
    "IRKIT_DOCKER_HOST": ("docker", "host"),
    "IRKIT_DOCKER_PROJECT": ("docker", "project"),
    "IRKIT_HEALTH_URL": ("http", "health_url"),
    "IRKIT_REDIS_URL": ("redis", "url"),
    "IRKIT_SQLITE_PATH": ("sqlite", "path"),
    "IRKIT_PROMETHEUS_URL": ("prometheus", "url"),
}
_PATHS = frozenset({("", "home"), ("", "runbook"), ("sqlite", "path"), ("recorder", "path"), ("pagerduty", "ca_file")})


def load(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings that hold for `start` (default: the working directory).

    `IRKIT_CONFIG` names the file; else the nearest `irkit.toml` from `start` upward is taken; else defaults, with the
    incidents in the nearest `.irkit` folder upward, or in the user's own data folder.
    An environment variable wins over the file. Relative paths in the file are relative to the file.
    What is wrong in one section is left out of it and told in `problems`: it only stops what needs that section.

    Raises:
        InputError: the file is missing or malformed, or a key at its head is unknown, of a wrong type, or holds a
            password while others may read the file; file, line and key are named.
    """
    environ = os.environ if environ is None else environ
    start = Path.cwd() if start is None else start
    config = find_config(start, environ)
    table = read(config) if config else {}
    without = frozenset(key for key, value in table.items() if key in _MAY_BE_NONE and value is False)
    values, problems = _by_section({key: value for key, value in table.items() if key not in without}, config)
    problems += _shared_secrets(config, values)
    for name, (section, key) in _ENVIRONMENT.items():
        if environ.get(name):
            values[section][key] = environ[name]
    base = config.parent if config else start
    built: dict[str, Any] = {}
    for name, cls in _SECTIONS.items():
        unused = {one.key for one in problems if one.section == name}
        built[name], wrong = build(cls, values[name], name, config, environ, unused)
        problems += [one if name in SOURCES else replace(one, stops=False) for one in wrong]
    top, wrong = build(_Top, values[""], "", config, environ)
    _stop_at(wrong)
    if any(one.section == "redact" for one in problems):
        built["redact"] = RedactSettings(addresses=True)  # rather too much than what was asked to be taken out
    for name, target in built.items():
        built[name], wrong = _rooted(target, name, base, config)
        problems += wrong
    top, wrong = _rooted(top, "", base, config)
    _stop_at(wrong)
    home = top.home or (config.parent / HOME_NAME if config else default_home(start, environ))
    store_url = Secret(top.store_url) if top.store_url else None
    runbook = Path(top.runbook) if top.runbook else None
    made = Settings(Path(home), config, store_url, runbook, top.service, problems=tuple(problems), **built)
    return replace(made, without=without)


def _by_section(table: Mapping[str, Any], config: Path | None) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Return what is written by its section, "" for the head, and what is none.

    Raises:
        InputError: a key at the head is unknown, or a setting of the head is written as a section.
    """
    values: dict[str, dict[str, Any]] = {section: {} for section in ("", *_SECTIONS)}
    problems: list[Problem] = []
    for key, value in table.items():
        if key in _TOP_LEVEL and not isinstance(value, dict):
            values[""][key] = value
        elif key in _SECTIONS and isinstance(value, dict):
            values[key].update(value)
        elif key in _TOP_LEVEL:
            hint = f'write {key} = "…" at the head of the file, before its first section'
            raise InputError(f"{place(config, key)} is a setting, and no section", hint=hint)
        elif key in _SECTIONS or isinstance(value, dict):
            problems.append(_no_section(config, key))
        else:
            raise unknown(config, key, [*_TOP_LEVEL, *_SECTIONS])
    return values, problems


def _stop_at(problems: list[Problem]) -> None:
    """Refuse what is wrong at the head of the settings, which everything needs.

    Raises:
        InputError: the first of it.
    """
    for one in problems:
        raise InputError(one.sentence, hint=one.hint)


def _no_section(config: Path | None, key: str) -> Problem:
    """Say that a section is none, or no table; the one that is likely meant is not looked for in the runbook then."""
    known = [*_TOP_LEVEL, *_SECTIONS]
    error = unknown(config, key, known)
    near = next(iter(get_close_matches(key, _SECTIONS, n=1)), key)
    return Problem(near, key, str(error), error.hint, stops=near in SOURCES)


def _shared_secrets(config: Path | None, values: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """Tell of each password in a file that others can read; `env:NAME` keeps it out of the file altogether.

    Raises:
        InputError: it is the store's, which everything needs.
    """
    for section, key in (*_URLS, *_CREDENTIALS):
        if not config or not open_secret(config, values[section].get(key, ""), whole=(section, key) in _CREDENTIALS):
            continue
        name = f"{section}.{key}".lstrip(".")
        sentence = f"{place(config, name)} holds a password and the file is readable by others"
        hint = f'chmod 600 {config}, or write {key} = "env:NAME"'
        if not section:
            raise InputError(sentence, hint=hint)
        yield Problem(section, key, sentence, hint, stops=section in SOURCES)


def _rooted(target: Any, section: str, base: Path, config: Path | None) -> tuple[Any, list[Problem]]:  # noqa: ANN401
    """Return a section with its relative paths taken from a folder, and what of them cannot be."""
    made: dict[str, str] = {}
    problems: list[Problem] = []
    for key in (key for of, key in _PATHS if of == section and getattr(target, key)):
        path = Path(getattr(target, key))
        made[key] = ""
        try:
            made[key] = str((base / path.expanduser()).absolute())
        except RuntimeError:
            if key == "runbook":  # it is told where it is read
                made[key] = str((base / path).absolute())
                continue
            name = f"{section}.{key}".lstrip(".")
            said = f"{place(config, name)} is in the home of a user that is unknown here"
            problems.append(Problem(section, key, said, "write the whole path", stops=section in SOURCES))
    return replace(target, **made), problems


@dataclass(frozen=True, slots=True)
class _Top:
    home: str = ""
    store_url: str = ""
    runbook: str = ""
    service: str = ""


_SECTIONS: dict[str, type] = {
    "docker": DockerTarget,
    "http": HttpTarget,
    "redis": RedisTarget,
    "sqlite": SqliteTarget,
    "database": DatabaseTarget,
    "prometheus": PrometheusTarget,
    "providers": ProvidersTarget,
    "collect": CollectSettings,
    "redact": RedactSettings,
    "recorder": RecorderSettings,
    "escalation": EscalationSettings,
    "pagerduty": PagerDutyTarget,
    "slack": SlackTarget,
    "email": EmailTarget,
    "tickets": TicketsTarget,
    "apprise": AppriseTarget,
    "follow_up": FollowUpSettings,
}
# what is looked at or acted on: with a wrong setting it could be another's, so it is not used at all
SOURCES = frozenset({"docker", "http", "redis", "sqlite", "database", "prometheus", "providers"})
# what is a credential whole, where those of the other sections are only so with a password in them
_CREDENTIALS = (
    ("pagerduty", "routing_key"),
    ("providers", "switch_token"),
    ("slack", "webhook_url"),
    ("slack", "token"),
    ("tickets", "github_token"),
    ("tickets", "jira_token"),
    ("apprise", "url"),
)
_URLS = (
    ("redis", "url"),
    ("", "store_url"),
    ("http", "health_url"),
    ("prometheus", "url"),
    ("database", "urls"),
    ("docker", "host"),
    ("email", "url"),
    ("pagerduty", "url"),
    ("providers", "switch_url"),
    ("providers", "key_urls"),
    ("slack", "url"),
    ("tickets", "github_url"),
    ("tickets", "jira_url"),
)


# targets that no section of irkit.toml is
_MADE: dict[str, type] = {"host": HostTarget, "recording": RecordingTarget, "heaps": HeapsTarget}


def dump_target(target: object) -> dict[str, object]:
    """Return a target's fields as JSON values, credentials revealed: for the pipe to our own child process only."""

    def plain(value: object) -> object:
        if isinstance(value, Secret):
            return value.reveal()
        return dump_target(value) if hasattr(value, "__dataclass_fields__") else value

    return {item.name: plain(getattr(target, item.name)) for item in fields(target)}  # type: ignore[arg-type]


def load_target(section: str, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 (one of the section classes)
    """Return the target that `dump_target` took apart."""
    cls = _MADE.get(section) or _SECTIONS[section]
    hints = get_type_hints(cls)

    def made(name: str, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Mapping):
            return load_target(name, value)
        if isinstance(value, list):
            return tuple(tuple(item) if isinstance(item, list) else item for item in value)
        return Secret(value) if hints[name] is Secret else value

    return cls(**{name: made(name, value) for name, value in values.items()})
