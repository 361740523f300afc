"""The sections for database corruption: what the checks say, what is damaged, what can still be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from irkit.report import Report
from irkit.report.damage import Damage, DatabaseErrors, Integrity
from irkit.report.html import html, text
from irkit.report.parts import Gap
from tests.report.closer import HOSTILE, closer_report
from tests.support.type_evidence import BEGAN, at, damaged, healthy, line


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return closer_report(tmp_path_factory.mktemp("damaged"), "database-corruption", damaged())


def test_each_check_says_how_it_ended_and_equal_messages_are_one(report: Report) -> None:
    made = report.integrity
    assert isinstance(made, Integrity)
    assert {row.state.check: row.state.ok for row in made.rows} == {
        "quick_check": False,
        "integrity_check": False,
        "foreign_key_check": True,
        "wal": False,
    }
    message, checks = made.messages[0]
    assert message.startswith("Tree 3 page 4")
    assert checks == ("quick_check", "integrity_check")
    assert len(made.messages) + made.left_out == 27


def test_tables_are_damaged_or_not_and_the_log_beside_the_file_is_told(report: Report) -> None:
    made = report.damage
    assert isinstance(made, Damage)
    assert {row.name: row.whole for row in made.tables} == {"messages": False, "conversations": True}
    assert made.unplaced == 0
    assert dict(made.facts)["Schema"] == "read, 3 objects"
    shown = text(made)
    assert "Copy the two together" in shown
    assert "SQLite drops what stands after a wrong checksum" in shown


def test_when_a_check_first_failed_and_passed_again_is_on_the_timeline(tmp_path: Path) -> None:
    def told(*passed: bool) -> list[tuple[str, str, str]]:
        looks = [
            {"at": at(300 + 10 * place), "check": "integrity_check", "ok": ok, "message": HOSTILE, "duration_s": 0.01}
            for place, ok in enumerate(passed)
        ]
        evidence = damaged() | {"database_history": looks}
        rows = closer_report(tmp_path / str(len(looks)), "database-corruption", evidence).timeline
        assert not isinstance(rows, Gap)
        assert "<script>" not in html(rows)
        return [(f"{row.at:%H:%M:%S}", row.text, row.quote) for row in rows.rows if row.who == "database"]

    passes, fails = True, False
    assert told(passes, fails) == [("03:05:10", "First integrity_check that fails; it passed at 03:05:00 UTC", HOSTILE)]
    assert [text for _, text, _ in told(fails, fails, passes)] == [
        "First integrity_check that fails; no look before is on record",
        "integrity_check passes again",
    ]


def test_errors_of_damage_come_before_locks_and_date_it(tmp_path: Path) -> None:
    made = damaged()
    locked = [line(second, "ERROR sqlite3.OperationalError: database is locked") for second in range(200)]
    section = closer_report(tmp_path, "database-corruption", made | {"logs": [*locked, *made["logs"]]}).database_errors
    assert isinstance(section, DatabaseErrors)
    damage, lock = section.rows
    assert (damage.kind, damage.count, damage.first) == ("damage", 150, BEGAN)
    assert (lock.kind, lock.count, lock.last) == ("lock contention", 200, at(199))
    assert section.total == 350


def test_what_was_not_checked_is_called_neither_whole_nor_damaged(tmp_path: Path) -> None:
    made = healthy()
    report = closer_report(tmp_path, "database-corruption", {"database": made["database"]})
    assert isinstance(report.integrity, Gap)
    assert isinstance(report.damage, Damage)
    assert {row.whole for row in report.damage.tables} == {None}
    assert "No check was run, so no table can be called whole." in text(report.damage)


def test_a_file_that_is_no_database_has_no_tables_to_speak_of(tmp_path: Path) -> None:
    broken = {"path": "data/jarvis.db", "schema": [], "error": "file is not a database", "wal_size_bytes": 0}
    rows = [{"check": "integrity_check", "ok": False, "message": f"file is not a database {HOSTILE}", "table": None}]
    report = closer_report(tmp_path, "database-corruption", {"database": broken, "database_integrity": rows})
    shown = text(report.damage)
    assert "not readable: file is not a database" in shown
    assert "its tables are not known" in shown
    assert "<script>" not in html(report.integrity)
    assert "it is not in the evidence" in text(report.integrity)


def test_what_several_checks_say_alike_is_one_message(tmp_path: Path) -> None:
    rows = [
        {"check": check, "ok": False, "message": "Tree 5 page 9: btreeInitPage() returns error code 11", "table": None}
        for check in ("quick_check", "integrity_check")
    ]
    report = closer_report(tmp_path, "database-corruption", {"database_integrity": rows})
    assert report.damage.unplaced == len(report.integrity.messages) == 1


def test_missing_evidence_is_a_gap_with_its_reason(tmp_path: Path) -> None:
    report = closer_report(tmp_path, "database-corruption", {})
    for section in (report.integrity, report.damage, report.database_errors):
        assert isinstance(section, Gap)
        assert "failed: nothing answered" in section.reason


def test_a_message_without_a_table_that_two_checks_give_is_one_message(tmp_path: Path) -> None:
    evidence = damaged()
    lost = "Freelist: size is 3 but should be 1"
    more = [{"check": check, "ok": False, "message": lost, "table": ""} for check in ("quick_check", "integrity_check")]
    evidence["database_integrity"] = [*evidence["database_integrity"], *more]
    made = closer_report(tmp_path, "database-corruption", evidence).damage
    assert isinstance(made, Damage)
    assert made.unplaced == 1
