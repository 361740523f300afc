"""The engine of actions on a real store: evidence first, the start on record, the end on record, whatever happens."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from irkit import runbook
from irkit.act import contract as act_contract
from irkit.act import engine as act
from irkit.act.contract import ActError, Action, Ask, Plan, Result
from irkit.errors import InputError
from irkit.model import EventKind, Step, utc_now
from irkit.runbook import steps
from irkit.settings import Settings
from irkit.store import Store, open_store
from tests.support.example_bundle import COLLECTED, example_bundle

AT = datetime(2026, 11, 23, 3, 20, tzinfo=UTC)
BOOK = runbook.load()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = open_store(Settings(home=tmp_path / "home"), create=True)
    made.open_incident(
        "Down", incident_type="api-unresponsive", severity="Critical", actor="ana", incident_id=42, detected_at=AT,
        opened_at=AT,
    )  # fmt: skip
    return made


def ask(store: Store, **changes: object) -> Ask:
    made = Ask(store.incident(42), Settings(home=Path("home")), BOOK, tuple(store.timeline(42)))
    return replace(made, **changes)  # type: ignore[arg-type]


def action(
    apply: Callable[[], Result] = lambda: Result(well=True, sentence="It was turned"),
    verify: Callable[[], Result] = lambda: Result(well=True, sentence="it stays so"),
    **changes: object,
) -> Action:
    made = Action(
        "turn",
        "Turn it.",
        lambda _: Plan("the-knob", ("the knob is turned",), ("turn knob",), data={"to": 3}),
        lambda _plan, _ask: apply(),
        lambda _plan, _result, _ask: verify(),
        answers=r"\brestart\b",
        destroys=("container-stats",),
        options={"far": "how far"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def performed(one: Action, store: Store) -> tuple[act.Done, list[Mapping[str, object]]]:
    asked = ask(store)
    done = act.perform(one, act.planned(one, asked), asked, store=store, actor="ana", evidence=("x/y",))
    return done, [event.data for event in store.timeline(42) if event.kind is EventKind.ACTION]


def test_what_is_done_is_recorded_before_and_after(store: Store) -> None:
    done, (begun, ended) = performed(action(), store)
    assert done.well
    assert done.sentence == "turn the-knob: done and verified. It was turned. it stays so."
    assert (begun["outcome"], begun["plan"], begun["commands"]) == ("begun", {"to": 3}, ["turn knob"])
    assert (ended["outcome"], ended["verified"], ended["step"]) == ("done", True, 1)
    assert begun["run"] == ended["run"]
    assert next(one for one in store.timeline(42) if one.kind is EventKind.ACTION).evidence == ("x/y",)
    assert act.unfinished(store.timeline(42)) == ()
    assert [
        one.outcome for one in steps.tries(store.timeline(42), BOOK.incident_type("api-unresponsive").resolution)[1]
    ] == ["done"]


def test_what_did_not_help_is_told_from_what_failed(store: Store) -> None:
    vain, (_, ended) = performed(action(verify=lambda: Result(well=False, sentence="it turned back")), store)
    assert not vain.well
    assert "done, but it did not help" in vain.sentence
    assert (ended["outcome"], ended["verified"]) == ("done", False)

    def refuse() -> Result:
        raise ActError("the knob is stuck", hint="oil it")

    failed, rows = performed(action(apply=refuse), store)
    assert failed.sentence == "turn the-knob: failed. the knob is stuck. oil it."
    assert (rows[-1]["outcome"], rows[-1]["verified"]) == ("failed", False)
    tried = steps.tries(store.timeline(42), BOOK.incident_type("api-unresponsive").resolution)[1]
    assert [one.outcome for one in tried] == ["failed", "blocked"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("odd")])
def test_what_stops_it_is_recorded_and_goes_on_up(error: BaseException, store: Store) -> None:
    def stop() -> Result:
        raise error

    with pytest.raises(type(error)):
        performed(action(apply=stop), store)
    last = store.timeline(42)[-1]
    assert last.data["outcome"] == "failed"
    assert "what it had done by then stays" in last.text


def test_a_refused_plan_does_nothing_and_records_nothing(store: Store) -> None:
    refused = action(plan=lambda _: Plan("the-knob", (), refusal="it is hot", instead="wait"))
    with pytest.raises(ActError, match="it is hot"):
        performed(refused, store)
    assert not [one for one in store.timeline(42) if one.kind is EventKind.ACTION]


def test_one_killed_half_way_is_known_to_have_begun(store: Store, tmp_path: Path) -> None:
    killed = f"""
