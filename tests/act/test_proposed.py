"""The runbook's steps with what stands here for its names: services, providers, paths, and what hinders a command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from irkit import runbook
from irkit.act.contract import Ask
from irkit.act.engine import find
from irkit.act.proposed import Place, is_aside, place_of, proposed
from irkit.model import Finding, Incident, Status, Verdict, VerdictState
from irkit.settings import Settings
from irkit.targets import with_runbook_defaults
from tests.support.example_bundle import CRASH
from tests.symptoms.evidence import InMemory

BOOK = runbook.load()
HOME = with_runbook_defaults(Settings(home=Path("home")), BOOK)
TILL = {"service": "till", "name": "shop_till_1", "state": "running", "ports": "0.0.0.0:8000->80/tcp"}
KV = {"service": "kv", "name": "shop_kv_1", "state": "running", "ports": ""}
DOWN = {"name": "openai", "healthy": False}
UP = {"name": "anthropic", "healthy": True}


def ask(slug: str, *arguments: str) -> Ask:
    return Ask(Incident(7, "Down", slug, "High", Status.OPEN, CRASH), HOME, BOOK, (), arguments)


def place(*containers: dict[str, object], found: tuple[Finding, ...] = (), **more: object) -> Place:
    return place_of(BOOK, HOME, InMemory({"containers": list(containers), **more}), found)


def commands(slug: str, where: Place) -> list[str]:
    return [line.typed for line in proposed(BOOK.incident_type(slug), ask(slug), where).lines]


def unwell(name: str) -> Finding:
    verdict = Verdict(VerdictState.FOUND, "It fails.", numbers={"service": name})
    return Finding("5xx-error-spike", ("api-unresponsive",), "5xx", verdict, ())


def test_the_service_that_is_unwell_stands_for_the_runbooks_own() -> None:
    assert commands("api-unresponsive", place(TILL, KV))[0] == "irkit act 7 restart till"
    assert commands("api-unresponsive", place(TILL, KV, found=(unwell("kv"),)))[0] == "irkit act 7 restart kv"


def test_where_nobody_looked_the_runbooks_names_stay() -> None:
    made = proposed(BOOK.incident_type("api-unresponsive"), ask("api-unresponsive"), Place())
    assert made.lines[0].typed == "irkit act 7 restart jarvis-api"
    assert (made.hints, {line.against for line in made.lines}) == ((), {""})


def test_a_placeholder_is_told_only_with_the_commands_that_hold_it() -> None:
    kind, several = BOOK.incident_type("provider-failures"), place(TILL, providers=[DOWN, UP, {**UP, "name": "other"}])
    assert any("of anthropic and other" in one for one in proposed(kind, ask(kind.slug), several).hints)
    one = proposed(kind, ask(kind.slug), place(TILL, providers=[DOWN, UP]))
    assert "irkit act 7 switch-provider anthropic" in [line.typed for line in one.lines]
    assert not any("NAME" in hint for hint in one.hints)


def test_what_would_refuse_a_command_is_told_with_it() -> None:
    lines = proposed(BOOK.incident_type("api-unresponsive"), ask("api-unresponsive"), place(TILL)).lines
    [scale] = [line for line in lines if " scale " in line.command]
    assert "till publishes port 8000 of this host" in scale.against


def test_a_name_that_a_shell_would_run_is_quoted_in_every_command() -> None:
    """A bundle may come from anybody."""
    evil = {"service": "a; touch x", "name": "evil_1", "state": "exited", "ports": "0.0.0.0:8000->80/tcp"}
    found = (unwell("a; touch x"),)
    for slug in (kind.slug for kind in BOOK.incident_types):
        for where in (place(evil), place(evil, found=found), place({**evil, "state": "running"}, found=found)):
            for command in commands(slug, where):
                assert "a; touch x" not in command.replace("'a; touch x'", "")
    [restart] = [one for one in commands("api-unresponsive", place(evil, found=found)) if " restart " in one]
    assert restart == "irkit act 7 restart 'a; touch x'"


def test_an_action_on_another_service_than_the_proposed_one_is_no_step() -> None:
    restart, looked = find("restart"), list[str]()

    def look(where: Place) -> Place:
        looked.append("looked")
        return where

    def aside(name: str, where: Place) -> bool:
        return is_aside(restart, ask("api-unresponsive", name), lambda: look(where))

    assert not aside("till", place(TILL, KV))
    assert aside("kv", place(TILL, KV))
    assert not aside("kv", Place()), "nobody knows which is meant"
    looked.clear()
    named = replace(ask("api-unresponsive", "till"), settings=replace(HOME, service="till"))
    assert not is_aside(restart, named, lambda: look(place(TILL, KV)))
    assert not is_aside(find("flush-cache"), ask("api-unresponsive", "cache:"), lambda: look(place(TILL)))
    assert looked == [], "a diagnosis is made only where it decides"
