"""Series as services make them, faulty with the sample where it began, and healthy ones that look as if."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Values = np.ndarray
FAULTS = ("step", "ramp", "episode", "errors appear", "latency rises", "a leak")
HEALTHY = ("noise", "day", "bursts", "restarts", "drift", "warm-up", "rare counts", "latencies", "one restart")


def noise(random: np.random.Generator, count: int, most_rho: float = 0.7) -> Values:
    """AR(1) noise of variance 1, normal or with heavy tails."""
    rho = random.uniform(0, most_rho)
    shocks = random.standard_normal(count) if random.random() < 0.5 else random.standard_t(5, count) / np.sqrt(5 / 3)
    values = shocks.copy()
    for index in range(1, count):
        values[index] = rho * values[index - 1] + np.sqrt(1 - rho * rho) * shocks[index]
    return values


def faulty(random: np.random.Generator, kind: str) -> tuple[Values, int]:
    """A series with a fault of a kind, and its first sample that is not as before."""
    count = int(random.integers(120, 500))
    at = np.arange(count)
    onset = int(random.uniform(0.2, 0.75) * count)
    after = at >= onset
    size = random.uniform(3.5, 12) * random.choice([1, 1, 1, -1])
    values = noise(random, count)
    if kind == "errors appear":
        return random.poisson(np.where(after, random.uniform(3, 30), random.uniform(0, 0.3))).astype(float), onset
    if kind == "step":
        values += size * after
    elif kind == "ramp":
        values += abs(size) * random.uniform(1.5, 4) * np.maximum(at - onset, 0) / (count - onset)
    elif kind == "episode":
        onset = min(onset, count - 50)
        values += size * ((at >= onset) & (at < onset + int(random.integers(12, 45))))
    elif kind == "latency rises":
        values = random.lognormal(random.uniform(-3, 0), random.uniform(0.1, 0.4), count)
        values = values * np.where(after, random.uniform(2.5, 8), 1.0)
    elif kind == "a leak":
        period = int(random.integers(count // 10, count // 5))
        values += random.uniform(0, 2) * (at % period) / period  # the collector of garbage at work
        values += random.uniform(0.08, 0.6) * np.maximum(at - onset, 0)
    return values * random.uniform(0.1, 100) + random.uniform(-100, 1000), onset


def healthy(random: np.random.Generator, kind: str) -> Values:
    """A series without a fault."""
    count = int(random.integers(120, 500))
    at = np.arange(count)
    if kind == "rare counts":
        return random.poisson(random.uniform(0.02, 3), count).astype(float)
    return _look_alike(random, kind, at, noise(random, count)) * random.uniform(0.1, 100) + random.uniform(-100, 1000)


def _look_alike(random: np.random.Generator, kind: str, at: Values, values: Values) -> Values:
    count = len(at)
    if kind == "noise":
        return noise(random, count, 0.95)
    if kind == "latencies":
        return random.lognormal(random.uniform(-3, 0), random.uniform(0.1, 0.8), count)
    if kind == "restarts":
        period = int(random.integers(count // 6, count // 2))
        return 0.5 * values + random.uniform(5, 15) * ((at + random.integers(0, period)) % period) / period
    if kind == "bursts":
        for start in random.integers(0, count - 5, random.integers(1, 8)):
            values[start : start + random.integers(1, 5)] += random.uniform(5, 20)
        return values
    fall = int(random.uniform(0.2, 0.8) * count)
    added = {
        "day": lambda: (
            random.uniform(2, 8) * np.sin(2 * np.pi * (at * random.uniform(1, 6) / count + random.uniform()))
        ),
        "one restart": lambda: random.uniform(0.04, 0.2) * np.where(at < fall, at, at - fall),
        "drift": lambda: random.uniform(-8, 8) * at / count,
        "warm-up": lambda: random.uniform(-15, 15) * np.exp(-at / random.uniform(5, count / 6)),
    }
    return values + added[kind]()


def each(kinds: tuple[str, ...], rounds: int, seed: int, make: Callable[[np.random.Generator, str], object]) -> list:
    """`rounds` of each kind, as (kind, what `make` made), the same for the same seed."""
    return [
        (kind, make(np.random.default_rng([seed, index, turn]), kind))
        for index, kind in enumerate(kinds)
        for turn in range(rounds)
    ]