import os, signal
from pathlib import Path
from tests.act.test_engine import action, performed
from irkit.settings import Settings
from irkit.store import open_store
store = open_store(Settings(home=Path({str(tmp_path / "home")!r})))
performed(action(apply=lambda: os.kill(os.getpid(), signal.SIGKILL)), store)
"""
    ended = subprocess.run([sys.executable, "-c", killed], check=False, cwd=Path(__file__).parents[2])
    assert ended.returncode == -signal.SIGKILL
    [left] = act.unfinished(store.timeline(42))
    assert left.data["action"] == "turn"
    performed(action(plan=lambda _: Plan("another-knob", ())), store)
    assert act.unfinished(store.timeline(42)) == (left,)
    performed(action(), store)
    assert act.unfinished(store.timeline(42)) == (), "done anew, what the killed one left was seen"


def test_misspelt_options_and_actions_name_the_nearest(store: Store) -> None:
    with pytest.raises(InputError) as raised:
        act.planned(action(), ask(store, options={"fra": "1"}))
    assert raised.value.hint == "did you mean far?"
    with pytest.raises(InputError, match="no action 'restrat'") as named:
        act.find("restrat")
    assert named.value.hint == "did you mean restart?"


def soon() -> datetime:
    """A moment after the example's evidence was collected."""
    return COLLECTED + timedelta(minutes=1)


def test_evidence_counts_that_is_as_new_as_the_last_change(store: Store, tmp_path: Path) -> None:
    bundle = example_bundle(tmp_path / "bundles")
    one, has = action(), action(destroys=("compose-services",))
    assert act.lacking(has, ask(store, now=soon), [bundle]) == ()
    assert act.lacking(has, ask(store, now=soon), []) == ("compose-services",)
    assert act.lacking(one, ask(store, now=soon), [bundle]) == ("container-stats",), "it timed out there"
    later = ask(store, now=lambda: soon() + timedelta(minutes=10))
    assert act.lacking(has, later, [bundle]) == ("compose-services",), "it is not of what runs now"
    store.append(
        42, EventKind.ACTION, actor="ana", at=COLLECTED + timedelta(seconds=1), text="Turned",
        data={"action": "turn", "run": "1", "outcome": "done", "changes": True},
    )  # fmt: skip
    assert act.lacking(has, ask(store, now=soon), [bundle]) == ("compose-services",)


def test_evidence_is_older_than_a_change_recorded_after_it_though_the_clock_was_set_back(
    store: Store, tmp_path: Path
) -> None:
    bundle = example_bundle(tmp_path / "bundles")
    has = action(destroys=("compose-services",))
    store.append(42, EventKind.EVIDENCE, actor="ana", text="Collected", data={"bundle": bundle.id})
    assert act.lacking(has, ask(store, now=soon), [bundle]) == ()
    data = {"action": "turn", "run": "1", "outcome": "done", "changes": True}
    early = ask(store).incident.noticed_at
    store.append(42, EventKind.ACTION, actor="ana", at=early, text="Turned", data=data)
    assert early < bundle.manifest.created_at
    assert act.lacking(has, ask(store, now=soon), [bundle]) == ("compose-services",)


def test_the_steps_of_a_type_have_their_commands(store: Store) -> None:
    kinds = {kind.slug: act.lines(kind, ask(store)) for kind in BOOK.incident_types}
    told = {slug: [line.command for line in lines] for slug, lines in kinds.items()}
    assert told["api-unresponsive"][0] == "irkit act 42 restart jarvis-api"
    assert told["api-unresponsive"][2] == "irkit act 42 scale jarvis-api 3"
    assert told["memory-leak"][0] == "irkit memory snapshot --pid PID --incident 42"
    assert told["memory-leak"][2] == "", "a deployment is by hand"
    assert {line.state for lines in kinds.values() for line in lines} == {"pending"}


def test_a_command_names_the_service_that_is_unwell(store: Store) -> None:
    leak = [line.command for line in act.lines(BOOK.incident_type("memory-leak"), ask(store), "worker")]
    assert leak == ["irkit memory snapshot --container worker --incident 42", "irkit act 42 restart worker", ""]


