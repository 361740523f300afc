"""What an incident teaches the runbook comes as a patch that git takes, and that leaves the runbook readable."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from irkit import runbook as runbooks
from irkit.diagnose.verdicts import UNFELT
from irkit.followup.proposal import Proposal, patch, propose
from irkit.model import Event, EventKind, Finding, Incident, Status, Verdict, VerdictState

AT = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)
INCIDENT = Incident(42, "Down", "api-unresponsive", "Critical", Status.RESOLVED, AT)
BOOK = runbooks.load()


def event(number: int, kind: EventKind, text: str, **data: object) -> Event:
    return Event(number, 42, AT, AT, kind, "ana", text, data=data)


def found(slug: str, title: str, state: VerdictState = VerdictState.FOUND, explained_by: str = "") -> Finding:
    verdict = Verdict(state, "It was there.", explained_by=explained_by)
    return Finding(slug, ("api-unresponsive",), title, verdict, ("sqlite/integrity",))


def kinds(*events: Event, findings: tuple[Finding, ...] = ()) -> dict[str, Proposal]:
    return {one.kind: one for one in propose(BOOK, INCIDENT, events, findings)}


def after(folder: Path, text: str, proposals: tuple[Proposal, ...] | list[Proposal]) -> str:
    """The runbook after the real `git apply` has taken the patch."""
    file = folder / "ops" / "runbook.md"
    file.parent.mkdir()
    file.write_bytes(text.encode())
    subprocess.run(["git", "init", "-q", folder], check=True)
    told = "wrong command: a reason, which git leaves alone\n\n"
    made = (told + patch(text, "ops/runbook.md", proposals)).encode()
    subprocess.run(["git", "apply", "--whitespace=nowarn"], cwd=folder, input=made, check=True)
    return file.read_bytes().decode()


def test_the_runbook_s_own_get_of_a_pattern_is_the_first_proposal(tmp_path: Path) -> None:
    first, *_ = propose(BOOK, INCIDENT, ())
    assert first.kind == "wrong command"
    assert "GET knows no patterns" in first.reason
    changed = after(tmp_path, BOOK.text, [first])
    assert 'redis-cli GET "ratelimit:provider:*"' not in changed
    assert 'redis-cli --scan --pattern "ratelimit:provider:*"\n' in changed
    assert len(changed.splitlines()) == len(BOOK.text.splitlines())


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        ("redis-cli get 'a:*'", "redis-cli --scan --pattern 'a:*'"),
        ("redis-cli -h cache -n 2 GET a:?", "redis-cli -h cache -n 2 --scan --pattern a:?"),
        ("redis-cli GET a:1", None),
        ("redis-cli MGET a:*", None),
        ("echo GET a:*", None),
        ('redis-cli GET "a:*', None),
    ],
)
def test_only_a_get_of_a_pattern_is_wrong(line: str, mended: str | None) -> None:
    text = BOOK.text.replace('redis-cli GET "ratelimit:provider:*"', line)
    edits = [one.edit.text for one in propose(runbooks.parse(text, "own.md"), INCIDENT, ())]
    assert edits == ([mended] if mended else [])


def test_a_symptom_that_was_found_and_is_not_listed_is_added(tmp_path: Path) -> None:
    listed, new = found("health-check-failing", "Health check failing"), found("sqlite-errors", "SQLite errors")
    clear = found("read-failures", "Read failures", VerdictState.CLEAR)
    other = found("oom-kills", "OOM kills", explained_by="memory-leak")
    made = propose(BOOK, INCIDENT, (), (listed, new, clear, other, new))
    assert [one.kind for one in made] == ["wrong command", "new symptom"]
    assert made[1].evidence == ("sqlite/integrity",)
    changed = runbooks.parse(after(tmp_path, BOOK.text, made), "own.md")
    slugs = [one.slug for one in changed.incident_type("api-unresponsive").symptoms]
    assert slugs == [*(one.slug for one in BOOK.incident_type("api-unresponsive").symptoms), "sqlite-errors"]


def test_memory_that_rose_with_the_trouble_is_no_symptom_to_add() -> None:
    rise = found("gradual-memory-increase", "Gradual memory increase")
    for unfelt, listed in ((True, False), (False, True)):
        told = replace(rise, verdict=replace(rise.verdict, numbers={UNFELT: unfelt}))
        assert ("new symptom" in kinds(findings=(told,))) is listed


def test_steps_that_did_not_help_and_what_did_are_told(tmp_path: Path) -> None:
    told = (
        event(1, EventKind.NOTE, "Step 1 (Restart the service): skipped. it loops", step=1, outcome="skipped"),
        event(2, EventKind.NOTE, "Step 2 (X): deviated. moved the file to another disk", step=2, outcome="deviated"),
        event(3, EventKind.ACTION, "Scaled up", step=3, verified=False),
        event(4, EventKind.MITIGATED, "remounted data/ writable."),
    )
    made = propose(BOOK, INCIDENT, told)
    changed = runbooks.parse(after(tmp_path, BOOK.text, made), "own.md").incident_type("api-unresponsive").resolution
    assert [one.text for one in changed] == [
        "Restart the service",
        "If persists, check database connectivity",
        "If persists, scale up",
        "What was done in INC-42: moved the file to another disk",
        "What helped in INC-42: remounted data/ writable",
    ]
    assert [one.notes for one in changed[:3]] == [
        (),  # one that was left out may serve all the same
        (),
        ("Did not serve in INC-42: Scaled up",),
    ]
    assert [one.number for one in changed] == [1, 2, 3, 4, 5]
    assert changed[0].command == "docker-compose restart jarvis-api"


def test_a_step_that_helped_in_the_end_is_not_held_against_it_and_what_made_it_help_is_told() -> None:
    first = event(1, EventKind.ACTION, "restart api: done, but it did not help. It exited.", step=1, verified=False)
    again = event(2, EventKind.ACTION, "restart api: done and verified.", step=1, verified=True)
    healed = event(3, EventKind.MITIGATED, "put the old certificate back")
    assert "step" not in kinds(first, again, healed)
    assert "new step" in kinds(first, again, healed)
    assert "new step" not in kinds(again, healed)
    assert kinds(first)["step"].edit.text == "   - Did not serve in INC-42: It exited"


def test_what_the_runbook_says_already_is_not_proposed() -> None:
    healed = event(2, EventKind.MITIGATED, "restarted the service")
    assert "new step" not in kinds(event(1, EventKind.NOTE, "", step=1, outcome="done"), healed)
    assert "new step" not in kinds(event(2, EventKind.MITIGATED, "Restart the service"))
    assert "new step" in kinds(event(2, EventKind.MITIGATED, "put the old certificate back"))


def test_the_effect_of_a_step_that_was_done_is_no_new_step() -> None:
    done = event(1, EventKind.ACTION, "restart api: done and verified.", step=1, verified=True)
    left_out = event(2, EventKind.NOTE, "", step=2, outcome="skipped")
    assert "new step" not in kinds(
        done, left_out, event(3, EventKind.MITIGATED, "Chats are answered after the restart")
    )
    for more in ("Chats are answered after remounting data/ and a restart", "restarted it after remounting data/"):
        assert more in kinds(done, left_out, event(3, EventKind.MITIGATED, more))["new step"].reason
    # a restart that was never made, or did not help, is worth a word
    told = event(3, EventKind.MITIGATED, "Chats are answered since the API was restarted by hand")
    assert "new step" in kinds(left_out, told)


def test_a_step_done_in_another_way_that_says_no_more_than_the_step_is_no_new_one() -> None:
    def kept(words: str) -> bool:
        told = f"Step 1 (Restart the service): deviated. {words}"
        return "new step" in kinds(event(1, EventKind.NOTE, told, step=1, outcome="deviated"))

    assert not kept("Restarted it: the pool stays full, so somebody holds it.")
    assert kept("Restarted the database pool alone: it was enough.")


@pytest.mark.parametrize(
    "hostile",
    [
        "# Severities\n| Severity | Response Time | Escalation |\n|-|-|-|\n| Critical | 9 h | none |",
        "### 9. Fake (Critical)",
        "x" * 100_000,
        "``` \x1b[31m <script>alert(1)</script>",
        "\u202e--- a/etc/passwd",
    ],
)
def test_what_people_wrote_stays_one_line_of_the_list(tmp_path: Path, hostile: str) -> None:
    made = propose(BOOK, INCIDENT, [event(1, EventKind.MITIGATED, hostile)])
    text = after(tmp_path, BOOK.text, made)
    changed = runbooks.parse(text, "own.md")
    assert changed.severities == BOOK.severities
    assert [one.slug for one in changed.incident_types] == [one.slug for one in BOOK.incident_types]
    assert len(text.splitlines()) <= len(BOOK.text.splitlines()) + 1
    assert "\x1b" not in text


@pytest.mark.parametrize("form", ["crlf", "no newline", "bom"])
def test_files_of_any_form_take_the_patch(tmp_path: Path, form: str) -> None:
    text = BOOK.text.rstrip("\n")
    text = text[: text.index("## Escalation Contacts")].rstrip()
    text = {"crlf": text.replace("\n", "\r\n"), "no newline": text, "bom": "\ufeff" + text}[form]
    book = runbooks.parse(text.removeprefix("\ufeff"), "own.md")
    corruption = Incident(42, "Down", "database-corruption", "Critical", Status.RESOLVED, AT)
    made = propose(book, corruption, [event(1, EventKind.MITIGATED, "put back the file of Monday")])
    changed = after(tmp_path, text, made)
    assert changed.rstrip("\r\n").endswith("5. What helped in INC-42: put back the file of Monday")


def test_without_a_lesson_there_is_no_patch() -> None:
    fine = runbooks.parse(BOOK.text.replace("redis-cli GET", "redis-cli --scan --pattern"), "own.md")
    assert propose(fine, INCIDENT, ()) == ()
    assert patch(fine.text, "x.md", ()) == ""
