"""`%load_ext irkit` in any notebook: `%incident 42` loads an incident with its evidence and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit import conclusions, workspace
from irkit.errors import InputError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from irkit.report.parts import Shown


def register(shell: InteractiveShell) -> None:
    """Add `%incident` to an IPython shell."""

    def incident(line: str) -> Shown:
        """Load an incident: `%incident 42` sets `incident`, `evidence` and `report`, and shows the report's header.

        A second word says when to collect: auto (the default: where no bundle is), always, never.
        """
        words = line.split()
        if not 1 <= len(words) <= 2:  # noqa: PLR2004 (the id, and when to collect)
            raise InputError(
                "which incident?", hint="%incident 42, or %incident 42 never, as `irkit list` shows the ids"
            )
        found = workspace.incident(words[0])
        evidence = workspace.gather(found, *words[1:])
        report = conclusions.postmortem(found, evidence)
        shell.user_ns.update(incident=found, evidence=evidence, report=report)
        return report.header

    shell.register_magic_function(incident, "line", "incident")  # type: ignore[arg-type]