def book_with(folder: Path, *steps: str) -> runbook.Runbook:
    """The runbook with a sixth type of these steps."""
    lines = [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    kind = "\n".join(["### 6. Backup Failed (High)", "", "**Symptoms:**", "- No backup", "", "**Resolution:**", *lines])
    text = files("irkit").joinpath("runbook.md").read_text(encoding="utf-8")
    path = folder / "runbook.md"
    path.write_text(text.replace("## Escalation Contacts", f"{kind}\n\n## Escalation Contacts"))
    return runbook.load(path)


@pytest.mark.parametrize("service", ["", "shop-api"])
@pytest.mark.parametrize("subject", ["", "shop-api"])
def test_the_service_that_a_steps_own_command_names_goes_before_the_one_guessed(
    service: str, subject: str, store: Store, tmp_path: Path
) -> None:
    book = book_with(
        tmp_path, "Restart the backup job: `docker-compose restart -t 30 backup`", "Restart it: `docker restart store`"
    )
    one = ask(store, runbook=book, settings=Settings(home=Path("home"), service=service))
    told = [line.command for line in act.lines(book.incident_types[-1], one, subject)]
    assert told == ["irkit act 42 restart backup", "irkit act 42 restart store"]


def test_the_runbooks_own_service_stands_for_the_one_of_the_settings(store: Store) -> None:
    kind, elsewhere = BOOK.incident_type("api-unresponsive"), Settings(home=Path("home"), service="shop-api")
    assert act.lines(kind, ask(store, settings=elsewhere))[0].command == "irkit act 42 restart shop-api"
    assert act.lines(kind, ask(store, settings=elsewhere), "worker")[0].command == "irkit act 42 restart worker"
    assert act.lines(kind, ask(store), "worker")[0].command == "irkit act 42 restart jarvis-api"


def test_the_step_is_done_whose_command_names_what_was_asked_for(store: Store, tmp_path: Path) -> None:
    book = book_with(tmp_path, "Restart it: `docker restart backup`", "Restart that: `docker restart store`")
    filed = replace(store.incident(42), type=book.incident_types[-1].slug)
    for name, number in (("backup", 1), ("store", 2)):
        one = ask(store, runbook=book, incident=filed, arguments=(name,))
        assert act.step_of(act.find("restart"), one) == number


def test_a_step_in_a_persons_words_is_done_by_no_action() -> None:
    assert act.find("restart").does(Step(1, "Restart the service", 1))
    assert not act.find("restart").does(Step(4, "What helped in INC-1: cleared it, then restart the service", 9))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(act_contract, "_REGISTRY", {})


@pytest.mark.usefixtures("registry")
def test_a_name_is_taken_once() -> None:
    act_contract.register(action())
    with pytest.raises(ValueError, match="registered twice"):
        act_contract.register(action())


def test_what_was_refused_was_tried_and_its_step_says_so_with_the_reason(store: Store) -> None:
    asked = ask(store)
    store.append(
        42, EventKind.NOTE, actor="ana", text="turn the-knob is refused: it is hot", data=act.refusal(action(), asked)
    )
    known = steps.tries(store.timeline(42), BOOK.incident_type("api-unresponsive").resolution)
    assert [(one.outcome, one.note) for one in known[1]] == [("blocked", "turn the-knob is refused: it is hot")]
    assert act.lines(BOOK.incident_type("api-unresponsive"), ask(store))[0].state == "blocked"
    assert not any(map(steps.is_attempt, store.timeline(42))), "nothing was changed: the evidence is as good as before"
    # what is done stays done, whatever is refused later
    store.append(42, EventKind.NOTE, actor="ana", text="done by hand", data={"step": 1, "outcome": "done"})
    assert act.refusal(action(), ask(store)) == {"refused": "turn"}
    # an action that is none of the runbook's steps is told on the timeline alone
    assert act.refusal(action(answers=""), asked) == {"refused": "turn"}


def test_what_was_well_before_proves_nothing_and_counts_as_done(store: Store) -> None:
    done, (_, ended) = performed(
        action(verify=lambda *_: Result(well=True, sentence="it was well before, too", proves=False)), store
    )
    assert done.well
    assert done.sentence.startswith("turn the-knob: done; whether it helped is not seen.")
    assert (ended["outcome"], ended["verified"]) == ("done", None)
    known = steps.tries(store.timeline(42), BOOK.incident_type("api-unresponsive").resolution)
    assert [one.outcome for one in known[1]] == ["done"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("switch-provider", ("NAME",)),
        ("wait-ratelimit", ("PROVIDER",)),
        ("check-api-key", ("PROVIDER",)),
        ("restart", ("SERVICE",)),
        ("scale", ("jarvis-api", "NUMBER")),
        ("restore-database", ("BACKUP",)),
    ],
)
def test_a_placeholder_typed_as_it_was_printed_is_refused(name: str, words: tuple[str, ...], store: Store) -> None:
    with pytest.raises(InputError, match=f"{words[-1]} stands for a name and is none") as raised:
        act.planned(act.find(name), ask(store, arguments=words))
    assert raised.value.hint == "irkit act 42 shows the steps with the names that are known"


