"""Long log entries are quoted by what names the culprit, and short ones whole."""

import pytest

from irkit.report.excerpt import quoted, shortened


def python_frames(count: int) -> list[str]:
    made = [[f'  File "/srv/part{n}.py", line {n + 1}, in f{n}', f"    f{n + 1}()"] for n in range(count)]
    return [line for frame in made for line in frame]


def test_a_python_traceback_keeps_its_last_frames_and_the_exception() -> None:
    frames = python_frames(9)
    entry = ["CRITICAL stopping", "Traceback (most recent call last):", *frames, "ValueError: no"]
    assert shortened("\n".join(entry)).split("\n") == ["CRITICAL stopping", "…", *frames[-6:], "ValueError: no"]


def test_a_java_stack_keeps_its_first_frames_below_the_last_cause() -> None:
    outer = [f"\tat app.Web.call{n}(Web.java:{n})" for n in range(9)]
    inner = [f"\tat app.Pool.take{n}(Pool.java:{n})" for n in range(5)]
    entry = ["ERROR request failed", "java.lang.RuntimeException: no", *outer, "Caused by: PoolExhausted", *inner]
    expected = ["ERROR request failed", "…", "Caused by: PoolExhausted", *inner[:3], "…"]
    assert shortened("\n".join(entry)).split("\n") == expected
    assert shortened("\n".join(["Error: no", *outer])).split("\n") == ["Error: no", *outer[:3], "…"]


def test_another_long_entry_keeps_its_two_ends() -> None:
    assert shortened("\n".join(map(str, range(20)))).split("\n") == ["0", "…", "16", "17", "18", "19"]


@pytest.mark.parametrize("lines", [1, 2, 8])
def test_a_short_entry_is_quoted_whole(lines: int) -> None:
    entry = "\n".join(f"line {n}" for n in range(lines))
    assert quoted(f"{entry}\n") == (entry, "")


def test_a_quote_is_bounded_however_long_the_exception_says_it() -> None:
    entry = "\n".join(["ERROR x", *python_frames(4), "ValueError: first", *["more"] * 500, "last"])
    short, full = quoted(entry)
    assert len(short.split("\n")) <= 16
    assert 'part3.py"' in short
    assert short.endswith("last")
    assert full == entry
