"""Where evidence is found and how much of it is wanted: the sections of `irkit.toml` as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from irkit.settings import urls

REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class Secret:
    """A string that may hold a credential: shown without it, revealed only where a connection is made."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return urls.shown(self.value)

    def __repr__(self) -> str:
        return f"Secret({self})"

    def reveal(self) -> str:
        """Return the raw value; the caller must not log, store or show it."""
        return self.value


@dataclass(frozen=True, slots=True)
class DockerTarget:
    """Which containers are ours: by compose project, by service names, or all (both empty)."""

    host: str = ""
    project: str = ""
    services: tuple[str, ...] = ()
    configured: bool = False

    def __str__(self) -> str:
        where = self.host or "the local Docker Engine"
        return f"project {self.project} on {where}" if self.project else where


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """The health endpoint that says whether the API answers."""

    health_url: str = ""
    probes: int = 3
    timeout_s: float = 5.0
    configured: bool = False

    def __str__(self) -> str:
        return str(Secret(self.health_url))


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """The Redis that holds the rate-limit state; `url` may carry a password.

    Keys that begin with one of `cache_prefixes` may be deleted at any time; all others are taken for what must stay.
    """

    url: Secret = Secret("")
    ratelimit_pattern: str = ""
    timeout_s: float = 2.0
    cache_prefixes: tuple[str, ...] = ()
    configured: bool = False

    def __str__(self) -> str:
        return self._shown()[0]

    @property
    def database(self) -> str:
        """Which database is meant, as the url has it: in its query, else in its path; "0" where in neither."""
        return self._shown()[1]

    @property
    def place(self) -> str:
        """Host, or socket, and database, which a person types to confirm."""
        shown, database = self._shown()
        where = shown.partition("://")[2].rpartition("@")[2]
        return where if where.endswith(f"/{database}") else f"{where.rstrip('/')}/{database}"

    def _shown(self) -> tuple[str, str]:
        """Return the url without credentials and options, but for the database it asks for, and that database."""
        try:
            parts = urlsplit(self.url.reveal())
        except ValueError:
            return str(self.url), "0"
        socket, in_path = parts.scheme == "unix", unquote(parts.path).strip("/")
        if (shown := str(self.url)) == "***" and not socket:
            return shown, "?"  # its path may be the end of a password
        asked = parse_qs(parts.query).get("db", [""])[-1]
        database = asked or ("" if socket else in_path) or "0"
        if socket:
            return f"unix://{parts.path}", database
        return f"{shown.removesuffix(parts.path)}/{database}" if asked or "%" in parts.path else shown, database

    @property
    def address(self) -> tuple[str, int] | None:
        """The host and the port that the URL names or leaves to be the usual ones; None where it names neither.

        Raises:
            ValueError: it cannot be read.
        """
        url = urlsplit(self.url.reveal())
        if url.scheme not in {"redis", "rediss"}:
            return None
        return url.hostname or "localhost", url.port or REDIS_PORT


@dataclass(frozen=True, slots=True)
class SqliteTarget:
    """The service's SQLite file; never opened for writing."""

    path: str = ""
    configured: bool = False

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """Databases beside the SQLite file, by name: URLs as SQLAlchemy reads them, which may carry passwords."""

    urls: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    configured: bool = False


@dataclass(frozen=True, slots=True)
class PrometheusTarget:
    """The Prometheus that watches the service; `queries` are PromQL expressions by name, kept for the window."""

    url: Secret = Secret("")
    queries: tuple[tuple[str, str], ...] = (("up", "up"),)
    timeout_s: float = 3.0
    configured: bool = False

    def __str__(self) -> str:
        return str(self.url)


@dataclass(frozen=True, slots=True)
class HostTarget:
    """This machine, with the sources whose disks it may hold and whose clocks it is compared with.

    It is made of the other sections and has none of its own in `irkit.toml`.
    """

    home: str = ""
    docker: DockerTarget = DockerTarget()
    http: HttpTarget = HttpTarget()
    redis: RedisTarget = RedisTarget()
    sqlite: SqliteTarget = SqliteTarget()
    prometheus: PrometheusTarget = PrometheusTarget()
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "this machine"


@dataclass(frozen=True, slots=True)
class ProvidersTarget:
    """How the team's own service is switched to another provider, and how a provider's key is tried.

    `switch_command` is run without a shell in the folder of `irkit.toml`, or `switch_url` is sent `switch_body` by POST
    with `switch_token` as its bearer; `{name}` stands for the provider in all of them. `key_urls` are addresses by
    provider that a good key may GET without harm, `key_env` the environment variables that hold the keys, `key_headers`
    how a key is sent (default `Authorization: Bearer {key}`).
    """

    switch_command: str = ""
    switch_url: str = ""
    switch_body: str = '{"provider": "{name}"}'
    switch_token: Secret = Secret("")
    key_urls: tuple[tuple[str, str], ...] = ()
    key_env: tuple[tuple[str, str], ...] = ()
    key_headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 30.0
    configured: bool = False


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """Limits of a collection: seconds for one source and for the whole run, minutes of logs, bytes a source."""

    deadline_s: float = 10.0
    run_deadline_s: float = 15.0
    window_minutes: float = 60.0
    max_size_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RedactSettings:
    """What is taken out of evidence besides secrets: with `addresses`, e-mail and IP addresses and hosts."""

    addresses: bool = False


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """How the flight recorder samples, how much it keeps (bytes and days, whichever is less), and where.

    With `auto_open` it opens an incident of `auto_open_type` after so many failed health probes in a row.
    """

    path: str = ""
    interval_s: float = 5.0
    max_size_bytes: int = 128 * 1024 * 1024
    max_days: float = 7.0
    auto_open: bool = False
    auto_open_after: int = 3
    auto_open_type: str = "api-unresponsive"
    configured: bool = False


@dataclass(frozen=True, slots=True)
class HeapsTarget:
    """Where heap snapshots are kept, made of the home; no path while none is."""

    path: str = ""
    configured: bool = False

    def __str__(self) -> str:
        return self.path

    @property
    def absence(self) -> tuple[str, str]:
        """Why there is nothing to look at, and what to do about it."""
        hint = "where memory grows, file one: irkit memory snapshot --pid PID --incident ID"
        return "no heap snapshot was filed", hint


@dataclass(frozen=True, slots=True)
class RecordingTarget:
    """What the flight recorder has kept; made of [recorder] and the home."""

    path: str = ""
    configured: bool = False

    def __str__(self) -> str:
        return self.path