def test_what_was_planned_before_another_changed_something_is_not_done(store: Store) -> None:
    """Two responders plan at one moment: the second is told who did what, and does nothing."""
    ana, ben = ask(store), ask(store)
    turned: list[str] = []

    def turn() -> Result:
        turned.append("x")
        return Result(well=True, sentence="It was turned")

    one = action(apply=turn)
    plan = act.planned(one, ben)
    act.perform(one, act.planned(one, ana), ana, store=store, actor="ana")
    with pytest.raises(ActError, match=r"ana did turn the-knob at \d\d:\d\d:\d\d UTC since this was planned") as raised:
        act.perform(one, plan, ben, store=store, actor="ben")
    assert "plan anew: irkit act 42" in raised.value.hint
    assert turned == ["x"]
    assert {event.actor for event in store.timeline(42) if event.kind is EventKind.ACTION} == {"ana"}
    again = ask(store)
    act.perform(one, act.planned(one, again), again, store=store, actor="ben")
    assert turned == ["x", "x"], "who planned after it knew of it"


def test_one_that_has_only_begun_holds_the_next_back_and_one_that_only_looks_holds_nobody(store: Store) -> None:
    ben = ask(store)
    begun = {"action": "restart", "target": "redis", "run": "1", "outcome": "begun", "changes": False}
    store.append(42, EventKind.ACTION, actor="ana", text="looked", data=begun)
    assert act.perform(action(), act.planned(action(), ben), ben, store=store, actor="ben").well
    store.append(42, EventKind.ACTION, actor="ana", text="began", data=begun | {"changes": True, "run": "2"})
    with pytest.raises(ActError, match=r"ben did turn the-knob at .* and ana began restart redis at "):
        act.perform(action(), act.planned(action(), ben), ben, store=store, actor="ben")
    looks = action(changes=False)
    assert act.perform(looks, act.planned(looks, ben), ben, store=store, actor="ben").well


def test_what_another_incident_did_to_the_same_thing_holds_back_whoever_did_not_know_of_it(store: Store) -> None:
    other = store.open_incident("Also down", incident_type="api-unresponsive", severity="Critical", actor="eve")
    ben, one = ask(store), action()
    plan = act.planned(one, ben)

    def record(target: str, name: str = "restart") -> None:
        told = {"action": name, "target": target, "run": target, "outcome": "done", "changes": True}
        store.append(other.id, EventKind.ACTION, actor="eve", text="It was done.", data=told)

    record("redis")
    assert act.perform(one, plan, ben, store=store, actor="ben").well, "another thing stands in nobody's way"
    ben = ask(store)
    record("the-knob")
    with pytest.raises(ActError, match=rf"eve did restart the-knob at .* UTC for INC-{other.id} since this"):
        act.perform(one, plan, ben, store=store, actor="ben")
    seen = replace(ask(store), beside=act.acts_beside(store, 42, utc_now()))
    assert [event.data["target"] for event in act.touching(seen.beside, "the-knob")] == ["the-knob"]
    assert act.perform(one, plan, seen, store=store, actor="ben").well
    record("shop", "stop-all")
    with pytest.raises(ActError, match="eve did stop-all shop"):
        act.perform(one, plan, replace(ask(store), beside=seen.beside), store=store, actor="ben")
    assert act.acts_beside(store, 42, utc_now() + timedelta(hours=1)) == ()


def test_of_two_at_the_same_moment_only_one_acts(store: Store) -> None:
    asks, gate, refused = [ask(store) for _ in range(4)], threading.Barrier(4), []

    def go(number: int) -> None:
        one = action()
        plan = act.planned(one, asks[number])
        gate.wait()
        try:
            act.perform(one, plan, asks[number], store=store, actor=f"responder {number}")
        except ActError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert len({event.actor for event in store.timeline(42) if event.kind is EventKind.ACTION}) == 1
