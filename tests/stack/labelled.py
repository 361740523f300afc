"""The labelled faults: what is broken, how the stack is used meanwhile, and what is truly the matter.

The halves are told apart by `half`: by the first byte of the MD5 of a fault's name, so that a new fault moves none
of the others. Who tunes a detector looks at the tuned half only; the frozen one is scored, never looked at.

A symptom is true if users, the Engine, SQLite's own shell or the kernel would bear it out (`witness.py` asks them);
those in `either` hold or not as one reads them, and are scored neither way.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

API, SLOW, PROVIDER, LEAK, DAMAGE = (
    "api-unresponsive",
    "high-latency",
    "provider-failures",
    "memory-leak",
    "database-corruption",
)
HEALTH, ERRORS, TIMEOUTS = "health-check-failing", "5xx-error-spike", "timeout-errors"
P95, DASHBOARD = "p95-latency", "slow-dashboard-loading"
PROVIDERS, AI, LIMITED = "provider-health-check-failing", "ai-responses-failing", "rate-limit-errors"
GROWTH, OOM, GC = "gradual-memory-increase", "oom-kills", "slow-garbage-collection"
SQLITE, DATA, READ = "sqlite-errors", "data-inconsistency", "read-failures"
SYMPTOMS = (HEALTH, ERRORS, TIMEOUTS, P95, DASHBOARD, PROVIDERS, AI, LIMITED, GROWTH, OOM, GC, SQLITE, DATA, READ)
# a patient API: it waits for a slow provider where it would else give up after 2 s
_PATIENT = (("PROVIDER_TIMEOUT_S", "12"),)


@dataclass(frozen=True)
class Labelled:
    """One fault and the truth about it.

    `types` are the runbook's incident types, the one to be named first where there are several, none for what only
    looks like an incident. `switches` are words of the control file, `around` names of `surroundings.SURROUNDINGS`;
    they are put into force in that order, `before_s` seconds after the first request, for `during_s` seconds.
    """

    name: str
    types: tuple[str, ...]
    symptoms: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    shape: str = "step"
    users: int = 3
    pause_s: float = 1.0
    before_s: float = 34.0
    during_s: float = 32.0
    restart: str = "no"
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def half(self) -> str:
        """`tuned` or `frozen`."""
        return ("tuned", "frozen")[hashlib.md5(self.name.encode(), usedforsecurity=False).digest()[0] % 2]

    @property
    def seed(self) -> int:
        """Of the users' pauses, and of how much longer than `before_s` they wait."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[1:3])


