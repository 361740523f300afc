"""Where the service under watch is: what the settings leave open is read from the runbook's own commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from irkit.settings import Secret, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from irkit.runbook import Runbook

_SHELL_JOINTS = frozenset({"|", "||", "&&", ";", "&"})
_RESTARTS = frozenset({"restart", "start", "up"})
_SERVICE_NAME = re.compile(r"\w[\w.-]*")
# what redis-cli assumes where these options are not given
_REDIS_OPTIONS = {"-h": "localhost", "-p": "6379", "-n": "0"}


@dataclass(frozen=True, slots=True)
class Targets:
    """What a runbook's commands point at; an empty string where no command names one."""

    service: str = ""
    health_url: str = ""
    redis_url: Secret = field(default_factory=lambda: Secret(""))
    ratelimit_pattern: str = ""
    sqlite_path: str = ""


def targets(runbook: Runbook) -> Targets:
    """Read the targets from the commands of a runbook, the first command that names one holding."""
    commands = [argv for script in _scripts(runbook) for argv in _simple_commands(script)]
    urls = [word for argv in commands if argv[0] == "curl" for word in argv[1:] if _is_web(word)]
    redis = [argv[1:] for argv in commands if argv[0] == "redis-cli"]
    return Targets(
        service=next(filter(None, map(_service, commands)), ""),
        health_url=next((url for url in urls if "health" in _path(url)), urls[0] if urls else ""),
        redis_url=Secret(_redis_url(redis[0]) if redis else ""),
        ratelimit_pattern=next((word for words in redis for word in words if _is_ratelimit_key(word)), ""),
        sqlite_path=next(filter(None, (_operand(argv[1:]) for argv in commands if argv[0] == "sqlite3")), ""),
    )


def with_runbook_defaults(settings: Settings, runbook: Runbook, base: Path | None = None) -> Settings:
    """Return the settings with every unset target read from the runbook; such targets stay `configured=False`.

    One that is configured in a way that cannot be used stays unset: what the runbook names may be another's.
    A relative SQLite path is taken from `base`, by default the folder of `irkit.toml`, else the working directory.
    """
    found = _but_for(settings, targets(runbook))
    if base is None:
        base = settings.source.parent if settings.source else Path.cwd()
    sqlite_path = str((base / found.sqlite_path).absolute()) if found.sqlite_path else ""
    return replace(
        settings,
        service=settings.service or found.service,
        http=replace(settings.http, health_url=settings.http.health_url or found.health_url),
        redis=replace(
            settings.redis,
            url=settings.redis.url if settings.redis.url.reveal() else found.redis_url,
            ratelimit_pattern=settings.redis.ratelimit_pattern or found.ratelimit_pattern,
        ),
        sqlite=replace(settings.sqlite, path=settings.sqlite.path or sqlite_path),
    )


def _but_for(settings: Settings, found: Targets) -> Targets:
    """Return what a runbook points at without what is configured wrongly."""
    if settings.problem_of("http"):
        found = replace(found, health_url="")
    if settings.problem_of("redis"):
        found = replace(found, redis_url=Secret(""), ratelimit_pattern="")
    return replace(found, sqlite_path="") if settings.problem_of("sqlite") else found


def _scripts(runbook: Runbook) -> Iterator[str]:
    for one in runbook.incident_types:
        yield from (command.text for command in one.diagnosis if command.language != "python")
        yield from (step.command for step in one.resolution if step.command)


def _simple_commands(script: str) -> Iterator[list[str]]:
    """Split a shell line at its pipes and joints; what a shell would not take is passed over."""
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    argv: list[str] = []
    try:
        for word in lexer:
            if word in _SHELL_JOINTS:
                if argv:
                    yield argv
                argv = []
            elif argv or not re.fullmatch(r"sudo|\w+=.*", word):
                argv.append(word)
    except ValueError:
        return
    if argv:
        yield argv


def _service(argv: list[str]) -> str:
    """Return the service that a `logs` or `restart` of Docker or Compose ends with."""
    if argv[0] not in {"docker-compose", "docker", "podman"}:
        return ""
    verb = next((index for index, word in enumerate(argv) if word in {"logs", "restart"}), None)
    if verb is None or len(argv) == verb + 1:
        return ""
    last = argv[-1]
    return "" if last.startswith("-") or last.isdigit() or argv[-2] in {"--tail", "-n", "--since", "--until"} else last


def restarted(command: str | None) -> str:
    """Return the service that a step's own command restarts or brings up, the first of several; "" for none."""
    for argv in _simple_commands(command or ""):
        verb = next((index for index, word in enumerate(argv) if word in _RESTARTS), len(argv))
        for word in argv[verb + 1 :]:
            if _SERVICE_NAME.fullmatch(word) and not word.isdigit():
                return word
    return ""


def _redis_url(words: list[str]) -> str:
    given = dict(_REDIS_OPTIONS)
    for option, value in pairwise(words):
        if option == "-u":
            return value
        if option in given:
            given[option] = value
    scheme = "rediss" if "--tls" in words else "redis"
    return f"{scheme}://{given['-h']}:{given['-p']}/{given['-n']}"


def _is_ratelimit_key(word: str) -> bool:
    return ":" in word and "limit" in word.lower() and not _is_web(word)


def _operand(words: Iterable[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:  # a slip in the runbook
        return ""


def _is_web(word: str) -> bool:
    return word.startswith(("http://", "https://"))
