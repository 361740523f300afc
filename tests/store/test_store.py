import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from irkit.errors import InputError, NotFoundError
from irkit.model import MAX_INCIDENT_ID, Event, EventKind, Status
from irkit.settings import Settings
from irkit.store import MAX_TEXT_CHARS, STORE_NAME, Store, open_store

NOW = datetime(2026, 11, 24, 3, 20, tzinfo=UTC)


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return open_store(Settings(tmp_path), create=True, clock=clock)


def opened(store: Store, incident_id: int | str | None = None) -> int:
    return store.open_incident(
        "API down", incident_type="api-unresponsive", severity="Critical", actor="ana", incident_id=incident_id
    ).id


def test_an_incident_lives_from_page_to_close(store: Store, clock: Clock, tmp_path: Path) -> None:
    began = NOW - timedelta(minutes=12)
    opened_one = store.open_incident(
        "  API\n down ",
        incident_type="api-unresponsive",
        severity="Critical",
        actor="ana",
        incident_id="INC-42",
        started_at=began,
        owner="bo",
        impact="nobody can check out",
    )
    assert (opened_one.id, opened_one.title, opened_one.status) == (42, "API down", Status.OPEN)
    for kind in (EventKind.ACKNOWLEDGED, EventKind.MITIGATED, EventKind.RESOLVED, EventKind.CLOSED):
        clock.now += timedelta(minutes=5)
        store.append("042", kind, actor="bo")
    again = open_store(Settings(tmp_path), clock=clock).incident(42)
    assert (again.started_at, again.detected_at, again.opened_at) == (began, NOW, NOW)
    assert (again.acknowledged_at, again.closed_at) == (NOW + timedelta(minutes=5), NOW + timedelta(minutes=20))
    assert (again.status, again.owner, again.impact) == (Status.CLOSED, "bo", "nobody can check out")


def test_an_event_comes_back_as_it_was_told(store: Store) -> None:
    number = opened(store)
    told = store.append(
        number,
        EventKind.NOTE,
        actor="ana",
        at=datetime.fromisoformat("2026-11-24T04:10:00.123456+01:00"),
        text="<script>alert(1)</script>\n\x1b[31m 数据库 'quoted'; DROP TABLE event",
        evidence=["container-logs/log_lines"],
        data={"attempt": 1, "nested": {"ok": [True, None, 2.5]}},
    )
    assert told.at == datetime(2026, 11, 24, 3, 10, 0, 123456, tzinfo=UTC)
    assert told.recorded_at == NOW
    read = next(event for event in store.timeline(number) if event.kind is EventKind.NOTE)
    assert read == told
    assert isinstance(read, Event)
    assert dict(read.data) == {"attempt": 1, "nested": {"ok": [True, None, 2.5]}}


def test_what_no_database_takes_is_escaped_not_lost(store: Store) -> None:
    number = opened(store)
    text = b"caf\xe9\0".decode("utf-8", "surrogateescape")
    told = store.append(number, EventKind.NOTE, actor=text, text=text, data={"line": text})
    assert (told.actor, told.text, told.data["line"]) == ("caf\\udce9\\x00", "caf\\udce9\\x00", text)
    assert store.timeline(number)[-1] == told


def test_the_timeline_is_in_the_order_things_happened(store: Store) -> None:
    number = opened(store)
    store.append(number, EventKind.NOTE, actor="ana", text="second", at=NOW - timedelta(minutes=1))
    store.append(number, EventKind.NOTE, actor="ana", text="first", at=NOW - timedelta(minutes=2))
    assert [event.text for event in store.timeline(number)][:2] == ["first", "second"]


def test_ids_follow_the_largest_and_may_be_chosen(store: Store) -> None:
    assert [opened(store), opened(store, 42), opened(store), opened(store, "INC-7")] == [1, 42, 43, 7]
    assert [one.id for one in store.incidents()] == [43, 42, 7, 1]


@pytest.mark.parametrize("taken", [42, "042", "INC-42"])
def test_a_taken_id_is_refused_and_changes_nothing(store: Store, taken: int | str) -> None:
    opened(store, 42)
    before = store.timeline(42)
    with pytest.raises(InputError, match="INC-42 exists already"):
        opened(store, taken)
    assert store.timeline(42) == before


