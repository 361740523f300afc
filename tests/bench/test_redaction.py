"""Redaction: MB/s of one core, recall by source of fixtures, and ordinary lines changed, all in one run.

`IRKIT_LOGHUB` names a folder of log files to read (LogHub's are not ours to pass on), `IRKIT_SECRETS` a file of JSON
lines `{"source", "text", "secret"}` with another scanner's fixtures; without them their rows are left out, and said so.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median

import pytest

from irkit.redact import Redactor
from irkit.redact import rules as redaction_rules
from tests.support.made_up import secrets_of

REDACTOR = Redactor(b"k" * 32)
LINES = 40_000
ONE_BY_ONE = 4_000
ROUNDS = 5
EACH_RULE = 10


def ordinary(random: Random) -> Iterator[str]:
    """Lines such as a service writes, no two alike; one in two hundred holds a secret."""
    for number in range(LINES):
        at = f"2026-11-24T03:{number // 3600 % 60:02}:{number // 60 % 60:02}.{random.randrange(10**6):06}Z"
        who = f"10.0.{random.randrange(256)}.{random.randrange(256)}:{random.randrange(1024, 65536)}"
        yield (
            f"{at} ERROR provider call failed api_key={random.getrandbits(128):032x}"
            if number % 200 == 0
            else f'{at} INFO {who} - "GET /api/items/{random.randrange(10**6)}?page={number % 50} HTTP/1.1" 200 OK '
            f"request_id={random.getrandbits(128):032x} took {random.randrange(2000)} ms"
        )


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def gone(text: str, secret: str) -> tuple[bool, bool]:
    escaped = json.dumps({"body": f"first\n{text}\nlast"})
    plain = secret not in REDACTOR.text(f"got {text} back")[0]
    return plain, json.dumps(secret)[1:-1] not in REDACTOR.text(escaped)[0]


def catalogue(random: Random) -> Iterator[tuple[str, str]]:
    rules = redaction_rules.vendor_rules().rules
    for row in rules.metadata():
        detail = rules.detail(row["id"])
        if row["visible"] and not detail["path"] and "[[:" not in detail["pattern"]:
            yield from secrets_of(detail["pattern"], random, EACH_RULE, detail["betterleaks_secret_group"] or 0)


def changed(lines: list[str]) -> int:
    return sum(before != after for before, after in zip(lines, REDACTOR.texts(lines)[0], strict=True))


@pytest.mark.bench
def test_redaction() -> None:
    random = Random(7)  # noqa: S311 (examples, not secrets)
    began = time.perf_counter()
    REDACTOR.text("warm")
    print(f"\nrules ready in {time.perf_counter() - began:.2f} s: {redaction_rules.rule_count()}")

    lines = list(ordinary(random))
    few = lines[:ONE_BY_ONE]
    times = [
        (cpu_s(lambda: REDACTOR.texts(lines)), cpu_s(lambda: [REDACTOR.text(line) for line in few]))
        for _ in range(ROUNDS)
    ]
    together_s, apart_s = (median(column) for column in zip(*times, strict=True))
    together_s, apart_s = together_s / sum(map(len, lines)), apart_s / sum(map(len, few))
    print(f"MB/s of CPU time, median of {ROUNDS}")
    print(f"  lines together, as the writer does  {1 / together_s / 1e6:7.1f}")
    print(f"  one by one                          {1 / apart_s / 1e6:7.1f}   ({apart_s / together_s:.1f} × slower)")

    recall: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    recall["the catalogue's own patterns"] = [gone(text, secret) for text, secret in catalogue(random)]
    if fixtures := os.environ.get("IRKIT_SECRETS"):
        for line in Path(fixtures).read_text(encoding="utf-8", errors="surrogatepass").splitlines():
            row = json.loads(line)
            recall[row["source"]].append(gone(row["text"], row["secret"]))
    else:
        print("IRKIT_SECRETS is not set: no fixtures of other scanners")
    print("recall                              secrets    plain  escaped")
    for source, found in recall.items():
        plain, escaped = (sum(column) / len(found) for column in zip(*found, strict=True))
        print(f"  {source:<34}{len(found):7}  {plain:7.2%}  {escaped:7.2%}")

    print("ordinary lines changed")
    if folder := os.environ.get("IRKIT_LOGHUB"):
        everything = changes = 0
        for path in sorted(Path(folder).rglob("*.log")):
            some = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            everything, changes = everything + len(some), changes + changed(some)
        print(f"  LogHub                            {changes:7} of {everything} ({changes / everything:.3%})")
    else:
        print("  IRKIT_LOGHUB is not set: no logs of others")
    ours = [line for line in lines if "api_key" not in line]
    print(f"  our own                           {changed(ours):7} of {len(ours)}")
    assert apart_s > together_s
