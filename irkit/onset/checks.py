"""What the flight recorder's looks at a database say of when a check began to fail, and whether it passes again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from irkit.records import Row, in_order, number_of, rows_of, text_of

if TYPE_CHECKING:
    import pandas as pd

# one look that failed amid others that passed: what is written in steps is at odds with itself for a moment
_FEWEST_LOOKS = 2
# no look of the recorder's takes that long
_LONGEST_S = 60.0
# what fails is checked a second time before it is believed
_TIMES = 2


@dataclass(frozen=True, slots=True)
class FailedRun:
    """Looks in a row at which a check failed: from `failed` to `last`.

    `passed` is the look before them at which it passed, `passes` the one after; None where there is none.
    """

    check: str
    passed: datetime | None
    failed: datetime
    last: datetime
    passes: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class CheckHistory:
    """One check over time: the last look at which it passed, and the run of failures that tells, if there is any."""

    last_passed: datetime | None
    run: FailedRun | None


def check_histories(history: pd.DataFrame | None) -> Mapping[str, CheckHistory]:
    """Return the history of each check; looks that could not be made are neither passed nor failed.

    The run that tells is the one that lasts to the last look, else the last of two looks or more.
    """
    known = [row for row in in_order(rows_of(history)) if row.get("ok") in (True, False)]
    names = dict.fromkeys(text_of(row, "check") for row in known)
    took_s: dict[datetime, float] = defaultdict(float)
    for row in known:
        took_s[row["at"]] += min(max(number_of(row, "duration_s") or 0.0, 0.0), _LONGEST_S)
    return {name: _history(name, [row for row in known if row["check"] == name], took_s) for name in names}


def _history(check: str, looks: Sequence[Row], took_s: Mapping[datetime, float]) -> CheckHistory:
    stretches = [(bool(ok), list(rows)) for ok, rows in groupby(looks, key=lambda row: row["ok"])]
    passed = [row["at"] for row in looks if row["ok"]]
    run = None
    for place, (ok, rows) in enumerate(stretches):
        lasting = place == len(stretches) - 1
        if ok or not (lasting or len(rows) >= _FEWEST_LOOKS):
            continue
        before = stretches[place - 1][1][-1]["at"] if place else None
        after = None if lasting else stretches[place + 1][1][0]["at"]
        # the damage was there when the look ended, which is what is known of its time
        first = rows[0]["at"] + timedelta(seconds=min(_TIMES * took_s[rows[0]["at"]], _LONGEST_S))
        run = FailedRun(check, before, first, rows[-1]["at"], after, text_of(rows[0], "message"))
    return CheckHistory(max(passed, default=None), run)