def test_the_largest_id_leaves_no_next_one(store: Store) -> None:
    opened(store, MAX_INCIDENT_ID)
    with pytest.raises(InputError, match="largest possible") as refused:
        opened(store)
    assert "--id" in refused.value.hint


@pytest.mark.parametrize("wrong", ["1e5", -1, 0, 1.5, "", "../../x", "42; DROP TABLE incident", "9" * 10_000])
def test_what_is_no_id_is_refused_before_anything_is_stored(store: Store, wrong: int | str) -> None:
    for ask in (
        lambda: opened(store, wrong),
        lambda: store.incident(wrong),
        lambda: store.append(wrong, EventKind.NOTE, actor="a"),
    ):
        with pytest.raises(InputError, match="is not an incident id"):
            ask()
    assert store.incidents() == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"title": " \n "}, "needs a title"),
        ({"title": "x" * 201}, "has 201 characters"),
        ({"detected_at": NOW + timedelta(days=1)}, "is in the future"),
        ({"opened_at": NOW.replace(tzinfo=None)}, "has no time zone"),
        ({"started_at": NOW + timedelta(minutes=2)}, "is in the future"),
        ({"started_at": NOW.replace(year=1)}, "cannot be meant"),
    ],
)
def test_an_incident_that_cannot_be_meant_is_not_opened(store: Store, change: dict[str, object], sentence: str) -> None:
    given = {"title": "API down", "incident_type": "t", "severity": "s", "actor": "ana", **change}
    with pytest.raises(InputError, match=sentence):
        store.open_incident(**given)  # type: ignore[arg-type]
    assert store.incidents() == ()
    assert opened(store) == 1


def test_a_refused_event_leaves_the_timeline_as_it_was(store: Store) -> None:
    number = opened(store)
    before = store.timeline(number)
    for refused in (
        lambda: store.append(number, EventKind.CLOSED, actor="ana"),
        lambda: store.append(number, EventKind.NOTE, actor="ana", text="x" * (MAX_TEXT_CHARS + 1)),
        lambda: store.append(number, EventKind.ACKNOWLEDGED, actor="ana", at=NOW - timedelta(hours=1)),
    ):
        with pytest.raises(InputError):
            refused()
    assert store.timeline(number) == before


@pytest.mark.parametrize(
    "ask", [Store.incident, Store.timeline, lambda store, number: store.append(number, EventKind.NOTE, actor="a")]
)
def test_an_unknown_incident_names_those_near_it(store: Store, ask: Callable[[Store, int], object]) -> None:
    for number in (1, 40, 41, 43, 44, 45):
        opened(store, number)
    with pytest.raises(NotFoundError, match="INC-42 is not in the store") as refused:
        ask(store, 42)
    assert "40, 41, 43, 44, 45;" in refused.value.hint


def test_an_empty_store_says_so(store: Store) -> None:
    with pytest.raises(NotFoundError) as refused:
        store.incident(42)
    assert "no incident yet" in refused.value.hint


def test_incidents_are_chosen_by_status(store: Store) -> None:
    resolved, still_open = opened(store), opened(store)
    store.append(resolved, EventKind.RESOLVED, actor="ana")
    store.append(resolved, EventKind.NOTE, actor="ana", text="a note moves nothing")
    assert [one.id for one in store.incidents([Status.OPEN])] == [still_open]
    assert [one.id for one in store.incidents([Status.RESOLVED, Status.CLOSED])] == [resolved]


def test_the_listed_incident_is_the_shown_one(store: Store) -> None:
    number = opened(store)
    store.append(number, EventKind.ACKNOWLEDGED, actor="ana")
    store.append(number, EventKind.AMENDED, actor="ana", data={"severity": "Low"})
    assert store.incidents() == (store.incident(number),)


