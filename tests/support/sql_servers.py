"""Real PostgreSQL and MariaDB servers on loopback, as Debian installs them, each in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pymysql

from tests.support.http_servers import free_port

PASSWORD = "s3cret-word"  # noqa: S105 (of servers that live for one test)
_START_S = 60.0


@dataclass(frozen=True)
class SqlServer:
    """A running server: `url` is that of a user `ana`, whose password is `PASSWORD`."""

    url: str
    process: subprocess.Popen[bytes]

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Accept connections, and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def postgresql() -> Iterator[SqlServer]:
    """Start a PostgreSQL that asks for a password, and hand it over when it answers."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
    with _folder("postgres") as folder:
        data, secret = folder / "data", folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        who = _as("postgres")
        init = [programs / "initdb", "-D", data, "-U", "ana", "--auth=scram-sha-256", f"--pwfile={secret}", "-N"]
        subprocess.run([*who, *map(str, init)], check=True, capture_output=True, cwd=folder)
        port = free_port()
        options = ["-p", port, "-h", "127.0.0.1", "-k", folder, "-F"]
        argv = [*who, *map(str, [programs / "postgres", "-D", data, *options])]

        def answers() -> None:
            psycopg.connect(host="127.0.0.1", port=port, user="ana", password=PASSWORD, dbname="postgres").close()

        # its fast shutdown: the usual one waits a minute for whoever connected and did not log in
        with _running(argv, folder, answers, psycopg.OperationalError, signal.SIGINT) as process:
            yield SqlServer(f"postgresql://ana:{PASSWORD}@127.0.0.1:{port}/postgres", process)


@contextmanager
def mariadb() -> Iterator[SqlServer]:
    """Start a MariaDB with a user who has a password, and hand it over when it answers."""
    with _folder("mysql") as folder:
        data, first = folder / "data", folder / "first.sql"
        first.write_text(
            f"CREATE USER ana@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nCREATE USER ana@localhost IDENTIFIED BY "
            f"'{PASSWORD}';\n"
        )
        first.chmod(0o644)
        who = _as("mysql")
        init = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        subprocess.run([*who, *init], check=True, capture_output=True, cwd=folder)
        port = free_port()
        options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--init-file={first}"]
        argv = [*who, "mariadbd", "--no-defaults", f"--datadir={data}", "--innodb-flush-log-at-trx-commit=0", *options]

        def answers() -> None:
            pymysql.connect(host="127.0.0.1", port=port, user="ana", password=PASSWORD).close()

        with _running(argv, folder, answers, pymysql.err.OperationalError) as process:
            yield SqlServer(f"mysql://ana:{PASSWORD}@127.0.0.1:{port}/", process)


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    """Give a folder in a place that every user may enter, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix=f"irkit-{user}-"))
    if os.getuid() == 0:
        shutil.chown(folder, pwd.getpwnam(user).pw_uid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _as(user: str) -> list[str]:
    """Return what runs a program as another user: neither server runs as root."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.getuid() == 0 else []


@contextmanager
def _running(
    argv: list[str],
    folder: Path,
    answers: Callable[[], None],
    refusal: type[Exception],
    ends: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder) as process:
        try:
            until = time.monotonic() + _START_S
            while True:
                try:
                    answers()
                    break
                except refusal:
                    if process.poll() is not None or time.monotonic() > until:
                        raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:]) from None
                    time.sleep(0.05)
            yield process
        finally:
            process.send_signal(ends)
            process.wait()
