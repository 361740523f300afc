"""One frozen `Settings` from `irkit.toml`, the environment and defaults; it opens no connection."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from irkit.channel_sections import (
    AppriseTarget,
    EmailTarget,
    EscalationSettings,
    FollowUpSettings,
    PagerDutyTarget,
    SlackTarget,
    TicketsTarget,
)
from irkit.errors import InputError
from irkit.sections import (
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

__all__ = [
    "CollectSettings",
    "DatabaseTarget",
    "DockerTarget",
    "HeapsTarget",
    "HostTarget",
    "HttpTarget",
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

CONFIG_NAME = "irkit.toml"
HOME_NAME = ".irkit"


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
    heap_folder: str = ""  # no section of irkit.toml: the home's, unless evidence is made aside

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
        return HostTarget(str(self.home), self.docker, self.http, self.redis, self.sqlite, self.prometheus)


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
# looser than a URL parser, which a malformed URL with a password in it would escape
_PASSWORD = re.compile(r"[^/@]*://[^/@]*:[^/@]+@")
_PATHS = frozenset({("", "home"), ("", "runbook"), ("sqlite", "path"), ("recorder", "path"), ("pagerduty", "ca_file")})


def load(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings that hold for `start` (default: the working directory).

    `IRKIT_CONFIG` names the file; else the nearest `irkit.toml` from `start` upward is taken; else defaults, with the
    incidents in the nearest `.irkit` folder upward, or in the user's own data folder.
    An environment variable wins over the file. Relative paths in the file are relative to the file.

    Raises:
        InputError: the file is missing, malformed, has an unknown key or a wrong type, or holds a password while
            others may read it; file, line and key are named.
    """
    environ = os.environ if environ is None else environ
    start = Path.cwd() if start is None else start
    config = _find_config(start, environ)
    table = _read(config) if config else {}
    values: dict[str, dict[str, Any]] = {section: {} for section in ("", *_SECTIONS)}
    for key, value in table.items():
        section = key if isinstance(value, dict) else ""
        if section not in values or (not section and key not in _TOP_LEVEL):
            raise _unknown(config, key, [*_TOP_LEVEL, *filter(None, values)])
        values[section].update(value if section else {key: value})
    for name, (section, key) in _ENVIRONMENT.items():
        if environ.get(name):
            values[section][key] = environ[name]
    base = config.parent if config else start
    built = {name: _build(cls, values[name], name, config, environ, base) for name, cls in _SECTIONS.items()}
    top = _build(_Top, values[""], "", config, environ, base)
    home = top.home or (config.parent / HOME_NAME if config else _default_home(start, environ))
    store_url = Secret(top.store_url) if top.store_url else None
    runbook = Path(top.runbook) if top.runbook else None
    settings = Settings(Path(home), config, store_url, runbook, top.service, **built)
    _refuse_shared_secrets(settings, table)
    return settings


@dataclass(frozen=True, slots=True)
class _Top:
    home: str = ""
    store_url: str = ""
    runbook: str = ""
    service: str = ""


_NAMED_TEXTS: Any = tuple[tuple[str, str], ...]
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
    ("email", "url"),
    ("providers", "switch_url"),
)


# targets that no section of irkit.toml is
_MADE: dict[str, type] = {"host": HostTarget, "recording": RecordingTarget, "heaps": HeapsTarget}


def _find_config(start: Path, environ: Mapping[str, str]) -> Path | None:
    if named := environ.get("IRKIT_CONFIG"):
        path = Path(named).expanduser().resolve()
        if not path.is_file():
            msg = f"IRKIT_CONFIG names {path}, which is not a file"
            raise InputError(msg, hint="correct or unset IRKIT_CONFIG")
        return path
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    return None


