"""What each collector costs, asked of the collectors only where somebody wants to know: loading them takes long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property


class CollectorCosts(Mapping[str, int]):
    """The collectors' costs by name: 1 is cheap, 9 is dear. They are loaded at the first look."""

    @cached_property
    def _costs(self) -> dict[str, int]:
        from irkit.collect.contract import registered
        from irkit.registry import load_plugins

        load_plugins("irkit.collectors", "irkit.collectors")
        return {item.name: item.cost for item in registered()}

    def __getitem__(self, name: str) -> int:
        return self._costs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._costs)

    def __len__(self) -> int:
        return len(self._costs)
