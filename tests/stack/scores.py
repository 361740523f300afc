"""How well irkit tells what is wrong, measured on the recorded faults against what is known of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from irkit import conclusions
from irkit.bundle.archive import opened
from irkit.model import VerdictState
from irkit.settings import Settings

from .labelled import LABELLED, SYMPTOMS, Labelled
from .recordings import RECORDINGS, Truth, bundle_of, truth_of

NEAR_SAMPLES = 5
SAMPLE_S = 1.0


@dataclass(frozen=True)
class Score:
    """What irkit said of one recorded fault beside the truth.

    `named` are the types with anything for them, likeliest first; `missed` and `invented` are symptoms. `onset_off_s`
    is from the middle of the interval irkit gives to the truth, None without an interval; `took_s` is the diagnosis
    alone.
    """

    label: Labelled
    truth: Truth
    named: tuple[str, ...]
    found: tuple[str, ...]
    missed: tuple[str, ...]
    invented: tuple[str, ...]
    onset_off_s: float | None
    has_onset: bool
    took_s: float

    @property
    def right(self) -> bool:
        """Whether the type named first is the true one: of several the first or any other, of none none."""
        return self.named[:1] == () if not self.label.types else bool(set(self.named[:1]) & set(self.label.types))

    @property
    def all_named(self) -> bool:
        """Whether the types named first are all of the true ones."""
        return set(self.named[: len(self.label.types)]) == set(self.label.types)

    @property
    def near(self) -> bool:
        """Whether the onset was told within five samples."""
        return self.onset_off_s is not None and self.onset_off_s <= NEAR_SAMPLES * SAMPLE_S


def recorded(half: str, folder: Path = RECORDINGS) -> list[Labelled]:
    """The labelled faults of a half that were recorded."""
    return [each for each in LABELLED.values() if each.half == half and bundle_of(each.name, folder).exists()]


def score(label: Labelled, folder: Path = RECORDINGS) -> Score:
    """Diagnose one recording with the runbook that ships with irkit, and compare."""
    truth = truth_of(label.name, folder)
    with opened(bundle_of(label.name, folder)) as bundle:
        began = time.perf_counter()
        diagnosis = conclusions.diagnosis(bundle, settings=Settings(home=folder))
        took_s = time.perf_counter() - began
    states = {item.symptom: item.verdict.state for item in diagnosis.findings}
    found = [name for name in SYMPTOMS if states.get(name) is VerdictState.FOUND]
    return Score(
        label=label,
        truth=truth,
        named=tuple(each.incident_type for each in diagnosis.ranking if each.score > 0),
        found=tuple(found),
        missed=tuple(name for name in label.symptoms if name not in found),
        invented=tuple(name for name in found if name not in {*label.symptoms, *label.either}),
        onset_off_s=_off(diagnosis.onset.earliest, diagnosis.onset.latest, truth.onset) if diagnosis.onset else None,
        has_onset=diagnosis.onset is not None,
        took_s=took_s,
    )


def summary(scores: Sequence[Score]) -> dict[str, str]:
    """The figures of one half, each as it is printed."""
    pure = [each for each in scores if len(each.label.types) == 1]
    several = [each for each in scores if len(each.label.types) > 1]
    none = [each for each in scores if not each.label.types]
    true = sum(len(each.label.symptoms) - len(each.missed) for each in scores)
    invented, missed = (sum(len(getattr(each, kind)) for each in scores) for kind in ("invented", "missed"))
    begun = [each for each in scores if each.truth.onset]
    off_s = sorted(each.onset_off_s for each in begun if each.onset_off_s is not None)
    steps = [each for each in begun if each.label.shape == "step"]
    return {
        "type named rightly, one fault": _share([each.right for each in pure]),
        "type named rightly, several at once": _share([each.right for each in several]),
        "all types named first, several at once": _share([each.all_named for each in several]),
        "no type named, look-alikes": _share([each.right for each in none]),
        "symptoms, precision": _part(true, true + invented),
        "symptoms, recall": _part(true, true + missed),
        "onset told": _share([each.has_onset for each in begun]),
        "onset error, median and p90": f"{_at(off_s, 0.5)} and {_at(off_s, 0.9)} samples",
        f"onset within {NEAR_SAMPLES} samples": _share([each.near for each in begun]),
        f"onset within {NEAR_SAMPLES} samples, steps": _share([each.near for each in steps]),
        "onset told of look-alikes": _share([each.has_onset for each in none]),
        "time to verdict, collection included": f"median {median(each.truth.verdict_s for each in scores):.1f} s",
        "time to verdict, from the bundle": f"median {median(each.took_s for each in scores):.2f} s",
    }


def row(one: Score) -> str:
    """One recording's line of the table."""
    off = "" if one.truth.onset is None and not one.has_onset else "-" if one.onset_off_s is None else _off_text(one)
    told = [f"missed {', '.join(one.missed)}"] * bool(one.missed) + [f"invented {', '.join(one.invented)}"] * bool(
        one.invented
    )
    mark = "" if one.right else "  <- wrong"
    return f"{one.label.name:<36}{', '.join(one.named[:2]) or 'none':<40}{off:>9}  {'; '.join(told)}{mark}".rstrip()


def _off_text(one: Score) -> str:
    return "alarm" if one.truth.onset is None else f"{one.onset_off_s:.1f} s"


def _off(earliest: datetime, latest: datetime, truth: datetime | None) -> float | None:
    return None if truth is None else abs((earliest + (latest - earliest) / 2 - truth).total_seconds())


def _share(holds: Sequence[bool]) -> str:
    return _part(sum(holds), len(holds))


def _part(some: int, of: int) -> str:
    return f"{some} of {of} ({some / of:.0%})" if of else "none to score"


def _at(ordered: Sequence[float], quantile: float) -> str:
    return f"{ordered[round(quantile * (len(ordered) - 1))] / SAMPLE_S:.1f}" if ordered else "-"
