"""Dominators, retained sizes and paths beside a brute-force reference, in C and in plain Python."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit.memory import heap_pure
from irkit.memory.heap_kernel import NONE, extension

KERNELS = [pytest.param(heap_pure, id="python")]
if (built := extension()) is not None:
    KERNELS.append(pytest.param(built, id="extension"))

THOROUGH = settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Graphs of up to 12 nodes: parallel edges, loops, parts that nothing reaches and targets that do not exist."""
    nodes = draw(st.integers(1, 12))
    node = st.one_of(st.integers(0, nodes - 1), st.just(NONE))
    return draw(st.lists(st.lists(node, max_size=4), min_size=nodes, max_size=nodes))


def csr(graph: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, graph)]).astype(np.int64)
    return offsets, np.array([target for targets in graph for target in targets], np.uint32)


def reached(graph: list[list[int]], without: int = -1) -> set[int]:
    seen, queue = ({0}, [0]) if without else (set(), [])
    for node in queue:
        for target in graph[node]:
            if target not in (NONE, without) and target not in seen:
                seen.add(target)
                queue.append(target)
    return seen


def dominators(kernel: ModuleType, graph: list[list[int]], sizes: np.ndarray) -> tuple[np.ndarray, ...]:
    nodes = len(graph)
    idom, retained, order = np.empty(nodes, np.uint32), np.empty(nodes, np.int64), np.empty(nodes, np.uint32)
    count = kernel.dominators(*csr(graph), 0, sizes, idom, retained, order)
    return idom, retained, order[:count]


@pytest.mark.parametrize("kernel", KERNELS)
@THOROUGH
@given(graph=graphs())
def test_retained_is_what_becomes_unreachable(kernel: ModuleType, graph: list[list[int]]) -> None:
    sizes = 1 << np.arange(len(graph), dtype=np.int64)  # each sum tells its parts
    idom, retained, order = dominators(kernel, graph, sizes)
    everything = reached(graph)
    kept = {node: everything - reached(graph, without=node) for node in everything}
    assert set(order.tolist()) == everything
    assert len(order) == len(everything)
    for node in range(len(graph)):
        if node not in everything:
            assert (idom[node], retained[node]) == (NONE, 0)
            continue
        assert retained[node] == sum(1 << one for one in kept[node])
        # the immediate dominator is the one that all the others dominate
        above = [other for other in everything if node in kept[other] and other != node]
        assert idom[node] == (min(above, key=lambda other: len(kept[other])) if above else 0)


@pytest.mark.parametrize("kernel", KERNELS)
@settings(THOROUGH, max_examples=500)
@given(graph=graphs())
def test_paths_components_and_groups(kernel: ModuleType, graph: list[list[int]]) -> None:
    nodes, (offsets, targets) = len(graph), csr(graph)
    parents = np.empty(nodes, np.uint32)
    kernel.shortest(offsets, targets, 0, parents)
    distance, layer = {0: 0}, [0]
    for node in layer:
        for target in graph[node]:
            if target != NONE and target not in distance:
                distance[target] = distance[node] + 1
                layer.append(target)
    assert {node for node in range(nodes) if parents[node] != NONE} == set(distance)
    for node in set(distance) - {0}:
        assert distance[node] == distance[int(parents[node])] + 1
        assert node in graph[int(parents[node])]

    component = np.empty(nodes, np.uint32)
    count = kernel.components(offsets, targets, component)
    assert set(component.tolist()) == set(range(count))
    after = [set(walk(graph, node)) for node in range(nodes)]
    for one in range(nodes):
        for other in range(nodes):
            together = one == other or (other in after[one] and one in after[other])
            assert (component[one] == component[other]) == together

    grouped, items = np.empty(nodes + 1, np.int64), np.empty(len(targets), np.uint32)
    kernel.group(targets, grouped, items)
    for node in range(nodes):
        assert items[grouped[node] : grouped[node + 1]].tolist() == [
            at for at, target in enumerate(targets) if target == node
        ]


def walk(graph: list[list[int]], start: int) -> list[int]:
    seen, queue = set(), [target for target in graph[start] if target != NONE]
    for node in queue:
        if node not in seen:
            seen.add(node)
            queue.extend(target for target in graph[node] if target != NONE)
    return list(seen)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_chain_and_a_fan_of_many_need_no_recursion(kernel: ModuleType) -> None:
    length = 50_000
    chain = [[node + 1] for node in range(length - 1)] + [[]]
    idom, retained, _ = dominators(kernel, chain, np.ones(length, np.int64))
    assert idom[1:].tolist() == list(range(length - 1))
    assert retained.tolist() == list(range(length, 0, -1))
    component = np.empty(length, np.uint32)
    assert kernel.components(*csr(chain), component) == length


@pytest.mark.skipif(built is None, reason="the extension is not built here")
def test_both_kernels_agree_on_a_large_random_graph() -> None:
    random = np.random.default_rng(7)
    nodes = 20_000
    graph = [sorted(set(random.integers(0, nodes, random.integers(0, 5)).tolist())) for _ in range(nodes)]
    graph[0] = random.integers(0, nodes, 200).tolist()
    sizes = random.integers(1, 1000, nodes).astype(np.int64)
    ours, theirs = dominators(built, graph, sizes), dominators(heap_pure, graph, sizes)
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_graph_that_is_none_is_refused(kernel: ModuleType) -> None:
    offsets, targets = np.array([0, 5], np.int64), np.array([0], np.uint32)
    with pytest.raises(ValueError, match="not well formed"):
        kernel.shortest(offsets, targets, 0, np.empty(1, np.uint32))
