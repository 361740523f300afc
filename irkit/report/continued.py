"""A bundle's view, continued: the rows that later bundles hold of the time after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from irkit.model import Window
from irkit.report.facts import View

if TYPE_CHECKING:
    import pandas as pd

# what happened at a time; how things stood when they were looked at is for the first bundle alone to tell
_TIMES: Mapping[str, str] = MappingProxyType(
    {
        "requests": "at",
        "errors": "at",
        "health": "at",
        "health_history": "at",
        "container_events": "at",
        "container_health": "started_at",
    }
)


class Continued(View):
    """The first view, and of the others, oldest first, what came after the last row of those before them."""

    def __init__(self, first: View, later: Sequence[View]) -> None:
        super().__init__(first.source)
        self._first, self.later = first, tuple(later)

    @property
    def first(self) -> View:
        return self._first

    @property
    def window(self) -> Window:
        return Window(self.first.window.start, max(view.window.end for view in (self.first, *self.later)))

    def table(self, kind: str) -> pd.DataFrame | None:
        """Return evidence of all the views as one table; None where none has any."""
        if kind not in self._tables:
            self._tables[kind] = self._joined(kind)
        return self._tables[kind]

    def _joined(self, kind: str) -> pd.DataFrame | None:
        import pandas as pd

        own, column = self.first.table(kind), _TIMES.get(kind)
        parts = [own] if own is not None and len(own) else []
        seen_to = self.first.window.end
        for view in self.later if column else ():
            # a window may end between two samples: what follows the last one is new
            seen_to = parts[-1][column].max() if parts else seen_to
            table = view.table(kind)
            new = None if table is None else table[table[column] > seen_to]
            if new is not None and len(new):
                parts.append(new)
        return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0] if parts else own