def _default_home(start: Path, environ: Mapping[str, str]) -> Path:
    """Return the home where no `irkit.toml` is found: the nearest `.irkit` folder upward, as git finds `.git`.

    Where there is none either, the user-wide one of the XDG base directory specification.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / HOME_NAME).is_dir():
            return folder / HOME_NAME
    data = environ.get("XDG_DATA_HOME", "")
    own = Path(environ.get("HOME", "~")).expanduser() / ".local/share"
    return (Path(data) if data and Path(data).is_absolute() else own) / "irkit"


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{config} cannot be read: {error}"
        raise InputError(msg, hint="correct its permissions, or save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        msg = f"{config} is not valid TOML: {error}"
        raise InputError(msg, hint="correct that line; values with spaces or colons need quotes") from None


def _build(  # noqa: PLR0913, PLR0917 (one call site; the parts of an error message)
    cls: type, given: dict[str, Any], section: str, config: Path | None, environ: Mapping[str, str], base: Path
) -> Any:  # noqa: ANN401 (one of the section classes)
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls) if f.name != "configured"]
    made: dict[str, Any] = {}
    for key, raw in given.items():
        if key not in known:
            raise _unknown(config, f"{section}.{key}" if section else key, known)
        made[key] = _convert(raw, hints[key], f"{section}.{key}".lstrip("."), config, environ)
        if (section, key) in _PATHS and made[key]:
            made[key] = str((base / Path(made[key]).expanduser()).absolute())
    if "configured" in hints and made:
        made["configured"] = True
    return cls(**made)


def _convert(raw: Any, wanted: Any, key: str, config: Path | None, environ: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Check one value against its field's type; `env:NAME` is read from the environment first."""
    if isinstance(raw, str) and raw.startswith("env:"):
        name = raw.removeprefix("env:")
        if name not in environ:
            msg = f"{_place(config, key)} wants the environment variable {name}, which is not set"
            raise InputError(msg, hint=f"export {name}, or write the value in {CONFIG_NAME}")
        raw = environ[name]
    if isinstance(wanted, UnionType):
        wanted = get_args(wanted)[0]
    numeric = wanted in (int, float)
    if wanted is Secret and isinstance(raw, str):
        return Secret(raw)
    if wanted == tuple[str, ...] and isinstance(raw, list) and all(isinstance(item, str) for item in raw):
        return tuple(raw)
    if wanted == _NAMED_TEXTS and isinstance(raw, dict) and all(isinstance(item, str) for item in raw.values()):
        return tuple((name, _convert(item, str, f"{key}.{name}", config, environ)) for name, item in raw.items())
    if numeric and isinstance(raw, int | float) and not isinstance(raw, bool) and 0 < raw < float("inf"):
        if wanted is float or isinstance(raw, int):
            return wanted(raw)
    elif wanted in (str, bool) and type(raw) is wanted:
        return raw
    expected = {int: "a whole number above 0", float: "a number above 0", str: "a string", Secret: "a string"}
    expected |= {_NAMED_TEXTS: "a table of strings", bool: "true or false"}
    msg = f"{_place(config, key)} should be {expected.get(wanted, 'a list of strings')}, not {type(raw).__name__}"
    raise InputError(msg, hint=f"correct {key}; the README lists every setting")


def _place(config: Path | None, key: str) -> str:
    if config is None:
        return f"the setting {key}"
    leaf = re.compile(rf"\s*\[?{re.escape(key.rpartition('.')[2])}\b")
    lines = config.read_text(encoding="utf-8").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if leaf.match(text)), 1)
    return f"{config}:{line}: {key}"


def _unknown(config: Path | None, key: str, known: list[str]) -> InputError:
    near = get_close_matches(key.rpartition(".")[2], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return InputError(f"{_place(config, key)} is not a setting irkit knows", hint=hint)


def _refuse_shared_secrets(settings: Settings, table: Mapping[str, Any]) -> None:
    """Refuse a password in a file that others can read; `env:NAME` keeps it out of the file altogether."""
    if settings.source is None or not settings.source.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return
    for section, key in (*_URLS, *_CREDENTIALS):
        given = table.get(section, {}).get(key, "") if section else table.get(key, "")
        texts = given.values() if isinstance(given, dict) else [given]
        written = [raw for raw in texts if isinstance(raw, str) and raw and not raw.startswith("env:")]
        if any((section, key) in _CREDENTIALS or _PASSWORD.match(raw) for raw in written):
            name = f"{section}.{key}".lstrip(".")
            msg = f"{_place(settings.source, name)} holds a password and the file is readable by others"
            raise InputError(msg, hint=f'chmod 600 {settings.source}, or write {key} = "env:NAME"')


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
