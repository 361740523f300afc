"""How often irkit names what is wrong: all recorded faults, the tuned and the frozen half apart.

Whoever tunes a detector reads the rows of the tuned half. Of the frozen half only the totals are printed, so that
nobody tunes to a row of it.
"""

from __future__ import annotations

import pytest

from tests.stack.scores import recorded, row, score, summary


@pytest.mark.bench
@pytest.mark.parametrize("half", ["tuned", "frozen"])
def test_what_irkit_says_of_the_recorded_faults(half: str) -> None:
    scores = [score(label) for label in recorded(half)]
    assert scores, f"no fault of the {half} half is recorded: python -m tests.stack.record_faults --half {half}"
    print(f"\n{half} half, {len(scores)} recorded faults")
    if half == "tuned":
        print(f"  {'fault':<36}{'types named':<40}{'onset off':>9}")
        for one in scores:
            print(f"  {row(one)}")
    for name, value in summary(scores).items():
        print(f"  {name:<42}{value}")
