"""How far a clock is from ours, as a value: what asks for it loads far more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skew:
    """A clock's distance from ours in seconds (positive: it is ahead); the truth is within `uncertainty_s` of it."""

    skew_s: float
    uncertainty_s: float

    def beyond(self, limit_s: float) -> bool:
        """Say whether it is off by more than a limit, for sure."""
        return abs(self.skew_s) > self.uncertainty_s + limit_s

    def __str__(self) -> str:
        side = "ahead of" if self.skew_s > 0 else "behind"
        return f"{abs(self.skew_s):,.3f} s {side} irkit's (give or take {self.uncertainty_s:,.3f} s)"
