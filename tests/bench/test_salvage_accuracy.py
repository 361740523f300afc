"""How many rows come back of 200 seeded corruptions, beside what a plain SELECT gives before it breaks off."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest

from irkit.sqlite.salvage import salvage
from tests.support import damaged_databases as databases
from tests.support.damaged_databases import select, shared

CASES = 200


@pytest.mark.bench
def test_rows_of_200_corruptions(tmp_path: Path) -> None:
    made = [databases.make(name, tmp_path) for name in databases.MAKERS]
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    source, salvaged = tmp_path / "case.db", tmp_path / "made.db"
    for case in range(CASES):
        rng = random.Random(case)  # noqa: S311 (seeded on purpose)
        whole = made[case % len(made)]
        damage = databases.DAMAGES[case // len(made) % len(databases.DAMAGES)]
        raw = bytearray(whole.raw)
        damage(raw, whole.page_bytes, rng)
        source.write_bytes(raw)
        salvaged.unlink(missing_ok=True)
        salvage(source, salvaged)
        back, total, strange = shared(whole.rows, select(salvaged))
        plain, _, _ = shared(whole.rows, select(source, whole.rows, until_error=True))
        figures = (1, total, plain, back, whole.untouched(bytes(raw)), strange)
        for row in (sums[damage.__name__], sums["all"]):
            row[:] = [known + new for known, new in zip(row, figures, strict=True)]
    print(f"\n{'damage':26} cases   SELECT  salvage  bytes untouched  rows changed")
    for name, (cases, total, plain, back, untouched, strange) in sorted(
        sums.items(), key=lambda item: item[0] == "all"
    ):
        shares = f"{plain / total:7.2%} {back / total:8.3%} {untouched / total:16.3%}"
        print(f"{name:26} {cases:5}  {shares} {strange:13}")
    _, total, _, back, untouched, _ = sums["all"]
    assert back / total >= 0.998
    assert back >= untouched
