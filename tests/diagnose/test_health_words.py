"""What a health answer says is wrong, whatever its shape."""

from __future__ import annotations

import pytest

from irkit.diagnose.health_words import complaints, said_of
from irkit.diagnose.signs import Sign

MALFORMED = "database disk image is malformed"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"json": {"ok": False, "checks": {"kv": "ok", "orders": MALFORMED}}}, "checks.orders"),
        ({"json": {"status": "unhealthy", "services": [{"name": "db", "error": MALFORMED}]}}, "services.error"),
        ({"text": f"503: {MALFORMED}"}, ""),
        ({"json": MALFORMED}, ""),
    ],
)
def test_sqlites_own_error_is_found_where_it_stands(body: object, path: str) -> None:
    found = said_of(body, Sign.CORRUPTION)
    assert found is not None
    assert found.path == path
    assert MALFORMED in found.sentence


def test_a_text_names_a_fault_by_its_words_or_by_its_key() -> None:
    body = {"json": {"version": "till 1.0", "reason": "the till is locked away", "db": MALFORMED, "error": "ok"}}
    assert [one.path for one in complaints(body)] == ["db", "reason"]


@pytest.mark.parametrize("body", [None, {}, {"json": None}, {"json": [1, 2.5, True]}, {"text": " "}, "malformed"])
def test_an_answer_without_words_says_nothing(body: object) -> None:
    assert complaints(body) == ()


def test_an_answer_that_is_nested_without_end_is_read_so_far() -> None:
    body: dict[str, object] = {"error": MALFORMED}
    for _ in range(100):
        body = {"in": body}
    assert complaints({"json": body}) == ()
    assert complaints({"json": {"errors": [MALFORMED] * 100_000}})[0].words == MALFORMED
