"""The canary: real rules replace it, and whatever lets one through, or breaks, is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.collect import canary
from irkit.errors import CollectError
from irkit.redact import Redactor
from irkit.redact import rules as redaction_rules

REDACTOR = Redactor(b"k" * 32)


def test_every_canary_is_replaced_and_nothing_of_them_stays_behind(tmp_path: Path) -> None:
    canary.check(REDACTOR, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rules", "named"),
    [("vendor_rules", "vendor's token"), ("own_rules", "named value")],
)
def test_rules_that_find_nothing_are_told_by_what_came_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, named: str
) -> None:
    found = redaction_rules.lone_rules()  # made of the vendors', before they go blind

    class Blind:
        pattern, rules = redaction_rules.re.compile(rb"[^\s\S]"), found.rules

        def scan(self, _: bytes) -> tuple[()]:
            return ()

    monkeypatch.setattr(redaction_rules, rules, Blind)
    with pytest.raises(CollectError, match="let a made-up secret through") as told:
        canary.check(REDACTOR, tmp_path)
    assert named in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_refusal_too(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match=r"no evidence can be written to .*: No such file"):
        canary.check(REDACTOR, tmp_path / "missing")
