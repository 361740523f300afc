"""Make `tests/data/log_patterns.tsv`: log lines as services write them, each with the number of its message.

`python -m tests.support.make_log_patterns` from the root writes it anew, the same every time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parents[1] / "data" / "log_patterns.tsv"
R = random.Random(20261124)  # noqa: S311 (a drawing of lots, not a secret)
USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "root")
TABLES = ("users", "sessions", "items", "orders", "audit_log", "rate_limits", "messages", "jobs", "tokens")
# fmt: off
# ruff: noqa: E501 (a log line is easiest to check in one piece)
HOSTS = ("db-1.internal", "cache-2.internal", "api-7f9c.example.org", "node4", "mail.example.org", "proxy-3.example.org")
FILES = ("/etc/app/config.yaml", "/var/lib/app/data/jarvis.db", "./cache/tmp_81.bin", "/srv/app/main.py", "/run/a1/b2.sock")


def hexes(length: int) -> str:
    return f"{R.getrandbits(4 * length):0{length}x}"


def uuid() -> str:
    return "-".join(hexes(length) for length in (8, 4, 4, 4, 12))


def ip() -> str:
    return ".".join(str(R.randrange(1, 255)) for _ in range(4))


def clock() -> str:
    return f"{R.randrange(24):02d}:{R.randrange(60):02d}:{R.randrange(60):02d}"


def iso() -> str:
    return f"2026-11-{R.randrange(1, 29):02d}T{clock()}.{R.randrange(1000):03d}Z"


def number(most: int = 100_000) -> int:
    return R.randrange(most)


def of(*choices: str) -> str:
    return R.choice(choices)


def request(status: int) -> Callable[[], str]:
    return lambda: (
        f'INFO:     {ip()}:{number(60000)} - "GET /api/{of("items", "users", "chat")}/{number()}?page={number(9)} HTTP/1.1"'
        f" {status} {of('OK') if status == 200 else of('Internal Server Error')}"
    )


MESSAGES: tuple[Callable[[], str], ...] = (
    request(200),
    request(500),
    lambda: f"{iso()} INFO worker-{number(20)} processed job {number()} in {number(9000) / 100} ms",
    lambda: f"{iso()} INFO worker-{number(20)} failed job {number()} after {number(9)} attempts",
    lambda: f"{iso()} WARNING cache miss for key session:{hexes(16)} ({number(50)} ms)",
    lambda: f"sqlite3.OperationalError: no such table: {of(*TABLES)}",
    lambda: "sqlite3.OperationalError: database is locked",
    lambda: "sqlite3.DatabaseError: database disk image is malformed",
    lambda: f"{clock()} [ERROR] connection to {of(*HOSTS)} port {number(65535)} refused",
    lambda: f"{clock()} [ERROR] connection to {of(*HOSTS)} port {number(65535)} timed out",
    lambda: f"Accepted publickey for user {of(*USERS)} from {ip()} port {number(65535)} ssh2: RSA SHA256:{hexes(40)}",
    lambda: f"Failed login for user {of(*USERS)} from {ip()}",
    lambda: f"{number(99999)}:M 24 Nov 2026 {clock()}.{number(1000)} * Background saving terminated with success",
    lambda: f"{number(99999)}:M 24 Nov 2026 {clock()}.{number(1000)} * DB saved on disk",
    lambda: f"{number(99999)}:M 24 Nov 2026 {clock()}.{number(1000)} # Can't save in background: fork: Cannot allocate memory",
    lambda: f'{{"level":"info","event":"request finished","request_id":"{uuid()}","took_ms":{number(900)}}}',
    lambda: f'{{"level":"error","event":"provider did not answer","provider":"{of("openai", "ollama")}","took_ms":{number()}}}',
    lambda: f'level=warn ts={iso()} msg="retrying later" caller=queue.go:{number(900)} delay={number(60)}s',
    lambda: f'level=info ts={iso()} msg="compaction finished" caller=db.go:{number(900)} size={number()}',
    lambda: f"E1124 {clock()}.{number(10**6):06d}    {number(9999)} reflector.go:138] failed to list pods: Get {of('https')}://{ip()}:6443/api",
    lambda: f"I1124 {clock()}.{number(10**6):06d}    {number(9999)} event.go:294] pod \"{of('api', 'web')}-{hexes(10)}\" started",
    lambda: f"[{clock()}] kernel: Out of memory: Killed process {number()} (python3) total-vm:{number()}kB, anon-rss:{number()}kB",
    lambda: f"[{clock()}] kernel: eth0: link up, {of('100')}Mbps, full-duplex",
    lambda: f"[{clock()}] kernel: eth0: link down",
    lambda: f"Rate limit reached for provider {of('openai')}: {number(100)} requests in {number(60)} seconds, retry after {number(60)}s",
    lambda: f"open {of(*FILES)}: permission denied",
    lambda: f"open {of(*FILES)}: no such file or directory",
    lambda: f"Session {uuid()} of {ip()} expired",
    lambda: f"Session {uuid()} of {ip()} created",
    lambda: f"GC pause {number(900) / 10} ms, heap {number(4000)} MB of {number(8000)} MB",
    lambda: f"Worker (pid:{number()}) was sent SIGKILL! Perhaps out of memory?",
    lambda: f"Booting worker with pid: {number()}",
    lambda: f"LOG:  duration: {number(90000) / 1000} ms  statement: SELECT 1",
    lambda: f"checkpoint complete: wrote {number(9000)} buffers ({number(100) / 10}%); write={number(90) / 10} s, sync={number(9) / 10} s",
    lambda: f"upstream {ip()}:{number(65535)} is {of('down')}",
    lambda: f"upstream {ip()}:{number(65535)} is {of('up')} again",
    lambda: f'{ip()} - - [24/Nov/2026:{clock()} +0000] "GET /dashboard HTTP/1.1" 200 {number()} "-" "curl/8.5.0"',
    lambda: f'{ip()} - - [24/Nov/2026:{clock()} +0000] "GET /dashboard HTTP/1.1" 502 {number()} "-" "curl/8.5.0"',
    lambda: f"method=GET path=/api/items/{number()} status=200 duration_ms={number()}",
    lambda: f"method=GET path=/api/items/{number()} status=503 duration_ms={number()}",
)


def lines() -> list[str]:
    """Each message 4 to 28 times, in mixed order, as `number of the message, tab, line`."""
    made = [f"{label}\t{message()}" for label, message in enumerate(MESSAGES) for _ in range(R.randrange(4, 29))]
    R.shuffle(made)
    return made


if __name__ == "__main__":
    HERE.write_text("\n".join(lines()) + "\n", encoding="utf-8")
