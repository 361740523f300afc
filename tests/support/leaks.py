"""Memory over time as services show it, growing and healthy, the same for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

MIB = 1 << 20
Series = tuple[list[float], list[float]]
Shape = Callable[[random.Random, int, float], Callable[[int], float]]


def dice(seed: object) -> random.Random:
    """Chance that falls the same for the same seed."""
    return random.Random(str(seed))  # noqa: S311 (nothing here is secret)


def _flat(_random: random.Random, _count: int, _base: float) -> Callable[[int], float]:
    return lambda _at: 0.0


def _warm_up(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    length = count * random.uniform(0.03, 0.25)
    return lambda at: base * (1 - math.exp(-at / length))


def _bounded(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    full = count * random.uniform(0.1, 0.6)
    return lambda at: base * min(at / full, 1.0)


def _saw_tooth(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    period, phase = count / random.uniform(2.5, 12), random.random()
    return lambda at: 0.3 * base * ((at / period + phase) % 1)


def _day(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    period, phase = count / random.uniform(1, 5), random.uniform(0, 2 * math.pi)
    return lambda at: 0.2 * base * math.sin(2 * math.pi * at / period + phase)


def _step(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    start = random.uniform(0.1, 0.7) * count
    return lambda at: 0.3 * base * (at > start)


def _bursts(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    starts = [(random.randrange(count), random.randint(1, max(2, count // 10))) for _ in range(random.randint(1, 6))]
    return lambda at: 0.5 * base * any(start <= at < start + length for start, length in starts)


def _walk(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    steps, level = [], 0.0
    for _ in range(count):
        level += random.gauss(0, 0.004 * base)
        steps.append(level)
    return lambda at: steps[at]


def _leak(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    gain = base * random.uniform(0.3, 2)
    return lambda at: gain * at / count


def _leak_after_warm_up(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    leak, length = _leak(random, count, base), 0.08 * count
    return lambda at: leak(at) + base * (1 - math.exp(-at / length))


def _leak_under_collections(random: random.Random, count: int, base: float) -> Callable[[int], float]:
    leak, period = _leak(random, count, base), count / random.uniform(8, 30)
    return lambda at: leak(at) + 0.1 * base * ((at / period) % 1)


HEALTHY: dict[str, Shape] = {
    "noise": _flat, "warm-up": _warm_up, "bounded cache": _bounded, "saw-tooth": _saw_tooth, "ups and downs": _day,
    "step": _step, "bursts": _bursts, "random walk": _walk,
}  # fmt: skip
LEAKS: dict[str, Shape] = {
    "leak": _leak, "leak after warm-up": _leak_after_warm_up, "leak under collections": _leak_under_collections,
}  # fmt: skip


def series(shape: Shape, seed: str, counts: tuple[int, ...] = (30, 60, 120, 300, 900)) -> Series:
    """Times in seconds and sizes in bytes of one service: a shape, a level, and noise of one of three kinds."""
    chance = dice(seed)
    count, base = chance.choice(counts), chance.choice((60, 200, 800)) * MIB
    spread, rho, outliers = 0.01 * base * chance.choice((0.3, 1)), chance.choice((0.0, 0.5, 0.9)), chance.random() < 0.5
    moved = shape(chance, count, base)
    values, noise = [], 0.0
    for at in range(count):
        noise = rho * noise + math.sqrt(1 - rho * rho) * chance.gauss(0, spread)
        values.append(base + moved(at) + noise * (8 if outliers and chance.random() < 0.03 else 1))
    return [float(at) for at in range(count)], values