def test_an_event_of_a_newer_irkit_is_a_sentence(store: Store, tmp_path: Path) -> None:
    number = opened(store)
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as raw, raw:
        raw.execute(
            "INSERT INTO event (incident_id, at, recorded_at, kind, actor, text, evidence, data) "
            "SELECT incident_id, at, recorded_at, 'teleported', actor, text, evidence, data FROM event LIMIT 1"
        )
    with pytest.raises(Exception, match="holds an event of the kind 'teleported'") as refused:
        store.incident(number)
    assert type(refused.value).__name__ == "StoreError"


WRITER = """
import sys
from pathlib import Path
from irkit.model import EventKind
from irkit.settings import Settings
from irkit.store import open_store

home, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = open_store(Settings(home), create=True)
print("ready", flush=True)
sys.stdin.readline()
for number in range(rounds):
    store.append(42, EventKind.NOTE, actor=name, text=str(number))
    made = store.open_incident("x", incident_type="t", severity="s", actor=name)
    store.append(made.id, EventKind.ACKNOWLEDGED, actor=name)
    print(number, made.id, flush=True)
"""


def writer(home: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(home), name, str(rounds)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def started(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_write_one_store_and_lose_nothing(store: Store, tmp_path: Path) -> None:
    opened(store, 42)
    rounds = 25
    with writer(tmp_path, "ana", rounds) as ana, writer(tmp_path, "bo", rounds) as bo:
        for process in (ana, bo):
            started(process)
        made = [
            int(line.split()[1]) for process in (ana, bo) for line in process.communicate(timeout=120)[0].splitlines()
        ]
    assert (ana.returncode, bo.returncode) == (0, 0)
    assert sorted(made) == list(range(43, 43 + 2 * rounds))
    for name in ("ana", "bo"):
        notes = [event.text for event in store.timeline(42) if event.kind is EventKind.NOTE and event.actor == name]
        assert sorted(notes, key=int) == [str(number) for number in range(rounds)]
    assert {one.status for one in store.incidents() if one.id != 42} == {Status.ACKNOWLEDGED}


def test_two_processes_make_the_store_at_once(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with writer(home, "ana", 0) as ana, writer(home, "bo", 0) as bo:
        for process in (ana, bo):
            started(process)
            process.communicate(timeout=60)
    assert (ana.returncode, bo.returncode) == (0, 0)
    assert opened(open_store(Settings(home))) == 1
    assert [path.name for path in home.iterdir() if not path.name.startswith(STORE_NAME)] == [".gitignore"]


def killed_while_writing(home: Path, after: int) -> list[tuple[int, int]]:
    """Kill a writer with SIGKILL once it has reported `after` rounds; return what it reported as done."""
    with writer(home, "ana", 1_000_000) as process:
        started(process)
        assert process.stdout
        said = [process.stdout.readline() for _ in range(after)]
        process.kill()
        said += process.stdout.read().splitlines(keepends=True)
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(int(number), int(made)) for number, made in whole]


def assert_whole(store: Store, home: Path, reported: list[tuple[int, int]]) -> None:
    """All that was reported is there; of the round that was cut off, each transaction is there or not at all."""
    notes = [int(event.text) for event in store.timeline(42) if event.kind is EventKind.NOTE]
    assert notes in (list(range(len(reported))), list(range(len(reported) + 1)))
    for _, made in reported:
        assert store.incident(made).status is Status.ACKNOWLEDGED
    assert all(one.detected_at for one in store.incidents())
    with closing(sqlite3.connect(home / STORE_NAME)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert opened(store)


def test_a_writer_killed_in_the_middle_leaves_the_store_clean(store: Store, tmp_path: Path) -> None:
    opened(store, 42)
    reported = killed_while_writing(tmp_path, after=3)
    assert len(reported) >= 3
    assert_whole(open_store(Settings(tmp_path)), tmp_path, reported)


@pytest.mark.soak
def test_writers_killed_again_and_again_leave_the_store_clean(tmp_path: Path) -> None:
    for turn in range(60):
        home = tmp_path / str(turn)
        opened(open_store(Settings(home), create=True), 42)
        reported = killed_while_writing(home, after=1 + turn % 20)
        assert_whole(open_store(Settings(home)), home, reported)