_UNRESPONSIVE = (
    Labelled("api-killed", (API,), (HEALTH,), (AI, ERRORS, TIMEOUTS), ("api-killed",)),
    Labelled("api-hangs", (API,), (HEALTH, TIMEOUTS), (AI, P95, DASHBOARD), ("api-hangs",), during_s=45),
    Labelled("api-paused", (API,), (HEALTH, TIMEOUTS), (AI, P95, DASHBOARD), around=("api-paused",), during_s=45),
    Labelled("api-answers-500", (API,), (HEALTH, ERRORS, AI), (), ("api-answers-500",)),
    Labelled("half-of-all-500", (API,), (ERRORS, AI), (HEALTH,), ("api-answers-500=0.5",)),
    Labelled("api-crashes", (API,), (HEALTH,), (AI, ERRORS, TIMEOUTS), ("api-crashes",)),
    Labelled("crash-loop", (API,), (HEALTH,), (AI, ERRORS, TIMEOUTS), ("api-crashes",), restart="on-failure"),
    Labelled("pool-exhausted", (API,), (HEALTH, ERRORS, AI), (TIMEOUTS, SQLITE, READ), ("pool-exhausted",)),
    Labelled("slow-start", (API,), (HEALTH,), (AI, ERRORS, TIMEOUTS), ("slow-start=90",), ("restart",)),
    Labelled("redis-down", (API,), (HEALTH, ERRORS, AI), (TIMEOUTS,), around=("redis-down",)),
    Labelled("redis-hangs", (API,), (HEALTH, ERRORS, AI, TIMEOUTS), (), around=("redis-hangs",)),
    Labelled("database-locked", (API,), (ERRORS, AI, SQLITE), (TIMEOUTS, READ), ("database-locked",)),
    Labelled("broken-release", (API,), (HEALTH, ERRORS, AI), (), ("api-answers-500",), ("deploy=1.5.0",)),
)
_LATENCY = (
    Labelled("everything-slow", (SLOW,), (P95, DASHBOARD), (TIMEOUTS, HEALTH), ("slow-responses=2.6",)),
    Labelled(
        "slower-and-slower", (SLOW,), (P95, DASHBOARD), (TIMEOUTS, HEALTH), ("slowing-responses=5",), shape="ramp"
    ),
    Labelled("slow-query", (SLOW,), (P95, DASHBOARD), (), ("slow-query=3",)),
    Labelled("very-slow-query", (SLOW,), (P95, DASHBOARD), (TIMEOUTS, ERRORS, AI), ("slow-query=6",)),
    Labelled("slow-provider", (SLOW,), (P95,), (), ("provider-slow=2.8",), environment=_PATIENT),
    Labelled(
        "both-providers-slow",
        (SLOW,),
        (P95,),
        (TIMEOUTS,),
        ("provider-slow=4", "provider-slow=4@provider-beta"),
        environment=_PATIENT,
    ),
    Labelled("slow-redis", (SLOW,), (P95,), (TIMEOUTS, ERRORS, AI), around=("slow-redis=0.85",)),
    Labelled("lock-contention", (SLOW,), (P95,), (TIMEOUTS, SQLITE), ("lock-contention=3.2",)),
)
_PROVIDER = (
    Labelled("provider-down", (PROVIDER,), (HEALTH, ERRORS, PROVIDERS, AI), (), ("provider-down",)),
    Labelled(
        "all-providers-down",
        (PROVIDER,),
        (HEALTH, ERRORS, PROVIDERS, AI),
        (),
        ("provider-down", "provider-down@provider-beta"),
    ),
    Labelled("provider-429", (PROVIDER,), (HEALTH, PROVIDERS, AI, LIMITED), (), ("provider-429",)),
    Labelled("limit-spent", (PROVIDER,), (AI, LIMITED), (), around=("limit-spent=provider-alpha",)),
    Labelled("sliding-limit-spent", (PROVIDER,), (AI, LIMITED), (), around=("limit-spent=provider-beta",)),
    Labelled("runaway-client", (PROVIDER,), (AI, LIMITED), (), around=("runaway-client=provider-beta",)),
    Labelled("bad-key", (PROVIDER,), (ERRORS, AI), (PROVIDERS,), ("provider-bad-key@provider-beta",)),
    Labelled(
        "provider-hangs", (PROVIDER,), (HEALTH, ERRORS, PROVIDERS, AI, TIMEOUTS), (P95, DASHBOARD), ("provider-hangs",)
    ),
    Labelled("provider-flaps", (PROVIDER,), (ERRORS, AI), (PROVIDERS, HEALTH), ("provider-flaps=0.6",)),
    Labelled(
        "provider-gone",
        (PROVIDER,),
        (HEALTH, ERRORS, PROVIDERS, AI),
        (TIMEOUTS, P95),
        around=("stopped=provider-alpha",),
    ),
)
# a slope wants more than a minute of before and after
_MEMORY = (
    Labelled("slow-leak", (LEAK,), (GROWTH,), (), ("memory-leaks=0.8",), shape="ramp", before_s=60, during_s=120),
    Labelled("steady-leak", (LEAK,), (GROWTH,), (), ("memory-leaks=2.5",), shape="ramp", before_s=60, during_s=75),
    Labelled(
        "leak-until-killed",
        (LEAK,),
        (GROWTH, OOM),
        (HEALTH, AI, ERRORS, TIMEOUTS),
        ("memory-leaks=6",),
        shape="ramp",
        before_s=60,
        during_s=48,
    ),
    Labelled(
        "leak-killed-again-and-again",
        (LEAK,),
        (OOM,),
        (GROWTH, HEALTH, AI, ERRORS, TIMEOUTS),
        ("memory-leaks=22",),
        shape="ramp",
        before_s=50,
        during_s=50,
        restart="on-failure",
    ),
    Labelled("child-killed", (LEAK,), (OOM,), (GROWTH,), ("child-exhausts-memory",)),
    Labelled(
        "objects-leak", (LEAK,), (GROWTH, GC), (P95,), ("objects-leak=30000",), shape="ramp", before_s=60, during_s=50
    ),
    Labelled("redis-fills", (LEAK,), (GROWTH,), (), around=("redis-fills=2",), shape="ramp", before_s=50, during_s=60),
)
_DATABASE = (
    Labelled("every-page-lost", (DAMAGE,), (HEALTH, ERRORS, AI, SQLITE, DATA, READ), (), ("database-corrupted",)),
    Labelled("pages-flipped", (DAMAGE,), (DATA,), (ERRORS, AI, HEALTH, SQLITE, READ), ("pages-flipped=8",)),
    Labelled("page-zeroed", (DAMAGE,), (DATA, ERRORS, SQLITE, READ), (AI, HEALTH), ("page-zeroed",)),
    Labelled("file-truncated", (DAMAGE,), (DATA, SQLITE), (ERRORS, READ, AI, HEALTH), ("file-truncated",)),
    Labelled("index-damaged", (DAMAGE,), (DATA,), (), ("index-damaged",)),
    Labelled("wal-damaged", (DAMAGE,), (DATA,), (ERRORS, AI, HEALTH, SQLITE, READ), ("wal-damaged",)),
    Labelled("not-a-database", (DAMAGE,), (HEALTH, ERRORS, AI, SQLITE, DATA, READ), (), ("not-a-database",)),
    Labelled("foreign-keys-broken", (DAMAGE,), (DATA,), (), ("foreign-keys-broken",)),
)
_SEVERAL = (
    Labelled(
        "leak-and-slow-query",
        (LEAK, SLOW),
        (GROWTH, P95, DASHBOARD),
        (),
        ("memory-leaks=2.5", "slow-query=3"),
        before_s=50,
        during_s=60,
    ),
    Labelled(
        "provider-down-and-slow-query",
        (PROVIDER, SLOW),
        (HEALTH, ERRORS, PROVIDERS, AI, P95, DASHBOARD),
        (),
        ("provider-down", "slow-query=3"),
    ),
    Labelled(
        "zeroed-page-and-spent-limit",
        (DAMAGE, PROVIDER),
        (DATA, ERRORS, SQLITE, READ, AI, LIMITED),
        (HEALTH,),
        ("page-zeroed",),
        ("limit-spent=provider-alpha",),
    ),
    Labelled(
        "child-killed-and-all-providers-down",
        (PROVIDER, LEAK),
        (HEALTH, ERRORS, PROVIDERS, AI, OOM),
        (GROWTH,),
        ("child-exhausts-memory", "provider-down", "provider-down@provider-beta"),
    ),
)
_NONE = (
    Labelled("healthy", ()),
    Labelled("healthy-and-quiet", (), users=1, pause_s=1.5),
    Labelled("traffic-peak", (), around=("peak=12",)),
    Labelled("restarted-by-hand", (), (), (HEALTH, ERRORS, AI, TIMEOUTS), around=("restart",)),
    Labelled("deployed", (), (), (HEALTH, ERRORS, AI, TIMEOUTS), around=("deploy=1.4.1",)),
    Labelled("cold-cache", (), switches=("caches-are-cold",), around=("cache-cleared",)),
    Labelled("slow-client", (), around=("slow-client",)),
    Labelled("backup-running", (), around=("backup",)),
    Labelled("warm-up", (), switches=("memory-warms-up=60",)),
    Labelled("memory-saws", (), switches=("memory-saws",)),
    Labelled("scanner", (), around=("wrong-requests=4",)),
    Labelled("alarming-words", (), switches=("chatter",)),
    Labelled("one-500", (), switches=("one-500",)),
    Labelled("slower-within-limits", (), switches=("somewhat-slow",)),
)
LABELLED = {
    each.name: each for each in (*_UNRESPONSIVE, *_LATENCY, *_PROVIDER, *_MEMORY, *_DATABASE, *_SEVERAL, *_NONE)
}
