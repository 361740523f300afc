"""Every hazard of a source in one collection with sound sources: the gap is named, and the other evidence is there.

Each run has one fault a source at most, made by the real part, and at least two sources that are sound. What a fault
does to its own collector in detail is tested beside that collector.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.bundle import Bundle, open_bundle
from irkit.bundle.archive import verify
from irkit.collect.engine import collect
from irkit.diagnose.run import diagnose
from irkit.model import Outcome, VerdictState, Window
from irkit.registry import load_plugins
from irkit.runbook import load as load_runbook
from irkit.settings import CollectSettings, DockerTarget, HttpTarget, RedisTarget, Secret, Settings, SqliteTarget
from tests.collectors.faulty_engine import FaultyEngine
from tests.collectors.lab import SLEEP, Lab, python
from tests.stack.engine import wait_until
from tests.support import http_servers as servers
from tests.support import sqlite_files as files
from tests.support.redis_servers import redis_server

PASSWORD = "x"  # noqa: S105 (of a server that lives for one test)
LIMITS = CollectSettings(deadline_s=3, run_deadline_s=8)
Made = tuple[dict[str, object], str]
"""What a fault changes in the settings, and the words by which its gap is told."""
Fault = Callable[[Path, Lab], AbstractContextManager[Made]]
DOCKER = ("compose-services", "container-logs", "container-stats", "container-events")
COLLECTORS = {
    "http": ("http-health",),
    "redis": ("redis-info", "redis-ratelimits"),
    "sqlite": ("sqlite-integrity", "sqlite-statistics"),
    "docker": DOCKER,
}
# what is measured whole, however large, leaves no gap to be named
SURVIVED = "collected"
HEALTHY = b'{"status": "ok", "services": {"providers": {"alpha": {"status": "up"}}}}'


def http(behave: servers.Behaviour, words: str) -> Fault:
    @contextmanager
    def fault(_: Path, __: Lab) -> Iterator[Made]:
        with servers.serving(behave) as port:
            yield {"http": HttpTarget(f"http://127.0.0.1:{port}/health", timeout_s=1, configured=True)}, words

    return fault


def http_at(url: str, words: str) -> Fault:
    @contextmanager
    def fault(_: Path, __: Lab) -> Iterator[Made]:
        yield {"http": HttpTarget(url.format(port=servers.free_port()), timeout_s=1, configured=True)}, words

    return fault


@contextmanager
def untrusted(folder: Path, _: Lab) -> Iterator[Made]:
    context, _file = servers.self_signed(folder)
    assert isinstance(context, ssl.SSLContext)
    with servers.serving(servers.answer(HEALTHY), context) as port:
        yield {"http": HttpTarget(f"https://127.0.0.1:{port}/", timeout_s=1, configured=True)}, "tls"


def bomb(connection: socket.socket, closing: object) -> None:
    """Sixteen megabytes of zeros in sixteen kilobytes of gzip."""
    import gzip

    body = gzip.compress(bytes(16_000_000))
    servers.answer(body, "Content-Encoding: gzip")(connection, closing)  # type: ignore[arg-type]


def redis(*options: str, words: str, user: str = "", password: str | None = None) -> Fault:
    @contextmanager
    def fault(folder: Path, _: Lab) -> Iterator[Made]:
        with redis_server(folder / "faulty-redis", *options, password=password) as server:
            yield {"redis": server.target(user)}, words

    return fault


@contextmanager
def without_scan(folder: Path, _: Lab) -> Iterator[Made]:
    with redis_server(folder / "faulty-redis") as server:
        server.client.execute_command("ACL", "SETUSER", "irkit", "on", "nopass", "~*", "-@all", "+info", "+ping")
        yield {"redis": server.target("irkit:any@")}, "does not permit it"


@contextmanager
def loading(folder: Path, _: Lab) -> Iterator[Made]:
    with redis_server(folder / "faulty-redis", "--enable-debug-command", "yes") as server:
        server.client.execute_command("DEBUG", "POPULATE", "6000", "key", "100")
        server.client.save()
    slow = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
    with redis_server(folder / "faulty-redis", *slow) as server:
        yield {"redis": server.target()}, "still loading"


@contextmanager
def plain_for_tls(folder: Path, _: Lab) -> Iterator[Made]:
    with redis_server(folder / "faulty-redis") as server:
        url = Secret(f"rediss://127.0.0.1:{server.port}/0")
        yield {"redis": RedisTarget(url, "ratelimit:*", 0.5, configured=True)}, "TLS"


@contextmanager
def no_redis(_: Path, __: Lab) -> Iterator[Made]:
    target = RedisTarget(Secret(f"redis://127.0.0.1:{servers.free_port()}/0"), "ratelimit:*", 1, configured=True)
    yield {"redis": target}, "nothing listens for Redis"


@contextmanager
def silent_redis(_: Path, __: Lab) -> Iterator[Made]:
    with servers.serving(servers.hang) as port:
        yield {"redis": RedisTarget(Secret(f"redis://127.0.0.1:{port}/0"), "ratelimit:*", 1, configured=True)}, ""


def redis_full(keys: int, value: int, words: str) -> Fault:
    @contextmanager
    def fault(folder: Path, _: Lab) -> Iterator[Made]:
        with redis_server(folder / "faulty-redis", "--enable-debug-command", "yes") as server:
            server.client.execute_command("DEBUG", "POPULATE", str(keys), "ratelimit:provider", str(value))
            yield {"redis": server.target()}, words

    return fault


def sqlite(damage: files.Damage, words: str, *, wal: bool = False) -> Fault:
    @contextmanager
    def fault(folder: Path, _: Lab) -> Iterator[Made]:
        path = files.create(folder / "faulty.db", wal=wal)
        damage(path)
        yield {"sqlite": SqliteTarget(str(path), configured=True)}, words

    return fault


def no_database(raw: bytes | None, words: str) -> Fault:
    @contextmanager
    def fault(folder: Path, _: Lab) -> Iterator[Made]:
        if raw is not None:
            (folder / "faulty.db").write_bytes(raw)
        yield {"sqlite": SqliteTarget(str(folder / "faulty.db"), configured=True)}, words

    return fault


@contextmanager
def locked(folder: Path, _: Lab) -> Iterator[Made]:
    """Another process holds it: our own would lose its lock by reading the file once more."""
    path = files.create(folder / "faulty.db")
    with files.connected(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield {"sqlite": SqliteTarget(str(path), configured=True)}, "lock"


@contextmanager
def damaged_log(folder: Path, _: Lab) -> Iterator[Made]:
    path = files.crashed(folder / "live" / "faulty.db", folder / "data")
    files.flip(files.beside(path, "-wal"), 32 + 24 + 50)
    yield {"sqlite": SqliteTarget(str(path), configured=True)}, "frame 1 is damaged"


def docker_at(host: str, words: str) -> Fault:
    @contextmanager
    def fault(folder: Path, _: Lab) -> Iterator[Made]:
        yield {"docker": DockerTarget(host.format(folder=folder), configured=True)}, words

    return fault


@contextmanager
def every_state(_: Path, lab: Lab) -> Iterator[Made]:
    """One that never started, one that loops, one paused, one that crashed, one whose driver keeps no log."""
    lab.create("never-started", SLEEP)
    lab.run("loops", python("raise SystemExit(3)"), restart_policy={"Name": "always"})
    lab.run("paused", SLEEP).pause()
    lab.finish("crashed", python("raise SystemExit(7)"))
    lab.run("mute", SLEEP, log_config={"type": "none", "config": {}})
    yield {"docker": DockerTarget(project=lab.project, configured=True)}, "mute"


@contextmanager
def wrong_context(_: Path, __: Lab) -> Iterator[Made]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONTEXT", "elsewhere")
        patch.delenv("DOCKER_HOST", raising=False)
        yield {"docker": DockerTarget(configured=True)}, "the Docker context elsewhere does not exist"


@contextmanager
def vanishing(folder: Path, lab: Lab) -> Iterator[Made]:
    """A container that is removed, by the real Engine, when its log is asked for."""
    gone = lab.run("gone", SLEEP)
    with FaultyEngine(folder / "engine.sock") as engine:
        engine.before(f"/containers/{gone.id}/logs", lambda: gone.remove(force=True))
        yield {"docker": engine.target(lab)}, "vanished while it was looked at"


@contextmanager
def read_only_mount(folder: Path, _: Lab) -> Iterator[Made]:
    """A database of a killed service, whose log cannot be recovered where it lies: it is read all the same."""
    path = files.crashed(folder / "live" / "faulty.db", folder / "data")
    subprocess.run(["mount", "--bind", folder / "data", folder / "data"], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder / "data"], check=True)
        yield {"sqlite": SqliteTarget(str(path), configured=True)}, SURVIVED
    finally:
        subprocess.run(["umount", folder / "data"], check=True)


@contextmanager
def orphaned_log(folder: Path, _: Lab) -> Iterator[Made]:
    """The log of another database, left beside one that was restored by a copy."""
    other = files.crashed(folder / "live" / "faulty.db", folder / "other")
    path = files.create(folder / "data" / "faulty.db")
    shutil.copy(files.beside(other, "-wal"), files.beside(path, "-wal"))
    yield {"sqlite": SqliteTarget(str(path), configured=True)}, SURVIVED


RUNS: dict[str, tuple[Fault, ...]] = {
    "refused, a password, zero bytes": (
        http_at("http://127.0.0.1:{port}/", "refused"),
        redis("--requirepass", "x", words="password", password=PASSWORD),
        no_database(b"", "zero bytes"),
    ),
    "no such name, no Redis, no Engine": (
        http_at("http://no-such-host.invalid/", "dns"),
        no_redis,
        docker_at("unix://{folder}/nothing.sock", "no Docker Engine"),
    ),
    "untrusted, no right to scan, text": (
        untrusted,
        without_scan,
        no_database(b"hello, I am a text file\n" * 100, "not a SQLite database"),
    ),
    "redirect loop, replica, cut short": (
        http(servers.answer(b"", "Location: /", status="302 Found"), "redirect"),
        redis("--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no", words="replica"),
        sqlite(files.truncate, ""),
    ),
    "server error, a cluster, a bit flipped": (
        http(servers.answer(b"{}", status="500 Internal Server Error"), "unhealthy"),
        redis("--cluster-enabled", "yes", words="cluster"),
        sqlite(files.flip_a_bit_in_a_page_header, "malformed", wal=True),
    ),
    "a web page, huge values, a zeroed page": (
        http(servers.answer(b"<html>hello</html>", content_type="text/html"), "error"),
        redis_full(3, 20_000_000, SURVIVED),
        sqlite(files.zero_a_table_page, ""),
    ),
    "malformed JSON, many keys, an index damaged": (
        http(servers.answer(b'{"status": '), "error"),
        redis_full(20_000, 10, "first"),
        sqlite(files.damage_an_index_entry, "index"),
    ),
    "a bomb, silence, the freelist damaged": (
        http(bomb, "error"),
        silent_redis,
        sqlite(files.damage_the_freelist, "freelist"),
    ),
    "a drip, every state, a damaged log": (http(servers.drip, "timed_out"), every_state, damaged_log),
    "silence, loading, locked": (http(servers.hang, "timed_out"), loading, locked),
    "reset, TLS": (http(servers.reset, "reset"), plain_for_tls),
    "a wrong context, a read-only mount": (wrong_context, read_only_mount),
    "a container vanishes, a log of another database": (vanishing, orphaned_log),
}


@contextmanager
def sound(folder: Path, lab: Lab) -> Iterator[dict[str, object]]:
    """All four sources in order."""
    speaking = python("print('here', flush=True)\nimport time\ntime.sleep(999)")
    for one in (lab.run("sound", speaking), lab.run("terminal", speaking, tty=True)):
        wait_until(lambda one=one: b"here" in one.logs(), f"{one.name} has spoken")
    with servers.serving(servers.answer(HEALTHY)) as port, redis_server(folder / "redis") as server:
        server.client.set("ratelimit:provider:alpha", 7, ex=60)
        yield {
            "docker": DockerTarget(project=lab.project, configured=True),
            "http": HttpTarget(f"http://127.0.0.1:{port}/health", timeout_s=1, configured=True),
            "redis": server.target(),
            "sqlite": SqliteTarget(str(files.create(folder / "sound.db")), configured=True),
        }


@pytest.mark.parametrize("name", RUNS)
def test_the_gap_is_named_and_the_other_evidence_is_there(name: str, lab: Lab, tmp_path: Path) -> None:
    words: dict[str, str] = {}
    with ExitStack() as stack:
        targets = stack.enter_context(sound(tmp_path, lab))
        for fault in RUNS[name]:
            changed, said = stack.enter_context(fault(tmp_path, lab))
            targets |= changed
            words |= dict.fromkeys(changed, said)
        before = files.fingerprint(tmp_path) if "sqlite" in words else {}
        now = datetime.now(UTC)
        window = Window(now - timedelta(minutes=10), now + timedelta(minutes=10))
        settings = Settings(tmp_path / "home", collect=LIMITS, **targets)  # type: ignore[arg-type]
        bundle = collect(settings, 42, window, bundle_id="one", now=now)
        after = files.fingerprint(tmp_path) if "sqlite" in words else {}
    verify(bundle)
    held = open_bundle(bundle.path)
    for source, told in words.items():
        assert told in told_of(held, source)
        assert told == SURVIVED or is_told(held, source), f"nothing is wrong with {source}"
    assert {path: after[path] for path in before if ".db" in path} == {
        path: stamp for path, stamp in before.items() if ".db" in path
    }, "a database was touched"
    is_whole(held, sound_ones=set(COLLECTORS) - set(words))
    says_what_is_not_known(held)


def told_of(held: Bundle, source: str) -> str:
    """All that the bundle says of a source's fault: outcomes and reasons, and what was found where that is evidence."""
    runs = [run for run in held.runs if run.collector in COLLECTORS[source]]
    said = [f"{run.outcome} {run.reason} {run.hint}" for run in runs]
    if source == "http" and held.has("health"):
        said += [str(verdict) for verdict in held.load("health")["verdict"]]
    if source == "sqlite" and held.has("database_integrity"):
        checks = held.load("database_integrity")
        said += [str(message) for message in checks[~checks["ok"].astype(bool)]["message"]]
    return " | ".join(said)


