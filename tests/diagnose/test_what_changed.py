"""What somebody changed before it began is told with how long before; what began by itself, or long ago, is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from irkit import conclusions
from irkit.bundle.archive import opened
from irkit.diagnose.what_changed import changes_before
from irkit.settings import Settings
from tests.stack.recordings import RECORDINGS, bundle_of
from tests.symptoms.evidence import InMemory

Row = dict[str, object]
ONSET = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


def ago(seconds: float) -> str:
    return f"{ONSET - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def container(service: str, created_s: float, image: str = "jarvis:2") -> Row:
    return {"service": service, "name": f"{service}-1", "image": image, "created_at": ago(created_s)}


def event(action: str, before_s: float, service: str = "api", **more: object) -> Row:
    return {"at": ago(before_s), "service": service, "name": f"{service}-1", "action": action, **more}


def told(containers: list[Row], *events: Row) -> list[str]:
    evidence = InMemory({"containers": containers, "container_events": list(events)})
    return [one.sentence for one in changes_before(evidence, ONSET)]


OLD = container("redis", 9 * 3600)
STOPPED = (event("kill", 41, signal="SIGTERM"), event("die", 40, exit_code=143))


def test_a_new_container_in_the_place_of_another_is_a_replacement() -> None:
    said = told([OLD, container("api", 39)], *STOPPED, event("create", 39), event("destroy", 38))
    assert said == ["api was replaced by a new container of jarvis:2 at 03:04:21 UTC, 39 s before the first sign"]


def test_what_was_added_and_what_was_restarted_is_told_the_latest_first() -> None:
    said = told([OLD, container("worker", 600)], *STOPPED, event("start", 39))
    assert said == [
        "api was restarted on request at 03:04:20 UTC, 40 s before the first sign",
        "worker was created at 02:55:00 UTC, 10 min before the first sign",
    ]


def test_a_stop_is_no_restart_and_what_followed_is_told() -> None:
    """Who was started 26 s later was not restarted: in between somebody, or irkit itself, started it."""
    slow = (event("kill", 43, signal="SIGTERM"), event("kill", 41, signal="SIGKILL"), event("die", 40, exit_code=137))
    stop = "api was stopped on request at 03:04:20 UTC, 40 s before the first sign"
    assert told([OLD], *slow, event("stop", 40)) == [f"{stop}, and not started since"]
    assert told([OLD], *slow, event("stop", 40), event("start", 14)) == [f"{stop}, and started again 26 s later"]
    by_compose = (*slow, event("stop", 40), event("start", 34), event("restart", 34))
    assert told([OLD], *by_compose) == ["api was restarted on request at 03:04:20 UTC, 40 s before the first sign"]


def test_a_service_that_was_removed_is_missed_and_how_it_comes_back() -> None:
    killed = (event("kill", 41, signal="SIGKILL"), event("die", 40, exit_code=137), event("destroy", 30))
    [change] = changes_before(InMemory({"containers": [OLD], "container_events": list(killed)}), ONSET)
    assert change.sentence == "api was removed at 03:04:30 UTC, 30 s before the first sign"
    assert change.way_back == "`docker-compose up -d --no-deps api` makes it anew"
    here = [OLD, container("api", 2 * 3600)]
    assert not any("removed" in one for one in told(here, *killed)), "another of it is there"


def test_what_was_restarted_minutes_apart_is_not_one_change() -> None:
    def restarted(service: str, before_s: float) -> tuple[Row, ...]:
        ends = (event("kill", before_s + 1, service, signal="SIGTERM"), event("die", before_s, service, exit_code=143))
        return (*ends, event("start", before_s - 1, service))

    said = told([OLD], *restarted("api", 240), *restarted("worker", 150), *restarted("web", 145))
    assert [one.partition(" restarted")[0] for one in said] == ["worker and web were", "api was"]


def test_of_a_release_that_changed_more_than_its_image_all_of_it_is_taken_back() -> None:
    ((said, back),) = with_recorder([seen(60, None, 900), seen(37, "its image; its command")], *RELEASE)
    assert said.endswith("what differs from before: its command")
    assert "`image: jarvis:1` for api and all else that differs as it was before in the compose file" in back


def test_what_was_done_at_once_is_one_change() -> None:
    gone = (event("destroy", 60, "api"), event("destroy", 58, "worker"))
    (said,) = told([OLD, container("api", 60), container("worker", 58)], *gone)
    assert said.startswith("api and worker were replaced by a new container of jarvis:2 at 03:04:02 UTC, 58 s before")


def test_a_release_that_was_rolled_back_since_is_known_by_its_events() -> None:
    events = (event("create", 39), event("destroy", 38), event("create", -300), event("destroy", -301))
    (said,) = told([OLD, container("api", -300, "jarvis:1")], *events)
    assert said == "api was replaced by a new container at 03:04:21 UTC, 39 s before the first sign"


def way_back(containers: list[Row], *events: Row) -> list[str]:
    evidence = InMemory({"containers": containers, "container_events": list(events)})
    return [one.way_back for one in changes_before(evidence, ONSET)]


RELEASE = (event("create", 39, image="jarvis:2"), event("destroy", 38, image="jarvis:1"))


def test_of_a_release_both_images_are_told_and_the_way_back() -> None:
    (said,) = told([OLD, container("api", 39)], *RELEASE)
    assert said.startswith("api was replaced by a new container of jarvis:2 (before: jarvis:1) at 03:04:21 UTC")
    assert way_back([OLD, container("api", 39)], *RELEASE) == [
        "the way back is `image: jarvis:1` for api in the compose file, then `docker-compose up -d --no-deps api`"
    ]


def test_of_what_was_done_at_once_the_way_back_is_one() -> None:
    more = tuple(event(str(row["action"]), 37, "worker", image=row["image"]) for row in RELEASE)
    (back,) = way_back([OLD, container("api", 39), container("worker", 37)], *RELEASE, *more)
    assert "`image: jarvis:1` for api and worker" in back
    assert back.endswith("`docker-compose up -d --no-deps api worker`")


def test_what_has_been_taken_back_needs_no_way_back() -> None:
    since = (event("create", -300, image="jarvis:1"), event("destroy", -301, image="jarvis:2"))
    here = [OLD, container("api", -300, "jarvis:1")]
    (said,) = told(here, *RELEASE, *since)
    assert said.startswith("api was replaced by a new container of jarvis:2 (before: jarvis:1)")
    assert way_back(here, *RELEASE, *since) == [""]


def test_where_both_images_have_one_name_it_is_said_and_no_way_back_is_made_up() -> None:
    same = (event("create", 39, image="jarvis:2"), event("destroy", 38, image="jarvis:2"))
    (said,) = told([OLD, container("api", 39)], *same)
    assert "of jarvis:2 (the one before was called so, too) at" in said
    assert way_back([OLD, container("api", 39)], *same) == [""]


def test_of_one_image_by_two_names_the_way_back_is_no_other_image() -> None:
    release = (
        event("create", 39, image="jarvis:2", image_id="sha256:a"),
        event("destroy", 38, image="jarvis:1", image_id="sha256:a"),
    )
    (said,) = told([OLD, container("api", 39)], *release)
    assert "of jarvis:2 (before: jarvis:1, which is the same image) at" in said
    (back,) = way_back([OLD, container("api", 39)], *release)
    assert back.startswith("what differs is its environment, its command or its mounts")


def seen(at_s: float, differs_in: str | None, started_s: float | None = 38) -> Row:
    started = {"started_at": ago(started_s)} if started_s is not None else {}
    return {"at": ago(at_s), "service": "api", "name": "api-1", "differs_in": differs_in} | started


def with_recorder(history: list[Row], *events: Row) -> list[tuple[str, str]]:
    tables = {"containers": [OLD, container("api", 39)], "container_events": list(events), "container_history": history}
    return [(one.sentence, one.way_back) for one in changes_before(InMemory(tables), ONSET)]


ANEW = (event("create", 39, image="jarvis:2"), event("destroy", 38, image="jarvis:2"))


def test_of_a_release_by_its_settings_alone_the_recorder_names_them_and_the_way_back() -> None:
    rows = [seen(60, None, 900), seen(37, "the variable MODEL_URL; its command"), seen(32, "the variable MODEL_URL")]
    ((said, back),) = with_recorder(rows, *ANEW)
    assert said == (
        "api was replaced by a new container of jarvis:2 (of the same image) at 03:04:21 UTC, 39 s before the first "
        "sign; what differs from before: the variable MODEL_URL and its command"
    )
    assert back == (
        "the way back is to undo that in the compose file and the files it names, then "
        "`docker-compose up -d --no-deps api`"
    )


def test_another_image_is_told_by_its_name_and_once() -> None:
    ((said, back),) = with_recorder([seen(37, "its image; the variable DEBUG (new)")], *RELEASE)
    assert said.endswith("39 s before the first sign; what differs from before: the variable DEBUG (new)")
    assert back.startswith("the way back is `image: jarvis:1` for api")
    ((said, back),) = with_recorder([seen(37, "its image")], *ANEW)
    assert "what differs from before" not in said
    assert "of jarvis:2 (another image of that name) at" in said
    assert back == ""


def test_where_the_events_are_lost_the_recorder_knows_of_the_one_before() -> None:
    ((said, _),) = with_recorder([seen(37, "its image; the mount at /data (gone)", None)])
    assert said.startswith("api was replaced by a new container of jarvis:2 at 03:04:21 UTC")
    assert said.endswith("what differs from before: its image and the mount at /data (gone)")


def test_what_an_earlier_or_a_later_container_differed_in_is_not_told_of_this_one() -> None:
    rows = [seen(60, "the variable OLD", 900), seen(38.5, "the variable OLD", 900), seen(30, None)]
    ((said, _),) = with_recorder(rows, *ANEW)
    assert "OLD" not in said
    again = (event("create", 20, image="jarvis:2"), event("destroy", 19, image="jarvis:2"))
    later, first = with_recorder([seen(15, "the variable NEW", 18)], *ANEW, *again)
    assert "the variable NEW" in later[0]
    assert "the variable NEW" not in first[0]


def test_what_was_first_made_a_moment_before_it_was_replaced_has_replaced_nothing() -> None:
    """Both in two minutes: the end belongs to the second."""
    first = event("create", 120, image="jarvis:1")
    release = (event("create", 39, image="jarvis:2"), event("destroy", 38, image="jarvis:1"))
    said = told([OLD, container("api", 39)], first, *release)
    assert [one.partition(" at ")[0] for one in said] == [
        "api was replaced by a new container of jarvis:2 (before: jarvis:1)",
        "api was created",
    ]


def test_what_was_done_after_it_was_noticed_is_not_told_as_what_was_before() -> None:
    """The first container's logs are gone with it, so the evidence shows it since the rollback only."""
    evidence = InMemory({"containers": [OLD, container("api", 1, "jarvis:1")], "container_events": [*RELEASE]})
    assert [one.services for one in changes_before(evidence, ONSET)] == [("api",), ("api",)]
    noticed = ONSET - timedelta(seconds=20)
    (release,) = changes_before(evidence, ONSET, noticed)
    assert release.at == ONSET - timedelta(seconds=39)


