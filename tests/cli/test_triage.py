"""`irkit triage` and `irkit investigate` as a person meets them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from tests.cli.test_commands import Run, irkit, opened

__all__ = ["irkit"]


def test_without_an_incident_nothing_is_collected_and_what_to_do_is_said(irkit: Run, tmp_path: Path) -> None:
    said = irkit("triage")
    assert (said.code, said.out) == (3, "")
    assert "there is no incident store" in said.err
    opened(irkit, "--at", "10m ago")
    irkit("resolve", "42", "fixed")
    said = irkit("triage")
    assert (said.code, said.out) == (3, "")
    assert "no incident is open" in said.err
    assert "irkit open TITLE --type TYPE" in said.err
    assert not (tmp_path / ".irkit" / "bundles").exists()


def test_where_nothing_answers_the_exit_code_says_that_nothing_was_looked_at(irkit: Run) -> None:
    opened(irkit)
    said = irkit("triage", "--collect", "never")
    assert said.code == 6
    assert "Nothing could be looked at: all 14 symptoms are unknown" in said.out
    assert "nothing of INC-42 could be looked at" in said.err
    assert "Cheapest next check" in said.out
    told = json.loads(irkit("triage", "--collect", "never", "--json").out)
    assert (told["conclusion"], told["types"], told["settled"]) == ("blind", [], False)
    assert told["next_checks"]


def test_a_drill_is_triaged_by_its_id_alone(irkit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    irkit("drill", "api-unresponsive", "--id", "42")
    said = irkit("triage", "42")
    assert (said.code, said.err) == (0, "")
    assert "API Unresponsive (0." in said.out
    assert re.search(r"for +\+0\.\d\d +Health check failing", said.out)
    assert re.search(r"against +0 of 0\.\d\d +p95 latency", said.out)
    assert "Settled: whatever becomes of" in said.out
    assert "Next: irkit investigate 42" in said.out
    for columns in ("80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        assert max(len(line) for line in irkit("triage", "42").out.splitlines()) <= int(columns)


def test_the_newest_incident_that_is_not_over_is_taken(irkit: Run) -> None:
    opened(irkit)
    irkit("open", "Later", "--type", "memory-leak", "--id", "7", "--at", "1m ago")
    irkit("open", "Over", "--type", "memory-leak", "--id", "50", "--at", "1m ago")
    irkit("resolve", "50", "fixed")
    assert "INC-42  Checkout is down" in irkit("triage", "--collect", "never").out
    irkit("resolve", "42", "fixed")
    assert "INC-7  Later" in irkit("triage", "--collect", "never").out


def test_the_json_holds_what_the_words_say(irkit: Run) -> None:
    irkit("drill", "api-unresponsive", "--id", "42")
    told = json.loads(irkit("triage", "42", "--json").out)
    assert (told["version"], told["incident"], told["conclusion"]) == (1, 42, "one")
    assert told["types"] == ["api-unresponsive"]
    first = told["contenders"][0]
    assert first["type"] == "api-unresponsive"
    assert first["score"] == pytest.approx(sum(item["weight"] for item in first["for"]), abs=0.01)
    assert all(item["evidence"] for item in first["for"])
    assert {item["type"] for item in told["contenders"]} >= {"memory-leak", "none-of-these"}
    assert (told["exhausted"], told["changed_before"]) == ([], []), "neither in this one"
    [ended] = told["not_running"]
    assert (ended["name"], ended["state"], ended["exit_code"]) == ("jarvis-api", "exited", 1)
    assert datetime.fromisoformat(ended["since"]).tzinfo is not None


def test_an_investigation_names_the_notebooks_there_are(irkit: Run) -> None:
    opened(irkit)
    said = irkit("investigate", "42", "high-latenci")
    assert (said.code, said.out) == (3, "")
    assert "there is no notebook high-latenci" in said.err
    assert irkit("investigate", "43").code == 3


def test_an_investigation_runs_the_notebook_of_the_incidents_own_type(irkit: Run, tmp_path: Path) -> None:
    irkit("drill", "api-unresponsive", "--id", "42")
    said = irkit("investigate", "42", "--collect", "never")
    assert said.code == 0, said.err
    page = tmp_path / "api-unresponsive-42.html"
    assert said.out.splitlines() == [str(page.with_suffix(".ipynb")), str(page)]
    assert "The evidence points at: API Unresponsive" in page.read_text(encoding="utf-8")


def test_the_steps_of_another_type_than_the_evidence_says_are_shown_with_that(irkit: Run) -> None:
    irkit("drill", "api-unresponsive", "--id", "42")
    assert "the evidence says" not in irkit("act", "42").err
    irkit("reopen", "42", "filed wrongly")
    irkit("amend", "42", "type", "memory-leak")
    said = irkit("act", "42")
    assert "the evidence says API Unresponsive, and it is filed as Memory Leak" in said.err
    assert "irkit amend 42 type api-unresponsive" in said.err


def test_a_service_that_publishes_a_port_is_not_to_be_scaled_without_the_reason(irkit: Run) -> None:
    irkit("drill", "api-unresponsive", "--id", "42")
    said = " ".join(irkit("act", "42").out.split())
    why = "jarvis-api publishes port 43609 of this host, which only one container can have"
    assert why in said
    assert "publish a range in the compose file" in said


def test_a_triage_says_where_it_rests_on_other_evidence_than_was_collected_last(irkit: Run) -> None:
    irkit("drill", "api-unresponsive", "--id", "42")
    assert "By the evidence of" not in irkit("triage", "42").out
    irkit("collect", "42")
    said = irkit("triage", "42").out
    assert said.startswith("By the evidence of 2026-")
    newest = said.partition("--bundle ")[2].split()[0]
    assert "By the evidence of" not in irkit("triage", "42", "--bundle", newest).out, "that is what was asked for"
