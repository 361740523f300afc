"""What a restart says it would do, by how each container is."""

from irkit.act.compose import Member
from irkit.actions.restart import changes_of
from irkit.docker.containers import ListedContainer


def member(name: str, **state: object) -> Member:
    listed = ListedContainer("9f2c", name, "jarvis-api", "jarvis", str(state["Status"]))
    return Member(listed, {"State": state})


RUNS = member("jarvis-api-1", Status="running", Running=True)
ENDED = member("jarvis-api-2", Status="exited", Running=False, ExitCode=1)


def test_what_runs_is_asked_to_end_and_killed_only_where_it_does_not() -> None:
    assert changes_of([RUNS], 2) == (
        "jarvis-api-1 is asked to end, killed where it has not within 2 s, and started again",
        "what the processes hold in memory is lost; their logs stay",
    )


def test_what_has_ended_by_itself_is_not_told_to_be_killed() -> None:
    assert changes_of([ENDED], 2) == ("jarvis-api-2 (exited, code 1) does not run and is started", "its logs stay")
    both = changes_of([RUNS, ENDED], 2)
    assert "jarvis-api-2" not in both[0]
    assert both[1] == "jarvis-api-2 (exited, code 1) does not run and is started"