def is_told(held: Bundle, source: str) -> bool:
    """Whether anything says that a source has a fault: an outcome, or what was found where that is evidence."""
    runs = [run for run in held.runs if run.collector in COLLECTORS[source]]
    bad = [run for run in runs if run.outcome is not Outcome.COLLECTED]
    found = told_of(held, source).count(" | ") + 1 > len(runs)
    return bool(bad) or (source in {"http", "sqlite"} and found)


def is_whole(held: Bundle, sound_ones: set[str]) -> None:
    """What the sound sources have to give is there, each piece with rows in it."""
    runs = {run.collector: run for run in held.runs}
    assert len(held.load("host")) == 1
    kinds = {"http": "health", "redis": "rate_limits", "sqlite": "database_statistics", "docker": "logs"}
    for source in sound_ones:
        names = [name for name in COLLECTORS[source] if name != "container-events"]
        assert {runs[name].outcome for name in names} == {Outcome.COLLECTED}, [runs[name] for name in names]
        assert len(held.load(kinds[source]))
    if "docker" in sound_ones:
        said = held.load("logs").groupby("service")["line"].agg(list)
        assert said["sound"] == said["terminal"] == ["here"], "what a terminal writes comes in no frames"


def says_what_is_not_known(held: Bundle) -> None:
    """Whatever could not be looked at has a reason, and no symptom that rests on it is called clear."""
    load_plugins("irkit.symptoms", "irkit.symptoms")
    missing = [run for run in held.runs if run.outcome not in {Outcome.COLLECTED, Outcome.PARTIAL}]
    assert all(run.reason for run in missing)
    blind = {run.collector for run in missing}
    states = {one.symptom: one.verdict.state for one in diagnose(held, load_runbook()).findings}
    if "redis-ratelimits" in blind and "container-logs" in blind:
        assert states["rate-limit-errors"] is VerdictState.UNKNOWN
    if "container-logs" in blind:
        assert states["p95-latency"] is VerdictState.UNKNOWN
    if "sqlite-integrity" in blind:
        assert states["data-inconsistency"] is VerdictState.UNKNOWN
