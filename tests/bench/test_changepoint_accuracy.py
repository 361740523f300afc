"""Onsets of labelled faults and false alarms on healthy series, beside the models of ruptures on the same series.

ruptures is told how many changes there are, which irkit has to find out. The last table asks both the same: ruptures
gets a penalty in place of that number, the Bayesian information criterion's as its documentation advises, for the noise
that the differences of neighbours show. With it, it alarms on healthy series.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable
from statistics import mean

import numpy as np
import pytest

from irkit.onset.changepoint import NO_ONSET, find
from tests.support.series import FAULTS, HEALTHY, each, faulty, healthy

ROUNDS = 40
NEAR = 5
SEEDS = {"tuned": 1, "frozen": 20261124}
CHANGES = {"episode": 2}
COSTS = ("l2", "rbf", "ar", "linear", "clinear")
# what each part of a series costs besides its place; rbf has no scale of noise to be penalised by
PARAMETERS = {"l2": 2, "ar": 6, "linear": 3, "clinear": 2}
RAMPS = ("ramp", "a leak")


def told(values: np.ndarray) -> int | None:
    return find(values).index


@pytest.mark.bench
@pytest.mark.parametrize("half", SEEDS)
def test_onsets_and_false_alarms(half: str) -> None:
    seed = SEEDS[half]
    print(f"\n{half} half ({ROUNDS} of each): within {NEAR} samples, interval holds the onset, its median width")
    hits: list[bool] = []
    took: list[float] = []
    for kind in FAULTS:
        rows = []
        for _, (values, onset) in each((kind,), ROUNDS, seed + FAULTS.index(kind), faulty):
            began = time.perf_counter()
            found = find(values)
            took.append(time.perf_counter() - began)
            near = found.index is not None and abs(found.index - onset) <= NEAR
            holds = found.index is not None and found.earliest <= onset <= found.latest
            rows.append((near, holds, found.latest - found.earliest if found.index is not None else np.nan))
        hits += [near for near, _, _ in rows]
        near, holds, width = (np.nanmean([row[0] for row in rows]), np.mean([row[1] for row in rows]),
                              np.nanmedian([row[2] for row in rows]))  # fmt: skip
        print(f"  {kind:<16}{near:>8.1%}{holds:>8.1%}{width:>6.0f}")
    alarms = Counter(kind for kind, values in each(HEALTHY, ROUNDS, seed, healthy) if find(values) is not NO_ONSET)
    share = alarms.total() / (len(HEALTHY) * ROUNDS)
    print(
        f"  all faults {mean(hits):.1%}; false alarms {share:.1%} {dict(alarms)}; {1000 * mean(took):.1f} ms a series"
    )


@pytest.mark.bench
def test_beside_ruptures() -> None:
    ruptures = pytest.importorskip("ruptures", reason="ruptures is not installed; `make setup` does")
    models: dict[str, Callable[[np.ndarray, int], int | None]] = {"irkit": lambda values, _: told(values)}
    models |= {
        cost: (lambda values, changes, cost=cost: first_change(ruptures, cost, values, changes)) for cost in COSTS
    }
    print("\nwithin 5 samples     " + "".join(f"{name:>9}" for name in models))
    for kind in FAULTS:
        made = each((kind,), ROUNDS // 2, SEEDS["frozen"] + FAULTS.index(kind), faulty)
        shares = []
        for model in models.values():
            found = [(model(values, CHANGES.get(kind, 1)), onset) for _, (values, onset) in made]
            shares.append(mean(at is not None and abs(at - onset) <= NEAR for at, onset in found))
        print(f"  {kind:<19}" + "".join(f"{share:>9.0%}" for share in shares))
    quiet = [values for _, values in each(HEALTHY, ROUNDS // 4, SEEDS["frozen"], healthy)]
    pelt = mean(alarms(ruptures, values) for values in quiet)
    print(f"  false alarms: irkit {mean(find(values) is not NO_ONSET for values in quiet):.0%}, PELT by BIC {pelt:.0%}")


@pytest.mark.bench
def test_ramps_beside_ruptures_where_nobody_knows_how_many_changes_there_are() -> None:
    ruptures = pytest.importorskip("ruptures", reason="ruptures is not installed; `make setup` does")
    print("\nnear, mean distance of what was found" + "".join(f"{name:>14}" for name in ("irkit", *PARAMETERS)))
    for kind in RAMPS:
        made = [pair for _, pair in each((kind,), ROUNDS // 2, SEEDS["frozen"] + FAULTS.index(kind), faulty)]
        columns = [[(told(values), onset) for values, onset in made]]
        columns += [
            [(first_change(ruptures, cost, values, None), onset) for values, onset in made] for cost in PARAMETERS
        ]
        cells = []
        for column in columns:
            off = [abs(at - onset) for at, onset in column if at is not None]
            cells.append(f"{sum(each <= NEAR for each in off) / len(column):>8.0%}{mean(off):>6.1f}")
        print(f"  {kind:<35}" + "".join(cells))


def first_change(ruptures: object, cost: str, values: np.ndarray, changes: int | None) -> int | None:
    scaled = (values - values.mean()) / (values.std() or 1.0)
    signal = scaled.reshape(-1, 1)
    if cost == "linear":
        signal = np.column_stack([scaled, np.ones(len(scaled)), np.arange(len(scaled)) / len(scaled)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = ruptures.Binseg(model=cost, min_size=5, jump=1).fit(signal)  # type: ignore[attr-defined]
        if changes is not None:
            return int(search.predict(n_bkps=changes)[0])
        found = search.predict(pen=PARAMETERS[cost] * np.log(len(scaled)) * noise_variance(scaled))
    return int(found[0]) if len(found) > 1 else None


def noise_variance(values: np.ndarray) -> float:
    moves = np.diff(values)
    return float((1.4826 * np.median(np.abs(moves - np.median(moves)))) ** 2 / 2) or float(values.var()) or 1.0


def alarms(ruptures: object, values: np.ndarray) -> bool:
    search = ruptures.Pelt(model="l2", min_size=5, jump=1).fit(values / np.sqrt(noise_variance(values)))  # type: ignore[attr-defined]
    return len(search.predict(pen=3 * np.log(len(values)))) > 1