def test_a_limit_of_memory_that_was_changed_is_told_with_both() -> None:
    redis = [{"at": ago(120), "max_memory_bytes": 200 * 2**20}, {"at": ago(60), "max_memory_bytes": 4 * 2**20}]
    run: Row = {"service": "api", "name": "api-1", "started_at": ago(900)}
    limits = ((120, 2**29), (90, None), (50, 2**28))
    api = [run | {"at": ago(before), "memory_limit_bytes": limit} for before, limit in limits]
    other = [run | {"at": ago(40), "memory_limit_bytes": 2**29, "started_at": ago(41)}]
    evidence = InMemory({"redis_history": redis, "container_history": [*api, *other]})
    assert [one.sentence for one in changes_before(evidence, ONSET)] == [
        "api was given a memory limit of 256 MiB (before: 512 MiB) at 03:04:10 UTC, 50 s before the first sign",
        "Redis was given a maxmemory of 4.0 MiB (before: 200 MiB) at 03:04:00 UTC, 1 min before the first sign",
    ]


def test_a_change_that_was_the_first_sign_is_told_as_it_began() -> None:
    (said,) = told([OLD, container("api", -0.4)], event("destroy", -0.8))
    assert said.endswith(", as it began")


@pytest.mark.parametrize(
    ("containers", "events"),
    [
        ([OLD, container("api", 2 * 3600)], ()),
        ([container("redis", 50), container("api", 49)], ()),  # the first start of all of it
        ([OLD, container("api", -300)], (event("destroy", -299),)),  # what was done about it
        ([OLD], (event("die", 40, exit_code=1), event("start", 39))),  # it ended by itself
        ([OLD, container("job", 9 * 3600)], (event("die", 35, "once", exit_code=0), event("destroy", 34, "once"))),
        ([], ()),
        ([{"service": "api", "name": "api-1"}], (event("destroy", 30),)),
    ],
)
def test_what_nobody_changed_before_is_not_told(containers: list[Row], events: tuple[Row, ...]) -> None:
    assert told(containers, *events) == []


def test_without_a_look_at_containers_nothing_is_said() -> None:
    assert changes_before(InMemory({}), ONSET) == ()


def test_a_real_release_that_broke_the_service_is_named() -> None:
    with opened(bundle_of("broken-release", RECORDINGS)) as bundle:
        since = conclusions.diagnosis(bundle, settings=Settings(home=RECORDINGS)).first_sign
        assert since
        (one,) = changes_before(bundle, since)
    assert one.services == ("jarvis-api",)
    assert one.what.startswith("replaced by a new container of ")
