"""When the kernel ended containers, by what the engine and the recorder tell of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from irkit.growth.kills import kills_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def event(seconds: float, action: str, name: str = "api-1") -> dict[str, object]:
    return {"at": after(seconds), "name": name, "action": action}


def test_a_kill_is_told_by_the_events_the_flag_and_the_samples() -> None:
    events = pd.DataFrame([event(1, "oom"), event(1.1, "die")])
    containers = pd.DataFrame(
        [
            {"name": "api-1", "oom_killed": True, "finished_at": after(1.2)},
            {"name": "kv-1", "oom_killed": False, "finished_at": after(2)},
        ]
    )
    flags = ((0, False), (5, True), (10, True))
    history = pd.DataFrame([{"at": after(at), "name": "api-1", "oom_killed": flag} for at, flag in flags])
    assert kills_of(history, containers, events) == {"api-1": (after(1), after(1.2), after(5))}
    assert kills_of(None, None, None) == {}


def test_a_process_within_that_was_killed_ends_no_container() -> None:
    events = pd.DataFrame([event(1, "oom"), event(1.1, "die", "kv-1"), event(60, "die")])
    assert kills_of(None, None, events) == {}


def test_a_flag_that_stood_from_the_first_sample_on_is_of_an_earlier_kill() -> None:
    history = pd.DataFrame([{"at": after(at), "name": "api-1", "oom_killed": True} for at in (0, 5)])
    assert kills_of(history, None, None) == {}
