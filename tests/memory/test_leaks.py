"""Leaks with known answers: the right owner is the first suspect, and none where no object leaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from irkit.memory import agent, heap, heap_suspects
from irkit.memory.heap_kernel import extension

pytestmark = pytest.mark.skipif(extension() is None, reason="plain Python would take seconds for each")
compiled = pytest.mark.skipif(agent.native() is None, reason="the walker is not built here")

LEAKS = {
    "module_cache": "module_cache.CACHE",
    "class_attribute": "class_attribute.Registry.seen",
    "closure": "closure.counter.<locals>.count.__closure__",
    "lru": "lru.render",
    "logger_handlers": "logger_handlers.log.handlers",
    "event_listeners": "event_listeners.BUS.listeners",
    "threads": "threads.worker(): rows",
    "thread_locals": "thread_locals.LOCAL[…].kept",
    "context_variables": "(thread): _contextvars.Context",  # a context names no variable that is in it
    "asyncio_tasks": "asyncio_tasks.TASKS",
    "tracebacks": "tracebacks.ERRORS",
    "cycles_with_del": "cycles_with_del.Node.alive",
    "generators": "generators.OPEN",
    "weak_callbacks": "weak_callbacks.REFS",
    "big_strings": "big_strings.PAGES",
    "identity_map": "identity_map.UNIT.database.identity",
    "object_arrays": "object_arrays.STATE.table",
    "linked_list": "linked_list.HEAD.after",
    "queue_unread": "queue_unread.QUEUE.queue",
    "local_of_a_loop": "local_of_a_loop.loop(): backlog",
}
HEALTHY = ("warm_up", "fills_up", "bounded", "native", "fragmentation", "none")
RUNNER = Path(__file__).parent / "leaks" / "snapshots.py"


def heaps_of(program: str, folder: Path, walker: str = "native") -> list[heap.Heap]:
    folder.mkdir(exist_ok=True)
    subprocess.run([sys.executable, RUNNER, program, folder, walker], check=True, timeout=60)
    return [heap.open(path) for path in sorted(folder.iterdir())]


@compiled
@pytest.mark.parametrize(("program", "owner"), LEAKS.items(), ids=LEAKS.keys())
def test_the_owner_of_a_leak_is_the_first_suspect(program: str, owner: str, tmp_path: Path) -> None:
    found = heap_suspects.suspects(heaps_of(program, tmp_path))
    assert found, "no suspect"
    assert found[0].owner == owner, "\n".join(map(str, found))
    assert (found[0].growth_bytes or 0) > 0
    assert len(found) <= 2


@compiled
@pytest.mark.parametrize("program", HEALTHY)
def test_where_no_object_leaks_none_is_suspected(program: str, tmp_path: Path) -> None:
    assert heap_suspects.suspects(heaps_of(program, tmp_path)) == ()


IN_PYTHON = ("module_cache", "closure", "threads", "thread_locals", "identity_map", "object_arrays", "local_of_a_loop")


@compiled
@pytest.mark.skipif(agent.pure() is None, reason="no twin can be made here")
@pytest.mark.parametrize("program", IN_PYTHON)
def test_plain_python_suspects_the_same_as_the_compiled_walker(program: str, tmp_path: Path) -> None:
    """Names and counts are equal; sizes may differ by what only C sees, such as room kept for attributes."""
    native, plain = (heap_suspects.suspects(heaps_of(program, tmp_path / one, one)) for one in ("native", "python"))
    told = [[(one.owner, one.type_name, one.kept_type, one.kept) for one in each] for each in (native, plain)]
    assert told[0] == told[1]
    assert told[0][0][0] == LEAKS[program]
    for ours, theirs in zip(plain, native, strict=True):
        assert ours.retained_bytes == pytest.approx(theirs.retained_bytes, rel=0.1)


@pytest.mark.skipif(agent.pure() is None, reason="no twin can be made here")
@pytest.mark.parametrize("program", ["none", "warm_up"])
def test_plain_python_suspects_none_where_no_object_leaks(program: str, tmp_path: Path) -> None:
    assert heap_suspects.suspects(heaps_of(program, tmp_path, "python")) == ()
